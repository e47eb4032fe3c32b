"""Runs `evolve` as its users do: a process of its own, with a home of its own and no keys."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def evolve(home: Path, *words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_API_BASE"))}
    return subprocess.run(
        [sys.executable, "-m", "evolve", *words], env=inherited | {"EVOLVE_HOME": str(home)} | (environment or {}),
        cwd=home, text=True, capture_output=True, timeout=240, check=False,
    )  # fmt: skip


def last_json(result: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(result.stdout.splitlines()[-1])
