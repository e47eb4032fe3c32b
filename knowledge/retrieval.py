"""Finds experiences: stemmed BM25 and vectors, fused by z-scores.

Neither index is asked to filter (that is ten times slower): more is fetched than needed, the rest is dropped here.
What either finds is measured exactly by both.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from knowledge.bank import Bank, Card
from knowledge.embed import Embedding
from knowledge.index import Index
from knowledge.values import z_scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FACTOR = 4
"""How many times what is asked for is fetched."""
ENOUGH = 10_000
"""Records that the words of a search may lead to at first."""
WIDER = 10
"""How many times more is fetched when too few were kept."""
LATELY = 8
"""Texts whose vectors are kept: one recall asks for the same one several times."""
MOST_TASKS = 12
"""Tasks whose leaders are asked for."""


class Match(NamedTuple):
    card: Card
    similarity: float
    """Cosine, -1 to 1."""
    words: float
    """z-score of the BM25 among what was found."""
    meaning: float
    """z-score of the similarity among what was found."""

    @property
    def fused(self) -> float:
        """Orders; means nothing alone."""
        return self.words + self.meaning


class Retrieval:
    """Raises StorageError, UsageError where the index's server does not answer, ModelError as the embedding does."""

    def __init__(self, bank: Bank, index: Index, embedding: Embedding) -> None:
        self._bank = bank
        self._index = index
        self._embedding = embedding
        self._vector = lru_cache(maxsize=LATELY)(self._embedded)

    def _embedded(self, text: str) -> "NDArray[np.float32]":
        vector: NDArray[np.float32] = self._embedding.embed([text])[0]
        return vector

    def find(self, text: str, wanted: int, keep: Callable[[Card], bool]) -> list[Match]:
        """Up to `wanted` records that `keep`, best match first, no content twice. Fetches all there is if it must."""
        width, enough = FACTOR * wanted, ENOUGH
        while True:
            matches = one_of_each(
                self.around(text, width, keep, enough=enough), sort=lambda card: card.content or card.id
            )
            if len(matches) >= wanted or width >= self._bank.count():
                return matches[:wanted]
            width, enough = width * WIDER, enough * WIDER

    def around(
        self,
        text: str,
        width: int,
        keep: Callable[[Card], bool],
        more: Callable[[Sequence[str]], Iterable[str]] = lambda _: (),
        enough: int | None = None,
    ) -> list[Match]:
        """Those of the `width` best matches of each index, and of `more`, that `keep`; best match first.

        `more`: given the tasks of the best matches, names further records. `enough`: as in `Query.search`.
        """
        found = _Found(self._bank, self._embedding.id, self._vector(text), text)
        found.add(card for card in self._bank.cards(found.nearest(self._index, width, enough)) if keep(card))
        tasks = dict.fromkeys(match.card.task for match in found.matches() if match.card.task)
        found.add(card for card in self._bank.cards(more(list(tasks)[:MOST_TASKS])) if keep(card))
        return found.matches()

    def discard(self) -> None:
        """Let the index be made again by the next search."""
        self._index.discard()

    def catch_up(self) -> None:
        """Bring the index in step now, so that no search has to."""
        self._index.nearest(self._vector(""), 1)

    def close(self) -> None:
        self._index.close()

    def similarities(self, cards: Sequence[Card], text: str) -> dict[int, float]:
        """Cosine of each record to a text, by the record's `n`."""
        return _cosines(self._bank, self._embedding.id, cards, self._vector(text))


class _Found:
    """What was found for one text, measured by words and by vectors."""

    def __init__(self, bank: Bank, embedding: str, vector: "NDArray[np.float32]", text: str) -> None:
        self._bank = bank
        self._embedding = embedding
        self._vector = vector
        self._query = bank.lexicon.query(text)
        self._lexical: Mapping[str, float] = {}
        self._cards: dict[int, Card] = {}
        self._words: dict[int, float] = {}
        self._similar: dict[int, float] = {}

    def nearest(self, index: Index, width: int, enough: int | None) -> set[str]:
        self._lexical = self._query.search(width, enough)
        return {*self._lexical, *index.nearest(self._vector, width)}

    def add(self, cards: Iterable[Card]) -> None:
        new = sorted({card for card in cards if card.n not in self._cards}, key=lambda card: card.n)
        self._cards |= {card.n: card for card in new}
        self._words |= {card.n: self._lexical[card.id] for card in new if card.id in self._lexical}
        unknown = [card.n for card in new if card.n not in self._words]
        self._words |= self._query.scores(unknown)
        self._similar |= _cosines(self._bank, self._embedding, new, self._vector)

    def matches(self) -> list[Match]:
        numbers = sorted(self._cards)
        similar = [self._similar.get(n, 0.0) for n in numbers]
        words = z_scores([self._words.get(n, 0.0) for n in numbers])
        found = [
            Match(self._cards[n], near, by_words, by_meaning)
            for n, near, by_words, by_meaning in zip(numbers, similar, words, z_scores(similar), strict=True)
        ]
        return sorted(found, key=lambda match: (-match.fused, match.card.n))


def _cosines(bank: Bank, embedding: str, cards: Sequence[Card], vector: "NDArray[np.float32]") -> dict[int, float]:
    numbers, matrix = bank.vectors.of([card.n for card in cards], embedding)
    return dict(zip(numbers, (matrix @ vector).tolist(), strict=True)) if numbers else {}


def one_of_each(matches: Sequence[Match], sort: Callable[[Card], str]) -> list[Match]:
    """The first place of each sort, taken by the one of it with the best score; no score is the lowest."""
    places: dict[str, Match] = {}
    for match in matches:
        name = sort(match.card)
        there = places.setdefault(name, match)
        if there.card.score is None or (match.card.score is not None and match.card.score > there.card.score):
            places[name] = match if match.card.score is not None else there
    return list(places.values())
