"""An atlas of centroids to find by meaning, a trace of events to find what came next to it.

Aeon (Arslan 2026, arXiv 2601.15311), its mechanisms without its machinery.
Kept: the Atlas, a tree of centroids that a beam descends greedily; the recent delta, which is not in the tree yet and
is scanned whole; the Trace, a chain of events by `next` within a scope and `refers_to` what an event continues, along
which what was found passes on part of its score; words fill up what meaning leaves empty.
The tree follows from the records alone, in their order, so that it is the same after a restart.
Left out: the semantic lookaside buffer, since a near enough earlier query would change the answer; memory-mapped
pages, INT8, the write-ahead log and epochs, which here belong to whoever holds the bank.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from knowledge.architecture import (
    Add,
    AddLink,
    BankView,
    Ctx,
    Event,
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
    verbatim,
)

Numbers: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Floats: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
PARAMS = {
    "beam": Param(4, 1, 16, whole=True),
    "fan": Param(8, 2, 32, whole=True),
    "leaf": Param(32, 4, 128, whole=True),
    "delta": Param(64, 1, 512, whole=True),
    "trace": Param(0.4, 0.0, 1.0),
    "words": Param(1.0, 0.0, 4.0),
}
NEXT, REFERS = "next", "refers_to"
ROUNDS = 3
"""Of moving centroids to the middle of what is nearest to them."""
SCOPES = 64
"""Whose last event is remembered."""


class Page(NamedTuple):
    """Either a leaf with rows of the matrix, or an inner one with a centroid for each child."""

    rows: Numbers
    centroids: Floats | None = None
    children: tuple["Page", ...] = ()


class Atlas(NamedTuple):
    known: tuple[tuple[str, str], ...]
    """Id and text of each record in the tree."""
    matrix: Floats
    root: Page


class Aeon(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params
        self._atlas: Atlas | None = None
        self._vectors: dict[str, Floats] = {}

    def encode(self, event: Event, ctx: Ctx) -> Iterator[Record]:
        del ctx
        yield verbatim(event)._replace(links=(Link(event.parent, REFERS),) if event.parent else ())

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        del ctx
        told = bank.state("last")
        last = {**told} if isinstance(told, dict) else {}
        for record in new:
            scope = str(record.meta.get("scope", ""))[:80]
            before = last.pop(scope, None)
            yield Add(record)
            if isinstance(before, str):
                yield AddLink(before, Link(record.id, NEXT))
            last[scope] = record.id
        yield SetState("last", dict([*last.items()][-SCOPES:]))

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        records = [(record.id, record.text) for record in bank.iter()]
        asked = ctx.embed([query.text])[0]
        charted = len(records) - len(records) % int(self._p["delta"])
        found: dict[str, float] = {}
        if charted:
            found.update(self._descended(self._charted(tuple(records[:charted]), ctx), asked))
        if recent := records[charted:]:
            scores = self._embedded([text for _, text in recent], ctx) @ asked
            found |= {name: float(score) for (name, _), score in zip(recent, scores, strict=True)}
        found = {name: score for name, score in found.items() if score > 0}
        lexical = bank.lexical(query.text, 2 * query.k + 10)
        for hit in lexical:
            found[hit.id] = found.get(hit.id, 0.0) + self._p["words"] * hit.score / lexical[0].score
        self._traced(found, query.k, bank)
        best = sorted(found, key=lambda name: -found[name])[: query.k]
        return Retrieval([Hit(name, found[name]) for name in best])

    def _charted(self, known: tuple[tuple[str, str], ...], ctx: Ctx) -> Atlas:
        if self._atlas is None or self._atlas.known != known:
            matrix = self._embedded([text for _, text in known], ctx)
            root = grown(np.arange(len(known)), matrix, int(self._p["fan"]), int(self._p["leaf"]))
            self._atlas = Atlas(known, matrix, root)
        return self._atlas

    def _embedded(self, texts: Sequence[str], ctx: Ctx) -> Floats:
        """Each text is embedded once for as long as this object lives."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if missing:
            self._vectors.update(zip(missing, ctx.embed(missing), strict=True))
        return np.stack([self._vectors[text] for text in texts])

    def _descended(self, atlas: Atlas, asked: Floats) -> Iterator[tuple[str, float]]:
        """On each level only the best pages are opened."""
        level = [atlas.root]
        leaves: list[Page] = []
        while level:
            leaves += [page for page in level if page.centroids is None]
            children = [
                (float(score), child)
                for page in level
                if page.centroids is not None
                for score, child in zip(page.centroids @ asked, page.children, strict=True)
            ]
            children.sort(key=lambda pair: -pair[0])
            level = [child for _, child in children[: int(self._p["beam"])]]
        for leaf in leaves:
            for row, score in zip(leaf.rows, atlas.matrix[leaf.rows] @ asked, strict=True):
                yield atlas.known[row][0], float(score)

    def _traced(self, found: dict[str, float], k: int, bank: BankView) -> None:
        """What was found passes part of its score on to what stands next to it in the trace."""
        best = sorted(found, key=lambda name: -found[name])[: 2 * k]
        passed: dict[str, float] = {}
        for name in best:
            for rel in (NEXT, REFERS):
                for hit in bank.near(name, rel):
                    passed[hit.id] = passed.get(hit.id, 0.0) + self._p["trace"] * found[name]
        for name, score in passed.items():
            found[name] = found.get(name, 0.0) + score


def grown(rows: Numbers, matrix: Floats, fan: int, leaf: int) -> Page:
    """A tree over these rows, by k-means from evenly spaced rows: the same for the same rows."""
    if len(rows) <= leaf:
        return Page(rows)
    inside = matrix[rows]
    centroids = inside[np.linspace(0, len(rows) - 1, fan).astype(int)]
    for _ in range(ROUNDS):
        nearest = np.argmax(inside @ centroids.T, axis=1)
        middles = np.stack([inside[nearest == i].sum(axis=0) for i in range(fan)])
        lengths = np.linalg.norm(middles, axis=1, keepdims=True)
        centroids = np.where(lengths > 0, middles / np.where(lengths > 0, lengths, 1), centroids)
    nearest = np.argmax(inside @ centroids.T, axis=1)
    held = [i for i in range(fan) if (nearest == i).any()]
    if len(held) == 1:
        return Page(rows)
    children = tuple(grown(rows[nearest == i], matrix, fan, leaf) for i in held)
    return Page(rows, centroids[held], children)


def build(params: Mapping[str, float]) -> Aeon:
    return Aeon(filled(PARAMS, params))
