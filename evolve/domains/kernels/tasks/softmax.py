"""Softmax over each row."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 4
TAGS = ("fused", "transcendental", "reduction")
PROMPT = """\
Softmax over each row, stable for large inputs: with m_i the largest element of row i,
out[i*N + j] = exp(x[i*N + j] - m_i) / (sum over k of exp(x[i*N + k] - m_i)), for 0 <= i < M, 0 <= j < N.
    void kernel(const float *x, float *out, int64_t M, int64_t N)
x and out are M x N, row-major.
"""
DIMS = ("M", "N")
VISIBLE = (
    {"M": 16, "N": 64},
    {"M": 10, "N": 100},
)
HIDDEN = (
    {"M": 1, "N": 1},
    {"M": 1, "N": 37},
    {"M": 41, "N": 1},
    {"M": 13, "N": 257},
)
TIMED = {"M": 512, "N": 640}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return (draw(dims["M"], dims["N"]),)


def reference(x: Array, **_dims: int) -> Array:
    shifted = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def error(x: Array, **_dims: int) -> Array:
    """A rounding of the exponent is one of the power's value; a total summed one by one loses what is small."""
    exponent = x - x.max(axis=1, keepdims=True)
    shifted = np.exp(exponent)
    total = shifted.sum(axis=1, keepdims=True, dtype=np.float64)
    lost = np.abs(np.cumsum(shifted, axis=1)[:, -1:] / total - 1)
    summed = np.maximum(lost, 2.0**-25 * np.sqrt(x.shape[1] / 3))
    return np.asarray(shifted / total * (2.0**-24 * (2 - exponent) + summed))


def torch_peer(torch: Any, x: Any, **_dims: int) -> Any:
    return torch.softmax(x, dim=1)


def flops(**dims: int) -> int:
    return 14 * dims["M"] * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 8 * dims["M"] * dims["N"]
