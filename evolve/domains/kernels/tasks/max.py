"""Largest element of a vector."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 1
TAGS = ("reduction",)
PROMPT = """\
Maximum: out[0] = the largest of x[0], ..., x[N-1]. There are no NaNs and N >= 1.
    void kernel(const float *x, float *out, int64_t N)
x holds N floats, out one.
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
    x = draw(dims["N"])
    return (x - np.float32(0.5) * np.abs(x).max(),)  # a maximum of zero must not come by itself


def reference(x: Array, **_dims: int) -> Array:
    return np.asarray(x.max()).reshape(1)


def torch_peer(torch: Any, x: Any, **_dims: int) -> Any:
    return torch.amax(x, dim=0, keepdim=True)


def flops(**dims: int) -> int:
    return dims["N"]


def bytes_moved(**dims: int) -> int:
    return 4 * dims["N"]
