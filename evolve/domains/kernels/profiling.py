"""The profile of one kernel, on demand: the job for the referee, and what it found in words."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from evolve.domains.kernels.bottleneck import Evidence, findings, profile
from evolve.domains.kernels.catalogue import SOURCE, Entry, Spec, numerics
from evolve.domains.kernels.features import features
from evolve.domains.kernels.machine import Peaks
from evolve.domains.kernels.measured import Caches, Counters, Loop, Mix, Part, Report, Usage
from evolve.domains.kernels.rules import declared_flags
from evolve.domains.kernels.vocabulary import GIVEN
from evolve.errors import PluginError, SandboxError, UsageError
from evolve.profiler import Section
from evolve.types import Evaluation, Execution, Job, Limits

PARTS: Mapping[str, str] = {
    "mix": "instructions",
    "usage": "on the machine",
    "perf": "hardware counters",
    "cachegrind": "simulated caches",
}
"""From the cheapest to the one that takes seconds, each with its heading."""
SIMULATION_SECONDS = 5.0
"""For the simulated run; sizes that would take longer are halved."""
SMALLEST = 16
"""Sizes are halved down to this."""
MOST_LINES = 4
MOST_REMARKS = 8
TELLING = 0.01
"""Share of all instructions from which a line is shown."""


def job(entry: Entry, source: str, limits: Limits, parts: Sequence[str] = ()) -> Job:
    """No parts: all of them. Raises UsageError for one that there is not."""
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise UsageError(f"a profile has no part {unknown[0]!r}; there are: {', '.join(PARTS)}")
    request = {
        "symbol": "kernel",
        "dims": list(entry.spec.DIMS),
        "flags": [*GIVEN, *declared_flags(source)],
        "secret": secrets.randbits(62),
        "timed": {"dims": dict(entry.spec.TIMED)},
        "sizes": [{"dims": dims, "work": work(entry.spec, dims)} for dims in sizes(entry.spec.TIMED)],
        "parts": list(parts or PARTS),
        "seconds": SIMULATION_SECONDS,
        "threads": 0,
    }
    trusted = {"task.py": entry.module, "numerics.py": numerics()}
    return Job(program="profile", files={SOURCE: source}, trusted=trusted, request=request, limits=limits)


def sizes(timed: Mapping[str, int]) -> list[dict[str, int]]:
    """The timed size and smaller ones: always the largest dimension halved, so that small ones keep their meaning."""
    found = [dict(timed)]
    while max(found[-1].values()) >= 2 * SMALLEST:
        last = found[-1]
        longest = max(last, key=lambda name: last[name])
        found.append({**last, longest: last[longest] // 2})
    return found


def work(spec: Spec, dims: Mapping[str, int]) -> float:
    """Roughly what the simulation has to do, in units of its own."""
    return float(spec.flops(**dims) + spec.bytes_moved(**dims))


def read(execution: Execution) -> Report:
    """Raises PluginError when the task is broken, SandboxError when the referee did not report."""
    broken = execution.reply.get("broken_task")
    if broken:
        raise PluginError(f"it cannot be profiled: {broken}")
    if not execution.reply:
        raise SandboxError(f"the referee gave no profile: {execution.stderr[-500:] or execution.killed or 'no words'}")
    try:
        return Report.model_validate(dict(execution.reply))
    except ValidationError as error:
        raise SandboxError(f"the referee's profile is unusable: {error}") from error


def evidence(entry: Entry, source: str, verdict: Evaluation, report: Report, peaks: Peaks) -> Evidence:
    """What the judgement measured, with what the profile adds."""
    spec, parts = entry.spec, report.parts.had()
    dims = parts.cachegrind.dims if parts.cachegrind else {}
    return Evidence(
        features=features(source),
        remarks=report.remarks,
        roofline=peaks.roofline(spec.flops(**spec.TIMED), spec.bytes_moved(**spec.TIMED)),
        milliseconds=verdict.metrics["best_ms"],
        threads=report.threads,
        fast_math="-ffast-math" in declared_flags(source),
        parts=parts,
        simulated_bytes=spec.bytes_moved(**dims) if dims else 0,
    )


def section(entry: Entry, report: Report, known: Evidence) -> Section:
    """For people: every part with its cost, then what follows from all of it."""
    if report.problem:
        return Section(f"no profile: {report.problem}", {"problem": report.problem, "seconds": report.seconds})
    state, found = profile(known), findings(known)
    lines = [f"profile (built in {report.seconds:.2f} s)", *_vectorisation(report.remarks)]
    for name, part in report.parts:
        if part is not None:
            lines += _part(name, part, entry)
    lines += [f"  {name}: {words}" for name, words in found.items()]
    data = {
        **state.model_dump(),
        "findings": dict(found),
        "remarks": report.remarks,
        "seconds": {"build": report.seconds, **{name: part.seconds for name, part in report.parts if part}},
        "parts": report.parts.model_dump(exclude_none=True),
    }
    return Section("\n".join(lines), data)


def _vectorisation(remarks: str) -> Iterator[str]:
    """Gcc's own words on loops, without those that only say that it has a reason."""
    said = [line for line in remarks.splitlines() if not line.endswith("couldn't vectorize loop")]
    for line in said[:MOST_REMARKS]:
        file, _, words = line.partition(": ")
        yield f"  gcc at line {file.rpartition(':')[2]}: {words}"
    if len(said) > MOST_REMARKS:
        yield f"  gcc has {len(said) - MOST_REMARKS} more remarks"


def _part(name: str, part: Part, entry: Entry) -> Iterator[str]:
    heading = f"  {PARTS[name]} ({part.seconds:.2f} s)"
    if part.problem:
        yield f"{heading}: {part.problem}"
        return
    first, *rest = _words(part, entry)
    yield f"{heading}: {first}"
    yield from (f"    {line}" for line in rest)


def _words(part: Part, entry: Entry) -> list[str]:
    match part:
        case Mix():
            return _mix(part)
        case Usage():
            return [_usage(part)]
        case Counters():
            return [_counters(part)]
        case Caches():
            return _caches(part, entry.spec)
    return []


def _mix(mix: Mix) -> list[str]:
    called = ", ".join(f"{name} at {count} places" if count > 1 else name for name, count in mix.calls.items())
    whole = f"{mix.whole.instructions} in all, {len(mix.loops)} innermost loops; calls {called or 'nothing'}"
    ranked = sorted(mix.loops, key=lambda loop: (-loop.packed, -loop.instructions))
    return [whole, *(f"line {loop.line} ({loop.function}): {_classes(loop)}" for loop in ranked[:MOST_LINES])]


def _classes(loop: Loop) -> str:
    """A loop's instructions, `46 instructions: xmm 3, scalar 7, …`."""
    counts: dict[str, Any] = loop.model_dump(exclude={"function", "line", "instructions", "calls"})
    classes = [f"{name} {count}" for name, count in counts.items() if count]
    calls = [f"calls {name}" for name in loop.calls]
    return f"{loop.instructions} instructions: {', '.join(classes + calls) or 'integers only'}"


def _usage(usage: Usage) -> str:
    return (
        f"{usage.wall_ms:.3g} ms a call and {usage.cpu_ms:.3g} ms of CPU time, "
        f"at best {usage.least_ms:.3g} ms, with one thread {usage.alone_ms:.3g} ms; "
        f"page faults {usage.page_faults:.0f} and switches {usage.switches:.0f} in {usage.calls:.0f} calls on one input"
    )


def _counters(perf: Counters) -> str:
    return ", ".join(f"{count:.4g} {name}" for name, count in perf.counters.items())


def _caches(caches: Caches, spec: Spec) -> list[str]:
    size = ", ".join(f"{name}={extent}" for name, extent in caches.dims.items())
    whole = dict(caches.dims) == dict(spec.TIMED)
    where = "the timed size" if whole else f"the reduced size {size} (the timed one would take too long)"
    head = (
        f"AVX2 build, one core, {caches.d1_kib} and {caches.l2_kib} KiB, one call from cold caches at {where}: "
        f"{caches.instructions:.4g} instructions, {caches.accesses:.4g} accesses, {caches.rate:.1%} miss the first, "
        f"{caches.l2_misses / max(1, caches.accesses):.1%} the second"
    )
    telling = [line for line in caches.lines if line.instructions >= TELLING * caches.instructions]
    hot = sorted(telling, key=lambda line: (-line.d1_misses, -line.instructions))[:MOST_LINES]
    lines = [
        f"line {line.line} ({line.function}): {line.instructions:.3g} instructions, {line.accesses:.3g} accesses, "
        f"{line.rate:.1%} miss the first cache, {line.l2_misses / max(1, line.accesses):.1%} the second"
        for line in hot
    ]
    return [head, *lines, *(f"{name}: {count:.3g} instructions" for name, count in caches.elsewhere.items())]
