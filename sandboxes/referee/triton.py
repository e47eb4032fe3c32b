"""The target `triton`: a file kernel.py whose `kernel(*inputs, out, *dims)` launches Triton kernels on torch tensors.

Without a GPU it runs in Triton's interpreter, which says whether it is right and nothing of its speed: it is never
timed there. With one it is held as device.c holds CUDA, by a Python process; that may write files and start compilers,
as Triton itself does, so that this machine's sandbox is all that confines it. `baseline.py` has the same interface.
"""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import command, gpu, python
from .job import Job
from .runner import Program
from .verdict import RejectedError, UnequippedError

SOURCE = "kernel.py"
ROOM = 24 * 2**30
"""Bytes of address space for torch and Triton."""
DEVICE_ROOM = 2**44
FILE_BYTES = 256 * 2**20
"""Triton keeps what it compiles in files."""
NEEDED = ("torch", "triton")
FACTS = """\
import json, torch
d = torch.cuda.get_device_properties(0)
print(json.dumps({"name": d.name, "capability": 10 * d.major + d.minor, "processors": d.multi_processor_count,
    "clock_khz": d.clock_rate, "memory_khz": d.memory_clock_rate, "bus_bits": d.memory_bus_width,
    "cache_bytes": d.L2_cache_size, "memory_mb": d.total_memory >> 20}))
"""


def candidate(job: Job, *, remarks: bool) -> Program:
    """Only puts the file in its place: what is wrong with it is found by the process that loads it."""
    del remarks
    if SOURCE not in job.files:
        raise RejectedError("builds", "no_source", f"there is no {SOURCE} among the candidate's files")
    box = job.box("candidate")
    command.write_files(box, job.files)
    return _held(job, box / SOURCE)


def baseline(job: Job) -> Program:
    box = job.box("baseline")
    command.write_files(box, {"baseline.py": job.trusted["baseline.py"]})
    return _held(job, box / "baseline.py")


def _held(job: Job, file: Path) -> Program:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UnequippedError(f"{' and '.join(missing)} cannot be imported here: pip install 'evolve-foundry[triton]'")
    device = _device()
    given: dict[str, Any] = {"kind": "triton", "symbol": job.request["symbol"], "device": bool(device)}
    program = python.held(job, file, given, DEVICE_ROOM if device else ROOM)
    if device:
        return program._replace(device=device, file_bytes=FILE_BYTES)
    return program._replace(not_timed=f"right in the interpreter; not timed: {gpu.NO_GPU}")


def _device() -> Mapping[str, Any]:
    """As torch describes it; nothing without one."""
    if not gpu.seen():
        return {}
    argv = [sys.executable, "-c", FACTS]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=gpu.ASK_SECONDS)
        return gpu.peaks(json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
