"""Sorting of the bytes of each row."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.number]

TIER = 2
TAGS = ("integer", "sorting")
PROMPT = """\
Sorting: out[i*N], ..., out[i*N + N-1] are x[i*N], ..., x[i*N + N-1] in ascending order, for 0 <= i < M.
    void kernel(const uint8_t *x, uint8_t *out, int64_t M, int64_t N)
x and out are M x N bytes, row-major.
"""
DIMS = ("M", "N")
VISIBLE = (
    {"M": 8, "N": 64},
    {"M": 5, "N": 100},
)
HIDDEN = (
    {"M": 1, "N": 1},
    {"M": 1, "N": 37},
    {"M": 41, "N": 1},
    {"M": 13, "N": 517},
)
TIMED = {"M": 64, "N": 512}
OUTPUT_DTYPE = np.uint8


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    # Parts of exponent and mantissa: some values are far more frequent than others.
    return ((draw(dims["M"], dims["N"]).view(np.uint32) >> 19).astype(np.uint8),)


def reference(x: Array, **_dims: int) -> Array:
    return np.sort(x, axis=1)


def torch_peer(torch: Any, x: Any, **_dims: int) -> Any:
    return torch.sort(x, dim=1).values


def flops(**dims: int) -> int:
    del dims
    return 0


def bytes_moved(**dims: int) -> int:
    return 2 * dims["M"] * dims["N"]
