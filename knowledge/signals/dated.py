"""When it was: records of the years, months and days that the query names."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from knowledge.architecture import BankView, Ctx, Hit, Param, Query, Record, Retrieval, Verbatim, filled

PARAMS: dict[str, Param] = {}
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
DAYS = frozenset(map(str, range(1, 32)))


class Dated(Verbatim):
    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        words = re.findall(r"[a-z]+|\d+", query.text.lower())
        named = {
            "year": {int(word) for word in words if re.fullmatch(r"(?:19|20)\d\d", word)},
            "month": {MONTHS.index(word) + 1 for word in words if word in MONTHS},
            "day": {int(word) for word in words if word in DAYS},
        }
        if not named["year"] and not named["month"]:
            return Retrieval([])
        hits = [Hit(record.id, _fit(record, named)) for record in bank.iter() if record.valid_from is not None]
        return Retrieval(hits)


def _fit(record: Record, named: Mapping[str, set[int]]) -> float:
    moment = datetime.fromtimestamp(record.valid_from or 0.0, UTC)
    return float(sum(getattr(moment, part) in wanted for part, wanted in named.items()))


def build(params: Mapping[str, float]) -> Dated:
    filled(PARAMS, params)
    return Dated()
