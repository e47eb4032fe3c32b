"""Every event as it is, found by its words: stemmed BM25 (Robertson and Zaragoza, 2009).

The plain lexical baseline, and where evolution starts.
"""

from collections.abc import Mapping

from knowledge.architecture import BankView, Ctx, Param, Query, Retrieval, Verbatim, filled

PARAMS = {
    "k1": Param(1.2, 0.2, 3.0),
    "b": Param(0.75, 0.0, 1.0),
}


class Bm25(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        return Retrieval(bank.lexical(query.text, query.k, k1=self._p["k1"], b=self._p["b"]))


def build(params: Mapping[str, float]) -> Bm25:
    return Bm25(filled(PARAMS, params))
