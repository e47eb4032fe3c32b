"""Who said it: records of the actor that the query names."""

import re
from collections.abc import Mapping

from knowledge.architecture import BankView, Ctx, Hit, Param, Query, Retrieval, Verbatim, filled

PARAMS: dict[str, Param] = {}


class Speaker(Verbatim):
    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        asked = set(re.findall(r"\w+", query.text.lower()))
        hits = []
        for record in bank.iter():
            names = re.findall(r"\w+", str(record.meta.get("actor") or "").lower())
            hits.append(Hit(record.id, float(not asked.isdisjoint(names))))
        return Retrieval(hits)


def build(params: Mapping[str, float]) -> Speaker:
    filled(PARAMS, params)
    return Speaker()
