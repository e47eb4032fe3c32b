"""What a measurement on a GPU says: gates, speed-up, the alarm, and what holds the kernel back.

Peaks are those of the device's data sheet, as it describes itself. The states are found from the device's own clock
beside the referee's, from what the compiler said of registers, and from ncu's counters where it gives them.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from evolve.domains.kernels.bottleneck import SATURATED
from evolve.domains.kernels.catalogue import Entry
from evolve.domains.kernels.judge import MARGIN
from evolve.domains.kernels.targets import Target
from evolve.domains.measuring import Measured, Reply
from evolve.errors import SandboxError
from evolve.types import Evaluation, Gates, Profile

EMULATED = 3.0
"""Times the peak of single precision that tensor cores may reach with split numbers and full accuracy."""
CACHED = 4.0
"""Times the bandwidth of the device's memory that its second cache may reach, for what stays there."""
LAUNCHING = 0.5
"""Share of a call that the device is idle, from which launching it counts as what takes the time."""
FEW_WARPS = 40.0
"""Per cent of the warps that could be active."""
SCATTERED = 50.0
"""Per cent of the bytes of each sector that loads use."""
CROSS_CHECK = 1.5
"""The device may not say that it was busy for so many times as long as the call took."""


class Evidence(NamedTuple):
    """All that the rules look at; times in milliseconds for a call."""

    took: float
    busy: float
    """By the device's own clock; 0 when it did not say."""
    compute: float
    """The least for the arithmetic, at the peak."""
    memory: float
    """The least for the traffic, at the device's bandwidth."""
    registers: str
    """What the compiler said of each kernel."""
    counters: Mapping[str, float]

    @property
    def share(self) -> float:
        """Of the roofline, 0 to 1."""
        return min(1.0, max(self.compute, self.memory) / self.took)


def verdict(entry: Entry, target: Target, measured: Measured) -> Evaluation:
    """Raises SandboxError when the device did not say what it is."""
    found, evidence = measured.speedup, gathered(entry, target, measured)
    least = MARGIN * max(evidence.compute / EMULATED, evidence.memory / CACHED)
    if evidence.took < least:
        feedback = f"refused: faster than the device can: {evidence.took:.3g} ms where at least {least:.3g} are needed"
        return Evaluation(gates=Gates(authentic=False, builds=True, correct=True), feedback=feedback)
    state = profile(evidence)
    return Evaluation(
        gates=Gates(authentic=True, builds=True, correct=True),
        score=found.ratio,
        interval=found.interval,
        feedback=_feedback(measured, state, evidence),
        metrics=_metrics(measured, evidence),
        profile=state.model_copy(update={"hardware": str(measured.reply.device.get("name", ""))}),
    )


def gathered(entry: Entry, target: Target, measured: Measured) -> Evidence:
    spec, reply = entry.spec, measured.reply
    dims = target.timed(entry.name, spec.TIMED)
    gflops, gbs = _number(reply, "gflops"), _number(reply, "gbs")
    if gflops <= 0 or gbs <= 0:
        raise SandboxError(f"the device does not say what it can do: {dict(reply.device)}")
    return Evidence(
        took=measured.speedup.candidate_ns * 1e-6,
        busy=_number(reply, "busy_ns") * 1e-6,
        compute=spec.flops(**dims) / gflops * 1e-6,
        memory=spec.bytes_moved(**dims) / gbs * 1e-6,
        registers=reply.vectorisation,
        counters={name: value for name, value in reply.counters.items() if isinstance(value, float)},
    )


def throttled(reply: Reply) -> bool:
    """Heat or power slowed the device down meanwhile."""
    return _number(reply, "throttled") > 0


def _number(reply: Reply, name: str) -> float:
    value = reply.device.get(name, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def profile(evidence: Evidence) -> Profile:
    """The first rule that finds something names the state."""
    for state, rule in RULES.items():
        words = rule(evidence)
        if words:
            return Profile(bottleneck=state, evidence=words, roofline=evidence.share)
    return Profile(bottleneck="unexplained", evidence=_far(evidence), roofline=evidence.share)


def _memory_saturated(evidence: Evidence) -> str | None:
    counted = evidence.counters.get("memory_share", 0.0) / 100
    share = max(counted, evidence.share if evidence.memory >= evidence.compute else 0.0)
    if share < SATURATED:
        return None
    return f"it moves its data at {share:.0%} of the device's bandwidth; only moving less would help"


def _compute_saturated(evidence: Evidence) -> str | None:
    counted = evidence.counters.get("compute_share", 0.0) / 100
    share = max(counted, evidence.share if evidence.compute > evidence.memory else 0.0)
    return (
        f"it computes at {share:.0%} of the device's peak; only computing less would help"
        if share >= SATURATED
        else None
    )


def _launching(evidence: Evidence) -> str | None:
    if not evidence.busy or evidence.busy > (1 - LAUNCHING) * evidence.took:
        return None
    return (
        f"the device is busy for {evidence.busy:.3g} of {evidence.took:.3g} ms: fewer and larger launches, no waiting "
        "between them"
    )


def _spills(evidence: Evidence) -> str | None:
    spilled = [line for line in evidence.registers.splitlines() if "bytes spilled" in line]
    return f"registers spill to memory ({spilled[0]}): smaller tiles or fewer live values" if spilled else None


def _scattered(evidence: Evidence) -> str | None:
    used = evidence.counters.get("load_efficiency", 100.0)
    if used >= SCATTERED:
        return None
    return f"loads use {used:.0f} % of what they fetch: neighbouring threads should read neighbouring addresses"


def _few_warps(evidence: Evidence) -> str | None:
    active = evidence.counters.get("occupancy", 100.0)
    if active >= FEW_WARPS:
        return None
    return (
        f"{active:.0f} % of the possible warps are active: more blocks, fewer registers or less shared memory for each"
    )


def _latency(evidence: Evidence) -> str | None:
    return f"memory-bound, {_far(evidence)}" if evidence.memory >= evidence.compute else None


def _reuse(evidence: Evidence) -> str | None:
    return (
        f"compute-bound, {_far(evidence)}: each value loaded should serve more operations (tiles in shared memory and "
        "registers)"
    )


def _far(evidence: Evidence) -> str:
    possible = max(evidence.compute, evidence.memory)
    return f"{evidence.share:.0%} of the roofline ({evidence.took:.3g} ms where {possible:.3g} is possible)"


RULES: Mapping[str, Callable[[Evidence], str | None]] = {
    "memory_bandwidth_saturated": _memory_saturated,
    "compute_saturated": _compute_saturated,
    "call_overhead": _launching,
    "register_spills": _spills,
    "strided_access": _scattered,
    "low_occupancy": _few_warps,
    "memory_latency_bound": _latency,
    "low_register_reuse": _reuse,
}
"""In this order: the device's own limit first, then causes by what they usually cost."""


def _metrics(measured: Measured, evidence: Evidence) -> dict[str, float]:
    found, reply = measured.speedup, measured.reply
    clocks = ("mhz_before", "mhz_after", "degrees_before", "degrees_after", "throttled")
    return {
        "baseline_ms": found.baseline_ns * 1e-6,
        "best_ms": evidence.took,
        "busy_ms": evidence.busy,
        "roofline": evidence.share,
        "samples": float(found.samples),
        "variation": found.variation,
        "inconclusive": float(found.noisy or throttled(reply)),
        "build_seconds": reply.build_seconds,
        **{name: _number(reply, name) for name in clocks if name in reply.device},
        **evidence.counters,
    }


def _feedback(measured: Measured, state: Profile, evidence: Evidence) -> str:
    found, reply = measured.speedup, measured.reply
    lower, upper = found.interval
    gain = f"{found.ratio:.3g}x over the seed ({lower:.3g} to {upper:.3g})"
    name = reply.device.get("name", "the device")
    lines = [
        f"{gain}; {evidence.took:.3g} ms on {name}, {evidence.share:.0%} of the roofline",
        f"bottleneck {state.bottleneck}: {state.evidence}",
    ]
    if throttled(reply):
        lines.insert(0, "inconclusive: heat or power slowed the device down meanwhile")
    elif found.noisy:
        lines.insert(0, "inconclusive: the machine is too noisy to say more than this")
    if evidence.busy > CROSS_CHECK * evidence.took:
        lines.append(f"the device's own clock says {evidence.busy:.3g} ms, which does not fit the referee's")
    return "\n".join([*lines, *evidence.registers.splitlines()[:3]])
