"""Who is better than whom: non-dominated sorting on quality, tokens, latency and code size.

A difference in quality counts where it is larger than one paired standard error. Latency is compared in steps of a
factor of four from 25 ms on: what is quicker no one who waits for a model notices, and a noisy clock decides nothing.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from evolve.domains.memory.grading import Grades

UNNOTICED_MS = 25.0
STEP = 4.0
TOKEN_STEP = 64
"""Tokens shown are compared in steps of so many."""


class Standing(NamedTuple):
    """What a design has shown on some exams."""

    name: str
    marks: tuple[float, ...]
    """Recall@10 of each question."""
    tokens: float
    """Shown for a question at most 1,024; fewer is better."""
    ms: float
    """Median of a retrieval."""
    lines: int

    @property
    def quality(self) -> float:
        return statistics.fmean(self.marks) if self.marks else 0.0

    @property
    def lcb(self) -> float:
        """One standard error below the mean."""
        return self.quality - _error(self.marks)


def standing(name: str, grades: Sequence[Grades], lines: int) -> Standing:
    seconds = [value for part in grades for value in part.seconds]
    shown = [value for part in grades for value in part.tokens]
    return Standing(
        name=name,
        marks=tuple(value for part in grades for value in part.recall10),
        tokens=statistics.fmean(shown) if shown else 0.0,
        ms=1e3 * statistics.median(seconds) if seconds else 0.0,
        lines=lines,
    )


def paired_error(marks: Sequence[float], others: Sequence[float]) -> float:
    """Standard error of the mean difference on the same questions.

    The questions are the unit: what it tells is how sure a difference is for conversations like these. With the two
    or three conversations of a part, an error clustered by conversation would itself be mostly chance.
    """
    return _error([mark - other for mark, other in zip(marks, others, strict=True)])


def _error(values: Sequence[float]) -> float:
    count = len(values)
    if count < 2:  # noqa: PLR2004  one value varies from nothing
        return 0.0
    mean = math.fsum(values) / count
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)


def dominates(one: Standing, other: Standing) -> bool:
    """Nowhere worse and somewhere better. Without cycles: they would need equal costs, and those leave quality."""
    ahead = one.quality - other.quality
    error = paired_error(one.marks, other.marks)
    costs, other_costs = _costs(one), _costs(other)
    if ahead < -error or any(cost > known for cost, known in zip(costs, other_costs, strict=True)):
        return False
    return ahead > error or costs != other_costs


def _costs(one: Standing) -> tuple[int, int, int]:
    slow = max(0, math.ceil(math.log(max(one.ms, 1e-6) / UNNOTICED_MS, STEP)))
    return math.ceil(one.tokens / TOKEN_STEP), slow, one.lines


def by_quality(one: Standing) -> tuple[float, int, str]:
    """Best first; of two as good the shorter one."""
    return -one.quality, one.lines, one.name


def ranked(
    standings: Sequence[Standing], key: Callable[[Standing], tuple[float, int, str]] = by_quality
) -> list[Standing]:
    """All of them: those that nothing dominates, then those that only those dominate, …; within a front by `key`."""
    left = sorted(standings, key=key)
    found: list[Standing] = []
    while left:
        front = [one for one in left if not any(dominates(other, one) for other in left)]
        found += front
        left = [one for one in left if one not in front]
    return found
