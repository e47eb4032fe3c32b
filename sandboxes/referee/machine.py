"""What the sandbox runs on."""

import contextlib
import os
import platform
import subprocess
from pathlib import Path


def compiler() -> str:
    """Such as `gcc 12.2.0`; empty when there is none."""
    try:
        version = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"gcc {version.strip()}"


def cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def cores() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(0))
