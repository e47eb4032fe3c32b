"""Exact (erf) GELU over a vector."""

import math
from collections.abc import Callable, Mapping

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


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return (draw(dims["N"]),)


def reference(x: Array, **_dims: int) -> Array:
    erf = np.fromiter(map(math.erf, (x * math.sqrt(0.5)).tolist()), dtype=np.float64, count=x.size)
    exact = 0.5 * x.astype(np.float64) * (1 + erf)
    if x.dtype == np.float64:
        return exact
    # In single precision 1 + erf(x) rounds off up to an ulp of 1, for negative x nearly all that is left of it.
    return exact + 2.0**-25 * np.minimum(np.abs(x), 6)


def flops(**dims: int) -> int:
    return 12 * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 8 * dims["N"]
