"""ReLU over a vector."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 1
TAGS = ("elementwise",)
PROMPT = """\
ReLU: out[i] = x[i] where x[i] > 0, else 0, for 0 <= i < N.
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
    return np.maximum(x, 0)


def torch_peer(torch: Any, x: Any, **_dims: int) -> Any:
    return torch.relu(x)


def flops(**dims: int) -> int:
    return dims["N"]


def bytes_moved(**dims: int) -> int:
    return 8 * dims["N"]
