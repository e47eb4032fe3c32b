"""What inputs look like and when an output is right. Shipped to the referee as text: standard library and numpy only.

The tolerance is no constant. It grows with the error that single precision may be expected to make on the same inputs,
so that reassociated sums, fused multiply-adds and good polynomial functions pass, and half precision, skipped terms or
constant answers do not. Integers must be exactly right. Not covered: a sum of a million terms into one number, where
the plain loop errs so much itself that inputs of half precision, or one term in a thousand skipped, are not seen.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Single = NDArray[np.float32]
Double = NDArray[np.float64]

EPS = 2.0**-23
"""Distance from 1 to the next single-precision number."""
FACTOR = 8.0
"""Allowed multiple of the expected error, and of one unit in the last place."""
IMMATERIAL = 2.0**-30
"""Share of the output's root mean square below which an element does not matter."""
SMALLEST = 2.0**-120
"""What is lost where denormal numbers count as zero, as they do in some fast code."""
BLOCK = 1 << 15

CAP = 1e-3
"""No element may be off by more than this share of the larger of itself and the output's root mean square,
unless single precision itself is."""


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Single:
    return rng.standard_normal(shape, dtype=np.float32)


def _uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Single:
    """Bounded, with a scale drawn anew for each array, so that no absolute tolerance fits."""
    scale = np.float32(10.0 ** rng.uniform(-1.5, 1.5))
    return (rng.random(shape, dtype=np.float32) - np.float32(0.5)) * (2 * scale)


def _heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Single:
    """A few elements outweigh the rest."""
    return _normal(rng, shape) * rng.standard_exponential(shape, dtype=np.float32) ** 2


def _wide(rng: np.random.Generator, shape: tuple[int, ...]) -> Single:
    """Magnitudes over six decades."""
    return _normal(rng, shape) * np.exp2(rng.random(shape, dtype=np.float32) * 20 - 12)


def _offset(rng: np.random.Generator, shape: tuple[int, ...]) -> Single:
    """Mostly of one sign: what rests on a mean of zero loses its accuracy."""
    return _normal(rng, shape) + np.float32(1.5)


def _tiny(rng: np.random.Generator, shape: tuple[int, ...]) -> Single:
    """Among ordinary numbers zeros of both signs, denormal numbers, and such whose squares are."""
    special = np.array([0.0, -0.0, 2.0**-149, -(2.0**-127), 1e-39, -3e-38, 1e-20, -1e-20], dtype=np.float32)
    chosen = special[rng.integers(len(special), size=shape)]
    return np.where(rng.random(shape, dtype=np.float32) < np.float32(0.25), chosen, _normal(rng, shape))


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Single]] = {
    "normal": _normal,
    "uniform": _uniform,
    "heavy": _heavy,
    "wide": _wide,
    "offset": _offset,
    "tiny": _tiny,
}
UNTIMED = frozenset({"tiny"})
"""Checked but never timed: how a processor stumbles over denormal numbers says nothing of a kernel."""


@np.errstate(all="ignore")
def mismatch(output: NDArray[np.generic], truth: NDArray[np.generic], error: Double) -> str | None:
    """None when `output` is right, else one sentence about its first and its worst element.

    `truth` is in double precision, or of the output's own integer type; `error` is how far off a plain evaluation in
    single precision may be expected to be, absolutely, at each element.
    """
    if output.shape != truth.shape:
        return f"the output has the shape {output.shape}, expected {truth.shape}"
    if truth.dtype.kind in "iu":
        return _unequal(output, truth)
    if output.dtype.kind != "f":
        return f"the output is of type {output.dtype}, expected a floating-point type"
    return _beyond(output, np.asarray(truth, dtype=np.float64), error)


def tolerance(truth: Double, error: Double) -> Double:
    """How far off each element of an output may be. Both are finite."""
    magnitude, rms = np.abs(truth), _rms(truth)
    spread = np.maximum(np.maximum(error, _by_row(error)), _by_magnitude(error, magnitude))
    return _allowed(magnitude, np.maximum(spread, _typical(error)), error, rms)


def _unequal(output: NDArray[np.generic], truth: NDArray[np.generic]) -> str | None:
    if output.dtype != truth.dtype:
        return f"the output is of type {output.dtype}, expected {truth.dtype}"
    wrong = output != truth
    count = int(np.count_nonzero(wrong))
    if not count:
        return None
    first = tuple(int(part) for part in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    return f"{count} of {truth.size} outputs are wrong, which must be exact; first {_element(output, truth, first)}"


def _beyond(output: NDArray[np.generic], truth: Double, error: Double) -> str | None:
    if not np.isfinite(truth.sum() + output.sum() + error.sum()):
        finite = np.isfinite(truth)
        values = output.astype(np.float64)
        found = _special(values, truth, finite)
        if found:
            return found
        output, truth = (np.where(finite, part, 0.0) for part in (values, truth))
        error = np.where(np.isfinite(error), error, 0.0)
    if _all_within(output, truth, error):
        return None
    values = output.astype(np.float64)
    return _worst(values, truth, np.abs(values - truth), tolerance(truth, error))


def _allowed(magnitude: Double, spread: Double, error: Double, rms: float) -> Double:
    allowed = FACTOR * (EPS * magnitude + spread) + IMMATERIAL * rms
    cap = np.maximum(CAP * np.maximum(magnitude, rms), 4 * error)
    return np.asarray(np.minimum(allowed, cap) + SMALLEST)


def _rms(truth: Double) -> float:
    return float(np.linalg.norm(truth.reshape(-1))) / math.sqrt(max(1, truth.size))


def _typical(error: Double) -> float:
    """The median (of a sample): one element that happens to be right is no measure of its own accuracy."""
    sample: Double = error.flat[:: max(1, error.size // 4096)]
    return float(np.median(sample)) if len(sample) else 0.0


def _all_within(output: NDArray[np.generic], truth: Double, error: Double) -> bool:
    """Whether everything is within the part of the tolerance that is cheap to know; in blocks that fit a cache."""
    rms, typical = _rms(truth), _typical(error)
    least = min(FACTOR * typical + IMMATERIAL * rms, CAP * rms) + SMALLEST
    step = max(1, BLOCK * len(truth) // max(1, truth.size))
    for start in range(0, len(truth), step):
        block = slice(start, start + step)
        off = np.subtract(output[block], truth[block], dtype=np.float64)
        np.abs(off, out=off)
        if off.max(initial=0.0) <= least:
            continue
        spread = np.maximum(np.maximum(error[block], _by_row(error[block])), typical)
        if np.any(off > _allowed(np.abs(truth[block]), spread, error[block], rms)):
            return False
    return True


def _by_magnitude(error: Double, magnitude: Double) -> Double:
    """For each output, the root-mean-square error among outputs of about its size (within two binary orders).

    By size, because in element-wise operations the error follows the value, over however many decades.
    """
    order = np.where(magnitude > 0, np.clip(np.frexp(magnitude)[1], -160, 160), -160) + 162
    counts = np.bincount(order.reshape(-1), minlength=325).astype(np.float64)
    squares = np.bincount(order.reshape(-1), weights=(error**2).reshape(-1), minlength=325)
    window = np.ones(5)
    near = np.convolve(counts, window, mode="same")
    pooled = np.sqrt(np.convolve(squares, window, mode="same") / np.maximum(near, 1))
    return np.asarray(pooled[order])


def _by_row(error: Double) -> Double:
    """For each output, the root-mean-square error of its row: what a row is normalised by errs for all of it."""
    return np.sqrt(np.mean(error**2, axis=-1, keepdims=True)) if error.ndim > 1 else np.zeros(1)


def _special(values: Double, truth: Double, finite: NDArray[np.bool_]) -> str | None:
    """Where truth is not finite the output must be the same; everywhere else it must be finite."""
    same = np.where(finite, np.isfinite(values), (values == truth) | (np.isnan(values) & np.isnan(truth)))
    if same.all():
        return None
    index = tuple(int(part) for part in np.argwhere(~same)[0])
    count = int(np.count_nonzero(~same))
    return f"{count} of {truth.size} outputs are not finite as they should be; {_element(values, truth, index)}"


def _worst(values: Double, truth: Double, off: Double, allowed: Double) -> str | None:
    wrong = off > allowed
    if not wrong.any():
        return None
    excess = np.where(wrong, off / allowed, 0.0)
    index = tuple(int(part) for part in np.unravel_index(int(np.argmax(excess)), excess.shape))
    first = tuple(int(part) for part in np.argwhere(wrong)[0])
    return (
        f"{int(np.count_nonzero(wrong))} of {truth.size} outputs are wrong; first {_element(values, truth, first)}; "
        f"worst {_element(values, truth, index)}, off by {off[index]:.3g} where {allowed[index]:.3g} is allowed"
    )


def _element(values: NDArray[np.generic], truth: NDArray[np.generic], index: tuple[int, ...]) -> str:
    where = ", ".join(map(str, index))
    form = "d" if truth.dtype.kind in "iu" else ".8g"
    return f"out[{where}] = {format(values[index], form)}, expected {format(truth[index], form)}"
