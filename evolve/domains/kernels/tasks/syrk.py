"""A matrix times its own transpose."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 3
TAGS = ("dense", "symmetric")
PROMPT = """\
Matrix times its own transpose: out[i*N + j] = sum over p of a[i*K + p] * a[j*K + p], for 0 <= i, j < N, 0 <= p < K.
    void kernel(const float *a, float *out, int64_t N, int64_t K)
a is N x K, out is N x N (all of it, symmetric as it is), both row-major.
"""
DIMS = ("N", "K")
VISIBLE = (
    {"N": 64, "K": 64},
    {"N": 50, "K": 70},
)
HIDDEN = (
    {"N": 1, "K": 1},
    {"N": 1, "K": 37},
    {"N": 41, "K": 1},
    {"N": 67, "K": 71},
)
TIMED = {"N": 192, "K": 192}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return (draw(dims["N"], dims["K"]),)


def reference(a: Array, **_dims: int) -> Array:
    return np.asarray(a @ a.T)


def error(a: Array, **_dims: int) -> Array:
    """What a loop may be expected to round off over its terms one by one; BLAS sums in blocks and errs less."""
    squares = reference(np.square(a))
    return np.asarray(2.0**-25 * np.sqrt(a.shape[1] * (squares / 2 + reference(a) ** 2 / 3)))


def torch_peer(torch: Any, a: Any, **_dims: int) -> Any:
    return torch.mm(a, a.T)


def flops(**dims: int) -> int:
    return dims["N"] * (dims["N"] + 1) * dims["K"]


def bytes_moved(**dims: int) -> int:
    return 4 * (dims["N"] * dims["K"] + dims["N"] * dims["N"])
