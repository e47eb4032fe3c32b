"""Sparse matrix (CSR) times vector."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.number]

TIER = 4
TAGS = ("sparse", "reduction", "gather")
PROMPT = """\
Sparse matrix in CSR form times vector: out[i] = sum over start[i] <= e < start[i+1] of value[e] * x[column[e]],
for 0 <= i < M. start ascends from start[0] = 0 to start[M] = Z; rows differ much in length and may be empty.
In a row the columns ascend and may repeat; 0 <= column[e] < N.
    void kernel(const int64_t *start, const int32_t *column, const float *value, const float *x, float *out,
                int64_t M, int64_t N, int64_t Z)
start holds M+1 numbers, column and value hold Z, x N floats, out M.
"""
DIMS = ("M", "N", "Z")
VISIBLE = (
    {"M": 64, "N": 64, "Z": 512},
    {"M": 50, "N": 70, "Z": 300},
)
HIDDEN = (
    {"M": 1, "N": 1, "Z": 1},
    {"M": 1, "N": 37, "Z": 5},
    {"M": 41, "N": 1, "Z": 13},
    {"M": 67, "N": 131, "Z": 1009},
)
TIMED = {"M": 16384, "N": 16384, "Z": 300000}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    row, column = _scattered(draw(dims["Z"])), _scattered(draw(dims["Z"]))
    at = np.sort((row * row * dims["M"]).astype(np.int64) * dims["N"] + (column * dims["N"]).astype(np.int64))
    start = np.searchsorted(at, np.arange(dims["M"] + 1) * dims["N"]).astype(np.int64)
    return start, (at % dims["N"]).astype(np.int32), draw(dims["Z"]), draw(dims["N"])


def reference(start: NDArray[np.int64], column: NDArray[np.int32], value: Array, x: Array, **_dims: int) -> Array:
    filled = start[:-1] < start[1:]
    out = np.zeros(filled.size, value.dtype)
    out[filled] = np.add.reduceat(value * x[column], start[:-1][filled])
    return out


def error(start: NDArray[np.int64], column: NDArray[np.int32], value: Array, x: Array, **_dims: int) -> Array:
    """What a loop may be expected to round off over the terms of a row one by one."""
    squares = reference(start, column, np.square(value), np.square(x))
    total = reference(start, column, value, x)
    return np.asarray(2.0**-25 * np.sqrt(np.diff(start) * (squares / 2 + total**2 / 3)))


def torch_peer(torch: Any, start: Any, column: Any, value: Any, x: Any, **dims: int) -> Any:
    matrix = torch.sparse_csr_tensor(start, column.to(torch.int64), value, (dims["M"], dims["N"]))
    return torch.mv(matrix, x)


def flops(**dims: int) -> int:
    return 2 * dims["Z"]


def bytes_moved(**dims: int) -> int:
    return 8 * (dims["M"] + 1) + 8 * dims["Z"] + 4 * dims["M"]


def _scattered(x: Array) -> NDArray[np.float64]:
    """Numbers in [0, 1) that are as good as independent of the values."""
    return (x.view(np.uint32) * np.uint32(2654435761)) / 2.0**32
