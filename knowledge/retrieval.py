"""Finds experiences: stemmed BM25 and vectors, fused by z-scores.

Neither index is asked to filter (that is ten times slower): more is fetched than needed, the rest is dropped here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from knowledge.bank import Bank, Card
from knowledge.embed import Embedding
from knowledge.index import Index

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FACTOR = 4
"""How many times what is asked for is fetched."""


NO_SPREAD = 1e-9


class Match(NamedTuple):
    card: Card
    similarity: float
    """Cosine, -1 to 1."""
    fused: float
    """Sum of the z-scores among what was found; orders, means nothing alone."""


class Retrieval:
    def __init__(self, bank: Bank, index: Index, embedding: Embedding) -> None:
        self._bank = bank
        self._index = index
        self._embedding = embedding

    def find(self, text: str, wanted: int, keep: Callable[[Card], bool]) -> list[Match]:
        """Up to `wanted` records that `keep`, best match first, no content twice. Fetches all there is if it must."""
        width = FACTOR * wanted
        while True:
            matches = one_of_each(self.around(text, width, keep), sort=lambda card: card.content or card.id)
            if len(matches) >= wanted or width >= self._bank.count():
                return matches[:wanted]
            width *= 10

    def around(
        self,
        text: str,
        width: int,
        keep: Callable[[Card], bool],
        more: Iterable[str] = (),
        enough: int | None = None,
    ) -> list[Match]:
        """Those of the `width` best matches of each index, and of `more`, that `keep`; best match first.

        `enough`: as in `Bank.lexical`.
        """
        vector = self._embedding.embed([text])[0]
        lexical = self._bank.lexical(text, width, enough)
        dense = self._index.nearest(vector, width)
        kept = [card for card in self._bank.cards({*lexical, *dense, *more}) if keep(card)]
        return self._fused(kept, lexical, vector)

    def similarities(self, cards: Sequence[Card], text: str) -> dict[str, float]:
        """Cosine of each record to a text."""
        return self._cosines(cards, self._embedding.embed([text])[0])

    def _cosines(self, cards: Sequence[Card], vector: "NDArray[np.float32]") -> dict[str, float]:
        found = self._bank.vectors((card.id for card in cards), self._embedding.id)
        return {record: float(vector @ other) for record, other in found.items()}

    def _fused(self, cards: Sequence[Card], lexical: Mapping[str, float], vector: "NDArray[np.float32]") -> list[Match]:
        similar = self._cosines(cards, vector)
        dense = [similar.get(card.id, 0.0) for card in cards]
        both = zip(z_scores(dense), z_scores([lexical.get(card.id, 0.0) for card in cards]), strict=True)
        found = [Match(card, near, a + b) for card, near, (a, b) in zip(cards, dense, both, strict=True)]
        return sorted(found, key=lambda match: (-match.fused, -match.card.seq))


def z_scores(values: Sequence[float]) -> list[float]:
    """Deviations from the mean in units of the spread; all zero where there is none."""
    if not values:
        return []
    mean = sum(values) / len(values)
    spread = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
    return [(value - mean) / spread if spread > NO_SPREAD else 0.0 for value in values]


def one_of_each(matches: Sequence[Match], sort: Callable[[Card], str]) -> list[Match]:
    """The first place of each sort, taken by the one of it with the best score; no score is the lowest."""
    places: dict[str, Match] = {}
    for match in matches:
        name = sort(match.card)
        there = places.setdefault(name, match)
        if there.card.score is None or (match.card.score is not None and match.card.score > there.card.score):
            places[name] = match if match.card.score is not None else there
    return list(places.values())
