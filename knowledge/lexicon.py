"""Finds records by their words: BM25 over English stems.

Comparing every record that has a common word would take a hundred times longer than the rest of a recall. So the
rarest words of a query say which records are looked at, and those are compared by all words that say something.
Everything is read from the tables: the answer is the same in every process.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence

from knowledge.database import Database
from knowledge.stems import stems

MOST_WORDS = 64
"""Distinct words of a query that count."""
LEAST_WORDS = 2
"""Of them lead to records, however common they are."""
DEPTH = 2
"""How many times what is asked for is compared by all words, at 20 microseconds each."""
SATURATION, LENGTH_WEIGHT = 1.2, 0.75
"""BM25's k1 and b."""
RECORDS, LENGTHS = "*", "#"
"""Rows of `terms` that are no words: records, and words of all records together."""


class Lexicon:
    """Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, n: int, keys: str) -> None:
        """Let record `n` be found by the words of `keys` alone. Within a transaction."""
        found = stems(keys)
        text = " ".join(found)
        before = self._text(n)
        if before == text:
            return
        if before is not None:
            self.drop(n)
        self._database.run("INSERT INTO words (rowid, keys) VALUES (?, ?)", n, text)
        self._count(found, 1)

    def drop(self, n: int) -> None:
        """Let record `n` no longer be found. Within a transaction."""
        before = self._text(n)
        if before is not None:
            self._database.run("DELETE FROM words WHERE rowid = ?", n)
            self._count(before.split(), -1)

    def query(self, text: str) -> "Query":
        return Query(self._database, text)

    def search(self, text: str, limit: int, enough: int | None = None) -> dict[str, float]:
        return self.query(text).search(limit, enough)

    def _text(self, n: int) -> str | None:
        found = self._database.row("SELECT keys FROM words WHERE rowid = ?", n)
        return found[0] if found else None

    def _count(self, found: Sequence[str], sign: int) -> None:
        counts = dict.fromkeys(sorted(set(found)), sign) | {RECORDS: sign, LENGTHS: sign * len(found)}
        told = json.dumps(counts)
        self._database.run(
            "INSERT INTO terms SELECT key, value FROM json_each(?) WHERE true"
            " ON CONFLICT (term) DO UPDATE SET n = n + excluded.n",
            told,
        )
        if sign < 0:
            self._database.run("DELETE FROM terms WHERE n = 0 AND term IN (SELECT key FROM json_each(?))", told)


class Query:
    """One text, asked for at one moment; another moment may count its words differently."""

    def __init__(self, database: Database, text: str) -> None:
        self._database = database
        asked = list(dict.fromkeys(stems(text)))[:MOST_WORDS]
        rows = database.rows(
            "SELECT t.term, t.n FROM json_each(?) AS asked CROSS JOIN terms t ON t.term = asked.value",
            json.dumps([*asked, RECORDS, LENGTHS]),
        )
        self._known: dict[str, int] = dict(rows)
        """The words that some record has -> how many have it."""
        records = self._known.pop(RECORDS, 0)
        self._mean = max(1.0, self._known.pop(LENGTHS, 0) / max(1, records))
        self._weights = _weights(self._known, records)

    def search(self, limit: int, enough: int | None = None) -> dict[str, float]:
        """The best records and their BM25, best first; higher is better.

        `enough`: records to look at, at 2 microseconds each; None for all that have any of the words.
        """
        leading = " OR ".join(f'"{term}"' for term in _leading(self._known, enough))
        if not leading:
            return {}
        rows = self._database.rows(
            "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?", leading, DEPTH * limit
        )
        compared = self.scores([n for (n,) in rows])
        best = sorted(compared, key=lambda n: (-compared[n], n))[:limit]
        names = dict(
            self._database.rows(
                "SELECT r.n, r.id FROM json_each(?) AS found CROSS JOIN records r ON r.n = found.value",
                json.dumps(best),
            )
        )
        return {names[n]: compared[n] for n in best if n in names}

    def scores(self, numbers: Sequence[int]) -> dict[int, float]:
        """BM25 of these records, by their `n`; those without words are left out."""
        rows = self._database.rows(
            "SELECT rowid, keys FROM words WHERE rowid IN (SELECT value FROM json_each(?))", json.dumps(list(numbers))
        )
        return {n: _bm25(self._weights, keys.split(), self._mean) for n, keys in rows}


def _weights(known: Mapping[str, int], records: int) -> dict[str, float]:
    """What most records have says nothing, beside what few have."""
    telling = {term: n for term, n in known.items() if 2 * n <= records} or known
    return {term: math.log(1 + (records - n + 0.5) / (n + 0.5)) for term, n in telling.items()}


def _leading(known: Mapping[str, int], enough: int | None) -> list[str]:
    """The rarest words that together lead to no more than `enough` records."""
    leading: list[str] = []
    seen = 0
    for term, n in sorted(known.items(), key=lambda pair: (pair[1], pair[0])):
        seen += n
        if enough is not None and seen > enough and len(leading) >= LEAST_WORDS:
            break
        leading.append(term)
    return leading


def _bm25(weights: Mapping[str, float], words: Sequence[str], mean: float) -> float:
    counts = Counter(filter(weights.__contains__, words))
    lack = SATURATION * (1 - LENGTH_WEIGHT + LENGTH_WEIGHT * len(words) / mean)
    return sum(weights[stem] * n * (SATURATION + 1) / (n + lack) for stem, n in counts.items())
