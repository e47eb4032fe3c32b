"""The target `torch`: a file model.py that defines `ModelNew`, a torch module to take the place of a problem's `Model`.

It is constructed with the problem's `get_init_inputs()` before its parameters are set, and called with the problem's
inputs; its answer is copied out of its process, within the time that is measured, on either side alike. `problem.py`
and `baseline.py`, which defines a `ModelNew` too, are the task's.
"""

import importlib.util
from pathlib import Path

from . import command, python
from .job import Job
from .runner import Program
from .verdict import RejectedError, UnequippedError

SOURCE, PROBLEM = "model.py", "problem.py"
ROOM = 6 * 2**30
"""Bytes of address space for torch."""


def candidate(job: Job, *, remarks: bool) -> Program:
    del remarks
    if SOURCE not in job.files:
        raise RejectedError("builds", "no_source", f"there is no {SOURCE} among the candidate's files")
    box = job.box("candidate")
    command.write_files(box, {**job.files, PROBLEM: job.trusted[PROBLEM]})
    return _held(job, box / SOURCE)


def baseline(job: Job) -> Program:
    box = job.box("baseline")
    command.write_files(box, {name: job.trusted[name] for name in ("baseline.py", PROBLEM)})
    return _held(job, box / "baseline.py")


def _held(job: Job, file: Path) -> Program:
    if importlib.util.find_spec("torch") is None:
        raise UnequippedError("torch cannot be imported here: pip install 'evolve-foundry[torch]'")
    return python.held(job, file, {"kind": "model", "problem": str(file.with_name(PROBLEM))}, ROOM)
