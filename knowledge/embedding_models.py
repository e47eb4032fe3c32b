"""Embeddings of a user's choice: words without a model, chroma's MiniLM on this machine, or any provider's model."""

from pydantic import BaseModel, ConfigDict, Field

from evolve.errors import UsageError
from knowledge.embed import Embedding, HashEmbedding
from knowledge.minilm import MiniLM
from knowledge.provider_embedding import ProviderEmbedding

PROBES = (
    "Tile the inner loop so that one block of the matrix stays in the cache.",
    "def load_rows(path): return [int(line) for line in open(path)]",
    "error: undefined reference to `main'; the build stopped after 3 seconds",
)
SAME = 0.999
"""Cosine of a text's vector with the one that the same weights gave it elsewhere, at least. On MiniLM 16-bit floats
cost it up to 0.00004 and 8-bit weights 0.0004; vectors of another model have nothing in common."""

MINILM = "minilm"


def open_embedding(name: str) -> Embedding:
    """`hash` (also ""), `minilm` or `litellm:MODEL`.

    Raises UsageError for any other name and for a model that cannot be had here. `minilm` is loaded, and where it
    is not on this machine downloaded; a provider is not called before the first text.
    """
    if name in {"", "hash"}:
        return HashEmbedding()
    if name == MINILM:
        return MiniLM()
    kind, _, model = name.partition(":")
    if kind == "litellm" and model:
        return ProviderEmbedding(model)
    raise UsageError(
        f"unknown embedding {name!r}: use hash (needs no model), minilm (a download of 80 MB, once) or "
        "litellm:PROVIDER/MODEL"
    )


def probe(embedding: Embedding) -> str:
    """What a bank keeps to know `embedding` again: vectors of a few texts, as JSON (3 kB for 384 dimensions).

    Vectors and not a hash of them: the same weights differ in the last digits from machine to machine, and wherever
    a number is cut some vector lies at the border.
    """
    return _Probe(texts=PROBES, vectors=embedding.embed(PROBES).astype("<f2").tobytes()).model_dump_json()


def agrees(stored: str, embedding: Embedding) -> bool:
    """Whether `embedding` still is what `probe` was asked about; False for what `probe` has not written.

    One call of the model. Raises ModelError where the embedding does.
    """
    import numpy as np

    try:
        known = _Probe.model_validate_json(stored)
        before = np.frombuffer(known.vectors, dtype="<f2").astype(np.float32).reshape(len(known.texts), -1)
    except ValueError:
        return False
    now = embedding.embed(known.texts)
    # For rows of length 1 the distance says what the cosine says, and two rows of zeros are alike.
    return now.shape == before.shape and bool((((now - before) ** 2).sum(axis=1) <= 2 * (1 - SAME)).all())


class _Probe(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    texts: tuple[str, ...] = Field(min_length=1)
    """The stored ones are asked for again, so that PROBES may change."""
    vectors: bytes
    """Half-precision floats, lowest byte first, row after row."""
