"""What is put in front of a writer: similar to the task at hand, worth most at its stage, nothing twice."""

import json
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from random import Random
from typing import NamedTuple

from evolve.types import Task
from knowledge.bank import Bank, Card
from knowledge.distil import GUIDE, INSIGHT
from knowledge.ledger import Ledger, Line
from knowledge.reasons import Why
from knowledge.retrieval import FACTOR, Match, Retrieval, one_of_each
from knowledge.values import POOL_FACTOR, Choice, Known, Option, Rule, choose

PROMPT_CHARACTERS = 400
"""How much of a task's prompt says what the task is about."""
INSIGHTS = 64
"""Insights that compete for the slot kept for them."""
ENOUGH = 500
"""Records that the words of one recall may lead to."""
LEAST_SLOTS, SLOTS_PER_INSIGHT = 3, 4
"""From three slots on, one in four is kept for an insight; insights then take no others."""


class Asked(NamedTuple):
    """What is to be recalled for."""

    task: Task
    stage: str
    state: str
    """Bottleneck of what is to be improved; empty when unknown."""
    states: tuple[str, ...]
    """Signatures that values are looked up in, the narrowest first."""
    hardware: str
    """Insights from elsewhere are used only where there are none from here; empty when unknown."""
    k: int
    hold_out: frozenset[str] = frozenset()
    """Tasks of which nothing is recalled, neither their own experiences nor insights that rest on them."""

    @property
    def text(self) -> str:
        return about(self.task, self.stage, self.state)


class Selection:
    """Raises StorageError."""

    def __init__(self, bank: Bank, ledger: Ledger, retrieval: Retrieval, rule: Rule) -> None:
        self._bank = bank
        self._ledger = ledger
        self._retrieval = retrieval
        self._rule = rule

    def pick(self, asked: Asked, rng: Random) -> list[Line]:
        """One slot in four is kept for an insight, and no task fills more than half of them while another offers."""
        allowed = self._allowed(asked)
        k = asked.k
        kept = max(1, k // SLOTS_PER_INSIGHT) if k >= LEAST_SLOTS else 0
        insights = self._insights(asked, allowed)
        lines = self.chosen(insights, kept, rng, asked.stage, asked.states, most=kept, match=_promise)
        slots = k - len(lines)
        matches = self._retrieval.around(
            asked.text,
            FACTOR * POOL_FACTOR * slots,
            keep=lambda card: allowed(card) and not (kept and card.kind == INSIGHT),
            more=lambda tasks: self._bank.leaders(asked.task.domain, asked.state, [asked.task.id, *tasks]),
            enough=ENOUGH,
        )
        pool = _pool(matches, asked.task.id, POOL_FACTOR * slots)
        return lines + self.chosen(pool, slots, rng, asked.stage, asked.states, most=max(1, k // 2))

    def _allowed(self, asked: Asked) -> Callable[[Card], bool]:
        barred = self._bank.barred(asked.hold_out)

        def allowed(card: Card) -> bool:
            own = card.domain in {asked.task.domain, ""}
            return own and card.kind != GUIDE and card.task not in asked.hold_out and card.id not in barred

        return allowed

    def _insights(self, asked: Asked, allowed: Callable[[Card], bool]) -> list[Match]:
        """Those about this very state, or about any where there is none; the most promising first."""
        for where in (asked.state, None):
            cards = [card for card in self._bank.insights(asked.task.domain, where, INSIGHTS) if allowed(card)]
            here = [card for card in cards if asked.hardware in {"", card.hardware}]
            if cards:
                similar = self._retrieval.similarities(here or cards, asked.text)
                return [Match(card, similar.get(card.n, 0.0), 0.0, 0.0) for card in here or cards]
        return []

    def chosen(
        self,
        matches: Sequence[Match],
        slots: int,
        rng: Random,
        stage: str,
        states: Sequence[str],
        *,
        most: int | None = None,
        match: Callable[[Match], float] = attrgetter("fused"),
    ) -> list[Line]:
        """Fill the slots by value, and by what `match` says of each (higher is better)."""
        known = self._ledger.values([each.card.id for each in matches], stage, states)
        seen = self._ledger.seen(stage)
        pool = {each.card.id: (each, known.get(each.card.id, Known())) for each in matches}
        options = [Option(name, each.card.task, found.value, match(each)) for name, (each, found) in pool.items()]
        choices = choose(options, slots, rng, rule=self._rule, seen=seen, most=most)
        return [self._line(choice, pool, seen) for choice in choices]

    def _line(self, choice: Choice, pool: Mapping[str, tuple[Match, Known]], seen: int) -> Line:
        match, known = pool[choice.id]
        value = known.value.worth(self._rule)
        why = Why(
            similarity=_short(match.similarity),
            words=_short(match.words),
            meaning=_short(match.meaning),
            value=_short(value),
            uncertainty=_short(known.value.uncertainty(seen)),
            n=known.value.n,
            where=known.state,
            score=_short(choice.score),
            pick=choice.pick,
            beat=choice.beat,
            margin=_short(choice.margin),
        )
        return Line(choice.id, match.similarity, value, json.dumps(why._asdict()))


def _promise(insight: Match) -> float:
    """What another try of an insight's technique should bring."""
    return insight.card.score or 0.0


def about(task: Task, stage: str, state: str) -> str:
    """What a task is about, in the words that its experiences are found by."""
    return " ".join((task.id, *task.tags, state, stage, task.prompt[:PROMPT_CHARACTERS]))


def _pool(matches: Sequence[Match], task: str, size: int) -> list[Match]:
    """The best matches, nothing twice, not more than half of them the task's own while there are others.

    Twice to a writer is: the same code; of its own task the same technique in the same state; of another task all
    but the best way out of a state.
    """

    def sort(card: Card) -> str:
        if card.kind == INSIGHT:
            return card.id
        return "|".join((card.task, card.kind, card.state, card.technique if card.task == task else ""))

    distinct = one_of_each(one_of_each(matches, sort=lambda card: card.content or card.id), sort)
    own = [match for match in distinct if match.card.task == task]
    others = [match for match in distinct if match.card.task != task]
    room = max(size // 2, size - len(others))
    kept = own[:room] + others[: size - min(room, len(own))]
    return sorted(kept, key=lambda match: (-match.fused, -match.card.n))


def _short(number: float) -> float:
    return round(number, 4)
