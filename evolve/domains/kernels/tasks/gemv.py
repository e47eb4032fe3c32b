"""Matrix times vector."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 3
TAGS = ("dense", "reduction")
PROMPT = """\
Matrix times vector: out[i] = sum over p of a[i*K + p] * x[p], for 0 <= i < M, 0 <= p < K.
    void kernel(const float *a, const float *x, float *out, int64_t M, int64_t K)
a is M x K row-major, x holds K floats, out M.
"""
DIMS = ("M", "K")
VISIBLE = (
    {"M": 64, "K": 64},
    {"M": 100, "K": 60},
)
HIDDEN = (
    {"M": 1, "K": 1},
    {"M": 37, "K": 1},
    {"M": 1, "K": 61},
    {"M": 67, "K": 131},
)
TIMED = {"M": 1024, "K": 1536}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return draw(dims["M"], dims["K"]), draw(dims["K"])


def reference(a: Array, x: Array, **_dims: int) -> Array:
    return np.asarray(a @ x)


def error(a: Array, x: Array, **_dims: int) -> Array:
    """What a loop may be expected to round off over K terms one by one; BLAS sums in blocks and errs less."""
    squares = reference(np.square(a), np.square(x))
    return np.asarray(2.0**-25 * np.sqrt(a.shape[1] * (squares / 2 + reference(a, x) ** 2 / 3)))


def torch_peer(torch: Any, a: Any, x: Any, **_dims: int) -> Any:
    return torch.mv(a, x)


def flops(**dims: int) -> int:
    return 2 * dims["M"] * dims["K"]


def bytes_moved(**dims: int) -> int:
    return 4 * (dims["M"] * dims["K"] + dims["K"] + dims["M"])
