"""How sure a figure of a few runs is: 95 % intervals and paired comparisons, with nothing to install.

What is observed comes in clusters, the runs of one task each: tasks differ far more than runs of the same task do.
With one cluster alone its runs are the units instead, and what is said holds for that task only.

share        Wilson (1927) on the effective sample size of Rao and Scott (1992), which dependence within a task shrinks.
bootstrap    Percentiles over tasks and runs within them (Davison and Hinkley 1997, 3.8), set wider for few tasks
             (Hesterberg 2015, "expanded percentile").
difference   Student's t over the tasks' mean differences, which errs to the safe side with few tasks of unlike spread
             (Ibragimov and Müller 2010), together with Fisher's (1935) sign-flip test over all pairs.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple, TypeVar

from evolve.domains.timing import STUDENT

T = TypeVar("T")
Bounds = tuple[float, float]

NORMAL = statistics.NormalDist()
QUANTILE = NORMAL.inv_cdf(0.975)
RESAMPLES = 2000
EXACT = 15
"""Pairs up to which every flip of signs is tried."""
FLIPS = 4999
"""Drawn where there are more."""
LEVEL = 0.05
FEWEST_PAIRS = 6
"""Fewer that all agree may well be chance: the sign-flip test cannot come below the level."""


class Estimate(NamedTuple):
    value: float | None
    """None where nothing was observed."""
    interval: Bounds | None = None
    """95 %; None where there is one unit alone."""


class Difference(NamedTuple):
    value: float | None
    """Mean over the clusters; above zero where the first of a pair is larger."""
    interval: Bounds | None
    p: float | None
    """Of the sign-flip test: how often chance alone parts the pairs this far."""
    pairs: int

    @property
    def told(self) -> int:
        """1 where it is surely above zero, -1 where surely below, 0 where nobody can tell.

        The interval speaks for other tasks; the test keeps a few pairs that happen to agree from looking certain.
        """
        if self.interval is None or self.p is None or self.p > LEVEL:
            return 0
        low, high = self.interval
        return int(low > 0) - int(high < 0)


def wilson(hits: float, of: float) -> Bounds:
    """The score interval of a share; `of` above zero, both may be fractions where they are effective sizes."""
    middle = hits + QUANTILE**2 / 2
    reach = QUANTILE * math.sqrt(hits * (of - hits) / of + QUANTILE**2 / 4)
    total = of + QUANTILE**2
    return max(0.0, (middle - reach) / total), min(1.0, (middle + reach) / total)


def share(clusters: Sequence[tuple[int, int]]) -> Estimate:
    """Of (hits, of) for each cluster. Where none or all are hits, dependence does not show and is not allowed for."""
    counted = [(hits, of) for hits, of in clusters if of]
    total = sum(of for _, of in counted)
    if not total:
        return Estimate(None)
    hits = sum(hits for hits, _ in counted)
    effect = design_effect(counted)
    return Estimate(hits / total, wilson(hits / effect, total / effect))


def design_effect(clusters: Sequence[tuple[int, int]]) -> float:
    """How much larger the variance is than of as many independent observations; never below 1."""
    count, total = len(clusters), sum(of for _, of in clusters)
    rate = sum(hits for hits, _ in clusters) / total
    if count == 1 or rate in {0, 1}:
        return 1.0
    between = math.fsum((hits - rate * of) ** 2 for hits, of in clusters) * count / (count - 1) / total**2
    return max(1.0, between / (rate * (1 - rate) / total))


def bootstrap(
    clusters: Sequence[Sequence[T]], statistic: Callable[[Sequence[T]], float | None], rng: Random
) -> Estimate:
    """Of any statistic of all observations; draws for which it is None are passed over."""
    groups = units([list(group) for group in clusters if group])
    value = statistic([each for group in groups for each in group])
    if value is None or len(groups) == 1:
        return Estimate(value)
    drawn = (statistic(_resampled(groups, rng)) for _ in range(RESAMPLES))
    found = sorted([value, *(each for each in drawn if each is not None)])
    tail = _tail(len(groups))
    return Estimate(value, (min(value, _at(found, tail)), max(value, _at(found, 1 - tail))))


def units(clusters: list[list[T]]) -> list[list[T]]:
    """What varies: the clusters, or the observations of the only one."""
    return [[each] for each in clusters[0]] if len(clusters) == 1 else clusters


def _resampled(groups: Sequence[Sequence[T]], rng: Random) -> list[T]:
    return [each for group in rng.choices(groups, k=len(groups)) for each in rng.choices(group, k=len(group))]


def _tail(count: int) -> float:
    """Left out on each side: 2.5 % of very many units, less of few."""
    return NORMAL.cdf(-math.sqrt(count / (count - 1)) * _student(count - 1))


def _at(ordered: Sequence[float], quantile: float) -> float:
    place = quantile * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def difference(clusters: Sequence[Sequence[float]], rng: Random) -> Difference:
    """Of paired observations, each cluster holding the differences of its pairs."""
    groups = units([list(group) for group in clusters if group])
    pairs = [each for group in groups for each in group]
    if not pairs:
        return Difference(None, None, None, 0)
    means = [statistics.fmean(group) for group in groups]
    value = statistics.fmean(means)
    if len(means) == 1:
        return Difference(value, None, None, len(pairs))
    reach = _student(len(means) - 1) * statistics.stdev(means) / math.sqrt(len(means))
    return Difference(value, (value - reach, value + reach), sign_flips(pairs, rng), len(pairs))


def sign_flips(differences: Sequence[float], rng: Random) -> float:
    """Two-sided p that signs are by chance: exact for few pairs, drawn for more (Phipson and Smyth 2010)."""
    moved = [each for each in differences if each]
    seen = abs(math.fsum(moved)) * (1 - 1e-9)
    if len(moved) <= EXACT:
        flips = list(_sums(moved))
        return sum(abs(each) >= seen for each in flips) / len(flips)
    drawn = (math.fsum(rng.choice((each, -each)) for each in moved) for _ in range(FLIPS))
    return (1 + sum(abs(each) >= seen for each in drawn)) / (1 + FLIPS)


def _sums(values: Sequence[float]) -> Iterator[float]:
    """With every choice of signs."""
    sums = [0.0]
    for value in values:
        sums = [each + sign for each in sums for sign in (value, -value)]
    yield from sums


def _student(freedom: int) -> float:
    """The 97.5 % quantile; never below the normal one."""
    return STUDENT[freedom - 1] if freedom <= len(STUDENT) else QUANTILE + 2.5 / freedom
