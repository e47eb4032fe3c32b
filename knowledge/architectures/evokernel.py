"""Value-driven memory: what is similar makes the pool, what showing it has been worth decides.

Source: EvoKernel, the memory MDP with a learnt retrieval policy (Q1 for drafting, Q2 for refining).
Kept: traces of feasible attempts with their code and summaries of failures without it; a pool of lambda times as many
as are asked for; each slot filled by epsilon-greedy over the value at the query's stage; in refining a part of the pool
for attempts that met the same bottleneck. Values are the host's (`bank.value`), learnt from rewards of the referee
alone, so nothing is counted here. Where no value is known in the pool, similarity alone decides.
Left out: choosing the start point (the host schedules parents), API templates, the inspection by a model.
With a model a failure is kept with one sentence of advice.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from knowledge.architecture import (
    BankView,
    Ctx,
    Event,
    Hit,
    NoModelError,
    Param,
    Query,
    Record,
    Retrieval,
    Verbatim,
    filled,
    verbatim,
)

PARAMS = {
    "pool": Param(3.0, 1.0, 15.0),
    "epsilon": Param(0.1, 0.0, 0.5),
    "meaning": Param(0.3, 0.0, 2.0),
    "matched": Param(0.3, 0.0, 1.0),
}
"""`pool`: lambda, candidates for each slot. `meaning`: weight of cosine beside 1 for words. `matched`: part of the pool
that is kept for the same bottleneck."""
TRACE, FAILURE = "trace", "failure"
FAILED_CHARACTERS = 2000
ADVICE = 120
"""Tokens."""
ASK = "A program was rejected for the reason below. Say in one sentence what the next one should do instead.\n\n"


class EvoKernel(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        record = verbatim(event)
        feasible = event.data.get("feasible")
        if feasible is None:
            return [record]
        if feasible:
            return [record._replace(kind=TRACE)]
        summary = event.text[:FAILED_CHARACTERS]
        return [record._replace(kind=FAILURE, text=f"{_advice(summary, ctx)}\n{summary}".strip(), payload="")]

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        pool = self._pool(query, bank)
        worth = {hit.id: bank.value(hit.id, query.stage) for hit in pool}
        if not any(known.n for known in worth.values()):
            return Retrieval(pool[: query.k])
        left = sorted(pool, key=lambda hit: -worth[hit.id].q)  # ties stay in the order of similarity
        chosen: list[Hit] = []
        while left and len(chosen) < query.k:
            by_chance = ctx.rng.random() < self._p["epsilon"]
            hit = left.pop(ctx.rng.randrange(len(left)) if by_chance else 0)
            known = worth[hit.id]
            why = "by chance" if by_chance else f"worth {known.q:.3g} after {known.n}"
            chosen.append(Hit(hit.id, 1 / (1 + len(chosen)), why))
        return Retrieval(chosen)

    def _pool(self, query: Query, bank: BankView) -> list[Hit]:
        """The most similar, best first."""
        size = max(query.k, round(self._p["pool"] * query.k))
        text = f"{query.text}\n{query.context}".strip()
        pool = self._similar(text, size, bank)
        state = query.where.get("state")
        if query.stage != "refine" or not state:
            return pool[:size]
        matched = self._similar(text, round(self._p["matched"] * size), bank, state=state)
        taken = {hit.id for hit in matched}
        return matched + [hit for hit in pool if hit.id not in taken][: size - len(matched)]

    def _similar(self, text: str, size: int, bank: BankView, **where: Any) -> list[Hit]:
        if not size:
            return []
        arms = [(bank.lexical(text, size, **where), 1.0), (bank.dense(text, size, **where), self._p["meaning"])]
        total = dict.fromkeys((hit.id for hits, _ in arms for hit in hits), 0.0)
        for hits, weight in arms:
            scores = in_spreads(hits)
            least = min(scores.values(), default=0.0)
            for name in total:
                total[name] += weight * scores.get(name, least)
        ranked = sorted(total.items(), key=lambda pair: -pair[1])
        return [Hit(name, score, "similar") for name, score in ranked[:size]]


def _advice(summary: str, ctx: Ctx) -> str:
    try:
        return ctx.llm(ASK + summary, max_tokens=ADVICE).strip()[:FAILED_CHARACTERS]
    except NoModelError:
        return ""


def in_spreads(hits: Sequence[Hit]) -> dict[str, float]:
    scores = [hit.score for hit in hits]
    mean = statistics.fmean(scores) if scores else 0.0
    spread = statistics.pstdev(scores, mean) if scores else 0.0
    return {hit.id: (hit.score - mean) / spread if spread else 0.0 for hit in hits}


def build(params: Mapping[str, float]) -> EvoKernel:
    return EvoKernel(filled(PARAMS, params))
