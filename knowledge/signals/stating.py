"""What tells something: records that do not end in a question, and the longer ones of them."""

import math
from collections.abc import Mapping

from knowledge.architecture import BankView, Ctx, Hit, Param, Query, Retrieval, Verbatim, filled

PARAMS = {
    "length": Param(0.2, 0.0, 1.0),
}
LONG = 400
"""Characters; more are no better."""


class Stating(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._length = params["length"]

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del query, ctx
        return Retrieval([Hit(record.id, self._worth(record.text)) for record in bank.iter()])

    def _worth(self, text: str) -> float:
        asks = text.rstrip().endswith("?")
        return (1 - self._length) * (not asks) + self._length * math.log1p(min(LONG, len(text))) / math.log1p(LONG)


def build(params: Mapping[str, float]) -> Stating:
    return Stating(filled(PARAMS, params))
