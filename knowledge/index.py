"""The vector index: vectors kept by chroma, which can be made again from the bank at any time.

Every search first reads from the bank what changed since the vectors were written. A few changed records are compared
one by one, and all of them while the base is small; many are written. What is missing, broken, or of another bank or
embedding is thrown away and made again.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from evolve.errors import EvolveError, StorageError
from knowledge.bank import Bank
from knowledge.embed import Embedding
from knowledge.lock import locked
from knowledge.log import BASE
from knowledge.tail import DIGITS, Tail
from knowledge.vectors import Moved

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

BATCH = 256
"""Changed records that are written together: 0.1 s for one search in so many."""
SPARE = 16
"""How many more are fetched than asked for: who is last among equals is otherwise left to chance."""
EXACT = 10_000
"""As many vectors are compared one by one before chroma is given any: 1 ms, nothing missed, and nothing to load."""
PROBES, PROBED = 5, 50
"""Vectors that must be found when an index is opened, taken from so many records."""

logger = logging.getLogger(__name__)


class Origin(NamedTuple):
    """Whose vectors these are."""

    bank: str
    embedding: str
    dimension: int
    fingerprint: str
    """Differs when the vectors of an embedding are made anew under the same name."""


class Position(NamedTuple):
    """The last change of the bank that is in the index."""

    seq: int = 0
    time: float = 0.0
    """Of that change: where the bank tells another, the index is of a copy of the bank that went its own way."""
    rows: int = 0
    settled: bool = True
    """False once a writer was stopped midway: some later changes may be in the index too."""


class Store(Protocol):
    """Holds vectors by the hash of their text. One call at a time, whoever it comes from.

    Raises UsageError and StorageError for what the user must mend; any other exception means that it is broken.
    """

    def position(self) -> Position: ...

    def nearest(self, vector: "Vector", n: int) -> Sequence[tuple[str, float]]:
        """(text, cosine) of about `n` vectors; `n` is no more than there are."""
        ...

    def write(self, vectors: "Mapping[str, Vector]", gone: Sequence[str], position: Position) -> Position:
        """The position with the number of rows. `gone`: texts that need not be there."""
        ...

    def discard(self) -> None: ...

    def close(self) -> None: ...


class BrokenIndexError(Exception):
    """What the index holds is not what was written. Never leaves the index."""


class Index:
    """Safe from several threads and processes. Raises StorageError when even a new index cannot be written."""

    def __init__(self, store: Store, bank: Bank, embedding: str, lock: Path, exact: int) -> None:
        self._store = store
        self._bank = bank
        self._lock = lock
        self._exact = exact
        self._tail = Tail(bank, embedding)

    def nearest(self, vector: "Vector", n: int) -> list[str]:
        """Up to `n` records, the most similar first; every change that the bank has seen is in it."""
        with locked(self._lock):
            try:
                return self._nearest(vector, n)
            except EvolveError:
                raise
            except BaseException as e:  # the boundary to chromadb: its core panics with exceptions of any kind
                if isinstance(e, KeyboardInterrupt | SystemExit):
                    raise
                return self._made_again(e, vector, n)

    def discard(self) -> None:
        """The next search makes it again."""
        with locked(self._lock):
            self._store.discard()
            self._tail.forget()

    def close(self) -> None:
        self._store.close()

    def _made_again(self, cause: BaseException, vector: "Vector", n: int) -> list[str]:
        why = f"{type(cause).__name__}: {cause}"[:300]
        logger.info("the index is rebuilt: %s", why)
        self._bank.log.append(BASE, "index rebuilt", why)
        try:
            self._store.discard()
            return self._nearest(vector, n)
        except EvolveError:
            raise
        except Exception as e:  # a new index fails too: the disk or the server, not the index
            raise StorageError(f"cannot write the index in {self._store}: {e}") from e

    def _nearest(self, vector: "Vector", n: int) -> list[str]:
        position = self._caught_up()
        newer = self._tail.nearest(vector, n)
        width = min(n + SPARE, position.rows)
        while True:
            found = self._store.nearest(vector, width) if width else []
            similar = newer | {text: cosine for text, cosine in found if text not in self._tail}
            records = self._bank.found_by(similar)
            wider = min(2 * width + len(self._tail), position.rows)
            if len(records) >= n or len(found) < width or wider == width:  # chroma does not always find all it has
                break
            width = wider
        records.sort(key=lambda pair: (-round(similar[pair[0]], DIGITS), pair[1]))
        return [record for _, record in records[:n]]

    def _caught_up(self) -> Position:
        """Write what is worth writing; the position after it. What is newer is in the tail."""
        position = self._store.position()
        if position.seq and self._time(position.seq) != position.time:
            raise BrokenIndexError("it was written for a bank with another history")
        while True:
            most = BATCH if position.rows else self._exact
            self._tail.read(position.seq, most)
            if position.settled and len(self._tail) < most:
                return position
            position = self._written(position, self._tail.first())

    def _written(self, position: Position, tail: Sequence[Moved]) -> Position:
        vectors = {moved.keyed: moved.vector for moved in tail if moved.vector is not None}
        gone = [moved.keyed for moved in tail if moved.vector is None] if position.rows or not position.settled else []
        seq = tail[-1].seq if tail else position.seq
        return self._store.write(vectors, gone, Position(seq, self._time(seq)))

    def _time(self, seq: int) -> float:
        found = self._bank.database.row("SELECT time FROM log WHERE seq = ?", seq)
        return float(found[0]) if found else 0.0


def open_index(
    folder: Path, bank: Bank, embedding: Embedding, *, fingerprint: str = "", server: str = "", exact: int | None = None
) -> Index:
    """The index in a folder of this machine, or on the chroma server at `http://host:port`.

    Raises UsageError when nobody answers there. `fingerprint`: as in `Origin`. `exact`: vectors that are compared one
    by one before the first are written; `EXACT` in a folder, a server is given them at once.
    """
    from knowledge.embedded import Embedded
    from knowledge.served import Served

    origin = Origin(bank.id, embedding.id, embedding.dimension, fingerprint)

    def probes(until: int) -> "list[Vector]":
        moved = bank.vectors.changed(0, embedding.id, PROBED)
        return [each.vector for each in moved if each.vector is not None and each.vector.any() and each.seq <= until][
            :PROBES
        ]

    store = Served(server, origin, probes) if server else Embedded(folder, origin, probes)
    lock = folder.with_name(f"{folder.name}.lock")
    return Index(store, bank, embedding.id, lock, exact or (BATCH if server else EXACT))
