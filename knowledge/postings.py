"""An inverted index in memory: BM25 over stems of a few thousand texts, exact."""

import math
from collections import Counter

from knowledge.stems import stems

MOST_WORDS = 64
"""Distinct words of a query that count."""


class Postings:
    def __init__(self) -> None:
        self._where: dict[str, dict[int, int]] = {}
        """stem -> number of a text -> times."""
        self._counts: dict[int, Counter[str]] = {}
        self._lengths: dict[int, int] = {}
        self._total = 0

    def put(self, number: int, text: str) -> None:
        """Let `number` be found by the words of this text alone."""
        self.drop(number)
        counts = Counter(stems(text))
        self._counts[number] = counts
        self._lengths[number] = counts.total()
        self._total += self._lengths[number]
        for word, times in counts.items():
            self._where.setdefault(word, {})[number] = times

    def drop(self, number: int) -> None:
        if number not in self._counts:
            return
        self._total -= self._lengths.pop(number)
        for word in self._counts.pop(number):
            left = self._where[word]
            del left[number]
            if not left:
                del self._where[word]

    def scores(self, text: str, k1: float, b: float) -> dict[int, float]:
        """BM25 of every text that shares a word; higher is better."""
        asked = list(dict.fromkeys(stems(text)))[:MOST_WORDS]
        size, mean = len(self._counts), self._total / max(1, len(self._counts)) or 1.0
        least, slope, lengths = k1 * (1 - b), k1 * b / mean, self._lengths
        found: dict[int, float] = {}
        known = found.get
        for word in asked:
            having = self._where.get(word)
            if having is None:
                continue
            weight = math.log(1 + (size - len(having) + 0.5) / (len(having) + 0.5)) * (k1 + 1)
            for number, times in having.items():
                found[number] = known(number, 0.0) + weight * times / (times + least + slope * lengths[number])
        return found
