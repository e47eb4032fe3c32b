"""Convolution of a signal with several channels."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 3
TAGS = ("dense", "convolution")
PROMPT = """\
1-D convolution without flipping: out[f][i] = sum over c, k of signal[c][i+k] * weight[f][c][k],
for 0 <= f < F, 0 <= i < N, 0 <= c < C, 0 <= k < K.
    void kernel(const float *signal, const float *weight, float *out, int64_t C, int64_t F, int64_t N, int64_t K)
signal is C x (N+K-1), weight is F x C x K, out is F x N, all row-major.
"""
DIMS = ("C", "F", "N", "K")
VISIBLE = (
    {"C": 4, "F": 8, "N": 64, "K": 5},
    {"C": 3, "F": 5, "N": 50, "K": 8},
)
HIDDEN = (
    {"C": 1, "F": 1, "N": 1, "K": 1},
    {"C": 1, "F": 2, "N": 37, "K": 3},
    {"C": 5, "F": 3, "N": 1, "K": 7},
    {"C": 7, "F": 5, "N": 61, "K": 4},
)
TIMED = {"C": 16, "F": 16, "N": 1024, "K": 7}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return draw(dims["C"], dims["N"] + dims["K"] - 1), draw(dims["F"], dims["C"], dims["K"])


def reference(signal: Array, weight: Array, **dims: int) -> Array:
    windows = np.lib.stride_tricks.sliding_window_view(signal, dims["K"], axis=1)
    return np.tensordot(weight, windows, axes=((1, 2), (0, 2)))


def error(signal: Array, weight: Array, **dims: int) -> Array:
    """What a loop may be expected to round off over its terms one by one; BLAS sums in blocks and errs less."""
    squares = reference(np.square(signal), np.square(weight), **dims)
    products = reference(signal, weight, **dims)
    return np.asarray(2.0**-25 * np.sqrt(weight[0].size * (squares / 2 + products**2 / 3)))


def torch_peer(torch: Any, signal: Any, weight: Any, **_dims: int) -> Any:
    return torch.nn.functional.conv1d(signal[None], weight)[0]


def flops(**dims: int) -> int:
    return 2 * dims["C"] * dims["F"] * dims["N"] * dims["K"]


def bytes_moved(**dims: int) -> int:
    signal = dims["C"] * (dims["N"] + dims["K"] - 1)
    return 4 * (signal + dims["F"] * dims["C"] * dims["K"] + dims["F"] * dims["N"])
