"""Exact (erf) GELU over a vector."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 1
TAGS = ("elementwise", "transcendental")
PROMPT = """\
Exact GELU: out[i] = x[i]/2 * (1 + erf(x[i]/sqrt(2))), for 0 <= i < N. The tanh approximation is not accurate enough.
    void kernel(const float *x, float *out, int64_t N)
x and out hold N floats.
"""
DIMS = ("N",)
VISIBLE = (
    {"N": 1024},
    {"N": 1000},
)
HIDDEN = (
    {"N": 1},
    {"N": 7},
    {"N": 4093},
)
TIMED = {"N": 200000}

ABOVE = (
    -2.72614226e-10,
    2.77068142e-08,
    -2.10102402e-06,
    -5.69250639e-05,
    -7.34990631e-04,
    -2.9546e-03,
    -1.60960333e-02,
)
BELOW = (-1.45660718e-05, -2.13374055e-04, -1.68282698e-03, -7.37332917e-03, -1.42647390e-02)
"""Of erf(x) / x, in x², highest power first, for |x| < 4."""


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return (draw(dims["N"]),)


def reference(x: Array, **_dims: int) -> Array:
    root = x.dtype.type(math.sqrt(0.5))
    return np.asarray(x.dtype.type(0.5) * x * (1 + _erf(x * root)))


def error(x: Array, **_dims: int) -> Array:
    """1 + erf(x) rounds off up to an ulp of 1, for negative x nearly all that is left of it."""
    return np.asarray(2.0**-24 * np.minimum(np.abs(x), 6))


def torch_peer(torch: Any, x: Any, **_dims: int) -> Any:
    return torch.nn.functional.gelu(x)


def flops(**dims: int) -> int:
    return 12 * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 8 * dims["N"]


def _erf(x: Array) -> Array:
    """That of the C library in double precision; in single a quotient of polynomials, for want of one in numpy."""
    if x.dtype == np.float64:
        return np.fromiter(map(math.erf, x.tolist()), dtype=np.float64, count=x.size)
    x = np.clip(x, -4, 4)
    square = x * x
    above, below = (np.polyval(np.array(terms, x.dtype), square) for terms in (ABOVE, BELOW))
    return np.asarray(x * above / below)
