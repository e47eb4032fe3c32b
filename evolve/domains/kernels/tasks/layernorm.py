"""Layer normalisation of each row, with scale and shift."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 4
TAGS = ("fused", "reduction")
PROMPT = """\
Layer normalisation of each row: with mean_i and var_i the mean and the (biased) variance of row i of x,
out[i*N + j] = (x[i*N + j] - mean_i) / sqrt(var_i + 1e-5) * gamma[j] + beta[j], for 0 <= i < M, 0 <= j < N.
    void kernel(const float *x, const float *gamma, const float *beta, float *out, int64_t M, int64_t N)
x and out are M x N row-major, gamma and beta hold N floats.
"""
DIMS = ("M", "N")
VISIBLE = (
    {"M": 16, "N": 64},
    {"M": 10, "N": 100},
)
HIDDEN = (
    {"M": 1, "N": 1},
    {"M": 1, "N": 37},
    {"M": 41, "N": 1},
    {"M": 13, "N": 257},
)
TIMED = {"M": 1024, "N": 768}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return draw(dims["M"], dims["N"]), draw(dims["N"]), draw(dims["N"])


def reference(x: Array, gamma: Array, beta: Array, **_dims: int) -> Array:
    centred = x - x.mean(axis=1, keepdims=True)
    variance = np.mean(centred * centred, axis=1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + x.dtype.type(1e-5)) * gamma + beta)


def error(x: Array, gamma: Array, beta: Array, **_dims: int) -> Array:
    """Where the two terms cancel, the error of the first is all there is."""
    count = x.shape[1]
    mean = x.mean(axis=1, keepdims=True)
    square = np.square(x - mean)
    deviation = np.sqrt(square.mean(axis=1, keepdims=True) + np.float32(1e-5))
    relative = 4 * 2.0**-24 + _summed(square) / count / deviation**2 / 2
    scaled = np.abs((x - mean) / deviation * gamma)
    shift = np.abs(gamma / deviation) * _summed(x) / count
    return np.asarray(shift + scaled * relative + 2.0**-24 * np.abs(beta))


def _summed(x: Array) -> Array:
    """What is lost of a row's sum, one by one: as much as is, and at least as may be expected."""
    partial = np.cumsum(x, axis=1, dtype=np.float64)
    expected = 2.0**-25 * np.linalg.norm(partial[:, 1:], axis=1, keepdims=True)
    return np.asarray(np.maximum(np.abs(np.cumsum(x, axis=1)[:, -1:] - partial[:, -1:]), expected))


def torch_peer(torch: Any, x: Any, gamma: Any, beta: Any, **_dims: int) -> Any:
    return torch.nn.functional.layer_norm(x, gamma.shape, gamma, beta, eps=1e-5)


def flops(**dims: int) -> int:
    return 8 * dims["M"] * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 4 * (2 * dims["M"] * dims["N"] + 2 * dims["N"])
