"""Vectors that no index holds yet, in memory: compared one by one, which is exact."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from knowledge.bank import Bank
from knowledge.vectors import Moved

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

CHUNK = 1000
"""Records read, or written, at once."""
DIGITS = 6
"""Decimals of a similarity that are the same however it was computed."""


class Tail:
    """What changed in a bank after one point; only what is newer still is ever read again."""

    def __init__(self, bank: Bank, embedding: str) -> None:
        self._bank = bank
        self._embedding = embedding
        self._begin(0)

    def _begin(self, seq: int) -> None:
        self._start = self._seen = seq
        self._moved: dict[str, Moved] = {}
        self._names: list[str] = []
        """Of the rows; empty where a text is no longer to be found."""
        self._rows: Vector | None = None
        self._places: dict[str, int] = {}

    def forget(self) -> None:
        self._begin(0)

    def __len__(self) -> int:
        return len(self._moved)

    def __contains__(self, name: str) -> bool:
        return name in self._moved

    def read(self, after: int, most: int) -> None:
        """Catch up with the bank: what changed after `after`, until about `most` records are there."""
        if after != self._start:
            self._begin(after)
        while len(self) < most:
            found = self._bank.vectors.changed(self._seen, self._embedding, CHUNK)
            for moved in found:
                self._add(moved)
            if len(found) < CHUNK:
                return

    def first(self) -> Sequence[Moved]:
        """What is to be written next, the oldest first."""
        return list(self._moved.values())[:CHUNK]

    def nearest(self, vector: "Vector", n: int) -> dict[str, float]:
        """Text -> cosine of the `n` most similar, and of all that are as similar as the last of them."""
        import numpy as np

        if self._rows is None:
            return {}
        names = np.array(self._names, dtype=object)
        values = np.where(names != "", self._rows[: len(names)] @ vector, -np.inf)
        last = np.partition(values, -n)[-n] if n < len(values) else -np.inf
        found = np.nonzero((values >= last - 10.0**-DIGITS) & (names != ""))[0]
        return {self._names[row]: float(values[row]) for row in found}

    def _add(self, moved: Moved) -> None:
        self._moved.pop(moved.keyed, None)
        self._moved[moved.keyed] = moved
        self._seen = moved.seq
        if (place := self._places.get(moved.keyed)) is not None:  # the vector of a text is always the same
            self._names[place] = "" if moved.vector is None else moved.keyed
        elif moved.vector is not None:
            self._room(moved.vector)[len(self._names)] = moved.vector
            self._places[moved.keyed] = len(self._names)
            self._names.append(moved.keyed)

    def _room(self, vector: "Vector") -> "Vector":
        """Rows, with one that is free."""
        import numpy as np

        if self._rows is None:
            self._rows = np.zeros((CHUNK, len(vector)), dtype=np.float32)
        elif len(self._names) == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        return self._rows
