"""Layer normalisation of each row, with scale and shift."""

from collections.abc import Callable, Mapping

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
    scaled = _scaled(x, gamma)
    if x.dtype == np.float64:
        return scaled + beta
    # Where the two terms cancel, the error of the first is all there is: it counts in full, plus two roundings.
    exact = _scaled(x.astype(np.float64), gamma.astype(np.float64))
    return exact + beta + np.abs(scaled - exact) + 2.0**-22 * np.abs(exact)


def _scaled(x: Array, gamma: Array) -> Array:
    count = x.dtype.type(x.shape[1])
    # Summed one by one, as a textbook does.
    mean = np.cumsum(x, axis=1, dtype=x.dtype)[:, -1:] / count
    centred = x - mean
    variance = np.cumsum(centred * centred, axis=1, dtype=x.dtype)[:, -1:] / count
    return np.asarray(centred / np.sqrt(variance + x.dtype.type(1e-5)) * gamma)


def flops(**dims: int) -> int:
    return 8 * dims["M"] * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 4 * (2 * dims["M"] * dims["N"] + 2 * dims["N"])
