"""What holds a kernel back, as a named state with evidence: pure rules over what was measured and what gcc said.

The states play the role that hardware counters and their rules have in KernelBlaster (section 3). Without a profile a
state is the likeliest cause by the source, the one whose cure comes first; what a profile measured takes precedence.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from evolve.domains.kernels.features import LIBM, Features, Loop
from evolve.domains.kernels.measured import Caches, LineCounts, Parts
from evolve.domains.kernels.measured import Loop as Compiled
from evolve.types import Profile

SATURATED = 0.7
"""Share of the roofline from which a kernel counts as limited by the machine."""
SHORT_MS = 0.02
"""A call shorter than this is mostly overhead."""
CACHE_LINE = 64
OFTEN = 0.1
"""Share of accesses missing the first cache from which misses count; among wide vectors half may miss harmlessly."""
NEARLY_EACH = 0.6
"""Share of a line's accesses: more than streaming with any vectors of the simulated build can miss."""
FETCHED_AGAIN = 4
"""Times that the data are fetched into a cache from which they are said not to stay there."""
SPILLING = 0.1
"""Share of an innermost loop's instructions that move vectors to or from the stack."""
BRANCHY = 0.2
"""Share of conditional jumps."""
MISPREDICTED = 0.03
"""Share of branches."""
SLOWED = 1.1
"""Several threads over one, in time."""
MATHS = LIBM | {name.removesuffix("f") for name in LIBM}


class Roofline(NamedTuple):
    """The least time that the machine could need."""

    compute_ms: float
    memory_ms: float

    @property
    def best_ms(self) -> float:
        return max(self.compute_ms, self.memory_ms)

    @property
    def memory_bound(self) -> bool:
        return self.memory_ms >= self.compute_ms


class Evidence(NamedTuple):
    """All that the rules look at."""

    features: Features
    remarks: str
    """gcc's vectorisation report."""
    roofline: Roofline
    milliseconds: float
    threads: int
    fast_math: bool
    parts: Parts = Parts()
    """Of a profile, those that could be had."""
    simulated_bytes: int = 0
    """The least traffic of a kernel at the sizes at which the caches were simulated."""

    @property
    def share(self) -> float:
        """Of the roofline, 0 to 1."""
        return min(1.0, self.roofline.best_ms / self.milliseconds)

    @property
    def vectorised(self) -> frozenset[int]:
        return frozenset(map(int, re.findall(r":(\d+)(?::\d+)?: (?:optimized: )?loop vectorized", self.remarks)))

    def reason(self, loop: Loop) -> str:
        """Gcc's own words on why a loop is not vectorised; empty when it gave none."""
        for line, words in re.findall(r":(\d+)(?::\d+)?: (?:missed: )?not vectorized: ([^\n]+)", self.remarks):
            if loop.line <= int(line) <= loop.last:
                return "gcc knows no vector form of it" if words.startswith("no vectype") else str(words).rstrip(". ")
        return ""


Rule = Callable[[Evidence], str | None]


def profile(evidence: Evidence) -> Profile:
    """The first rule that finds something names the state."""
    for state, words in findings(evidence).items():
        return Profile(bottleneck=state, evidence=words, roofline=evidence.share)
    return Profile(bottleneck="unexplained", evidence=_far(evidence), roofline=evidence.share)


def findings(evidence: Evidence) -> Mapping[str, str]:
    """Every state that some evidence speaks for, the most telling first."""
    found = {state: rule(evidence) for state, rule in RULES.items()}
    return {state: words for state, words in found.items() if words}


def _memory_saturated(evidence: Evidence) -> str | None:
    if evidence.roofline.memory_bound and evidence.share >= SATURATED:
        return f"it moves its data at {evidence.share:.0%} of the machine's bandwidth; only moving less would help"
    return None


def _compute_saturated(evidence: Evidence) -> str | None:
    if not evidence.roofline.memory_bound and evidence.share >= SATURATED:
        return f"it computes at {evidence.share:.0%} of the machine's peak; only computing less would help"
    return None


def _library_calls(evidence: Evidence) -> str | None:
    if evidence.parts.mix:
        return _compiled_calls(evidence)
    for loop in evidence.features.hot:
        if loop.calls and loop.line not in evidence.vectorised:
            names = ", ".join(sorted(loop.calls))
            return f"line {loop.line}: the loop calls {names} once per element, which keeps it from being vectorised"
    return None


def _compiled_calls(evidence: Evidence) -> str | None:
    mix, caches = evidence.parts.mix, evidence.parts.cachegrind
    for loop in mix.loops if mix else ():
        names = sorted(MATHS & loop.calls.keys())
        if names:
            spent = f" ({_spent(caches)})" if caches and caches.elsewhere else ""
            return (
                f"line {loop.line}: the compiled loop calls {', '.join(names)} once per element{spent}; "
                "a polynomial in the loop itself can be vectorised"
            )
    return None


def _spent(caches: Caches) -> str:
    """What share of the instructions the functions elsewhere took."""
    total = caches.instructions + sum(caches.elsewhere.values())
    return ", ".join(
        f"{name} takes {count / total:.0%} of all instructions" for name, count in caches.elsewhere.items()
    )


def _strided(evidence: Evidence) -> str | None:
    if evidence.parts.cachegrind:
        return _misses_by_stride(evidence, evidence.parts.cachegrind)
    for loop in evidence.features.inner:
        if loop.strided:
            return (
                f"line {loop.line}: the innermost loop over {loop.variable} jumps through memory by a stride; "
                "another loop order, tiling or packing makes neighbours of its accesses"
            )
    return None


def _misses_by_stride(evidence: Evidence, caches: Caches) -> str | None:
    line = caches.missed
    if line is None or caches.rate < OFTEN or _fetched(evidence, caches.d1_misses) < FETCHED_AGAIN:
        return None
    if line.rate < NEARLY_EACH and not _by_source(evidence, line):
        return None
    return (
        f"line {line.line}: {line.rate:.0%} of its accesses miss the first cache ({caches.d1_kib} KiB), "
        f"{line.d1_misses / max(1, caches.d1_misses):.0%} of all misses; neighbouring iterations touch distant memory: "
        "another loop order, tiling or packing makes neighbours of them"
    )


def _by_source(evidence: Evidence, line: LineCounts) -> bool:
    return any(loop.strided and loop.line <= line.line <= loop.last for loop in evidence.features.inner)


def _fetched(evidence: Evidence, misses: int) -> float:
    """How often each cache line of the kernel's data was fetched."""
    return misses * CACHE_LINE / max(1, evidence.simulated_bytes)


def _capacity(evidence: Evidence) -> str | None:
    caches = evidence.parts.cachegrind
    line = caches.missed if caches else None
    if caches is None or line is None:
        return None
    far, near = (_fetched(evidence, misses) for misses in (caches.l2_misses, caches.d1_misses))
    if far >= FETCHED_AGAIN:
        times, level, size = far, "second", caches.l2_kib
    elif near >= FETCHED_AGAIN and caches.rate >= OFTEN:
        times, level, size = near, "first", caches.d1_kib
    else:
        return None
    return (
        f"the {level} cache ({size} KiB) gets each line of the data {times:.0f} times, most at line {line.line}: "
        "they do not stay there until they are used again; smaller tiles or another loop order keep them"
    )


def _false_sharing(evidence: Evidence) -> str | None:
    usage = evidence.parts.usage
    if not usage or evidence.threads < 2 or not evidence.features.parallel:  # noqa: PLR2004 - threads share
        return None
    if usage.least_ms < SLOWED * usage.alone_ms:
        return None
    return (
        f"{evidence.threads} threads take {usage.least_ms:.3g} ms where one takes {usage.alone_ms:.3g}: they write to "
        "the same cache lines, or wait for each other; give each a stretch of the output of its own, and more work"
    )


def _chain(evidence: Evidence) -> str | None:
    if evidence.fast_math:
        return None
    for loop in evidence.features.inner:
        if loop.accumulators and not loop.reassociated:
            names = ", ".join(sorted(loop.accumulators))
            return (
                f"line {loop.line}: every iteration waits for the {names} of the one before, in order, as C demands; "
                "several accumulators or a simd reduction break the chain"
            )
    return None


def _not_vectorised(evidence: Evidence) -> str | None:
    if evidence.features.intrinsics:
        return None
    for loop in evidence.features.inner:
        reason = evidence.reason(loop)
        if reason and loop.line not in evidence.vectorised:
            return f"not vectorised: line {loop.line} because {reason}"
    return _one_at_a_time(evidence)


def _one_at_a_time(evidence: Evidence) -> str | None:
    """What the compiled loops show even where gcc gave no reason."""
    loops = evidence.parts.mix.loops if evidence.parts.mix else ()
    hot = [loop for loop in loops if any(inner.line <= loop.line <= inner.last for inner in evidence.features.inner)]
    if not hot or any(loop.packed for loop in hot):
        return None
    scalar = max(hot, key=lambda loop: loop.scalar)
    if not scalar.scalar:
        return None
    return f"not vectorised: line {scalar.line}: {scalar.scalar} instructions of its loop handle one number at a time"


def _spills(evidence: Evidence) -> str | None:
    loop = _busiest(evidence)
    if loop is None or loop.stack < SPILLING * loop.instructions:
        return None
    return (
        f"line {loop.line}: {loop.stack} of the {loop.instructions} instructions of the innermost loop move vectors to "
        "or from the stack: fewer accumulators, a smaller tile or fixed indices would keep them in registers"
    )


def _busiest(evidence: Evidence) -> Compiled | None:
    """The innermost loop with most vector instructions, of those that call nothing."""
    loops = evidence.parts.mix.loops if evidence.parts.mix else ()
    return max((loop for loop in loops if loop.packed and not loop.calls), key=lambda loop: loop.packed, default=None)


def _branchy(evidence: Evidence) -> str | None:
    mix, perf = evidence.parts.mix, evidence.parts.perf
    counted = perf.counters if perf else {}
    missed = counted.get("branch-misses", 0) / max(1, counted.get("branches", 1))
    if missed >= MISPREDICTED:
        return f"{missed:.1%} of its branches are guessed wrong; selects, masks or sorted data avoid them"
    for loop in mix.loops if mix else ():
        deciding = loop.branches - 1
        if not loop.packed and deciding > 1 and deciding >= BRANCHY * loop.instructions:
            return (
                f"line {loop.line}: {deciding} of the {loop.instructions} instructions of the innermost loop decide "
                "where to go on; selects or masks instead of branches can be vectorised"
            )
    return None


def _one_thread(evidence: Evidence) -> str | None:
    if evidence.threads > 1 and not evidence.features.parallel:
        return (
            f"one of {evidence.threads} cores works; `#pragma omp parallel for` over an outer loop would use the others"
        )
    return None


def _overhead(evidence: Evidence) -> str | None:
    if evidence.milliseconds < SHORT_MS:
        return f"a call takes {evidence.milliseconds * 1e3:.1f} microseconds, hardly more than calling and threads cost"
    return None


def _latency(evidence: Evidence) -> str | None:
    return f"memory-bound, {_far(evidence)}" if evidence.roofline.memory_bound else None


def _reuse(evidence: Evidence) -> str | None:
    if evidence.roofline.memory_bound:
        return None
    loop = _busiest(evidence)
    sums = f"; line {loop.line}: {loop.fma} of the {loop.instructions} instructions multiply and add" if loop else ""
    return (
        f"compute-bound, {_far(evidence)}: each value loaded should serve more operations "
        f"(register blocking, tiling for the caches, packing){sums}"
    )


def _far(evidence: Evidence) -> str:
    possible = evidence.roofline.best_ms
    return f"{evidence.share:.0%} of the roofline ({evidence.milliseconds:.3g} ms where {possible:.3g} is possible)"


RULES: Mapping[str, Rule] = {
    "memory_bandwidth_saturated": _memory_saturated,
    "compute_saturated": _compute_saturated,
    "call_overhead": _overhead,
    "scalar_libm_calls": _library_calls,
    "false_sharing": _false_sharing,
    "strided_access": _strided,
    "cache_capacity": _capacity,
    "dependency_chain": _chain,
    "not_vectorized": _not_vectorised,
    "register_spills": _spills,
    "branchy": _branchy,
    "single_threaded": _one_thread,
    "memory_latency_bound": _latency,
    "low_register_reuse": _reuse,
}
"""In this order: the machine's own limit first, then causes by what they usually cost."""
