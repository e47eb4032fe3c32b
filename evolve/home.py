"""Where a user's runs, knowledge base and machine measurements lie."""

import os
from pathlib import Path


def home() -> Path:
    """`EVOLVE_HOME`, else the system's folder for user data. Not created here."""
    override = os.environ.get("EVOLVE_HOME")
    if override:
        return Path(override).expanduser().resolve()
    from platformdirs import user_data_path

    return user_data_path("evolve")
