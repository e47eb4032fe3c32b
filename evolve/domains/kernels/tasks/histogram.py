"""Histogram of bytes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.number]

TIER = 1
TAGS = ("integer", "scatter")
PROMPT = """\
Histogram: out[v] = how many of x[0], ..., x[N-1] are v, exactly, for each of the 256 values v of a byte.
    void kernel(const uint8_t *x, int32_t *out, int64_t N)
x holds N bytes, some values far more often than others; out holds 256 counts.
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
OUTPUT_DTYPE = np.int32


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return ((draw(dims["N"]).view(np.uint32) >> 19).astype(np.uint8),)  # parts of exponent and mantissa: uneven


def reference(x: NDArray[np.uint8], **_dims: int) -> Array:
    return np.bincount(x, minlength=256)


def torch_peer(torch: Any, x: Any, **_dims: int) -> Any:
    return torch.bincount(x, minlength=256).to(torch.int32)


def flops(**dims: int) -> int:
    del dims
    return 0


def bytes_moved(**dims: int) -> int:
    return dims["N"] + 4 * 256
