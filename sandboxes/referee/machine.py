"""What the sandbox runs on."""

import contextlib
import ctypes
import os
import platform
import subprocess
from pathlib import Path

CORE = "OPENBLAS_CORETYPE"
OLDEST = b"Prescott"
"""What OpenBLAS takes a processor for that is newer than itself: several times slower than it need be."""
KERNELS = {"avx512f": "SkylakeX", "avx2": "Haswell"}
"""What it has for them all the same."""


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


def linear_algebra() -> dict[str, str]:
    """Environment in which OpenBLAS uses this processor's vectors; empty where it does so by itself, or is not used.

    Only the OpenBLAS that Linux distributions ship is looked at, which numpy has loaded.
    """
    if CORE in os.environ:
        return {CORE: os.environ[CORE]}
    try:
        library = ctypes.CDLL("libopenblas.so.0", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return {}
    library.openblas_get_corename.restype = ctypes.c_char_p
    if library.openblas_get_corename() != OLDEST:
        return {}
    return next(({CORE: name} for flag, name in KERNELS.items() if flag in words), {})
