"""What holds a kernel back, as a named state with evidence: pure rules over what was measured and what gcc said.

The states play the role that hardware counters and their rules have in KernelBlaster (section 3); there are none here,
so a state is the likeliest cause, the one whose cure comes first, and not a measurement.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from evolve.domains.kernels.features import Features, Loop
from evolve.types import Profile

SATURATED = 0.7
"""Share of the roofline from which a kernel counts as limited by the machine."""
SHORT_MS = 0.02
"""A call shorter than this is mostly overhead."""


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
    for state, rule in RULES.items():
        found = rule(evidence)
        if found:
            return Profile(bottleneck=state, evidence=found, roofline=evidence.share)
    return Profile(bottleneck="unexplained", evidence=_far(evidence), roofline=evidence.share)


def _memory_saturated(evidence: Evidence) -> str | None:
    if evidence.roofline.memory_bound and evidence.share >= SATURATED:
        return f"it moves its data at {evidence.share:.0%} of the machine's bandwidth; only moving less would help"
    return None


def _compute_saturated(evidence: Evidence) -> str | None:
    if not evidence.roofline.memory_bound and evidence.share >= SATURATED:
        return f"it computes at {evidence.share:.0%} of the machine's peak; only computing less would help"
    return None


def _library_calls(evidence: Evidence) -> str | None:
    for loop in evidence.features.hot:
        if loop.calls and loop.line not in evidence.vectorised:
            names = ", ".join(sorted(loop.calls))
            return f"line {loop.line}: the loop calls {names} once per element, which keeps it from being vectorised"
    return None


def _strided(evidence: Evidence) -> str | None:
    for loop in evidence.features.inner:
        if loop.strided:
            return (
                f"line {loop.line}: the innermost loop over {loop.variable} jumps through memory by a stride; "
                "another loop order, tiling or packing makes neighbours of its accesses"
            )
    return None


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
    return (
        f"compute-bound, {_far(evidence)}: each value loaded should serve more operations "
        "(register blocking, tiling for the caches, packing)"
    )


def _far(evidence: Evidence) -> str:
    possible = evidence.roofline.best_ms
    return f"{evidence.share:.0%} of the roofline ({evidence.milliseconds:.3g} ms where {possible:.3g} is possible)"


RULES: Mapping[str, Rule] = {
    "memory_bandwidth_saturated": _memory_saturated,
    "compute_saturated": _compute_saturated,
    "call_overhead": _overhead,
    "scalar_libm_calls": _library_calls,
    "strided_access": _strided,
    "dependency_chain": _chain,
    "not_vectorized": _not_vectorised,
    "single_threaded": _one_thread,
    "memory_latency_bound": _latency,
    "low_register_reuse": _reuse,
}
"""In this order: the machine's own limit first, then causes by what they usually cost."""
