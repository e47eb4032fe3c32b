"""Which design the next child is made from: good ones, and those that have been tried less."""

import math
from collections.abc import Mapping, Sequence
from random import Random

from evolve.meta.selection import Standing

TEMPERATURE = 0.05
"""Recall that makes a parent e times as likely. A third of M*'s: between good designs it is a matter of hundredths."""
TIRING = 0.5


def choose_parent(candidates: Sequence[Standing], visits: Mapping[str, int], rng: Random) -> str:
    """By chance, after exp(lower confidence bound / 0.05 - 0.5 ln(1 + visits)): M*'s pool with ALMA's penalty."""
    weights = [math.exp(one.lcb / TEMPERATURE - TIRING * math.log1p(visits.get(one.name, 0))) for one in candidates]
    return rng.choices([one.name for one in candidates], weights)[0]
