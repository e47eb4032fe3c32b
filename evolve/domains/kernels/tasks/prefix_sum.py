"""Running sums of a vector."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 1
TAGS = ("scan",)
PROMPT = """\
Prefix sums: out[i] = x[0] + x[1] + ... + x[i], for 0 <= i < N. The order of the additions is free.
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
    {"N": 8191},
)
TIMED = {"N": 1_000_000}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return (draw(dims["N"]),)


def reference(x: Array, **_dims: int) -> Array:
    return np.cumsum(x, dtype=x.dtype)


def error(x: Array, **_dims: int) -> Array:
    """Each addition so far has rounded a sum of its size; what cancels later does not take that back."""
    return 2.0**-25 * np.sqrt(np.cumsum(np.cumsum(x, dtype=np.float64) ** 2))


def torch_peer(torch: Any, x: Any, **_dims: int) -> Any:
    return torch.cumsum(x, 0)


def flops(**dims: int) -> int:
    return dims["N"]


def bytes_moved(**dims: int) -> int:
    return 8 * dims["N"]
