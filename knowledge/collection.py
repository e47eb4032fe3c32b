"""One chroma collection, asked the same way wherever it lies.

Vectors always come from us; chroma computes none.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from knowledge.index import BrokenIndexError, Origin, Position

if TYPE_CHECKING:
    import numpy as np
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    Probes = Callable[[int], list[Vector]]
    """Some vectors that are in an index up to this change of the bank."""

SAME = 0.999
"""Cosine of a vector with itself, at least."""
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


def create(client: "ClientAPI", name: str, metadata: Mapping[str, str | int | float]) -> "Collection":
    from chromadb.api.collection_configuration import CreateCollectionConfiguration, CreateHNSWConfiguration

    options = CreateCollectionConfiguration(hnsw=CreateHNSWConfiguration(space="cosine"))
    return client.create_collection(name, embedding_function=None, configuration=options, metadata=dict(metadata))


def check(collection: "Collection", position: Position, probes: "Probes") -> None:
    """Where vector files are lost or garbled chroma starts new ones without a word: ask for known ones."""
    if position.settled and collection.count() != position.rows:
        raise BrokenIndexError(f"{collection.count()} rows where {position.rows} were written")
    for vector in probes(position.seq):
        found = nearest(collection, vector, 1)
        if not found or found[0][1] < SAME:
            raise BrokenIndexError("vectors that were written are not found")


def check_origin(collection: "Collection", origin: Origin) -> None:
    told = collection.metadata or {}
    for name, value in origin._asdict().items():
        if told.get(name) != value:
            raise BrokenIndexError(f"it was made for another {name}: {told.get(name)}")


def nearest(collection: "Collection", vector: "Vector", n: int) -> list[tuple[str, float]]:
    """(name, cosine)."""
    found = collection.query(query_embeddings=vector.tolist(), n_results=n, include=["distances"])
    distances = (found["distances"] or [[]])[0]
    return [(name, 1 - distance) for name, distance in zip(found["ids"][0], distances, strict=True)]


def write(collection: "Collection", vectors: "Mapping[str, Vector]", gone: Sequence[str]) -> int:
    """Rows after it."""
    if vectors:
        collection.upsert(ids=list(vectors), embeddings=[vector.tolist() for vector in vectors.values()])
    if gone:
        collection.delete(ids=list(gone))
    return collection.count()


def plain(name: str) -> str:
    """A name that folders and chroma take: itself where it can be."""
    if _ODD.search(name):
        return f"{_ODD.sub('-', name).strip('.-_')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name
