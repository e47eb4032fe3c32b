"""Vectors on a chroma server, in one collection for each bank and embedding.

The position is kept in the collection's metadata and written after the vectors, so a writer that was stopped midway
is repeated. Several machines may share a server, each with its own banks; whoever deletes a collection only makes it
be written again.
"""

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from evolve.errors import UsageError
from knowledge import collection
from knowledge.index import BrokenIndexError, Origin, Position

if TYPE_CHECKING:
    import httpx
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

    from knowledge.collection import Probes, Vector

SECONDS = 5.0
"""For a server to say that it is there."""
LONGEST = 120.0
"""Seconds for one request."""


class Served:
    """Raises UsageError when nobody answers at the address."""

    def __init__(self, address: str, origin: Origin, probes: "Probes") -> None:
        parts = urlsplit(address)
        self._address = address.rstrip("/")
        try:
            self._host, self._port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 8000)
        except ValueError:
            self._host = ""
        if parts.scheme not in {"http", "https"} or not self._host or parts.path.strip("/"):
            raise UsageError(f"{address} is not the address of a chroma server; write http://HOST:PORT")
        self._ssl = parts.scheme == "https"
        self._origin = origin
        self._probes = probes
        self._name = f"evolve-{origin.bank}-{collection.plain(origin.embedding)}"
        self._client: Client | None = None
        self._collection: Collection | None = None
        self._checked = False
        self._answers()

    def __str__(self) -> str:
        return self._address

    def position(self) -> Position:
        from chromadb.errors import NotFoundError

        with self._boundary():
            try:
                self._collection = found = self._connected().get_collection(self._name, embedding_function=None)
            except NotFoundError:
                self._collection = None
                return Position()
            collection.check_origin(found, self._origin)
            position = _position(found.metadata)
            if not self._checked:
                collection.check(found, position, self._probes)
                self._checked = True
            return position

    def nearest(self, vector: "Vector", n: int) -> list[tuple[str, float]]:
        with self._boundary():
            return collection.nearest(self._opened(), vector, n)

    def write(self, vectors: "Mapping[str, Vector]", gone: Sequence[str], position: Position) -> Position:
        with self._boundary():
            opened = self._opened()
            position = position._replace(rows=collection.write(opened, vectors, gone))
            opened.modify(metadata=self._metadata(position))
            return position

    def discard(self) -> None:
        from chromadb.errors import NotFoundError

        self._collection, self._checked = None, False
        with self._boundary():
            try:
                self._connected().delete_collection(self._name)
            except NotFoundError:
                return

    def close(self) -> None:
        if self._client is not None:
            for session in sessions(self._client):
                session.close()
            self._client.close()
        self._client, self._collection, self._checked = None, None, False

    def _opened(self) -> "Collection":
        if self._collection is None:
            self._collection = collection.create(self._connected(), self._name, self._metadata(Position()))
        return self._collection

    def _connected(self) -> "Client":
        import chromadb
        from chromadb.api.client import Client
        from chromadb.config import Settings

        if self._client is None:
            self._answers()  # making a client waits for a silent server for ever
            client = chromadb.HttpClient(
                self._host, self._port, ssl=self._ssl, settings=Settings(anonymized_telemetry=False)
            )
            assert isinstance(client, Client)
            self._client = client
            for session in sessions(self._client):
                session.timeout = LONGEST
        return self._client

    def _metadata(self, position: Position) -> dict[str, str | int | float]:
        """The time as text: of a number a server may give back the neighbour."""
        return {**self._origin._asdict(), "seq": position.seq, "time": repr(position.time), "rows": position.rows}

    def _answers(self) -> None:
        try:
            with urllib.request.urlopen(f"{self._address}/api/v2/heartbeat", timeout=SECONDS):  # noqa: S310  http(s) only
                return
        except (OSError, urllib.error.URLError, ValueError) as e:
            raise self._silent(e) from e

    @contextmanager
    def _boundary(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.TransportError as e:
            self.close()
            raise self._silent(e) from e

    def _silent(self, error: Exception) -> UsageError:
        reason = getattr(error, "reason", error)
        return UsageError(
            f"no chroma server answers at {self._address} ({reason}); start one with"
            f" `chroma run --path FOLDER --host {self._host} --port {self._port}`, or name a folder"
        )


def sessions(client: "Client") -> "list[httpx.Client]":
    """The connections under a client, which itself neither limits their time nor lets go of them."""
    return [part._server._session for part in (client, client._admin_client)]  # type: ignore[union-attr]  # noqa: SLF001


def _position(metadata: Mapping[str, object] | None) -> Position:
    told = metadata or {}
    seq, time, rows = told.get("seq"), told.get("time"), told.get("rows")
    if not isinstance(seq, int) or not isinstance(time, str) or not isinstance(rows, int):
        raise BrokenIndexError("its metadata does not say what is in it")
    return Position(seq, float(time), rows)
