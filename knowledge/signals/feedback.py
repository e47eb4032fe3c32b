"""The query, widened by what the first records found have in common (pseudo-relevance feedback; Rocchio, 1971)."""

import math
from collections import Counter
from collections.abc import Mapping

from knowledge.architecture import BankView, Ctx, Param, Query, Retrieval, Verbatim, filled
from knowledge.stems import stems

PARAMS = {
    "first": Param(8, 2, 30, whole=True),
    "words": Param(12, 3, 40, whole=True),
}


class Feedback(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params
        self._told: dict[str, Counter[str]] = {}

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        own = {record.id: self._of(record.text) for record in bank.iter()}
        common = Counter(word for words in own.values() for word in words)
        asked = set(stems(query.text))
        weights: dict[str, float] = {}
        for hit in bank.lexical(query.text, int(self._p["first"])):
            for word, times in own[hit.id].items():
                if word not in asked:
                    weights[word] = weights.get(word, 0.0) + hit.score * times * math.log(len(own) / common[word])
        telling = sorted(weights, key=lambda word: -weights[word])[: int(self._p["words"])]
        return Retrieval(bank.lexical(" ".join(telling), query.k))

    def _of(self, text: str) -> Counter[str]:
        if text not in self._told:
            self._told[text] = Counter(stems(text))
        return self._told[text]


def build(params: Mapping[str, float]) -> Feedback:
    return Feedback(filled(PARAMS, params))
