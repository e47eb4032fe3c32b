"""From a referee's reply to an evaluation: gates, speed-up, profile and words for the writer."""

from collections.abc import Mapping, Sequence
from typing import Any

from evolve.domains.kernels import targets
from evolve.domains.kernels.bottleneck import Evidence, profile
from evolve.domains.kernels.catalogue import Entry, numerics
from evolve.domains.kernels.features import features
from evolve.domains.kernels.machine import Peaks
from evolve.domains.kernels.measured import Parts
from evolve.domains.kernels.mojo import state as mojo
from evolve.domains.kernels.rules import declared_flags
from evolve.domains.kernels.targets import Target
from evolve.domains.measuring import Effort, Measured, Reply, failed, gain, measured, metrics, reply_of, request
from evolve.domains.timing import Speedup
from evolve.errors import PluginError
from evolve.types import Evaluation, Execution, Gates, Job, Limits, Profile

SHORTEST_US = 250
"""Shorter kernels are called several times a sample."""
MARGIN = 0.8
"""Faster than this share of the least possible time is an alarm, not a record."""


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
    asked = request(
        target.name,
        "kernel",
        _cases([*spec.VISIBLE, *spec.HIDDEN]) if checked else [],
        {"dims": dict(target.timed(entry.name, spec.TIMED)), "min_sample_us": SHORTEST_US},
        effort,
    )
    asked |= {"dims": list(spec.DIMS), "flags": [*target.given, *declared_flags(source)], "report": True}
    trusted = {"task.py": entry.module, "numerics.py": numerics(), target.baseline: target.seed(entry.name) or ""}
    files = {target.source: source}
    return Job(program="measure", files=files, trusted=trusted, request=asked, limits=limits, fresh=fresh)


def _cases(shapes: Sequence[Mapping[str, int]]) -> list[dict[str, Any]]:
    from evolve.domains.kernels.numerics import DISTRIBUTIONS

    return [{"dims": dict(dims), "distribution": name} for dims in shapes for name in DISTRIBUTIONS]


def read(entry: Entry, source: str, execution: Execution) -> Evaluation | Measured:
    """The evaluation of a candidate that failed, else what was measured.

    Raises PluginError when the task itself is broken, SandboxError when the referee did not report or lacks something.
    """
    reply = reply_of(execution)
    if isinstance(reply, Evaluation):
        return reply
    if reply.broken_task:
        return _broken(entry, source, reply.broken_task)
    if reply.failure:
        return failed(reply, reply.failure)
    return _idle(reply) if reply.not_run or reply.not_timed else measured(reply)


def _idle(reply: Reply) -> Evaluation:
    """As far as it could be judged here, nothing is wrong with it."""
    correct = None if reply.not_run else True
    told = {"cases_passed": float(reply.cases_passed), "build_seconds": reply.build_seconds}
    words = "\n".join(filter(None, [reply.not_run or reply.not_timed, reply.vectorisation]))
    return Evaluation(gates=Gates(authentic=True, builds=True, correct=correct), feedback=words, metrics=told)


def _broken(entry: Entry, source: str, words: str) -> Evaluation:
    """Flags that the candidate asked for may spoil the seed, which is built with them too."""
    flags = " ".join(declared_flags(source))
    if not flags:
        raise PluginError(f"kernels/{entry.name} cannot be judged: {words}")
    feedback = f"wrong: with the declared flags {flags} not even the plain loops are right ({words}); drop them"
    return Evaluation(gates=Gates(authentic=True, builds=True, correct=False), feedback=feedback)


def least_ms(entry: Entry, result: Measured, peaks: Peaks) -> float:
    """Below this a measurement cannot be honest."""
    spec = entry.spec
    work, traffic = spec.flops(**spec.TIMED), spec.bytes_moved(**spec.TIMED)
    return MARGIN * peaks.least_ms(work, traffic, result.reply.threads)


def impossible(result: Measured, least: float) -> Evaluation | None:
    """The alarm: faster than the machine can be."""
    took = result.speedup.candidate_ns * 1e-6
    if took >= least:
        return None
    feedback = f"refused: faster than the machine can: {took:.3g} ms where at least {least:.3g} ms are needed"
    return Evaluation(gates=Gates(authentic=False, builds=True, correct=True), feedback=feedback)


def accepted(entry: Entry, source: str, result: Measured, peaks: Peaks, target: Target = targets.C) -> Evaluation:
    spec, reply, found = entry.spec, result.reply, result.speedup
    flops = spec.flops(**spec.TIMED)
    in_mojo = target is targets.MOJO
    evidence = Evidence(
        features=mojo.features(source) if in_mojo else features(source),
        remarks=reply.vectorisation,
        roofline=peaks.roofline(flops, spec.bytes_moved(**spec.TIMED)),
        milliseconds=found.candidate_ns * 1e-6,
        threads=reply.threads,
        fast_math="-ffast-math" in declared_flags(source),
        parts=mojo.parts(reply.vectorisation) if in_mojo else Parts(),
    )
    state = mojo.profile(evidence) if in_mojo else profile(evidence)
    own = {
        "roofline": evidence.share,
        "gflops": flops / found.candidate_ns,
        "build_seconds": reply.build_seconds,
        "fast_math": float(evidence.fast_math),
    }
    return Evaluation(
        gates=Gates(authentic=True, builds=True, correct=True),
        score=found.ratio,
        interval=found.interval,
        feedback=_feedback(found, state, evidence),
        metrics={**metrics(result), **own},
        profile=state,
    )


def _feedback(found: Speedup, state: Profile, evidence: Evidence) -> str:
    lines = [
        f"{gain(found, 'the seed')}; {evidence.milliseconds:.3g} ms, {evidence.share:.0%} of the roofline",
        f"bottleneck {state.bottleneck}: {state.evidence}",
    ]
    for loop in evidence.features.inner:
        reason = evidence.reason(loop)
        if reason and loop.line not in evidence.vectorised and reason not in state.evidence:
            lines.append(f"not vectorised: line {loop.line} because {reason}")
    return "\n".join(lines[:6])
