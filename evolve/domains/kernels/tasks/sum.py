"""Sum of a vector."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 1
TAGS = ("reduction",)
PROMPT = """\
Sum: out[0] = x[0] + x[1] + ... + x[N-1]. The order of the additions is free.
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
TIMED = {"N": 1_500_000}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    x = draw(dims["N"])
    return (x + np.float32(0.25) * np.abs(x).mean(),)  # a sum near zero would have no accurate digits


def reference(x: Array, **_dims: int) -> Array:
    return np.asarray(x.sum()).reshape(1)


def error(x: Array, **_dims: int) -> Array:
    """One number offers no other scale: as far off as a loop is, and at least as it may be expected."""
    partial = np.cumsum(x, dtype=np.float64)
    expected = 2.0**-25 * np.sqrt(partial @ partial)
    return np.asarray(np.maximum(np.abs(np.cumsum(x)[-1:] - partial[-1:]), expected))


def torch_peer(torch: Any, x: Any, **_dims: int) -> Any:
    return torch.sum(x, dim=0, keepdim=True)


def flops(**dims: int) -> int:
    return dims["N"]


def bytes_moved(**dims: int) -> int:
    return 4 * dims["N"]
