"""Scaled vector addition."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 1
TAGS = ("elementwise",)
PROMPT = """\
Scaled addition: out[i] = alpha[0] * x[i] + y[i], for 0 <= i < N.
    void kernel(const float *alpha, const float *x, const float *y, float *out, int64_t N)
alpha holds one float; x, y and out hold N floats.
"""
DIMS = ("N",)
VISIBLE = (
    {"N": 1024},
    {"N": 1000},
)
HIDDEN = (
    {"N": 1},
    {"N": 7},
    {"N": 8191},
)
TIMED = {"N": 1_000_000}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return draw(1), draw(dims["N"]), draw(dims["N"])


def reference(alpha: Array, x: Array, y: Array, **_dims: int) -> Array:
    return np.asarray(alpha * x + y)


def error(alpha: Array, x: Array, y: Array, **_dims: int) -> Array:
    """Where the two terms cancel, a rounding of the product is all there is."""
    return np.asarray(np.abs(2.0**-23 * alpha * x) + np.abs(2.0**-24 * y))


def torch_peer(torch: Any, alpha: Any, x: Any, y: Any, **_dims: int) -> Any:
    return torch.addcmul(y, alpha, x)


def flops(**dims: int) -> int:
    return 2 * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 12 * dims["N"]
