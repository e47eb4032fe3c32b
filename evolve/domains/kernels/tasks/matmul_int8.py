"""Product of two matrices of bytes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.number]

TIER = 3
TAGS = ("integer", "dense")
PROMPT = """\
Product of a matrix of bytes and the transpose of another: out[i*N + j] = sum over p of a[i*K + p] * b[j*K + p],
exactly, for 0 <= i < M, 0 <= j < N, 0 <= p < K. The sums fit in 32 bits.
    void kernel(const int8_t *a, const int8_t *b, int32_t *out, int64_t M, int64_t N, int64_t K)
a is M x K, b is N x K, out is M x N, all row-major.
"""
DIMS = ("M", "N", "K")
VISIBLE = (
    {"M": 32, "N": 32, "K": 64},
    {"M": 20, "N": 30, "K": 50},
)
HIDDEN = (
    {"M": 1, "N": 1, "K": 1},
    {"M": 1, "N": 37, "K": 5},
    {"M": 41, "N": 1, "K": 13},
    {"M": 31, "N": 37, "K": 73},
)
TIMED = {"M": 128, "N": 128, "K": 512}
OUTPUT_DTYPE = np.int32


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return _bytes(draw(dims["M"], dims["K"])), _bytes(draw(dims["N"], dims["K"]))


def reference(a: NDArray[np.int8], b: NDArray[np.int8], **_dims: int) -> Array:
    return np.asarray(a.astype(np.int32) @ b.T.astype(np.int32))


def torch_peer(torch: Any, a: Any, b: Any, **_dims: int) -> Any:
    return torch._int_mm(a, b.T)  # noqa: SLF001 - it has no public one


def flops(**dims: int) -> int:
    return dims["M"] * dims["N"] * dims["K"] // 2  # in bytes, of which four fit in the place of a float


def bytes_moved(**dims: int) -> int:
    return dims["M"] * dims["K"] + dims["N"] * dims["K"] + 4 * dims["M"] * dims["N"]


def _bytes(x: Array) -> NDArray[np.int8]:
    """Eight bits from the middle of each mantissa: evenly spread over all values."""
    return (x.view(np.uint32) >> 11).astype(np.uint8).view(np.int8)
