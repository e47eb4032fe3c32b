"""Five-point stencil on a padded grid."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 2
TAGS = ("stencil",)
PROMPT = """\
Five-point stencil (a step of heat diffusion) on a grid with a border of one cell:
out[y][x] = 0.5 * u[y+1][x+1] + 0.125 * (u[y][x+1] + u[y+2][x+1] + u[y+1][x] + u[y+1][x+2]),
for 0 <= y < H, 0 <= x < W.
    void kernel(const float *u, float *out, int64_t H, int64_t W)
u is (H+2) x (W+2), out is H x W, both row-major.
"""
DIMS = ("H", "W")
VISIBLE = (
    {"H": 64, "W": 64},
    {"H": 50, "W": 70},
)
HIDDEN = (
    {"H": 1, "W": 1},
    {"H": 1, "W": 37},
    {"H": 41, "W": 1},
    {"H": 67, "W": 131},
)
TIMED = {"H": 768, "W": 1024}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return (draw(dims["H"] + 2, dims["W"] + 2),)


def reference(u: Array, **_dims: int) -> Array:
    around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
    return np.asarray(u.dtype.type(0.5) * u[1:-1, 1:-1] + u.dtype.type(0.125) * around)


def error(u: Array, **_dims: int) -> Array:
    """Terms may cancel, whatever the order of addition: a rounding of their magnitudes."""
    return np.asarray(2.0**-23 * reference(np.abs(u)))


def torch_peer(torch: Any, u: Any, **_dims: int) -> Any:
    del torch
    around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
    return 0.5 * u[1:-1, 1:-1] + 0.125 * around


def flops(**dims: int) -> int:
    return 6 * dims["H"] * dims["W"]


def bytes_moved(**dims: int) -> int:
    return 4 * ((dims["H"] + 2) * (dims["W"] + 2) + dims["H"] * dims["W"])
