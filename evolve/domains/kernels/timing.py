"""What paired samples of baseline and candidate say: a ratio, its interval, and whether to believe them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 2000
WIDEST = 1.5
"""Upper over lower bound beyond which a measurement is repeated."""
MOST_VARIATION = 0.25
"""Coefficient of variation of the candidate's samples beyond which a measurement is repeated."""


class Speedup(NamedTuple):
    """Times in nanoseconds per call; the ratio is baseline over candidate, higher is better."""

    ratio: float
    interval: tuple[float, float]
    """95 % confidence."""
    baseline_ns: float
    candidate_ns: float
    variation: float
    """Of the candidate's samples: standard deviation over mean."""
    samples: int

    @property
    def noisy(self) -> bool:
        lower, upper = self.interval
        return upper > WIDEST * lower or self.variation > MOST_VARIATION


def speedup(baseline: Sequence[float], candidate: Sequence[float], rng: "np.random.Generator") -> Speedup:
    """Ratio of medians with a paired bootstrap percentile interval (Efron and Tibshirani, 1993, ch. 13).

    Raises ValueError for samples that are missing, unpaired, zero, negative or not finite.
    """
    import numpy as np

    base, cand = np.asarray(baseline, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    if base.shape != cand.shape or base.ndim != 1 or base.size == 0:
        raise ValueError(f"{base.size} baseline and {cand.size} candidate samples are not pairs")
    if not (np.isfinite(base).all() and np.isfinite(cand).all() and base.min() > 0 and cand.min() > 0):
        raise ValueError("a sample is zero, negative or not finite")
    chosen = rng.integers(0, base.size, (RESAMPLES, base.size))
    lower, upper = np.quantile(_ratio(base[chosen], cand[chosen]), (0.025, 0.975))
    return Speedup(
        ratio=float(_ratio(base, cand)),
        interval=(float(lower), float(upper)),
        baseline_ns=float(np.median(base)),
        candidate_ns=float(np.median(cand)),
        variation=float(cand.std() / cand.mean()),
        samples=base.size,
    )


def calmer(first: Speedup, second: Speedup) -> Speedup:
    """The one with the narrower interval, relative to its ratio."""
    return min(first, second, key=lambda s: s.interval[1] / s.interval[0])


def _ratio(base: "NDArray[np.float64]", cand: "NDArray[np.float64]") -> "NDArray[np.float64]":
    import numpy as np

    return np.asarray(np.median(base, axis=-1) / np.median(cand, axis=-1))
