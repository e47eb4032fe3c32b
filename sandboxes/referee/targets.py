"""The languages that candidates come in: how each becomes a program that speaks the runner's protocol."""

import contextlib
import gc
import importlib
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from . import compiler, cuda, mojo, network, python, triton
from .job import Job
from .runner import Program


class Target(Protocol):
    """A module of this package."""

    def candidate(self, job: Job, *, remarks: bool) -> Program:
        """Raises RejectedError (gate `builds`) with the compiler's words. `remarks`: and its report on loops.

        Raises UnequippedError where this sandbox lacks what the target needs.
        """
        ...

    def baseline(self, job: Job) -> Program:
        """What the candidate is compared with. Raises BrokenTaskError."""
        ...


PRELOADED = {"torch": ("torch",)}
"""What takes a second to import and every job of a target needs."""
TARGETS: dict[str, Target] = {
    "c": compiler,
    "cuda": cuda,
    "mojo": mojo,
    "python": python,
    "torch": network,
    "triton": triton,
}


def of(job: Job) -> Target:
    return TARGETS[_name(job.request)]


def preload(message: Mapping[str, Any]) -> bool:
    """Import for the jobs that are forked from here: whether anything was. What is not there is for the job to say."""
    wanted = [name for name in PRELOADED.get(_name(message["request"]), ()) if name not in sys.modules]
    for name in wanted:
        with contextlib.suppress(ImportError, OSError):
            importlib.import_module(name)
        gc.collect()
        gc.freeze()  # as the server does at its start
    return bool(wanted)


def _name(request: Mapping[str, Any]) -> str:
    return str(request.get("target", "c"))
