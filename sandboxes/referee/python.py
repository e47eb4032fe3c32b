"""The target `python`: a file kernel.py that defines `kernel(*inputs, out, *dims)`.

`inputs` are numpy arrays that cannot be written to, `out` is the array to fill (of the output's type and shape), `dims`
are the sizes as integers. What it returns does not count. It may use the standard library and numpy; it cannot start
processes, open sockets or write files, and it is stopped whenever it is not called. `baseline.py` of the task has the
same interface.
"""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from . import command, machine, tools
from .job import Job
from .runner import Program
from .verdict import RejectedError

SOURCE = "kernel.py"
BOOT = "import sys; sys.path += sys.argv[2:]; from referee.holder import main; sys.path.pop(); main()"
PASSED = "import os; os.environ.update({environment!r}); "
ROOM = 512 * 2**20
"""Bytes of address space for the interpreter, numpy and its linear algebra."""


def candidate(job: Job, *, remarks: bool) -> Program:
    """Only puts the file in its place: that it is no Python is found where it cannot hurt, by its own process."""
    del remarks
    if SOURCE not in job.files:
        raise RejectedError("builds", "no_source", f"there is no {SOURCE} among the candidate's files")
    box = job.box("candidate")
    command.write_files(box, job.files)
    return held(job, box / SOURCE, {"kind": "function", "symbol": job.request["symbol"]}, ROOM)


def baseline(job: Job) -> Program:
    box = job.box("baseline")
    command.write_files(box, {"baseline.py": job.trusted["baseline.py"]})
    return held(job, box / "baseline.py", {"kind": "function", "symbol": job.request["symbol"]}, ROOM)


def held(job: Job, file: Path, given: dict[str, Any], room: int) -> Program:
    """The interpreter that holds the file; `given`: what holder.py is told of it."""
    told = {**given, "file": str(file), "confine": str(tools.tool("confine", job.cache))}
    places = (str(Path(np.__file__).parents[1]), str(Path(__file__).parents[1]))
    surroundings = {"HOME": "/nonexistent", **machine.linear_algebra()}  # else a library would ask who the user is
    boot = PASSED.format(environment=surroundings) + BOOT
    argv = (interpreter(job.candidate), "-I", "-B", "-c", boot, json.dumps(told), *places)
    return Program(argv, file.parent, room=room, described=True)


@cache
def interpreter(user: int) -> str:
    """Ours, where the candidate's user may run it; else another of the same version, which can use the same libraries.

    Raises OSError with a sentence where there is none.
    """
    found = [sys.executable, *(f"{folder}/python3" for folder in command.PATH.split(":"))]
    usable = [path for path in found if Path(path).exists() and (not user or open_to_all(Path(path)))]
    for path in usable:
        if path == sys.executable or _version(path) == sys.version_info[:2]:
            return path
    wanted = ".".join(map(str, sys.version_info[:2]))
    raise OSError(f"candidates cannot run {sys.executable}, and there is no other Python {wanted} for them")


def open_to_all(path: Path) -> bool:
    """Every folder on the way, links followed, lets everyone through."""
    steps = {*path.parents, *path.resolve().parents}
    return all(step.stat().st_mode & 0o001 for step in steps) and os.access(path, os.X_OK)


def _version(path: str) -> tuple[int, ...]:
    script = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([path, "-I", "-c", script], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split()))
