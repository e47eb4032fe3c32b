"""Vectors in a folder of this machine, by chroma inside this process.

chroma's files are not safe for several processes, and a client that was open while another wrote stays wrong for
ever. So there is one caller at a time, and a client is kept only while `state.json` still has the mark it was opened
at.
"""

import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from knowledge import collection
from knowledge.index import BrokenIndexError, Origin, Position

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection

    from knowledge.collection import Probes, Vector

COLLECTION = "texts"


class State(NamedTuple):
    """What the files on disk hold."""

    seq: int
    time: float
    rows: int
    mark: str = ""
    """Drawn by each writer; empty while one writes."""


class Embedded:
    def __init__(self, folder: Path, origin: Origin, probes: "Probes") -> None:
        self._folder = folder / collection.plain(origin.embedding)
        self._origin = origin
        self._probes = probes
        self._collection: Collection | None = None
        self._mark = ""

    def __str__(self) -> str:
        return str(self._folder)

    def position(self) -> Position:
        state = self._state()
        if state is None:
            self.discard()
            return Position()
        position = Position(state.seq, state.time, state.rows, settled=bool(state.mark))
        if self._collection is None or state.mark != self._mark or not state.mark:
            self._collection = self._open()
            collection.check_origin(self._collection, self._origin)
            collection.check(self._collection, position, self._probes)
            self._mark = state.mark
        return position

    def nearest(self, vector: "Vector", n: int) -> list[tuple[str, float]]:
        return collection.nearest(self._opened(), vector, n)

    def write(self, vectors: "Mapping[str, Vector]", gone: Sequence[str], position: Position) -> Position:
        opened = self._opened()
        before = self._state() or State(0, 0.0, 0)
        self._save(before._replace(mark=""))
        rows = collection.write(opened, vectors, gone)
        self._mark = secrets.token_hex(8)
        self._save(State(position.seq, position.time, rows, self._mark))
        return position._replace(rows=rows)

    def discard(self) -> None:
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        self._collection, self._mark = None, ""

    def _opened(self) -> "Collection":
        if self._collection is None:
            self._collection = self._open()
        return self._collection

    def _open(self) -> "Collection":
        import chromadb
        from chromadb.api.shared_system_client import SharedSystemClient
        from chromadb.config import Settings
        from chromadb.errors import NotFoundError

        # chroma shares one open database between all clients of a path, and so would give back the stale one.
        SharedSystemClient.clear_system_cache()
        self._folder.mkdir(parents=True, exist_ok=True)
        client = chromadb.PersistentClient(str(self._folder), settings=Settings(anonymized_telemetry=False))
        try:
            return client.get_collection(COLLECTION, embedding_function=None)
        except NotFoundError:
            return collection.create(client, COLLECTION, self._origin._asdict())

    def _state(self) -> State | None:
        try:
            return State(**json.loads((self._folder / "state.json").read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as e:
            raise BrokenIndexError(f"state.json: {e}") from e

    def _save(self, state: State) -> None:
        new = self._folder / "state.json.new"
        new.write_text(json.dumps(state._asdict()))
        new.replace(self._folder / "state.json")
