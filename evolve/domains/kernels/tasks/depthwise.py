"""3x3 convolution of each channel by itself."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 3
TAGS = ("convolution",)
PROMPT = """\
Depthwise 3x3 convolution without flipping, one image, channels first; the image comes with its border of one pixel:
out[c][y][x] = sum over r, s of image[c][y+r][x+s] * weight[c][r][s],
for 0 <= c < C, 0 <= y < H, 0 <= x < W, 0 <= r, s < 3.
    void kernel(const float *image, const float *weight, float *out, int64_t C, int64_t H, int64_t W)
image is C x (H+2) x (W+2), weight is C x 3 x 3, out is C x H x W, all row-major.
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
TIMED = {"C": 32, "H": 96, "W": 96}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return draw(dims["C"], dims["H"] + 2, dims["W"] + 2), draw(dims["C"], 3, 3)


def reference(image: Array, weight: Array, **dims: int) -> Array:
    out = np.zeros((dims["C"], dims["H"], dims["W"]), image.dtype)
    for r, s in np.ndindex(3, 3):
        out += image[:, r : r + dims["H"], s : s + dims["W"]] * weight[:, r, s, None, None]
    return out


def error(image: Array, weight: Array, **dims: int) -> Array:
    """Nine terms may cancel: a rounding of their magnitudes."""
    return 2.0**-24 * reference(np.abs(image), np.abs(weight), **dims)


def torch_peer(torch: Any, image: Any, weight: Any, **dims: int) -> Any:
    return torch.nn.functional.conv2d(image[None], weight[:, None], groups=dims["C"])[0]


def flops(**dims: int) -> int:
    return 18 * dims["C"] * dims["H"] * dims["W"]


def bytes_moved(**dims: int) -> int:
    return 4 * dims["C"] * ((dims["H"] + 2) * (dims["W"] + 2) + 9 + dims["H"] * dims["W"])
