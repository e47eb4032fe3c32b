"""Rotary position embedding."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 4
TAGS = ("fused", "transcendental")
PROMPT = """\
Rotary position embedding: the pairs of neighbours in each head are turned by an angle that all heads share:
out[t][h][2p]   = x[t][h][2p] * cos(angle[t][p]) - x[t][h][2p+1] * sin(angle[t][p]),
out[t][h][2p+1] = x[t][h][2p] * sin(angle[t][p]) + x[t][h][2p+1] * cos(angle[t][p]),
for 0 <= t < T, 0 <= h < H, 0 <= p < P. An angle may be many turns, of either sign.
    void kernel(const float *x, const float *angle, float *out, int64_t T, int64_t H, int64_t P)
x and out are T x H x 2P, angle is T x P, all row-major.
"""
DIMS = ("T", "H", "P")
VISIBLE = (
    {"T": 8, "H": 4, "P": 16},
    {"T": 5, "H": 3, "P": 20},
)
HIDDEN = (
    {"T": 1, "H": 1, "P": 1},
    {"T": 1, "H": 3, "P": 37},
    {"T": 41, "H": 1, "P": 1},
    {"T": 13, "H": 7, "P": 11},
)
TIMED = {"T": 128, "H": 8, "P": 32}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return draw(dims["T"], dims["H"], 2 * dims["P"]), 3 * _unit(draw(dims["T"], dims["P"]))


def reference(x: Array, angle: Array, **_dims: int) -> Array:
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    even, odd = x[..., 0::2], x[..., 1::2]
    return np.stack((even * cos - odd * sin, even * sin + odd * cos), axis=-1).reshape(x.shape)


def error(x: Array, angle: Array, **_dims: int) -> Array:
    """The two terms may cancel: roundings of their magnitudes, as if sine and cosine were one."""
    del angle
    size = np.abs(x[..., 0::2]) + np.abs(x[..., 1::2])
    return 2.0**-24 * np.repeat(size, 2, axis=-1)


def torch_peer(torch: Any, x: Any, angle: Any, **_dims: int) -> Any:
    turn = torch.polar(torch.ones_like(angle), angle)[:, None]
    pairs = torch.view_as_complex(x.reshape(*x.shape[:2], -1, 2))
    return torch.view_as_real(pairs * turn).reshape(x.shape)


def flops(**dims: int) -> int:
    return (6 * dims["H"] + 20) * dims["T"] * dims["P"]


def bytes_moved(**dims: int) -> int:
    return 4 * (4 * dims["H"] + 1) * dims["T"] * dims["P"]


def _unit(x: Array) -> Array:
    """Of order one, whatever the distribution."""
    scale = np.sqrt(np.mean(np.square(x, dtype=np.float64)))
    return (x / scale).astype(np.float32) if scale else x
