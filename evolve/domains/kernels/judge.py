"""From a referee's reply to an evaluation: gates, speed-up, profile and words for the writer."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from evolve.domains.kernels import targets
from evolve.domains.kernels.bottleneck import Evidence, profile
from evolve.domains.kernels.catalogue import Entry, numerics
from evolve.domains.kernels.features import features
from evolve.domains.kernels.machine import Peaks
from evolve.domains.kernels.rules import declared_flags
from evolve.domains.kernels.targets import Target
from evolve.domains.kernels.timing import Session, Speedup, speedup
from evolve.errors import PluginError, SandboxError
from evolve.types import Evaluation, Execution, Gates, Job, Limits, Profile

SHORTEST_US = 250
"""Shorter kernels are called several times a sample."""
MARGIN = 0.8
"""Faster than this share of the least possible time is an alarm, not a record."""


class Effort(NamedTuple):
    """What timing one candidate may cost."""

    sessions: int = 6
    """Each with new processes."""
    samples: int = 2
    """Of each session: an even number has either side first equally often."""
    seconds: float = 4.0
    """About, staging and checking included."""


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


def refused(source: str, target: Target = targets.C) -> Evaluation | None:
    """The static gate: what is wrong before anything runs, None when nothing is."""
    problems = target.violations(source) if source.strip() else [f"there is no code in {target.source}"]
    return Evaluation(gates=Gates(authentic=False), feedback="\n".join(problems)) if problems else None


def job(
    entry: Entry,
    source: str,
    effort: Effort,
    limits: Limits,
    *,
    fresh: bool,
    checked: bool = True,
    target: Target = targets.C,
) -> Job:
    """What the referee is to do. `checked`: also on the small shapes, before the timing."""
    spec = entry.spec
    request: Mapping[str, Any] = {
        "target": target.name,
        "symbol": "kernel",
        "dims": list(spec.DIMS),
        "flags": [*target.given, *declared_flags(source)],
        "secret": secrets.randbits(62),
        "cases": _cases([*spec.VISIBLE, *spec.HIDDEN]) if checked else [],
        "timed": {
            "dims": dict(target.timed(entry.name, spec.TIMED)),
            "sessions": effort.sessions,
            "samples": effort.samples,
            "seconds": effort.seconds,
            "min_sample_us": SHORTEST_US,
        },
        "threads": 0,
        "report": True,
    }
    trusted = {"task.py": entry.module, "numerics.py": numerics(), target.baseline: target.seed(entry.name) or ""}
    files = {target.source: source}
    return Job(program="measure", files=files, trusted=trusted, request=request, limits=limits, fresh=fresh)


def _cases(shapes: Sequence[Mapping[str, int]]) -> list[dict[str, Any]]:
    from evolve.domains.kernels.numerics import DISTRIBUTIONS

    return [{"dims": dict(dims), "distribution": name} for dims in shapes for name in DISTRIBUTIONS]


def read(entry: Entry, source: str, execution: Execution) -> Evaluation | Measured:
    """The evaluation of a candidate that failed, else what was measured.

    Raises PluginError when the task itself is broken, SandboxError when the referee did not report or lacks something.
    """
    if lacking := execution.reply.get("unequipped"):
        raise SandboxError(f"the sandbox lacks what this target needs: {lacking}")
    broken = execution.reply.get("broken_task")
    if broken:
        return _broken(entry, source, str(broken))
    if not execution.reply:
        return _silent(execution)
    try:
        reply = Reply.model_validate(dict(execution.reply))
    except ValidationError as error:
        raise SandboxError(f"the referee's reply is unusable: {error}") from error
    if reply.failure:
        return _failed(reply, reply.failure)
    if reply.not_run or reply.not_timed:
        return _idle(reply)
    if reply.timing is None:
        raise SandboxError("the referee reported neither a failure nor a timing")
    try:
        found = speedup(reply.timing.sessions)
    except ValueError as error:
        raise SandboxError(f"the referee's timing is unusable: {error}") from error
    return Measured(reply, found)


def _idle(reply: Reply) -> Evaluation:
    """As far as it could be judged here, nothing is wrong with it."""
    correct = None if reply.not_run else True
    metrics = {"cases_passed": float(reply.cases_passed), "build_seconds": reply.build_seconds}
    words = "\n".join(filter(None, [reply.not_run or reply.not_timed, reply.vectorisation]))
    return Evaluation(gates=Gates(authentic=True, builds=True, correct=correct), feedback=words, metrics=metrics)


def _broken(entry: Entry, source: str, words: str) -> Evaluation:
    """Flags that the candidate asked for may spoil the seed, which is built with them too."""
    flags = " ".join(declared_flags(source))
    if not flags:
        raise PluginError(f"kernels/{entry.name} cannot be judged: {words}")
    feedback = f"wrong: with the declared flags {flags} not even the plain loops are right ({words}); drop them"
    return Evaluation(gates=Gates(authentic=True, builds=True, correct=False), feedback=feedback)


def _silent(execution: Execution) -> Evaluation:
    if execution.timed_out or execution.out_of_memory:
        why = "it took longer than the judge allows" if execution.timed_out else "it used more memory than it may"
        return Evaluation(gates=Gates(authentic=True, builds=True, correct=False), feedback=why)
    raise SandboxError(f"the referee gave no reply: {execution.stderr[-500:] or execution.killed or 'no words either'}")


def _failed(reply: Reply, failure: Failure) -> Evaluation:
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


def pooled(first: Measured, second: Measured | Evaluation) -> Measured | Evaluation:
    """Two measurements of one candidate as one; a failure in either is a failure."""
    if isinstance(second, Evaluation) or first.reply.timing is None or second.reply.timing is None:
        return second
    return first._replace(speedup=speedup([*first.reply.timing.sessions, *second.reply.timing.sessions]))


def least_ms(entry: Entry, measured: Measured, peaks: Peaks) -> float:
    """Below this a measurement cannot be honest."""
    spec = entry.spec
    work, traffic = spec.flops(**spec.TIMED), spec.bytes_moved(**spec.TIMED)
    return MARGIN * peaks.least_ms(work, traffic, measured.reply.threads)


def impossible(measured: Measured, least: float) -> Evaluation | None:
    """The alarm: faster than the machine can be."""
    took = measured.speedup.candidate_ns * 1e-6
    if took >= least:
        return None
    feedback = f"refused: faster than the machine can: {took:.3g} ms where at least {least:.3g} ms are needed"
    return Evaluation(gates=Gates(authentic=False, builds=True, correct=True), feedback=feedback)


def accepted(entry: Entry, source: str, measured: Measured, peaks: Peaks) -> Evaluation:
    spec, reply, found = entry.spec, measured.reply, measured.speedup
    flops = spec.flops(**spec.TIMED)
    evidence = Evidence(
        features=features(source),
        remarks=reply.vectorisation,
        roofline=peaks.roofline(flops, spec.bytes_moved(**spec.TIMED)),
        milliseconds=found.candidate_ns * 1e-6,
        threads=reply.threads,
        fast_math="-ffast-math" in declared_flags(source),
    )
    state = profile(evidence)
    metrics = {
        "baseline_ms": found.baseline_ns * 1e-6,
        "best_ms": found.candidate_ns * 1e-6,
        "roofline": evidence.share,
        "gflops": flops / found.candidate_ns,
        "samples": float(found.samples),
        "variation": found.variation,
        "inconclusive": float(found.noisy),
        "build_seconds": reply.build_seconds,
        "threads": float(reply.threads),
        "memory_mb": reply.peak_memory_mb,
        "fast_math": float(evidence.fast_math),
    }
    return Evaluation(
        gates=Gates(authentic=True, builds=True, correct=True),
        score=found.ratio,
        interval=found.interval,
        feedback=_feedback(found, state, evidence),
        metrics=metrics,
        profile=state,
    )


def _feedback(found: Speedup, state: Profile, evidence: Evidence) -> str:
    lower, upper = found.interval
    gain = f"{found.ratio:.3g}x over the seed ({lower:.3g} to {upper:.3g})"
    lines = ["inconclusive: the machine is too noisy to say more than this"] if found.noisy else []
    lines += [
        f"{gain}; {evidence.milliseconds:.3g} ms, {evidence.share:.0%} of the roofline",
        f"bottleneck {state.bottleneck}: {state.evidence}",
    ]
    for loop in evidence.features.inner:
        reason = evidence.reason(loop)
        if reason and loop.line not in evidence.vectorised and reason not in state.evidence:
            lines.append(f"not vectorised: line {loop.line} because {reason}")
    return "\n".join(lines[:6])
