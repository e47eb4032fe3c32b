"""Segments of a stream, consolidated into events: answered from their summaries when sure, from details otherwise.

HippoMM (Lin et al. 2025, arXiv 2504.10739), for text instead of sound and vision.
Kept: a record that resembles nothing in the short-term buffer of 10 begins a new segment; consolidation keeps a
segment's key items, those not nearly the same as one kept before (similarity below .9), and writes a ThetaEvent, a
summary linked to all its members; recall takes the fast path through the summaries where one covers the question,
else the detailed one: single records, helped by their segment and by what stands next to them in time.
Left out: cross-modal association and the long-term buffer's limit of 100, so nothing is forgotten.
"""

from collections.abc import Iterator, Mapping, Sequence

from knowledge.architecture import (
    Add,
    BankView,
    Ctx,
    Hit,
    Link,
    NoModelError,
    Op,
    Param,
    Query,
    Record,
    Retrieval,
    SetState,
    Trigger,
    Verbatim,
    filled,
    named,
)
from knowledge.stems import stems

PARAMS = {
    "novel": Param(0.05, 0.0, 1.0),
    "buffer": Param(10, 2, 40, whole=True),
    "same": Param(0.9, 0.3, 1.0),
    "sure": Param(0.9, 0.1, 1.01),
    "segment": Param(0.5, 0.0, 2.0),
    "beside": Param(0.4, 0.0, 1.0),
}
BUFFER = "buffer"
MEMBER = "member"
QUOTED = 3
LONGEST = 40_000
"""Characters of its items that a segment is found by."""


class HippoMM(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        """The buffer holds the segment that is going on."""
        for record in new:
            yield Add(record)
            recent = _buffered(bank)
            if recent and (len(recent) >= self._p["buffer"] or self._novel(record, recent, ctx)):
                yield from self._consolidated(recent, ctx)
                recent = []
            yield SetState(BUFFER, [*(item.id for item in recent), record.id])

    def _novel(self, record: Record, recent: Sequence[Record], ctx: Ctx) -> bool:
        if record.meta.get("scope") != recent[-1].meta.get("scope"):
            return True
        vectors = ctx.embed([record.text, *(item.text for item in recent)])
        return bool((vectors[1:] @ vectors[0]).max() < self._p["novel"])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterator[Op]:
        recent = _buffered(bank)
        if recent and (trigger.kind == "close" or len(recent) >= self._p["buffer"]):
            yield from self._consolidated(recent, ctx)
            yield SetState(BUFFER, [])

    def _consolidated(self, items: Sequence[Record], ctx: Ctx) -> Iterator[Op]:
        key = self._key_items(items, ctx)
        quoted = key[:QUOTED]
        quotes = "\n".join(item.text for item in quoted)[:4000]
        try:
            said = ctx.llm("What happened here? Two sentences.\n" + "\n".join(item.text for item in key)[:8000])
        except NoModelError:
            said = ""
        yield Add(
            Record(
                id=named("theta", items[0].id),
                text="\n".join(filter(None, (said.strip()[:1000], quotes))),
                sources=tuple(dict.fromkeys(source for item in quoted for source in item.sources)),
                kind="summary",
                keys=tuple(item.text[: LONGEST // len(key)] for item in key),
                links=tuple(Link(item.id, MEMBER) for item in items),
                meta={"scope": items[0].meta.get("scope", "")},
                valid_from=items[0].valid_from,
            )
        )

    def _key_items(self, items: Sequence[Record], ctx: Ctx) -> list[Record]:
        """In the order of what they add; the first is nearest to the middle of all."""
        vectors = ctx.embed([item.text for item in items])
        middle = vectors @ vectors.mean(axis=0)
        kept: list[int] = []
        for place in sorted(range(len(items)), key=lambda i: (-float(middle[i]), i)):
            if not kept or float((vectors[kept] @ vectors[place]).max()) < self._p["same"]:
                kept.append(place)
        return [items[place] for place in kept]

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        events = bank.lexical(query.text, 16, b=0.3, kind="summary")
        detailed = self._details(query, events, bank)
        event = bank.get(events[0].id) if events else None
        if event is None or _covered(query.text, event.text) < self._p["sure"]:
            return Retrieval(detailed[: query.k])
        first = max(events[0].score, detailed[0].score if detailed else 0.0) + 1
        rest = [hit for hit in detailed if hit.id != event.id]
        return Retrieval([Hit(event.id, first, "a summary covers the question"), *rest][: query.k])

    def _details(self, query: Query, events: Sequence[Hit], bank: BankView) -> list[Hit]:
        alone = {hit.id: hit.score for hit in bank.lexical(query.text, 1000)}
        scores = dict(alone)
        for event in events:
            inside = _members(bank.get(event.id))
            if inside:
                scores.pop(event.id, None)
            padded = [0.0, *(alone.get(name, 0.0) for name in inside), 0.0]
            for place, name in enumerate(inside):
                around = self._p["beside"] * (padded[place] + padded[place + 2])
                scores[name] = padded[place + 1] + around + self._p["segment"] * event.score
        best = sorted(scores, key=lambda name: -scores[name])[: 2 * query.k + 10]
        known = ((name, bank.get(name)) for name in best)
        return [Hit(name, scores[name]) for name, record in known if record and record.status == "active"]


def _covered(question: str, text: str) -> float:
    """Share of what is asked for that a text speaks of: how sure an answer from it can be."""
    asked, there = set(stems(question)), set(stems(text))
    return len(asked & there) / len(asked) if asked else 0.0


def _members(summary: Record | None) -> list[str]:
    return [link.target for link in summary.links if link.rel == MEMBER] if summary else []


def _buffered(bank: BankView) -> list[Record]:
    names = bank.state(BUFFER, [])
    known = map(bank.get, (str(name) for name in names)) if isinstance(names, list) else ()
    return [record for record in known if record is not None and record.status == "active"]


def build(params: Mapping[str, float]) -> HippoMM:
    return HippoMM(filled(PARAMS, params))
