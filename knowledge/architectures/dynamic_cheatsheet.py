"""Dynamic Cheatsheet (Suzgun and others, 2025, arXiv 2504.07952): a page of what proved reusable, always rewritten.

Kept: one global sheet that is always shown, first; how often each of its lines proved right decides their order and
which of them go when it is full; DC-RS, the sheet together with the most similar earlier entries.
Changed: the sheet grows and is refined line by line. The original has a model write it anew each time, and a sheet of
thousands of words may come back as a hundred: here no answer of a model can take a line away.
Left out: the sheet written for one question; the solver itself. What was never a solution (a plain message) gives the
sheet nothing without a model; it is kept as it was said, and found by similarity.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from knowledge.architecture import (
    JSON,
    Add,
    BankView,
    Ctx,
    Event,
    Hit,
    NoModelError,
    Op,
    Param,
    Query,
    Record,
    Retrieval,
    Trigger,
    Update,
    filled,
    named,
    verbatim,
)
from knowledge.stems import stems

PARAMS = {
    "lines": Param(24, 4, 48, whole=True),
    "same": Param(0.6, 0.3, 1.0),  # share of words in common from which on two lines are one
    "lexical": Param(0.0, 0.0, 1.0),  # of the similarity; the original has cosine alone
}
SHEET = named("dynamic_cheatsheet")
FOLDED = ("rule", "insight")
SOURCES = 8
"""Events remembered for each line, the first and the latest."""
WIDTH = 240
ADVICE = re.compile(
    r"\b(always|never|avoid|prefer|instead|must|should|make sure|remember|because|use)\b", re.IGNORECASE
)
ASK = (
    "Write at most 3 lines, each beginning with '- ': what of this can be used again in other tasks"
    " (strategies, facts, pitfalls). Nothing else.\n\n"
)


class Line(NamedTuple):
    text: str
    says: str
    """Two lines that say the same are one; where it is empty their words tell."""
    proved: int
    """How often right, less how often it misled."""
    sources: tuple[str, ...]

    def same(self, text: str, says: str, share: float) -> bool:
        return self.says == says if self.says or says else alike(self.text, text) >= share


class DynamicCheatsheet:
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        yield verbatim(event)
        for number, (text, says) in enumerate(lessons(event, ctx)):
            yield Record(named("line", event.id, str(number)), text, (event.id,), "rule", meta={"says": says})

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del ctx
        yield from (Add(record) for record in new if record.kind not in FOLDED)
        told = [record for record in new if record.kind in FOLDED]
        if told:
            lines = sheet(bank)
            for record in told:
                lines = self._folded(lines, record)
            yield from written(lines, bank)

    def _folded(self, lines: Sequence[Line], record: Record) -> list[Line]:
        """With the line added, or counted where it is there. What proved right least makes room, oldest first."""
        lines, says = list(lines), str(record.meta.get("says", ""))
        for place, line in enumerate(lines):
            if line.same(record.text, says, self._p["same"]):
                sources = tuple(dict.fromkeys((*line.sources, *record.sources)))
                sources = sources[:1] + sources[1:][-SOURCES + 1 :]
                lines[place] = line._replace(proved=line.proved + 1, sources=sources)
                return lines
        while len(lines) >= self._p["lines"]:
            lines.remove(min(lines, key=lambda line: line.proved))
        return [*lines, Line(record.text[:WIDTH], says, 1, record.sources[:SOURCES])]

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        hits = [hit for hit in similar(bank, query.text, query.k + 1, self._p["lexical"]) if hit.id != SHEET]
        page = bank.get(SHEET)
        if page is not None and page.text:
            hits.insert(0, Hit(SHEET, 1 + max((hit.score for hit in hits), default=0.0), "the sheet"))
        return Retrieval(hits[: query.k])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        """A shown sheet answers for its lines on what was asked; a line that misled as often as it helped goes."""
        del ctx
        receipt, reward = trigger.receipt, trigger.reward
        if receipt is None or not reward or SHEET not in receipt.items:
            return []
        asked = set(stems(receipt.query.text))
        step = 1 if reward > 0 else -1
        lines = [
            line._replace(proved=line.proved + step) if len(asked & set(stems(line.text))) > 1 else line
            for line in sheet(bank)
        ]
        return written([line for line in lines if line.proved > 0], bank)


def lessons(event: Event, ctx: Ctx) -> list[tuple[str, str]]:
    """Lines and what they say. Without a model: what an attempt showed, sentences of a trajectory that give advice."""
    try:
        answer = ctx.llm(ASK + event.text[:8000])
    except NoModelError:
        return shown_by(event)
    found = [line.strip()[2:].strip() for line in answer.splitlines() if line.strip().startswith("- ")]
    return [(line[:WIDTH], "") for line in found if line][:3] or shown_by(event)


def shown_by(event: Event) -> list[tuple[str, str]]:
    if event.kind == "message":
        return []
    technique, about = said(event, "technique"), said(event, "state") or said(event, "task")
    if technique:
        outcome = "helped" if worked(event) else "did not help"
        return [(f"{about or 'anywhere'}: {technique} {outcome}"[:WIDTH], named(about, technique, outcome))]
    sentences = re.split(r"(?<=[.!?])\s+|\n+", event.text)
    return [(sentence.strip()[:WIDTH], "") for sentence in sentences if ADVICE.search(sentence)][:2]


def said(event: Event, name: str) -> str:
    value = event.data.get(name)
    return value if isinstance(value, str) else ""


def worked(event: Event) -> bool:
    feasible, gain = event.data.get("feasible"), event.data.get("gain")
    return feasible is not False and (gain > 0 if isinstance(gain, int | float) else feasible is True)


def alike(one: str, other: str) -> float:
    """Words in common, as a share of all; texts that differ in `not` differ."""
    a, b = set(re.findall(r"\w+", one.lower())), set(re.findall(r"\w+", other.lower()))
    opposed = ("not" in a) != ("not" in b)
    return 0.0 if opposed else len(a & b) / max(1, len(a | b))


def sheet(bank: BankView) -> list[Line]:
    page = bank.get(SHEET)
    kept: Any = page.meta.get("lines", []) if page else []
    return [Line(text, says, proved, tuple(sources)) for text, says, proved, sources in kept]


def written(lines: Sequence[Line], bank: BankView) -> list[Op]:
    best = sorted(lines, key=lambda line: -line.proved)
    text = "\n".join(f"- {line.text}" for line in best)
    sources = tuple(dict.fromkeys(chain.from_iterable(line.sources for line in best)))
    kept: list[JSON] = [[line.text, line.says, line.proved, list(line.sources)] for line in lines]
    if bank.get(SHEET) is None:
        return [Add(Record(SHEET, text, sources, "cheatsheet", meta={"lines": kept}))]
    return [Update(SHEET, {"text": text, "sources": sources, "meta": {"lines": kept}})]


def similar(bank: BankView, text: str, k: int, lexical: float) -> list[Hit]:
    """Cosine, and words by their share, each against its best."""
    if not lexical:
        return bank.dense(text, k)
    scores: dict[str, float] = {}
    for share, hits in ((1 - lexical, bank.dense(text, 3 * k)), (lexical, bank.lexical(text, 3 * k))):
        best = max((hit.score for hit in hits), default=1.0) or 1.0
        for hit in hits:
            scores[hit.id] = scores.get(hit.id, 0.0) + share * hit.score / best
    return [Hit(name, score) for name, score in sorted(scores.items(), key=lambda pair: -pair[1])[:k]]


def build(params: Mapping[str, float]) -> DynamicCheatsheet:
    return DynamicCheatsheet(filled(PARAMS, params))
