"""What kind of thing is asked for: a time, a number, a name; records that have one."""

import re
from collections.abc import Mapping

from knowledge.architecture import BankView, Ctx, Hit, Param, Query, Retrieval, Verbatim, filled

PARAMS: dict[str, Param] = {}
TIME = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|last|next|ago|recently|just|since|week|weekend|month|year|morning|evening"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|spring|summer|autumn|fall|winter|(?:19|20)\d\d"
    r"|january|february|march|april|may|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)
NUMBER = re.compile(
    r"\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|once|twice|few|couple|many)\b", re.IGNORECASE
)
NAME = re.compile(r"(?<=[a-z,;] )[A-Z]\w+")


class Answering(Verbatim):
    def __init__(self) -> None:
        self._found: dict[tuple[str, str], float] = {}

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        wanted = kind_of(query.text.lower())
        if wanted is None:
            return Retrieval([])
        return Retrieval([Hit(record.id, self._has(wanted, record.text)) for record in bank.iter()])

    def _has(self, wanted: re.Pattern[str], text: str) -> float:
        key = (wanted.pattern, text)
        if key not in self._found:
            self._found[key] = float(bool(wanted.search(text)))
        return self._found[key]


def kind_of(question: str) -> re.Pattern[str] | None:
    if re.match(r"when\b|(?:in |on )?(?:which|what) (?:day|date|month|year|time)\b", question):
        return TIME
    if re.search(r"\bhow (?:many|much|long|often|old)\b", question):
        return NUMBER
    if re.match(r"(?:where|who|whose|which)\b", question):
        return NAME
    return None


def build(params: Mapping[str, float]) -> Answering:
    filled(PARAMS, params)
    return Answering()
