"""Where a user's runs, knowledge base and machine measurements lie."""

import os
from pathlib import Path

from evolve.errors import UsageError


def home() -> Path:
    """`EVOLVE_HOME`, else the system's folder for user data. Not created here. Raises UsageError."""
    override = os.environ.get("EVOLVE_HOME")
    if override:
        try:
            return Path(override).expanduser().resolve()
        except RuntimeError as error:
            raise UsageError(f"EVOLVE_HOME is {override!r}, and no such user has a home; name a folder") from error
    from platformdirs import user_data_path

    return user_data_path("evolve")
