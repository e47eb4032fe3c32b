"""Turns text into vectors without a model: signed feature hashing of words, their pieces and their letters.

Deterministic on every machine, no download. Texts that share words, parts of identifiers or stretches of letters
come out similar; synonyms do not.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORD = re.compile(r"\w+")
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_HUMP = re.compile(r"(?<=[a-z\d])(?=[A-Z])")
"""Where a camelCase identifier is cut."""
PIECE_WEIGHT = 0.7
GRAM_WEIGHT = 0.3
"""Letters only break ties between words that are nearly the same."""
GRAM = 4
STOPWORDS = frozenset(
    """a an and any are as at be by can each every for from has have if in into is it its may must of on one or so
    that the their then there this to up was when where which while will with you your""".split()  # noqa: SIM905  a list of 50 literals is no easier to read
)


class Embedding(Protocol):
    """Raises ModelError when it needs a model that cannot be reached."""

    @property
    def id(self) -> str:
        """Names the function and its version: vectors of different ids are never compared."""
        ...

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """One row of length 1 for each text, all zeros for a text without words."""
        ...


def words(text: str) -> list[str]:
    """The words of `text` in order, identifiers in their pieces, without the commonest."""
    found = (piece.lower() for piece in _PIECE.findall(_HUMP.sub(" ", text)))
    return [word for word in found if word not in STOPWORDS]


class HashEmbedding:
    """`hash-384-v1`. A change of anything in this file that changes a vector needs a new id."""

    def __init__(self, dimension: int = 384) -> None:
        self.dimension = dimension
        self.id = f"hash-{dimension}-v1"

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        import numpy as np

        matrix = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(matrix, texts, strict=True):
            for word, count in Counter(WORD.findall(text)).items():
                if word.lower() not in STOPWORDS:
                    slots, weights = _features(word, self.dimension)
                    np.add.at(row, slots, (1 + math.log(count)) * weights)
        return unit(matrix)


def unit(matrix: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Its rows, made of length 1 where they lie; rows of zeros stay."""
    import numpy as np

    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    matrix /= np.where(lengths == 0, 1, lengths)
    return matrix


@lru_cache(maxsize=1 << 16)
def _features(word: str, dimension: int) -> "tuple[NDArray[np.intp], NDArray[np.float32]]":
    """Where one occurrence of `word` adds how much."""
    import numpy as np

    slots, weights = [], []
    for feature, weight in _parts(word):
        hashed = zlib.crc32(feature.encode())
        slots.append((hashed >> 1) % dimension)
        weights.append(weight if hashed & 1 else -weight)
    return np.array(slots, dtype=np.intp), np.array(weights, dtype=np.float32)


def _parts(word: str) -> Iterator[tuple[str, float]]:
    lower = word.lower()
    yield lower, 1.0
    pieces = [piece.lower() for piece in _PIECE.findall(_HUMP.sub(" ", word))]
    for piece in pieces:
        if piece != lower and piece not in STOPWORDS:
            yield piece, PIECE_WEIGHT
    for piece in pieces:
        padded = f"<{piece}>"
        for start in range(len(padded) - GRAM + 1):
            yield f"#{padded[start : start + GRAM]}", GRAM_WEIGHT
