"""What recalled items are worth, and how that decides what is recalled. Pure functions: the ledger keeps the numbers.

Two rules behind `choose`:
- `evokernel`: Q <- Q + alpha (r - Q) on every recalled item, then epsilon-greedy by Q over the top lambda N by
  similarity (EvoKernel, sections on drafting and refining; the paper gives no values for alpha, epsilon and N).
- `bonus`: the mean of what an item brought beyond the stage's usual reward, shrunk towards nothing, with an
  upper-confidence bonus for what was hardly tried (UCB1), mixed with similarity; one slot is kept for the untried.

Refining rewards are normalised by those before them (PopArt). Rewards come from `evolve.policy`.
"""

import math
from collections.abc import Sequence
from random import Random
from typing import Literal, NamedTuple

Rule = Literal["bonus", "evokernel"]

ALPHA = 0.2
EPSILON = 0.1
POOL_FACTOR = 3
"""lambda: candidates considered for each slot."""
KNOWN_WELL = 3
"""Uses in a state from which on the value in a wider one no longer counts."""
LEAST_SPREAD = 0.05
"""Refining rewards closer together than this (a gain of 5 %) are noise, not to be blown up by normalising."""
INFEASIBLE = -1.0
SHRINKAGE = 3
"""As many uses that brought nothing are assumed before the first."""
BONUS = 0.35
SIMILARITY_SHARE = 0.35
HARDLY_TRIED = 3
"""Fewer uses than this."""
LEAST_SLOTS = 2
"""From as many slots on one is kept for an item that was hardly tried."""
NO_SPREAD = 1e-9
OVERALL = "*"
"""Stands for all states."""


class Value(NamedTuple):
    q: float = 0.0
    """By the rule of EvoKernel. Higher: attempts that had the item in front of them fared better."""
    total: float = 0.0
    """Of what the attempts brought beyond the stage's usual credit."""
    n: int = 0
    """Times credited."""

    @property
    def mean(self) -> float:
        """Of what it brought beyond the usual, shrunk towards nothing."""
        return self.total / (self.n + SHRINKAGE)

    def worth(self, rule: Rule) -> float:
        return self.mean if rule == "bonus" else self.q

    def uncertainty(self, seen: int) -> float:
        """Upper-confidence bonus after `seen` credits of the stage."""
        return BONUS * math.sqrt(math.log(seen + 2) / (self.n + 1))

    def learnt(self, credit: float, advantage: float, alpha: float = ALPHA) -> "Value":
        """After one more use. `advantage`: the credit beyond the stage's mean before it."""
        return Value(self.q + alpha * (credit - self.q), self.total + advantage, self.n + 1)


class Norm(NamedTuple):
    """Running mean and spread (Welford)."""

    mean: float = 0.0
    m2: float = 0.0
    n: int = 0

    @property
    def deviation(self) -> float:
        return math.sqrt(self.m2 / self.n) if self.n else 0.0

    def seen(self, value: float) -> "Norm":
        n = self.n + 1
        mean = self.mean + (value - self.mean) / n
        return Norm(mean, self.m2 + (value - self.mean) * (value - mean), n)


class Known(NamedTuple):
    """The value that counts for an item here, and from where it is."""

    value: Value = Value()
    state: str = ""
    """The signature it was learnt in, `*` for all states; empty when it was never credited."""


class Option(NamedTuple):
    """An item that could be recalled; options come best match first."""

    id: str
    crowd: str
    """What it must share its room with: the task it comes from."""
    value: Value
    match: float = 0.0
    """How well it matches, in any unit; higher is better."""


class Choice(NamedTuple):
    id: str
    pick: str
    """`value`, `chance` (epsilon) or `untried` (the slot kept for such)."""
    score: float
    """By what it was ranked."""
    beat: str | None
    """The option that would have come instead."""
    margin: float
    """Score beyond that of the other; negative for what came by chance or kept slot."""


def normalised(norm: Norm, raw: float) -> tuple[Norm, float]:
    """The norm that has seen `raw`, and `raw` by it. The first reward has nothing to be measured by: it stays."""
    seen = norm.seen(raw)
    if seen.n == 1:
        return seen, raw
    return seen, (raw - seen.mean) / max(seen.deviation, LEAST_SPREAD)


def signatures(state: str, family: str) -> tuple[str, ...]:
    """Where a value is learnt, the narrowest first: this bottleneck on this kind of task, this bottleneck, anywhere."""
    return (f"{family}:{state}", state or "unknown", OVERALL)


def backed_off(known: Sequence[tuple[str, Value]]) -> Known:
    """The narrowest value that is known well, else the widest; `known` has the narrowest first."""
    for state, value in known:
        if value.n >= KNOWN_WELL:
            return Known(value, state)
    state, value = known[-1] if known else ("", Value())
    return Known(value, state if value.n else "")


def choose(
    pool: Sequence[Option],
    slots: int,
    rng: Random,
    *,
    rule: Rule = "bonus",
    seen: int = 0,
    epsilon: float = EPSILON,
    most: int | None = None,
) -> list[Choice]:
    """Fill the slots. `seen`: credits of the stage so far. No crowd takes more than `most` while another offers."""
    scores = _scores(pool, rule, seen)
    left = list(pool)
    taken: dict[str, int] = {}
    chosen: list[Choice] = []
    while left and len(chosen) < slots:
        roomy = [option for option in left if most is None or taken.get(option.crowd, 0) < most] or left
        ranked = sorted(roomy, key=lambda option: -scores[option.id])
        option, pick = _picked(ranked, rule, rng, epsilon, last=len(chosen) == slots - 1, chosen=chosen, pool=pool)
        other = next((other.id for other in ranked if other.id != option.id), None)
        margin = scores[option.id] - scores[other] if other is not None else 0.0
        chosen.append(Choice(option.id, pick, scores[option.id], other, margin))
        taken[option.crowd] = taken.get(option.crowd, 0) + 1
        left.remove(option)
    return chosen


def _scores(pool: Sequence[Option], rule: Rule, seen: int) -> dict[str, float]:
    if rule == "evokernel":
        return {option.id: option.value.q for option in pool}
    matches = z_scores([option.match for option in pool])
    hopes = z_scores([option.value.mean + option.value.uncertainty(seen) for option in pool])
    both = zip(pool, matches, hopes, strict=True)
    return {option.id: SIMILARITY_SHARE * near + (1 - SIMILARITY_SHARE) * hope for option, near, hope in both}


def _picked(
    ranked: Sequence[Option],
    rule: Rule,
    rng: Random,
    epsilon: float,
    *,
    last: bool,
    chosen: Sequence[Choice],
    pool: Sequence[Option],
) -> tuple[Option, str]:
    if rule == "evokernel":
        return (rng.choice(ranked), "chance") if rng.random() < epsilon else (ranked[0], "value")
    untried = [option for option in ranked if option.value.n < HARDLY_TRIED]
    uses = {option.id: option.value.n for option in pool}
    if last and len(chosen) + 1 >= LEAST_SLOTS and untried and all(uses[c.id] >= HARDLY_TRIED for c in chosen):
        return untried[0], "untried" if untried[0] != ranked[0] else "value"
    return ranked[0], "value"


def z_scores(values: Sequence[float]) -> list[float]:
    """Deviations from the mean in units of the spread; all zero where there is none."""
    largest = max(map(abs, values), default=0.0)
    if largest == 0:
        return [0.0] * len(values)
    scaled = [value / largest for value in values]  # no square overflows
    mean = sum(scaled) / len(scaled)
    spread = (sum((value - mean) ** 2 for value in scaled) / len(scaled)) ** 0.5
    return [(value - mean) / spread if spread > NO_SPREAD else 0.0 for value in scaled]
