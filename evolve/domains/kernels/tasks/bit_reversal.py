"""Rows permuted by reversing the bits of the index."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 2
TAGS = ("layout", "permutation")
PROMPT = """\
Bit reversal of each row of n = 2^L elements: out[b*n + r(i)] = x[b*n + i], for 0 <= b < B, 0 <= i < n,
where r(i) is the number whose L binary digits are those of i in reverse order.
    void kernel(const float *x, float *out, int64_t B, int64_t L)
x and out are B x 2^L, row-major.
"""
DIMS = ("B", "L")
VISIBLE = (
    {"B": 2, "L": 9},
    {"B": 3, "L": 7},
)
HIDDEN = (
    {"B": 1, "L": 1},
    {"B": 1, "L": 5},
    {"B": 7, "L": 1},
    {"B": 5, "L": 10},
)
TIMED = {"B": 2, "L": 17}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return (draw(dims["B"], 1 << dims["L"]),)


def reference(x: Array, **dims: int) -> Array:
    digits = x.reshape(dims["B"], *[2] * dims["L"])
    return np.ascontiguousarray(digits.transpose(0, *range(dims["L"], 0, -1))).reshape(x.shape)


def torch_peer(torch: Any, x: Any, **dims: int) -> Any:
    del torch
    digits = x.reshape(dims["B"], *[2] * dims["L"])
    return digits.permute(0, *range(dims["L"], 0, -1)).reshape(x.shape)


def flops(**dims: int) -> int:
    del dims
    return 0


def bytes_moved(**dims: int) -> int:
    return 8 * dims["B"] * (1 << dims["L"])
