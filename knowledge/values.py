"""What recalled items are worth and how that decides what is recalled: the rule of EvoKernel.

Source: EvoKernel, sections on drafting and refining (Q <- Q + alpha (r - Q) on every recalled item; dense top
K = lambda N, then epsilon-greedy by the stage's Q; PopArt-style normalised refining rewards). The paper gives no
values for alpha, epsilon and N; those here are ours. Pure functions: the bank keeps the numbers, and the rewards
come from `evolve.policy`.
"""

import math
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

ALPHA = 0.2
EPSILON = 0.1
POOL_FACTOR = 3
"""lambda: candidates considered for each slot."""
KNOWN_WELL = 3
"""Uses in the very same state from which on the value over all states no longer counts."""
LEAST_SPREAD = 0.05
"""Refining rewards closer together than this (a gain of 5 %) are noise, not to be blown up by normalising."""
INFEASIBLE = -1.0


class Value(NamedTuple):
    q: float = 0.0
    """Higher: attempts that had the item in front of them fared better."""
    n: int = 0
    """Times credited."""


class Norm(NamedTuple):
    """Running mean and spread of a stage's rewards (Welford)."""

    mean: float = 0.0
    m2: float = 0.0
    n: int = 0

    @property
    def deviation(self) -> float:
        return math.sqrt(self.m2 / self.n) if self.n else 0.0


class Option(NamedTuple):
    """An item that could be recalled; options come best match first."""

    id: str
    crowd: str
    """What it must share its room with: the task it comes from."""
    value: Value


class Choice(NamedTuple):
    id: str
    beat: str | None
    """The option that would have come instead."""
    drawn: bool
    """By chance, not by value."""


def learnt(value: Value, credit: float, alpha: float = ALPHA) -> Value:
    """Q <- Q + alpha (r - Q)."""
    return Value(value.q + alpha * (credit - value.q), value.n + 1)


def normalised(norm: Norm, raw: float) -> tuple[Norm, float]:
    """The norm that has seen `raw`, and `raw` by it. The first reward has nothing to be measured by: it stays."""
    n = norm.n + 1
    mean = norm.mean + (raw - norm.mean) / n
    seen = Norm(mean, norm.m2 + (raw - norm.mean) * (raw - mean), n)
    if n == 1:
        return seen, raw
    return seen, (raw - seen.mean) / max(seen.deviation, LEAST_SPREAD)


def backed_off(exact: Value, overall: Value) -> Value:
    """The value in this very state once it is known well, until then the one over all states."""
    return exact if exact.n >= KNOWN_WELL else overall


def choose(
    pool: Sequence[Option], slots: int, rng: Random, *, epsilon: float = EPSILON, most: int | None = None
) -> list[Choice]:
    """Fill each slot by chance with probability epsilon, else with the highest value (then the best match).

    No crowd takes more than `most` slots while another has something to offer.
    """
    left = list(pool)
    taken: dict[str, int] = {}
    chosen: list[Choice] = []
    while left and len(chosen) < slots:
        roomy = [option for option in left if most is None or taken.get(option.crowd, 0) < most] or left
        ranked = sorted(roomy, key=lambda option: -option.value.q)
        drawn = rng.random() < epsilon
        pick = rng.choice(ranked) if drawn else ranked[0]
        other = next((option.id for option in ranked if option.id != pick.id), None)
        chosen.append(Choice(pick.id, other, drawn))
        taken[pick.crowd] = taken.get(pick.crowd, 0) + 1
        left.remove(pick)
    return chosen
