"""Every event as it is, found by words and by meaning: BM25 and cosine, each in units of its spread, added up.

Merging the two by rank with equal weight (RRF) is the usual way and a trap: a weak embedding then drags good words
down (LoCoMo recall@10, MiniLM: .561 where z-scores give .640 and BM25 alone .611). What one search does not find has
there the score of the last that it found.
Left out: a reranker, and weights for each kind of question.
"""

import statistics
from collections.abc import Mapping, Sequence

from knowledge.architecture import BankView, Ctx, Hit, Param, Query, Retrieval, Verbatim, filled

PARAMS = {
    "k1": Param(1.2, 0.2, 3.0),
    "b": Param(0.75, 0.0, 1.0),
    "meaning": Param(0.2, 0.0, 2.0),
    "depth": Param(200, 20, 400, whole=True),
}
"""`meaning`: weight of cosine beside 1 for words; .6 suits a language model's embedding. `depth`: of each search."""


class Hybrid(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        depth = max(query.k, int(self._p["depth"]))
        words = bank.lexical(query.text, depth, k1=self._p["k1"], b=self._p["b"])
        meaning = bank.dense(query.text, depth) if self._p["meaning"] else []
        return Retrieval(fused([(words, 1.0), (meaning, self._p["meaning"])])[: query.k])


def fused(searches: Sequence[tuple[Sequence[Hit], float]]) -> list[Hit]:
    """Weighted sum of z-scores, best first; ties in the order in which they were found."""
    total = dict.fromkeys((hit.id for hits, _ in searches for hit in hits), 0.0)
    for hits, weight in searches:
        scores = in_spreads(hits)
        least = min(scores.values(), default=0.0)
        for name in total:
            total[name] += weight * scores.get(name, least)
    return [Hit(name, score) for name, score in sorted(total.items(), key=lambda pair: -pair[1])]


def in_spreads(hits: Sequence[Hit]) -> dict[str, float]:
    scores = [hit.score for hit in hits]
    mean = statistics.fmean(scores) if scores else 0.0
    spread = statistics.pstdev(scores, mean) if scores else 0.0
    return {hit.id: (hit.score - mean) / spread if spread else 0.0 for hit in hits}


def build(params: Mapping[str, float]) -> Hybrid:
    return Hybrid(filled(PARAMS, params))
