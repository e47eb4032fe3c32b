"""3x3 convolution of one image with several channels."""

from collections.abc import Callable, Mapping
from typing import Any

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
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(1, 2))
    return np.ascontiguousarray(np.tensordot(weight, windows, axes=((1, 2, 3), (0, 3, 4))))


def error(image: Array, weight: Array, **_dims: int) -> Array:
    """What a loop may be expected to round off over its terms one by one; BLAS sums in blocks and errs less.

    Fast convolutions (Winograd) err by the largest elements, wherever they are.
    """
    squares = reference(np.square(image), np.square(weight))
    largest = np.abs(image).max() * np.abs(weight).max()
    terms = squares / 2 + reference(image, weight) ** 2 / 3 + largest**2 / 4
    return np.asarray(2.0**-25 * np.sqrt(weight[0].size * terms))


def torch_peer(torch: Any, image: Any, weight: Any, **_dims: int) -> Any:
    return torch.nn.functional.conv2d(image[None], weight)[0]


def flops(**dims: int) -> int:
    return 18 * dims["C"] * dims["F"] * dims["H"] * dims["W"]


def bytes_moved(**dims: int) -> int:
    image = dims["C"] * (dims["H"] + 2) * (dims["W"] + 2)
    return 4 * (image + 9 * dims["F"] * dims["C"] + dims["F"] * dims["H"] * dims["W"])
