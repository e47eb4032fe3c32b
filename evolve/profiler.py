"""What a domain may offer beside its contract: to explain a candidate, and to set it beside other programs.

Neither is part of a run: they cost more than a judgement, and nothing that they say votes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from evolve.types import Candidate, Evaluation, Sandbox, Task


class Section(NamedTuple):
    """A part of a report, for people and for programs."""

    text: str
    data: Mapping[str, Any]
    """JSON."""


@runtime_checkable
class Profiler(Protocol):
    def profile(
        self, task: Task, candidate: Candidate, verdict: Evaluation, sandbox: Sandbox, parts: Sequence[str] = ()
    ) -> Section:
        """Explain a candidate that was judged feasible. No parts named: all. Raises UsageError for an unknown one."""
        ...


@runtime_checkable
class Comparer(Protocol):
    def peers(self, task: Task, candidate: Candidate, sandbox: Sandbox) -> Section:
        """Time a feasible candidate beside other implementations of the same task, in one session."""
        ...
