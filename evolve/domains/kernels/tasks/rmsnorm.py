"""Root-mean-square normalisation of each row."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 4
TAGS = ("fused", "reduction")
PROMPT = """\
Root-mean-square normalisation of each row: with square_i the mean of the squares of row i of x,
out[i*N + j] = x[i*N + j] / sqrt(square_i + 1e-5) * gamma[j], for 0 <= i < M, 0 <= j < N.
    void kernel(const float *x, const float *gamma, float *out, int64_t M, int64_t N)
x and out are M x N row-major, gamma holds N floats.
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
TIMED = {"M": 1024, "N": 1024}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return draw(dims["M"], dims["N"]), draw(dims["N"])


def reference(x: Array, gamma: Array, **_dims: int) -> Array:
    square = np.mean(x * x, axis=1, keepdims=True)
    return np.asarray(x / np.sqrt(square + x.dtype.type(1e-5)) * gamma)


def error(x: Array, gamma: Array, **_dims: int) -> Array:
    """Three roundings, and half of what squares summed one by one lose: as much as they do, and as may be expected."""
    partial = np.cumsum(x * x, axis=1, dtype=np.float64)
    lost = np.abs(np.cumsum(x * x, axis=1)[:, -1:] - partial[:, -1:])
    summed = np.maximum(lost, 2.0**-25 * np.linalg.norm(partial, axis=1, keepdims=True))
    relative = 3 * 2.0**-24 + summed / (partial[:, -1:] + 1e-5 * x.shape[1]) / 2
    return np.asarray(np.abs(reference(x, gamma)) * relative)


def torch_peer(torch: Any, x: Any, gamma: Any, **_dims: int) -> Any:
    return torch.nn.functional.rms_norm(x, gamma.shape, gamma, eps=1e-5)


def flops(**dims: int) -> int:
    return 5 * dims["M"] * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 4 * (2 * dims["M"] * dims["N"] + dims["N"])
