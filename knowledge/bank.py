"""The truth of the knowledge base: what happened, what was learnt from it, and every change in order.

Events are never updated; records (experiences) have versions; `seq` numbers every change, so that an index can
catch up. Not covered yet: earlier versions of a record are not kept (they can be derived from the events again).
"""

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from evolve.types import Experience
from knowledge.database import Database
from knowledge.embed import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_WORDS, MOST_WORDS = 2, 64
"""Words of a lexical query."""
GROWTH = 1.2
CARD = "r.id, r.seq, r.kind, r.task, r.domain, r.state, r.technique, r.score, r.content"


class Card(NamedTuple):
    """What must be known of a record to decide whether it is worth reading."""

    id: str
    seq: int
    kind: str
    task: str
    domain: str
    state: str
    technique: str
    score: float | None
    content: str
    """Hash of the payload; empty when it has none."""


class Bank:
    """Raises StorageError and UsageError as `Database` does."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path)
        self.path = path
        self._counted: dict[str, int] = {}
        self._counted_at = 0

    def close(self) -> None:
        self.database.close()

    def transaction(self) -> AbstractContextManager[None]:
        return self.database.transaction()

    @property
    def id(self) -> str:
        """Drawn when the bank was made: an index of another bank is recognised by it."""
        found = self.database.row("SELECT value FROM meta WHERE key = 'id'")
        return str(found[0]) if found else ""

    @property
    def seq(self) -> int:
        found = self.database.row("SELECT max(seq) FROM log")
        return int(found[0] or 0) if found else 0

    def log(self, what: str, why: str) -> int:
        return self.database.run("INSERT INTO log (time, what, why) VALUES (?, ?, ?)", time.time(), what, why)

    # -- events

    def add_event(self, event: str, *, kind: str, task: str, data: str, record: str | None = None) -> None:
        """Once for each id; what is already there stays as it is."""
        self.database.run(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            event, kind, task, time.time(), data, record,
        )  # fmt: skip

    def learnt_from(self, event: str) -> str | None:
        """The record that holds what was learnt from an attempt."""
        found = self.database.row("SELECT record FROM events WHERE id = ?", event)
        return str(found[0]) if found and found[0] else None

    # -- records

    def put(
        self,
        experience: Experience,
        *,
        keys: str,
        content: str,
        vector: "NDArray[np.float32]",
        embedding: str,
        why: str,
    ) -> None:
        """Add a record, or the next version of it. `keys`: the text it is found by."""
        with self.transaction():
            found = self.database.row("SELECT n, version FROM records WHERE id = ?", experience.id)
            version = found[1] + 1 if found else 1
            seq = self.log(f"record {experience.id} v{version}", why)
            gain, score = experience.metrics.get("gain"), experience.metrics.get("score")
            inserted = self.database.run(
                "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " version = excluded.version, seq = excluded.seq, score = excluded.score, gain = excluded.gain,"
                " content = excluded.content, keys = excluded.keys, data = excluded.data",
                found[0] if found else None, experience.id, version, seq, experience.kind, experience.task,
                experience.domain, experience.state, experience.technique, score, gain, content, keys,
                experience.model_dump_json(exclude_defaults=True),
            )  # fmt: skip
            n = found[0] if found else inserted
            self.database.run("DELETE FROM words WHERE rowid = ?", n)
            self.database.run("INSERT INTO words (rowid, keys) VALUES (?, ?)", n, " ".join(words(keys)))
            self.put_vector(n, embedding, vector)

    def put_vector(self, n: int, embedding: str, vector: "NDArray[np.float32]") -> None:
        self.database.run(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", n, embedding, vector.astype("<f2").tobytes()
        )

    def get(self, record: str) -> Experience | None:
        return next(iter(self.many([record])), None)

    def many(self, records: Sequence[str]) -> list[Experience]:
        """In the order asked for; those that are not there are left out."""
        rows = self.database.rows(
            "SELECT data FROM json_each(?) AS wanted JOIN records r ON r.id = wanted.value ORDER BY wanted.key",
            json.dumps(records),
        )
        return [Experience.model_validate_json(data) for (data,) in rows]

    def ids(self) -> list[str]:
        return [name for (name,) in self.database.rows("SELECT id FROM records")]

    def count(self) -> int:
        found = self.database.row("SELECT count(*) FROM records")
        return int(found[0]) if found else 0

    def same_content(self, task: str, content: str, kind: str) -> str | None:
        """The record that already holds this content of this task."""
        found = self.database.row(
            "SELECT id FROM records WHERE task = ? AND content = ? AND kind = ?", task, content, kind
        )
        return str(found[0]) if found else None

    def outcomes(self) -> list[tuple[str, str, str, str, float | None, str]]:
        """(domain, state, technique, kind, gain, attempt) of every trace and failure, oldest first."""
        return self.database.rows(
            "SELECT domain, state, technique, kind, gain, json_extract(data, '$.sources[0]') FROM records"
            " WHERE kind IN ('trace', 'failure') ORDER BY n"
        )

    # -- finding

    def cards(self, records: Iterable[str]) -> list[Card]:
        rows = self.database.rows(
            f"SELECT {CARD} FROM json_each(?) AS wanted JOIN records r ON r.id = wanted.value",  # noqa: S608  a constant
            json.dumps(list(records)),
        )
        return [Card(*row) for row in rows]

    def insights(self, domain: str, state: str | None, limit: int) -> list[Card]:
        """Of one bottleneck state, or of all where it is None; the most promising first."""
        rows = self.database.rows(
            f"SELECT {CARD} FROM records r WHERE kind = 'insight' AND domain = ? AND state = coalesce(?, state)"  # noqa: S608
            " ORDER BY json_extract(data, '$.metrics.expected') DESC, seq DESC LIMIT ?",
            domain, state, limit,
        )  # fmt: skip
        return [Card(*row) for row in rows]

    def leaders(self, domain: str, state: str) -> list[str]:
        """The best traces of every task, overall and out of one bottleneck state.

        The tasks are found by jumping from one to the next in an index: the cost is that of the tasks, not of their
        experiences.
        """
        rows = self.database.rows(
            "WITH RECURSIVE tasks (task) AS ("
            " SELECT min(task) FROM records WHERE domain = :domain AND kind = 'trace'"
            " UNION ALL SELECT (SELECT min(task) FROM records WHERE domain = :domain AND kind = 'trace'"
            " AND task > tasks.task) FROM tasks WHERE task IS NOT NULL)"
            " SELECT (SELECT id FROM records WHERE domain = :domain AND kind = 'trace' AND task = tasks.task"
            " ORDER BY score DESC LIMIT 1),"
            " (SELECT id FROM records WHERE domain = :domain AND kind = 'trace' AND state = :state"
            " AND task = tasks.task ORDER BY score DESC LIMIT 1)"
            " FROM tasks WHERE task IS NOT NULL",
            domain=domain, state=state,
        )  # fmt: skip
        return list({name: None for row in rows for name in row if name})

    def resting_on(self, tasks: Iterable[str]) -> set[str]:
        """Records distilled from attempts at any of these tasks."""
        rows = self.database.rows(
            "SELECT DISTINCT r.id FROM records r, json_each(r.data, '$.sources') s JOIN events e ON e.id = s.value"
            " WHERE r.kind = 'insight' AND e.task IN (SELECT value FROM json_each(?))",
            json.dumps(list(tasks)),
        )
        return {name for (name,) in rows}

    def lexical(self, text: str, limit: int, enough: int | None = None) -> dict[str, float]:
        """BM25 of the best records, higher is better.

        `enough`: records to look at; the rarest words come first, and those that lead beyond it are left out: they
        say little, and looking at every record takes time.
        """
        known = {term: n for term, n in self._frequencies(words(text)).items() if n}
        asked: list[str] = []
        seen = 0
        for term, n in sorted(known.items(), key=lambda pair: pair[1]):
            seen += n
            if enough is None or seen <= enough or len(asked) < LEAST_WORDS:
                asked.append(f'"{term}"')
        if not asked:
            return {}
        rows = self.database.rows(
            "SELECT r.id, -found.rank FROM (SELECT rowid, rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?)"
            " AS found JOIN records r ON r.n = found.rowid",
            " OR ".join(asked), limit,
        )  # fmt: skip
        return dict(rows)

    def _frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """Records that have each word, roughly: counted again when the bank has grown by a fifth."""
        count = self.count()
        if not self._counted_at <= count <= self._counted_at * GROWTH:
            self._counted, self._counted_at = {}, count
        found: dict[str, int] = {}
        for term in list(dict.fromkeys(terms))[:MOST_WORDS]:
            if not (n := self._counted.get(term, 0)):
                row = self.database.row("SELECT count(*) FROM words WHERE words MATCH ?", f'"{term}"')
                n = self._counted[term] = int(row[0]) if row else 0
            found[term] = n
        return found

    # -- vectors

    def vectors(self, records: Iterable[str], embedding: str) -> "dict[str, NDArray[np.float32]]":
        rows = self.database.rows(
            "SELECT r.id, v.vector FROM json_each(?) AS wanted JOIN records r ON r.id = wanted.value"
            " JOIN vectors v ON v.record = r.n AND v.embedding = ?",
            json.dumps(list(records)), embedding,
        )  # fmt: skip
        return {name: _vector(blob) for name, blob in rows}

    def changed(self, after: int, embedding: str, limit: int) -> "list[tuple[int, str, NDArray[np.float32]]]":
        """(seq, record, vector) of the records that changed after `after`, in that order."""
        rows = self.database.rows(
            "SELECT r.seq, r.id, v.vector FROM records r JOIN vectors v ON v.record = r.n AND v.embedding = ?"
            " WHERE r.seq > ? ORDER BY r.seq LIMIT ?",
            embedding, after, limit,
        )  # fmt: skip
        return [(seq, name, _vector(blob)) for seq, name, blob in rows]

    def oldest_vectors(self, embedding: str, until: int, limit: int) -> "list[NDArray[np.float32]]":
        """Of the records that last changed the longest ago, up to the change `until`."""
        return [vector for seq, _, vector in self.changed(0, embedding, limit) if seq <= until]

    def without_vector(self, embedding: str, limit: int) -> list[tuple[int, str]]:
        """(n, keys) of records that this embedding has not seen."""
        return self.database.rows(
            "SELECT n, keys FROM records WHERE n NOT IN (SELECT record FROM vectors WHERE embedding = ?) LIMIT ?",
            embedding, limit,
        )  # fmt: skip


def _vector(blob: bytes) -> "NDArray[np.float32]":
    import numpy as np

    return np.frombuffer(blob, dtype="<f2").astype(np.float32)
