"""Which model to ask next: the one that may bring most per dollar.

A bandit with a budget: models are arms with an unknown reward and a price. As in fractional KUBE (Tran-Thanh et al.,
AAAI 2012) the arm with the highest upper bound of its reward per unit of cost is next. The bound is that of ω-UCB
(Heyden et al., arXiv 2306.07071), Wilson's, which falls with 1/n for an arm that brings nothing where KUBE's falls
with 1/√n: a run has tens of attempts, not thousands. Attempts of one round are chosen in turn, each as if those before
it had brought what their models usually bring.
"""

import math
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

DOLLAR, TOKEN = "dollar", "token"
RHO = 0.25
"""How widely ω-UCB explores; its authors' choice."""


class Arm(NamedTuple):
    """What one model has brought at one stage."""

    model: str
    attempts: int = 0
    reward: float = 0.0
    """Sum, of `worth` per attempt."""
    usd: float = 0.0
    tokens: int = 0
    priced: bool = True
    """Whether `usd` is all that it cost."""


class Choice(NamedTuple):
    model: str
    why: str


def worth(reward: float) -> float:
    """An attempt's reward as it is paid for, from 0 to 1: what is wrong or no better than before is worth nothing."""
    return min(1.0, max(0.0, reward))


def choose(arms: Sequence[Arm], rng: Random, *, ahead: int = 0) -> Choice:
    """For an attempt that has `ahead` others of its round before it. Each model is tried once before any is preferred,
    in the order given; `rng` decides only between equals.
    """
    if len(arms) == 1:
        return Choice(arms[0].model, "the only one")
    unit, reason = _unit(arms)
    now = list(arms)
    for _ in range(ahead):
        place = _best(now, unit)[0]
        now[place] = _imagined(now[place])
    chosen = now[rng.choice(_best(now, unit))]
    if not chosen.attempts:
        return Choice(chosen.model, "not tried at this stage yet")
    hopes = zip(arms, _hopes(now, unit), strict=True)
    shown = (f"{arm.model} {hope:.3g} (mean {_mean(arm):.2f} of {arm.attempts})" for arm, hope in hopes)
    beside = f", {ahead} beside it in its round" if ahead else ""
    return Choice(chosen.model, f"most to be hoped for per {unit}{reason}{beside}: {', '.join(shown)}")


def _best(arms: Sequence[Arm], unit: str) -> list[int]:
    untried = [place for place, arm in enumerate(arms) if not arm.attempts]
    if untried:
        return untried[:1]
    hopes = _hopes(arms, unit)
    return [place for place, hope in enumerate(hopes) if math.isclose(hope, max(hopes), rel_tol=1e-9)]


def _hopes(arms: Sequence[Arm], unit: str) -> list[float]:
    """Upper bounds of the reward by what an attempt costs, as a share of what it costs the dearest model."""
    plays = sum(arm.attempts for arm in arms)
    costs = [(arm.usd if unit == DOLLAR else arm.tokens) / arm.attempts for arm in arms]
    dearest = max(costs) or 1.0
    return [
        _upper(_mean(arm), arm.attempts, plays) / (cost / dearest or 1.0) for arm, cost in zip(arms, costs, strict=True)
    ]


def _imagined(arm: Arm) -> Arm:
    """With one more attempt under way, as good and as dear as those before."""
    more = (arm.attempts + 1) / max(1, arm.attempts)
    return arm._replace(
        attempts=arm.attempts + 1, reward=arm.reward * more, usd=arm.usd * more, tokens=round(arm.tokens * more)
    )


def _upper(mean: float, count: int, plays: int) -> float:
    """Wilson's upper limit at z = √(2ρ ln t)."""
    squared = 2 * RHO * math.log(max(2, plays))
    spread = math.sqrt(squared * (squared + 4 * count * mean * (1 - mean)))
    return min(1.0, (2 * count * mean + squared + spread) / (2 * (count + squared)))


def _mean(arm: Arm) -> float:
    return arm.reward / max(1, arm.attempts)


def _unit(arms: Sequence[Arm]) -> tuple[str, str]:
    """Dollars where all that was asked has a price, and why not otherwise."""
    unknown = [arm.model for arm in arms if arm.attempts and not arm.priced]
    if unknown:
        return TOKEN, f" (the price of {', '.join(unknown)} is unknown)"
    if any(arm.attempts and not arm.usd for arm in arms):
        return TOKEN, " (not every model costs dollars)"
    return DOLLAR, ""
