"""3x3 convolution of one image with several channels."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 3
TAGS = ("dense", "convolution")
PROMPT = """\
3x3 convolution without flipping, one image, channels first; the image comes with its border of one pixel:
out[f][y][x] = sum over c, r, s of image[c][y+r][x+s] * weight[f][c][r][s],
for 0 <= f < F, 0 <= y < H, 0 <= x < W, 0 <= c < C, 0 <= r, s < 3.
    void kernel(const float *image, const float *weight, float *out, int64_t C, int64_t F, int64_t H, int64_t W)
image is C x (H+2) x (W+2), weight is F x C x 3 x 3, out is F x H x W, all row-major.
"""
DIMS = ("C", "F", "H", "W")
VISIBLE = (
    {"C": 4, "F": 8, "H": 16, "W": 16},
    {"C": 3, "F": 5, "H": 10, "W": 20},
)
HIDDEN = (
    {"C": 1, "F": 1, "H": 1, "W": 1},
    {"C": 1, "F": 1, "H": 5, "W": 7},
    {"C": 2, "F": 3, "H": 1, "W": 19},
    {"C": 7, "F": 5, "H": 11, "W": 13},
)
TIMED = {"C": 16, "F": 16, "H": 48, "W": 48}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    image = draw(dims["C"], dims["H"] + 2, dims["W"] + 2)
    return image, draw(dims["F"], dims["C"], 3, 3)


def reference(image: Array, weight: Array, **_dims: int) -> Array:
    if image.dtype == np.float64:
        windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(1, 2))
        return np.ascontiguousarray(np.tensordot(weight, windows, axes=((1, 2, 3), (0, 3, 4))))
    # What a textbook loop may be expected to round off over all its terms; BLAS sums in blocks and errs less.
    exact = reference(image.astype(np.float64), weight.astype(np.float64))
    squares = reference(np.square(image, dtype=np.float64), np.square(weight, dtype=np.float64))
    terms = weight[0].size
    return np.asarray(exact + 2.0**-25 * np.sqrt(terms * (squares / 2 + exact**2 / 3)))


def flops(**dims: int) -> int:
    return 18 * dims["C"] * dims["F"] * dims["H"] * dims["W"]


def bytes_moved(**dims: int) -> int:
    image = dims["C"] * (dims["H"] + 2) * (dims["W"] + 2)
    return 4 * (image + 9 * dims["F"] * dims["C"] + dims["F"] * dims["H"] * dims["W"])
