"""Every event as it is, found by meaning: the cosine of embeddings, best first.

The plain vector store. It is as good as the embedding: with one that only hashes words it is a weaker BM25.
"""

from collections.abc import Mapping

from knowledge.architecture import BankView, Ctx, Param, Query, Retrieval, Verbatim, filled

PARAMS: dict[str, Param] = {}


class Dense(Verbatim):
    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        return Retrieval(bank.dense(query.text, query.k))


def build(params: Mapping[str, float]) -> Dense:
    filled(PARAMS, params)
    return Dense()
