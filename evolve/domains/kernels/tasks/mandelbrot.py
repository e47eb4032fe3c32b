"""Escape times of the Mandelbrot set, in fixed point."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.number]

TIER = 4
TAGS = ("integer", "iteration")
PROMPT = """\
Mandelbrot set in fixed point with 12 bits behind the point: for each i, starting from x = y = 0, as long as
x*x + y*y <= 4 * 2^24 and for T steps at most, both at once become
x = ((x*x - y*y) >> 12) + re[i], y = ((x*y) >> 11) + im[i]; out[i] = the number of steps, exactly, for 0 <= i < N.
    void kernel(const int32_t *re, const int32_t *im, int32_t *out, int64_t N, int64_t T)
re, im and out hold N numbers, -8192 <= re[i], im[i] < 8192; nothing overflows 32 bits; >> rounds down.
"""
DIMS = ("N", "T")
VISIBLE = (
    {"N": 256, "T": 32},
    {"N": 250, "T": 50},
)
HIDDEN = (
    {"N": 1, "T": 1},
    {"N": 1, "T": 41},
    {"N": 37, "T": 1},
    {"N": 509, "T": 67},
)
TIMED = {"N": 16384, "T": 128}
OUTPUT_DTYPE = np.int32


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return _coordinates(draw(dims["N"])), _coordinates(draw(dims["N"]))


def reference(re: NDArray[np.int32], im: NDArray[np.int32], **dims: int) -> Array:
    steps = np.zeros(re.shape, np.int32)
    inside: NDArray[np.int_] = np.arange(re.size)
    x, y = np.zeros_like(re), np.zeros_like(im)
    for _ in range(dims["T"]):
        stays = x * x + y * y <= 4 << 24
        inside, x, y = inside[stays], x[stays], y[stays]
        x, y = (x * x - y * y >> 12) + re[inside], (x * y >> 11) + im[inside]
        steps[inside] += 1
    return steps


def flops(**dims: int) -> int:
    return 7 * dims["N"]  # a step each; how many more depends on the points


def bytes_moved(**dims: int) -> int:
    return 12 * dims["N"]


def _coordinates(x: Array) -> NDArray[np.int32]:
    """Evenly spread over [-2, 2)."""
    return (x.view(np.uint32) * np.uint32(2654435761) >> np.uint32(18)).astype(np.int32) - 8192
