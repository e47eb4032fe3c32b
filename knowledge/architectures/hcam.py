"""Summaries of chunks lead to the details inside: hierarchical chunk attention memory.

HCAM (Lampinen et al. 2021, arXiv 2105.14039), its attention done as retrieval.
Kept: the stream is cut into chunks, here by scope and of 32 records at most; attention goes over the summaries first,
into the best 16 chunks, and a detail counts by itself and by how relevant its chunk is. A detail's neighbours count
too, as they do where attention reads a chunk as a sequence.
Left out: all that is learnt. A summary is found by the words of its members, not by their mean vector.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from knowledge.architecture import (
    Add,
    AddLink,
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
    Trigger,
    Update,
    Verbatim,
    filled,
    named,
)
from knowledge.stems import stems

PARAMS = {
    "k1": Param(1.2, 0.2, 3.0),
    "b": Param(0.75, 0.0, 1.0),
    "chunk_b": Param(0.1, 0.0, 1.0),
    "chunk_weight": Param(0.5, 0.0, 3.0),
    "beside": Param(0.5, 0.0, 1.0),
    "two_away": Param(0.2, 0.0, 1.0),
    "chunks": Param(16, 1, 64, whole=True),
    "chunk_size": Param(32, 4, 64, whole=True),
}
MEMBER = "member"
LONGEST = 40_000
"""Characters of its members that a summary is found by."""
QUOTED = 3
QUOTE = 300
DETAILS = 10_000


class Hcam(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        p = self._p
        alone = {hit.id: hit.score for hit in bank.lexical(query.text, DETAILS, k1=p["k1"], b=p["b"])}
        scores = dict(alone)
        for chunk in bank.lexical(query.text, int(p["chunks"]), k1=p["k1"], b=p["chunk_b"], kind="summary"):
            inside = members(bank.get(chunk.id))
            if inside:
                scores.pop(chunk.id, None)
                relevance = p["chunk_weight"] * chunk.score
                for name, score in zip(inside, self._attended([alone.get(name, 0.0) for name in inside]), strict=True):
                    scores[name] = relevance + score
        return Retrieval(list(_best(scores, query.k, bank)))

    def _attended(self, alone: Sequence[float]) -> list[float]:
        """What each member of a chunk is worth with those around it."""
        padded = [0.0, 0.0, *alone, 0.0, 0.0]
        beside, two_away = self._p["beside"], self._p["two_away"]
        return [
            score + beside * (padded[i + 1] + padded[i + 3]) + two_away * (padded[i] + padded[i + 4])
            for i, score in enumerate(alone)
        ]

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        if trigger.kind == "feedback":
            return
        size = int(self._p["chunk_size"])
        records = [record for record in bank.iter() if record.kind != "summary"]
        filling: dict[str, Record] = {}
        chunked: set[str] = set()
        for summary in bank.iter(kind="summary"):
            chunked.update(members(summary))
            if members(summary):
                filling[_scope(summary)] = summary
        waiting: dict[str, list[Record]] = {}
        for record in records:
            if record.id not in chunked:
                waiting.setdefault(_scope(record), []).append(record)
        for scope, new in waiting.items():
            chunk = filling.get(scope)
            room = size - len(members(chunk)) if chunk else 0
            if chunk and room > 0:
                yield from self._grown(chunk, new[:room], bank, ctx)
            for start in range(max(0, room), len(new), size):
                yield Add(self._chunk(scope, new[start : start + size], ctx))

    def _grown(self, chunk: Record, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        inside = [*filter(None, map(bank.get, members(chunk))), *new]
        told = self._chunk(_scope(chunk), inside, ctx)
        yield Update(chunk.id, {"text": told.text, "keys": told.keys, "sources": told.sources})
        for record in new:
            yield AddLink(chunk.id, Link(record.id, MEMBER))

    def _chunk(self, scope: str, inside: Sequence[Record], ctx: Ctx) -> Record:
        longest = LONGEST // int(self._p["chunk_size"])
        return Record(
            id=named("chunk", inside[0].id),
            text=summed_up(inside, ctx),
            sources=tuple(dict.fromkeys(source for record in inside for source in record.sources)),
            kind="summary",
            keys=tuple(record.text[:longest] for record in inside),
            links=tuple(Link(record.id, MEMBER) for record in inside),
            meta={"scope": scope},
            valid_from=inside[0].valid_from,
        )


def members(summary: Record | None) -> list[str]:
    return [link.target for link in summary.links if link.rel == MEMBER] if summary else []


def summed_up(inside: Sequence[Record], ctx: Ctx) -> str:
    """By the model; without one the records that have most in common with the rest."""
    texts = [record.text[:QUOTE] for record in inside]
    try:
        told = ctx.llm("Sum up in three sentences, with all names and dates:\n" + "\n".join(texts)).strip()
    except NoModelError:
        told = ""
    if told:
        return told[:2000]
    words = [set(stems(text)) for text in texts]
    common = Counter(word for own in words for word in own)
    weight = [sum(common[word] for word in own) / (len(own) + 5) for own in words]
    chosen = sorted(range(len(texts)), key=lambda i: (-weight[i], i))[:QUOTED]
    return "\n".join(texts[i] for i in sorted(chosen))


def _scope(record: Record) -> str:
    return str(record.meta.get("scope") or "")


def _best(scores: Mapping[str, float], k: int, bank: BankView) -> Iterator[Hit]:
    for name in sorted(scores, key=lambda name: -scores[name]):
        if k <= 0:
            return
        record = bank.get(name)
        if record is not None and record.status == "active":
            k -= 1
            yield Hit(name, scores[name])


def build(params: Mapping[str, float]) -> Hcam:
    return Hcam(filled(PARAMS, params))
