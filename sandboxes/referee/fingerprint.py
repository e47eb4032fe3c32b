"""The fingerprint of fingerprint.cu, and whether what came back from a device is what was there at return."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .arena import Arena, Bytes
from .verdict import RejectedError

PLACE, FIRST, SECOND = (np.uint64(factor) for factor in (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xBF58476D1CE4E5B9))
HIGH, SHIFT = np.uint64(32), np.uint64(29)
BLOCK = 1 << 15
"""Words that stay in a cache meanwhile."""


def of(buffers: Sequence[Bytes]) -> int:
    """Of buffers of whole words, one behind the other."""
    place, total = 0, 0
    for buffer in buffers:
        words = buffer.view(np.uint32)
        for start in range(0, words.size, BLOCK):
            part = words[start : start + BLOCK].astype(np.uint64)
            places = np.arange(place + start, place + start + part.size, dtype=np.uint64)
            total += int(_mixed(part, places).sum(dtype=np.uint64))
        place += words.size
    return total % 2**64


def _mixed(words: NDArray[np.uint64], places: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = words + places * PLACE
    x = (x ^ (x >> HIGH)) * FIRST
    x = (x ^ (x >> SHIFT)) * SECOND
    return np.asarray(x ^ (x >> HIGH))


def compare(returned: str, read: str, inputs: Arena, outputs: Arena, doing: str) -> None:
    """`returned`: of the output when the kernel returned; `read`: of the inputs afterwards; both in hexadecimal.

    Raises RejectedError when the bytes that came back are others.
    """
    if returned != f"{of(outputs.slots()):016x}":
        message = f"the output changed after the kernel had returned (while {doing}): it must be done by then"
        raise RejectedError("authentic", "late_write", message)
    if read != f"{of(inputs.slots()):016x}":
        message = f"the inputs on the device were written to (while {doing}), but inputs are read-only"
        raise RejectedError("correct", "inputs_modified", message)
