"""Many small matrix products."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 3
TAGS = ("dense", "batched")
PROMPT = """\
Matrix products of a batch: out[q][i][j] = sum over p of a[q][i][p] * b[q][p][j],
for 0 <= q < B, 0 <= i < M, 0 <= j < N, 0 <= p < K.
    void kernel(const float *a, const float *b, float *out, int64_t B, int64_t M, int64_t N, int64_t K)
a is B x M x K, b is B x K x N, out is B x M x N, all row-major.
"""
DIMS = ("B", "M", "N", "K")
VISIBLE = (
    {"B": 8, "M": 16, "N": 16, "K": 16},
    {"B": 5, "M": 12, "N": 20, "K": 9},
)
HIDDEN = (
    {"B": 1, "M": 1, "N": 1, "K": 1},
    {"B": 3, "M": 1, "N": 37, "K": 5},
    {"B": 2, "M": 41, "N": 1, "K": 13},
    {"B": 7, "M": 17, "N": 19, "K": 23},
)
TIMED = {"B": 64, "M": 32, "N": 48, "K": 40}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return draw(dims["B"], dims["M"], dims["K"]), draw(dims["B"], dims["K"], dims["N"])


def reference(a: Array, b: Array, **_dims: int) -> Array:
    return np.asarray(a @ b)


def error(a: Array, b: Array, **_dims: int) -> Array:
    """What a loop may be expected to round off over its terms one by one; BLAS sums in blocks and errs less."""
    squares = reference(np.square(a), np.square(b))
    return np.asarray(2.0**-25 * np.sqrt(a.shape[2] * (squares / 2 + reference(a, b) ** 2 / 3)))


def torch_peer(torch: Any, a: Any, b: Any, **_dims: int) -> Any:
    return torch.bmm(a, b)


def flops(**dims: int) -> int:
    return 2 * dims["B"] * dims["M"] * dims["N"] * dims["K"]


def bytes_moved(**dims: int) -> int:
    return 4 * dims["B"] * (dims["M"] * dims["K"] + dims["K"] * dims["N"] + dims["M"] * dims["N"])
