"""3x3 windows of an image as columns."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 2
TAGS = ("layout", "convolution")
PROMPT = """\
Windows as columns (im2col) for a 3x3 convolution, channels first; the image comes with its border of one pixel:
out[c][r][s][y][x] = image[c][y+r][x+s], for 0 <= c < C, 0 <= r, s < 3, 0 <= y < H, 0 <= x < W.
    void kernel(const float *image, float *out, int64_t C, int64_t H, int64_t W)
image is C x (H+2) x (W+2), out is C x 3 x 3 x H x W, all row-major.
"""
DIMS = ("C", "H", "W")
VISIBLE = (
    {"C": 4, "H": 16, "W": 16},
    {"C": 3, "H": 10, "W": 20},
)
HIDDEN = (
    {"C": 1, "H": 1, "W": 1},
    {"C": 1, "H": 5, "W": 7},
    {"C": 2, "H": 1, "W": 19},
    {"C": 7, "H": 11, "W": 13},
)
TIMED = {"C": 16, "H": 64, "W": 64}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return (draw(dims["C"], dims["H"] + 2, dims["W"] + 2),)


def reference(image: Array, **dims: int) -> Array:
    windows = np.lib.stride_tricks.sliding_window_view(image, (dims["H"], dims["W"]), axis=(1, 2))
    return np.ascontiguousarray(windows)


def torch_peer(torch: Any, image: Any, **dims: int) -> Any:
    columns = torch.nn.functional.unfold(image[None], 3)
    return columns.reshape(dims["C"], 3, 3, dims["H"], dims["W"])


def flops(**dims: int) -> int:
    del dims
    return 0


def bytes_moved(**dims: int) -> int:
    return 4 * dims["C"] * ((dims["H"] + 2) * (dims["W"] + 2) + 9 * dims["H"] * dims["W"])
