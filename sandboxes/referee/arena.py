"""Memory shared with a candidate: buffers between guard pages, filled with canaries."""

import fcntl
import mmap
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

PAGE = 4096
GUARD = 64 * 1024
"""Bytes of unmapped address space on each side of a buffer (the runner's)."""
ALIGNMENT = 64
CAPACITY = 512 * 2**20
"""Bytes of address space; memory is taken as it is written."""
CANARY = 0xFF
"""Four of them are a NaN, eight too."""
F_SEAL_FUTURE_WRITE = 0x10

Bytes = NDArray[np.uint8]


def room(size: int) -> int:
    """Whole pages for a buffer of `size` bytes."""
    return max(PAGE, -(-size // PAGE) * PAGE)


class Arena:
    """One sealed memfd, mapped by us for writing and, at the runner's end, buffer by buffer between guards.

    Inputs can be mapped for writing by nobody else. A buffer ends as near to the guard behind it as an alignment
    of 64 bytes allows; the slack around it holds canaries.
    """

    def __init__(self, name: str, *, inputs: bool) -> None:
        self._descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.fchmod(self._descriptor, 0o600)
        os.ftruncate(self._descriptor, CAPACITY)
        self._all: Bytes = np.frombuffer(mmap.mmap(self._descriptor, CAPACITY), dtype=np.uint8)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | (F_SEAL_FUTURE_WRITE if inputs else 0) | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, seals)
        mode = os.O_RDONLY if inputs else os.O_RDWR
        self.shared = os.open(f"/proc/self/fd/{self._descriptor}", mode | os.O_CLOEXEC)
        """The descriptor for the runner."""
        self._sizes: list[int] = []

    def arrange(self, sizes: Sequence[int]) -> None:
        """Lay out buffers of these sizes, all canaries. Raises ValueError when they do not fit."""
        self._sizes = list(sizes)
        if self.used > CAPACITY:
            raise ValueError(f"{self.used >> 20} MiB of buffers are more than {CAPACITY >> 20}")
        self.clear()

    @property
    def used(self) -> int:
        return sum(room(size) for size in self._sizes)

    def clear(self) -> None:
        self._all[: self.used] = CANARY

    def _slot(self, buffer: int) -> Bytes:
        start = sum(room(size) for size in self._sizes[:buffer])
        return self._all[start : start + room(self._sizes[buffer])]

    def slots(self) -> list[Bytes]:
        """All buffers, with the slack."""
        return [self._slot(buffer) for buffer in range(len(self._sizes))]

    def _offset(self, buffer: int) -> int:
        size = self._sizes[buffer]
        return room(size) - -(-size // ALIGNMENT) * ALIGNMENT

    def bytes(self, buffer: int) -> Bytes:
        """Without the slack."""
        offset = self._offset(buffer)
        return self._slot(buffer)[offset : offset + self._sizes[buffer]]

    def view(self, buffer: int, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[np.generic]:
        return self.bytes(buffer).view(dtype).reshape(shape)

    def trespass(self, buffer: int) -> str:
        """`before` or `behind` when the slack on that side was written to, else nothing."""
        slot, offset, size = self._slot(buffer), self._offset(buffer), self._sizes[buffer]
        if (slot[:offset] != CANARY).any():
            return "before"
        return "behind" if (slot[offset + size :] != CANARY).any() else ""

    def close(self) -> None:
        """Give the memory back, as soon as nobody holds a view of it."""
        self._all = np.empty(0, np.uint8)
        os.close(self._descriptor)
        os.close(self.shared)
