"""Every event as it is, found by its own words and by those said right before and after it: BM25 over three turns.

In talk the answer stands beside the turn that has the question's words. Each record is linked to the one before it
in its scope; a record's score is its own and a share of its neighbours' (LoCoMo recall@10 .67 where single turns give
.61). Left out: windows of more than three turns, and the scope as a whole (that is `hcam`).
"""

from collections.abc import Iterable, Mapping, Sequence

from knowledge.architecture import (
    Add,
    AddLink,
    BankView,
    Ctx,
    Hit,
    Link,
    Op,
    Param,
    Query,
    Record,
    Retrieval,
    SetState,
    Verbatim,
    filled,
)

PARAMS = {
    "k1": Param(1.2, 0.2, 3.0),
    "b": Param(0.75, 0.0, 1.0),
    "neighbour": Param(0.6, 0.0, 1.0),
    "depth": Param(300, 20, 1000, whole=True),
}
"""`neighbour`: share of a neighbour's score. `depth`: records whose words are compared."""
AFTER = "after"
ENDS = "ends"
SCOPES = 64
"""Whose last record is remembered; what goes on in an older one begins anew."""


class Window(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del ctx
        ends = bank.state(ENDS)
        last = dict(ends) if isinstance(ends, dict) else {}
        for record in new:
            yield Add(record)
            scope = str(record.meta.get("scope", ""))[:100]
            before = last.pop(scope, None)
            if isinstance(before, str):
                yield AddLink(record.id, Link(before, AFTER))
            last[scope] = record.id
        if new:
            yield SetState(ENDS, dict(list(last.items())[-SCOPES:]))

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        depth = max(query.k, int(self._p["depth"]))
        own = bank.lexical(query.text, depth, k1=self._p["k1"], b=self._p["b"])
        total = {hit.id: hit.score for hit in own}
        share = self._p["neighbour"]
        for hit in own if share else []:
            for beside in bank.near(hit.id, AFTER):
                total[beside.id] = total.get(beside.id, 0.0) + share * hit.score
        ranked = sorted(total.items(), key=lambda pair: -pair[1])
        return Retrieval([Hit(name, score) for name, score in ranked[: query.k]])


def build(params: Mapping[str, float]) -> Window:
    return Window(filled(PARAMS, params))
