"""What makers of exams share: handles that say nothing, and questions as every exam asks them."""

from random import Random

from evolve.domains.memory.exam import BUDGET, K, Question
from knowledge.architecture import Query

MULTI_HOP, TEMPORAL, OPEN_DOMAIN, SINGLE_HOP = "1", "2", "3", "4"
"""Categories, as LoCoMo numbers them."""
STAGE = "qa"


def handle(rng: Random) -> str:
    return f"{rng.getrandbits(64):016x}"


def question(
    text: str,
    gold: frozenset[str],
    now: float,
    *,
    category: str = "",
    answer: str = "",
    stale: frozenset[str] = frozenset(),
) -> Question:
    query = Query(text, now, stage=STAGE, k=K, budget_tokens=BUDGET)
    return Question(query, gold, stale, category, answer)
