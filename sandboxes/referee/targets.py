"""The languages that candidates come in: how each becomes a program that speaks the runner's protocol."""

from typing import Protocol

from . import compiler, cuda, network, python, triton
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


TARGETS: dict[str, Target] = {"c": compiler, "python": python, "cuda": cuda, "triton": triton, "torch": network}


def of(job: Job) -> Target:
    return TARGETS[str(job.request.get("target", "c"))]
