"""What inputs look like and when an output is right. Shipped to the referee as text: standard library and numpy only.

The tolerance is no constant. It grows with the error that single precision itself makes on the same inputs, so that
reassociated sums, fused multiply-adds and good polynomial functions pass, and half precision, skipped terms or
constant answers do not. Not covered: outputs that must be exact integers.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Single = NDArray[np.float32]
Double = NDArray[np.float64]

EPS = 2.0**-23
"""Distance from 1 to the next single-precision number."""
FACTOR = 16.0
"""Allowed multiple of the reference's own error, and of one unit in the last place."""
IMMATERIAL = 2.0**-30
"""Share of the output's root mean square below which an element does not matter."""
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


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Single]] = {
    "normal": _normal,
    "uniform": _uniform,
    "heavy": _heavy,
    "wide": _wide,
    "offset": _offset,
}


def mismatch(output: NDArray[np.generic], truth: Double, single: NDArray[np.floating]) -> str | None:
    """None when `output` is right, else one sentence about its first and its worst element.

    `truth` is the reference in double precision, `single` what single precision makes of it.
    """
    if output.shape != truth.shape:
        return f"the output has the shape {output.shape}, expected {truth.shape}"
    finite = np.isfinite(truth)
    if not (finite.all() and np.isfinite(output).all()):
        values = output.astype(np.float64)
        found = _special(values, truth, finite)
        if found:
            return found
        output, truth, single = (np.where(finite, part, 0.0) for part in (values, truth, single))
    rms = float(np.linalg.norm(truth.reshape(-1))) / max(1, truth.size) ** 0.5
    floor = FACTOR * _typical(single, truth) + IMMATERIAL * rms
    if _all_within(output, truth, single, floor, rms):
        return None
    values = output.astype(np.float64)
    error, magnitude = np.abs(values - truth), np.abs(truth)
    own = np.abs(single.astype(np.float64) - truth)
    spread = np.maximum(np.maximum(own, _by_row(own)), _by_magnitude(own, magnitude))
    cap = np.maximum(CAP * np.maximum(magnitude, rms), 4 * own)
    allowed = np.minimum(FACTOR * (EPS * magnitude + spread) + floor, cap)
    return _worst(values, truth, error, allowed)


def _typical(single: NDArray[np.floating], truth: Double) -> float:
    """Median error of (a sample of) the outputs: one lucky element is no measure of its own accuracy."""
    step = max(1, truth.size // 4096)
    own = np.abs(single.reshape(-1)[::step].astype(np.float64) - truth.reshape(-1)[::step])
    return float(np.median(own)) if own.size else 0.0


def _all_within(
    output: NDArray[np.generic], truth: Double, single: NDArray[np.floating], floor: float, rms: float
) -> bool:
    """Whether everything is within the part of the tolerance that is cheap to know; in blocks that fit a cache."""
    step = max(1, BLOCK * len(truth) // max(1, truth.size))
    for start in range(0, len(truth), step):
        block = slice(start, start + step)
        magnitude = np.abs(truth[block])
        own = np.abs(single[block].astype(np.float64) - truth[block])
        allowed = FACTOR * (EPS * magnitude + np.maximum(own, _by_row(own))) + floor
        np.minimum(allowed, CAP * np.maximum(magnitude, rms), out=allowed)
        if np.any(np.abs(output[block].astype(np.float64) - truth[block]) > allowed):
            return False
    return True


def _by_magnitude(own: Double, magnitude: Double) -> Double:
    """For each output, the root-mean-square error among outputs of about its size (within two binary orders).

    By size, because in element-wise operations the error follows the value, over however many decades.
    """
    order = np.clip(np.frexp(magnitude)[1], -160, 160) + 162
    counts = np.bincount(order.reshape(-1), minlength=325).astype(np.float64)
    squares = np.bincount(order.reshape(-1), weights=(own**2).reshape(-1), minlength=325)
    window = np.ones(5)
    near = np.convolve(counts, window, mode="same")
    pooled = np.sqrt(np.convolve(squares, window, mode="same") / np.maximum(near, 1))
    return np.asarray(pooled[order])


def _by_row(own: Double) -> Double:
    """For each output, the root-mean-square error of its row: what a row is normalised by errs for all of it."""
    return np.sqrt(np.mean(own**2, axis=-1, keepdims=True)) if own.ndim > 1 else np.zeros_like(own)


def _special(values: Double, truth: Double, finite: NDArray[np.bool_]) -> str | None:
    """Where truth is not finite the output must be the same; everywhere else it must be finite."""
    same = np.where(finite, np.isfinite(values), (values == truth) | (np.isnan(values) & np.isnan(truth)))
    if same.all():
        return None
    index = tuple(int(part) for part in np.argwhere(~same)[0])
    count = int(np.count_nonzero(~same))
    return f"{count} of {truth.size} outputs are not finite as they should be; {_element(values, truth, index)}"


def _worst(values: Double, truth: Double, error: Double, allowed: Double) -> str | None:
    wrong = error > allowed
    if not wrong.any():
        return None
    excess = np.where(wrong, error / np.maximum(allowed, np.finfo(np.float64).tiny), 0.0)
    index = tuple(int(part) for part in np.unravel_index(int(np.argmax(excess)), excess.shape))
    first = tuple(int(part) for part in np.argwhere(wrong)[0])
    return (
        f"{int(np.count_nonzero(wrong))} of {truth.size} outputs are wrong; first {_element(values, truth, first)}; "
        f"worst {_element(values, truth, index)}, off by {error[index]:.3g} where {allowed[index]:.3g} is allowed"
    )


def _element(values: Double, truth: Double, index: tuple[int, ...]) -> str:
    where = ", ".join(map(str, index))
    return f"out[{where}] = {values[index]:.8g}, expected {truth[index]:.8g}"
