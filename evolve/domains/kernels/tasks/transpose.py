"""Matrix transposition, out of place."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 2
TAGS = ("layout",)
PROMPT = """\
Transposition: out[j*M + i] = a[i*N + j], for 0 <= i < M, 0 <= j < N.
    void kernel(const float *a, float *out, int64_t M, int64_t N)
a is M x N, out is N x M, both row-major.
"""
DIMS = ("M", "N")
VISIBLE = (
    {"M": 64, "N": 64},
    {"M": 100, "N": 60},
)
HIDDEN = (
    {"M": 1, "N": 1},
    {"M": 1, "N": 37},
    {"M": 41, "N": 1},
    {"M": 67, "N": 131},
)
TIMED = {"M": 768, "N": 1024}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return (draw(dims["M"], dims["N"]),)


def reference(a: Array, **_dims: int) -> Array:
    return np.ascontiguousarray(a.T)


def torch_peer(torch: Any, a: Any, **_dims: int) -> Any:
    del torch
    return a.T.contiguous()


def flops(**dims: int) -> int:
    del dims
    return 0


def bytes_moved(**dims: int) -> int:
    return 8 * dims["M"] * dims["N"]
