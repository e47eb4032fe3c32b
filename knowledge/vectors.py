"""The vectors of the bank: one for each text that a record is found by, and embedding."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from knowledge.database import Database

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DTYPE = "<f2"


class Moved(NamedTuple):
    """A record that changed."""

    seq: int
    keyed: str
    """Hash of the text that it is found by: records of the same text share one vector."""
    vector: "NDArray[np.float32] | None"
    """None where no record is to be found by it any more, or none was made yet."""


class Vectors:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, keyed: str, embedding: str, vector: "NDArray[np.float32]") -> None:
        self._database.run("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", keyed, embedding, _blob(vector))

    def of(self, numbers: Sequence[int], embedding: str) -> "tuple[list[int], NDArray[np.float32]]":
        """(n of the records that have one, their vectors as rows)."""
        import numpy as np

        rows = self._database.rows(
            "SELECT r.n, v.vector FROM json_each(?) AS wanted CROSS JOIN records r ON r.n = wanted.value"
            " CROSS JOIN vectors v ON v.keyed = r.keyed AND v.embedding = ?",
            json.dumps(list(numbers)), embedding,
        )  # fmt: skip
        joined = np.frombuffer(b"".join(blob for _, blob in rows), dtype=DTYPE).astype(np.float32)
        return [n for n, _ in rows], joined.reshape(len(rows), -1 if rows else 0)

    def changed(self, after: int, embedding: str, limit: int) -> list[Moved]:
        """Records that changed after `after`, in that order."""
        rows = self._database.rows(
            "SELECT r.seq, r.keyed, CASE WHEN EXISTS (SELECT 1 FROM records a WHERE a.keyed = r.keyed"
            " AND a.status = 'active') THEN v.vector END FROM records r"
            " LEFT JOIN vectors v ON v.keyed = r.keyed AND v.embedding = ? WHERE r.seq > ? ORDER BY r.seq LIMIT ?",
            embedding, after, limit,
        )  # fmt: skip
        return [Moved(seq, keyed, None if blob is None else vector(blob)) for seq, keyed, blob in rows]

    def known(self, names: Sequence[str], embedding: str) -> set[str]:
        """Those of these hashes that have a vector."""
        rows = self._database.rows(
            "SELECT v.keyed FROM json_each(?) AS wanted CROSS JOIN vectors v"
            " ON v.keyed = wanted.value AND v.embedding = ?",
            json.dumps(list(names)), embedding,
        )  # fmt: skip
        return {name for (name,) in rows}

    def missing(self, embedding: str, limit: int) -> list[tuple[str, str]]:
        """(hash, text) of active records that this embedding has not seen."""
        rows = self._database.rows(
            "SELECT r.keyed, l.data FROM records r JOIN log l ON l.seq = r.seq"
            " WHERE r.status = 'active' AND NOT EXISTS"
            " (SELECT 1 FROM vectors v WHERE v.keyed = r.keyed AND v.embedding = ?) LIMIT ?",
            embedding, limit,
        )  # fmt: skip
        return list({keyed: json.loads(data)["keys"] for keyed, data in rows}.items())

    def forget(self, embedding: str) -> None:
        """Drop all vectors of this embedding."""
        self._database.run("DELETE FROM vectors WHERE embedding = ?", embedding)

    def forget_others(self, embedding: str) -> None:
        """Drop all vectors but those of this embedding."""
        self._database.run("DELETE FROM vectors WHERE embedding != ?", embedding)


def vector(blob: bytes) -> "NDArray[np.float32]":
    import numpy as np

    return np.frombuffer(blob, dtype=DTYPE).astype(np.float32)


def _blob(vector: "NDArray[np.float32]") -> bytes:
    return vector.astype(DTYPE).tobytes()
