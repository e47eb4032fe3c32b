"""Dot product of two vectors of bytes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.number]

TIER = 3
TAGS = ("integer", "reduction")
PROMPT = """\
Dot product of bytes: out[0] = x[0]*y[0] + x[1]*y[1] + ... + x[N-1]*y[N-1], exactly. The sum fits in 32 bits.
    void kernel(const int8_t *x, const int8_t *y, int32_t *out, int64_t N)
x and y hold N signed bytes, out one number.
"""
DIMS = ("N",)
VISIBLE = (
    {"N": 1024},
    {"N": 1000},
)
HIDDEN = (
    {"N": 1},
    {"N": 7},
    {"N": 65521},
)
TIMED = {"N": 1_000_000}
OUTPUT_DTYPE = np.int32


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return _bytes(draw(dims["N"])), _bytes(draw(dims["N"]))


def reference(x: NDArray[np.int8], y: NDArray[np.int8], **_dims: int) -> Array:
    return np.asarray(np.dot(x.astype(np.int32), y.astype(np.int32))).reshape(1)


def torch_peer(torch: Any, x: Any, y: Any, **_dims: int) -> Any:
    return torch.dot(x.to(torch.int32), y.to(torch.int32)).reshape(1)


def flops(**dims: int) -> int:
    return 2 * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 2 * dims["N"]


def _bytes(x: Array) -> NDArray[np.int8]:
    """Eight bits from the middle of each mantissa: evenly spread over all values."""
    return (x.view(np.uint32) >> 11).astype(np.uint8).view(np.int8)
