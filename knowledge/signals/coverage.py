"""How many of the query's telling words the passage around a record has, each counted once."""

import math
from collections import Counter
from collections.abc import Mapping

from knowledge.architecture import BankView, Ctx, Hit, Param, Query, Record, Retrieval, Verbatim, filled
from knowledge.stems import stems

PARAMS = {
    "reach": Param(2, 0, 6, whole=True),
}


class Coverage(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._reach = int(params["reach"])
        self._stems: dict[str, frozenset[str]] = {}

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        asked = frozenset(stems(query.text))
        records = [record for record in bank.iter() if record.kind != "summary"]
        having = [asked & self._of(record) for record in records]
        common = Counter(word for words in having for word in words)
        worth = {word: math.log(1 + len(records) / times) for word, times in common.items()}
        scopes = [record.meta.get("scope") for record in records]
        hits = []
        for i, record in enumerate(records):
            around = range(max(0, i - self._reach), min(len(records), i + self._reach + 1))
            words = frozenset().union(*(having[j] for j in around if scopes[j] == scopes[i]))
            if words:
                hits.append(Hit(record.id, sum(worth[word] for word in sorted(words))))
        return Retrieval(sorted(hits, key=lambda hit: -hit.score)[: query.k])

    def _of(self, record: Record) -> frozenset[str]:
        if record.text not in self._stems:
            self._stems[record.text] = frozenset(stems(record.text))
        return self._stems[record.text]


def build(params: Mapping[str, float]) -> Coverage:
    return Coverage(filled(PARAMS, params))
