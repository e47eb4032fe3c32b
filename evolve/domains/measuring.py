"""Asking the referee to measure a candidate beside a baseline (its program `measure`), and reading what it says.

Shared by domains. What a task is, how candidates are written, and what is said of a good one is theirs.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from evolve.domains.timing import Session, Speedup, speedup
from evolve.errors import SandboxError
from evolve.types import Evaluation, Execution, Gates

FINAL = 2
"""Times the effort of a first judgement, for what may be called best."""


class Effort(NamedTuple):
    """What timing one candidate may cost."""

    sessions: int = 6
    """Each with new processes."""
    samples: int = 2
    """Of each session: an even number has either side first equally often."""
    seconds: float = 4.0
    """About, staging and checking included."""

    def times(self, factor: int) -> "Effort":
        return self._replace(sessions=factor * self.sessions, seconds=factor * self.seconds)


class _Reported(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Failure(_Reported):
    gate: str
    """`authentic`, `builds` or `correct`."""
    reason: str
    message: str


class Timing(_Reported):
    sessions: tuple[Session, ...]


class Reply(_Reported):
    unequipped: str = ""
    """What the sandbox lacks for this target."""
    broken_task: str = ""
    """Why no candidate can be judged on the task."""
    threads: int = 1
    failure: Failure | None = None
    cases_passed: int = 0
    build_seconds: float = 0.0
    timing: Timing | None = None
    vectorisation: str = ""
    peak_memory_mb: float = 0.0
    not_run: str = ""
    """Why the candidate was built but not run."""
    not_timed: str = ""
    """Why it was run but not timed."""
    device: Mapping[str, float | str] = {}
    """What it ran on where that is no CPU, and how that ran (sandboxes/referee/gpu.py)."""
    counters: Mapping[str, float | str] = {}


class Measured(NamedTuple):
    reply: Reply
    speedup: Speedup


def request(
    target: str, symbol: str, cases: Sequence[Mapping[str, Any]], timed: Mapping[str, Any], effort: Effort
) -> dict[str, Any]:
    """What the referee is asked: `cases` to be right on, what is `timed`, a secret that nobody has seen."""
    return {
        "target": target,
        "symbol": symbol,
        "secret": secrets.randbits(62),
        "cases": list(cases),
        "timed": {**timed, **effort._asdict()},
        "threads": 0,
    }


def reply_of(execution: Execution) -> Reply | Evaluation:
    """The reply, or the evaluation of a candidate that took the judgement down with it.

    Raises SandboxError when the referee did not report, or cannot judge this target.
    """
    if not execution.reply:
        return _silent(execution)
    try:
        reply = Reply.model_validate(dict(execution.reply))
    except ValidationError as error:
        raise SandboxError(f"the referee's reply is unusable: {error}") from error
    if reply.unequipped:
        raise SandboxError(f"the sandbox lacks what this target needs: {reply.unequipped}")
    return reply


def _silent(execution: Execution) -> Evaluation:
    if execution.timed_out or execution.out_of_memory:
        why = "it took longer than the judge allows" if execution.timed_out else "it used more memory than it may"
        return Evaluation(gates=Gates(authentic=True, builds=True, correct=False), feedback=why)
    raise SandboxError(f"the referee gave no reply: {execution.stderr[-500:] or execution.killed or 'no words either'}")


def failed(reply: Reply, failure: Failure) -> Evaluation:
    gates = {
        "authentic": Gates(authentic=False),
        "builds": Gates(authentic=True, builds=False),
        "correct": Gates(authentic=True, builds=True, correct=False),
    }
    if failure.gate not in gates:
        raise SandboxError(f"the referee reported a failure at a gate that is none: {failure.gate!r}")
    lead = {"authentic": "refused", "builds": "does not build", "correct": "wrong"}[failure.gate]
    metrics = {"cases_passed": float(reply.cases_passed), "build_seconds": reply.build_seconds}
    return Evaluation(gates=gates[failure.gate], feedback=f"{lead}: {failure.message}", metrics=metrics)


def measured(reply: Reply) -> Measured:
    """Raises SandboxError when there is no usable timing."""
    if reply.timing is None:
        raise SandboxError("the referee reported neither a failure nor a timing")
    try:
        return Measured(reply, speedup(reply.timing.sessions))
    except ValueError as error:
        raise SandboxError(f"the referee's timing is unusable: {error}") from error


def repeated(
    measure: Callable[[bool], Evaluation | Measured], disturbed: Callable[[Measured], bool] = lambda _: False
) -> Evaluation | Measured:
    """A noisy (or `disturbed`) measurement is repeated once, and both count.

    `measure` is told whether to check every case before the timing.
    """
    first = measure(True)
    if isinstance(first, Evaluation) or not (first.speedup.noisy or disturbed(first)):
        return first
    return pooled(first, measure(False))


def pooled(first: Measured, second: Measured | Evaluation) -> Measured | Evaluation:
    """Two measurements of one candidate as one; a failure in either is a failure."""
    if isinstance(second, Evaluation) or first.reply.timing is None or second.reply.timing is None:
        return second
    return first._replace(speedup=speedup([*first.reply.timing.sessions, *second.reply.timing.sessions]))


def metrics(found: Measured) -> dict[str, float]:
    """Of any measurement; a domain adds its own."""
    timed, reply = found.speedup, found.reply
    return {
        "baseline_ms": timed.baseline_ns * 1e-6,
        "best_ms": timed.candidate_ns * 1e-6,
        "samples": float(timed.samples),
        "variation": timed.variation,
        "inconclusive": float(timed.noisy),
        "threads": float(reply.threads),
        "memory_mb": reply.peak_memory_mb,
    }


def gain(found: Speedup, over: str) -> str:
    """The first words to the writer."""
    lower, upper = found.interval
    doubt = "inconclusive: the machine is too noisy to say more than this\n" if found.noisy else ""
    return f"{doubt}{found.ratio:.3g}x over {over} ({lower:.3g} to {upper:.3g})"
