"""Matrix product."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 3
TAGS = ("dense",)
PROMPT = """\
Matrix product: out[i*N + j] = sum over p of a[i*K + p] * b[p*N + j], for 0 <= i < M, 0 <= j < N, 0 <= p < K.
    void kernel(const float *a, const float *b, float *out, int64_t M, int64_t N, int64_t K)
a is M x K, b is K x N, out is M x N, all row-major.
"""
DIMS = ("M", "N", "K")
VISIBLE = (
    {"M": 64, "N": 64, "K": 64},
    {"M": 48, "N": 80, "K": 96},
)
HIDDEN = (
    {"M": 1, "N": 1, "K": 1},
    {"M": 1, "N": 37, "K": 5},
    {"M": 41, "N": 1, "K": 13},
    {"M": 67, "N": 71, "K": 73},
)
TIMED = {"M": 192, "N": 256, "K": 256}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return draw(dims["M"], dims["K"]), draw(dims["K"], dims["N"])


def reference(a: Array, b: Array, **_dims: int) -> Array:
    return np.asarray(a @ b)


def error(a: Array, b: Array, **_dims: int) -> Array:
    """What a loop may be expected to round off over K terms one by one; BLAS sums in blocks and errs less.

    Fast products (Strassen) err by the largest elements, wherever they are (Higham 2002, section 23.2.2).
    """
    squares = reference(np.square(a), np.square(b))
    largest = np.abs(a).max() * np.abs(b).max()
    return np.asarray(2.0**-25 * np.sqrt(a.shape[1] * (squares / 2 + reference(a, b) ** 2 / 3 + largest**2 / 4)))


def torch_peer(torch: Any, a: Any, b: Any, **_dims: int) -> Any:
    return torch.mm(a, b)


def flops(**dims: int) -> int:
    return 2 * dims["M"] * dims["N"] * dims["K"]


def bytes_moved(**dims: int) -> int:
    return 4 * (dims["M"] * dims["K"] + dims["K"] * dims["N"] + dims["M"] * dims["N"])
