"""The vector index: a chromadb collection that can be rebuilt from the bank at any time.

chromadb is not safe for several processes, and a client that was open while another wrote stays wrong for ever.
So every use holds a lock file, and a client is kept only while `state.json` still has the mark it was opened at.
The newest few records are not in the collection yet: they are compared one by one, and written in batches.
Whatever is missing, broken or of another bank is thrown away and built again.
"""

import json
import logging
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from evolve.errors import StorageError
from knowledge.bank import Bank
from knowledge.lock import locked

if TYPE_CHECKING:
    import numpy as np
    from chromadb.api.models.Collection import Collection
    from numpy.typing import NDArray

BATCH = 64
"""Changed records that are written together: about as dear as four single ones."""
CHUNK = 1000
PROBES = 5
"""Vectors that an index is asked for when it is opened."""
SAME = 1e-3
"""Cosine distance of a vector to itself, at most."""
COLLECTION = "experiences"

logger = logging.getLogger(__name__)


class State(NamedTuple):
    """What the files on disk hold."""

    bank: str
    seq: int = 0
    """The last change of the bank that is in the collection."""
    rows: int = 0
    mark: str = ""
    """Drawn by each writer; empty while one writes."""


class BrokenIndexError(Exception):
    """The files are not what the state says. Never leaves this module."""


class Index:
    """Safe from several threads and processes. Raises StorageError when even a new index cannot be written."""

    def __init__(self, folder: Path, bank: Bank, embedding: str) -> None:
        self._folder = folder / embedding
        self._lock = folder.with_name(f"{folder.name}.lock")
        self._bank = bank
        self._bank_id = bank.id
        self._embedding = embedding
        self._collection: Collection | None = None
        self._mark = ""

    def nearest(self, vector: "NDArray[np.float32]", n: int) -> list[str]:
        """Up to `n` records, the most similar first; every change that the bank has seen is in it."""
        with locked(self._lock):
            try:
                return self._nearest(vector, n)
            except StorageError:
                raise
            except BaseException as e:  # the boundary to chromadb: its core panics with exceptions of any kind
                if isinstance(e, KeyboardInterrupt | SystemExit):
                    raise
                return self._rebuilt(e, vector, n)

    def _rebuilt(self, cause: BaseException, vector: "NDArray[np.float32]", n: int) -> list[str]:
        why = f"{type(cause).__name__}: {cause}"[:300]
        logger.info("the index in %s is rebuilt: %s", self._folder, why)
        self._bank.log("index rebuilt", why)
        self._discard()
        try:
            return self._nearest(vector, n)
        except Exception as e:  # a new index fails too: the disk, not the index
            raise StorageError(f"cannot write the index in {self._folder}: {e}") from e

    def close(self) -> None:
        self._collection, self._mark = None, ""

    def _nearest(self, vector: "NDArray[np.float32]", n: int) -> list[str]:
        state, tail = self._caught_up()
        similar = {record: float(vector @ other) for _, record, other in tail}
        if state.rows:
            found = self._open(state).query(
                query_embeddings=[vector.tolist()], n_results=min(n, state.rows), include=["distances"]
            )
            for record, distance in zip(found["ids"][0], (found["distances"] or [[]])[0], strict=True):
                similar.setdefault(record, 1 - distance)
        return sorted(similar, key=lambda record: (-similar[record], record))[:n]

    def _caught_up(self) -> tuple[State, "Sequence[tuple[int, str, NDArray[np.float32]]]"]:
        """Write what is worth writing; the state after it, and what is newer."""
        state = self._state()
        while True:
            tail = self._bank.changed(state.seq, self._embedding, CHUNK)
            if len(tail) < BATCH:
                return state, tail
            state = self._write(state, tail)

    def _write(self, state: State, batch: "Sequence[tuple[int, str, NDArray[np.float32]]]") -> State:
        collection = self._open(state)
        self._save(state._replace(mark=""))
        collection.upsert(
            ids=[record for _, record, _ in batch], embeddings=[vector.tolist() for _, _, vector in batch]
        )
        state = State(self._bank_id, batch[-1][0], collection.count(), secrets.token_hex(8))
        self._save(state)
        self._mark = state.mark
        return state

    def _open(self, state: State) -> "Collection":
        """The collection as it is on disk now."""
        if self._collection is None or state.mark != self._mark or not state.mark:
            self._collection = _collection(self._folder)
            self._mark = state.mark
            if state.mark:
                self._check(self._collection, state)
        return self._collection

    def _check(self, collection: "Collection", state: State) -> None:
        """Where vector files are lost or garbled chromadb starts new ones without a word: ask for known ones."""
        if collection.count() != state.rows:
            raise BrokenIndexError(f"{collection.count()} rows where {state.rows} were written")
        known = [vector.tolist() for vector in self._bank.oldest_vectors(self._embedding, state.seq, PROBES)]
        found = collection.query(query_embeddings=known, n_results=1, include=["distances"])["distances"]
        if any(not near or near[0] > SAME for near in found or ()):
            raise BrokenIndexError("vectors that were written are not found")

    def _state(self) -> State:
        """What is on disk; anything that is not an index of this bank is discarded."""
        try:
            state = State(**json.loads((self._folder / "state.json").read_text()))
        except FileNotFoundError:
            state = None
        except (ValueError, TypeError) as e:
            raise BrokenIndexError(f"state.json: {e}") from e
        if state is None or state.bank != self._bank_id or state.seq > self._bank.seq:
            self._discard()
            return State(self._bank_id)
        return state

    def _save(self, state: State) -> None:
        new = self._folder / "state.json.new"
        new.write_text(json.dumps(state._asdict()))
        new.replace(self._folder / "state.json")

    def _discard(self) -> None:
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _collection(folder: Path) -> "Collection":
    import chromadb
    from chromadb.api.collection_configuration import CreateCollectionConfiguration, CreateHNSWConfiguration
    from chromadb.api.shared_system_client import SharedSystemClient
    from chromadb.config import Settings

    # chromadb shares one open database between all clients of a path, and so would give back the stale one.
    SharedSystemClient.clear_system_cache()
    folder.mkdir(parents=True, exist_ok=True)
    client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
    options = CreateCollectionConfiguration(hnsw=CreateHNSWConfiguration(space="cosine"))
    return client.get_or_create_collection(COLLECTION, embedding_function=None, configuration=options)
