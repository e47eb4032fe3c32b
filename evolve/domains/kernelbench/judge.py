"""What the referee is asked about a model, and what its reply means."""

import re
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from evolve.domains.timing import Session, Speedup, speedup
from evolve.errors import PluginError, SandboxError
from evolve.types import Evaluation, Execution, Gates, Job, Limits

SOURCE = "model.py"
SHORTEST_US = 2000
"""Shorter calls are made several times a sample."""
LEADS = {"authentic": "refused", "builds": "does not build", "correct": "wrong"}
NO_TORCH = (
    "the sandbox {name} has no torch: use --sandbox process, or name an image that has gcc, numpy and torch in "
    "EVOLVE_SANDBOX_BASE"
)
LACKING = re.compile(r"module 'torch[\w.]*' has no attribute '\w+'")
"""What a problem raises that asks for a newer torch than the sandbox has."""
OLD_TORCH = "not judged: the torch of the sandbox {name} is too old for the problem ({what}); use --sandbox process"


class Posed(NamedTuple):
    """A problem as it is judged."""

    id: str
    text: str
    """At the sizes that it is judged at."""
    seed: str
    trusted: dict[str, str]
    distributions: tuple[str, ...]


class Effort(NamedTuple):
    sessions: int
    seconds: float


class _Reported(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Failure(_Reported):
    gate: str
    message: str


class Timing(_Reported):
    sessions: tuple[Session, ...]


class Reply(_Reported):
    threads: int = 1
    failure: Failure | None = None
    cases_passed: int = 0
    timing: Timing | None = None
    peak_memory_mb: float = 0.0


def job(posed: Posed, source: str, effort: Effort, limits: Limits, *, fresh: bool, checked: bool = True) -> Job:
    """`checked`: also on each distribution in turn, before the timing, which picks them at random."""
    cases = [{"dims": {}, "distribution": name} for name in posed.distributions]
    timed: dict[str, Any] = {
        "dims": {},
        "sessions": effort.sessions,
        "samples": 2,
        "seconds": effort.seconds,
        "min_sample_us": SHORTEST_US,
    }
    request = {
        "target": "torch",
        "symbol": "ModelNew",
        "dims": [],
        "flags": [],
        "secret": secrets.randbits(62),
        "cases": cases if checked else [],
        "timed": timed,
        "threads": 0,
        "report": False,
    }
    trusted = {**posed.trusted, "baseline.py": posed.seed, "problem.py": posed.text}
    return Job(program="measure", files={SOURCE: source}, trusted=trusted, request=request, limits=limits, fresh=fresh)


def read(posed: Posed, execution: Execution, sandbox: str) -> Evaluation | Reply:
    """The evaluation of a model that failed, else the reply with its timing.

    A problem that needs a newer torch has no score. Raises PluginError when the problem itself is broken, SandboxError
    when the referee cannot judge models.
    """
    if execution.reply.get("unequipped"):
        raise SandboxError(NO_TORCH.format(name=sandbox))
    broken = str(execution.reply.get("broken_task") or "")
    if "No module named 'torch'" in broken:
        raise SandboxError(NO_TORCH.format(name=sandbox))
    if lacking := LACKING.search(broken):
        return Evaluation(gates=Gates(), feedback=OLD_TORCH.format(name=sandbox, what=lacking.group()))
    if broken:
        raise PluginError(f"{posed.id} cannot be judged: {broken}")
    try:
        reply = Reply.model_validate(dict(execution.reply))
    except ValidationError as error:
        raise SandboxError(f"the referee's reply is unusable: {error}") from error
    if reply.failure:
        return _failed(reply, reply.failure)
    if reply.timing is None:
        raise SandboxError(f"the referee reported neither a failure nor a timing: {execution.stderr[-300:]}")
    return reply


def _failed(reply: Reply, failure: Failure) -> Evaluation:
    gates = {
        "authentic": Gates(authentic=False),
        "builds": Gates(authentic=True, builds=False),
        "correct": Gates(authentic=True, builds=True, correct=False),
    }
    if failure.gate not in gates:
        raise SandboxError(f"the referee reported a failure at a gate that is none: {failure.gate!r}")
    feedback = f"{LEADS[failure.gate]}: {failure.message}"
    return Evaluation(gates=gates[failure.gate], feedback=feedback, metrics={"cases_passed": float(reply.cases_passed)})


def found(sessions: Sequence[Session]) -> Speedup:
    """Raises SandboxError for samples that are none."""
    try:
        return speedup(sessions)
    except ValueError as error:
        raise SandboxError(f"the referee's timing is unusable: {error}") from error


def accepted(reply: Reply, measured: Speedup) -> Evaluation:
    lower, upper = measured.interval
    took = measured.candidate_ns * 1e-6
    gain = f"{measured.ratio:.3g}x over Model in eager torch ({lower:.3g} to {upper:.3g}); {took:.3g} ms"
    metrics = {
        "baseline_ms": measured.baseline_ns * 1e-6,
        "best_ms": took,
        "samples": float(measured.samples),
        "variation": measured.variation,
        "threads": float(reply.threads),
        "memory_mb": reply.peak_memory_mb,
    }
    return Evaluation(
        gates=Gates(authentic=True, builds=True, correct=True),
        score=measured.ratio,
        interval=measured.interval,
        feedback=gain,
        metrics=metrics,
    )
