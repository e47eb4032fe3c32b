"""Dot product of two vectors."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 1
TAGS = ("reduction",)
PROMPT = """\
Dot product: out[0] = x[0]*y[0] + x[1]*y[1] + ... + x[N-1]*y[N-1]. The order of the additions is free.
    void kernel(const float *x, const float *y, float *out, int64_t N)
x and y hold N floats, out one.
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


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    x, noise = draw(dims["N"]), draw(dims["N"])
    return x, x + noise  # correlated: a product near zero would have no accurate digits


def reference(x: Array, y: Array, **_dims: int) -> Array:
    return np.asarray(x @ y).reshape(1)


def error(x: Array, y: Array, **_dims: int) -> Array:
    """One number offers no other scale: as far off as a loop is, and at least as it may be expected."""
    products = np.multiply(x, y, dtype=np.float64)
    partial = np.cumsum(products)
    expected = 2.0**-25 * np.sqrt(partial @ partial + products @ products)
    return np.asarray(np.maximum(np.abs(np.cumsum(x * y)[-1:] - partial[-1:]), expected))


def torch_peer(torch: Any, x: Any, y: Any, **_dims: int) -> Any:
    return torch.dot(x, y).reshape(1)


def flops(**dims: int) -> int:
    return 2 * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 8 * dims["N"]
