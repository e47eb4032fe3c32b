"""Gated SiLU: silu(a) * b, element by element."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 1
TAGS = ("elementwise", "transcendental")
PROMPT = """\
Gated SiLU: out[i] = a[i] / (1 + exp(-a[i])) * b[i], for 0 <= i < N.
    void kernel(const float *a, const float *b, float *out, int64_t N)
a, b and out hold N floats.
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
TIMED = {"N": 500000}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return draw(dims["N"]), draw(dims["N"])


def reference(a: Array, b: Array, **_dims: int) -> Array:
    with np.errstate(over="ignore"):  # exp(-a) may overflow to infinity, where the quotient is rightly zero
        return np.asarray(a / (1 + np.exp(-a)) * b)


def torch_peer(torch: Any, a: Any, b: Any, **_dims: int) -> Any:
    return torch.nn.functional.silu(a) * b


def flops(**dims: int) -> int:
    return 12 * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 12 * dims["N"]
