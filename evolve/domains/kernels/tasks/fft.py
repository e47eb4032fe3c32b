"""Discrete Fourier transforms, radix 2."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 4
TAGS = ("fused", "transcendental", "permutation")
PROMPT = """\
Discrete Fourier transform of each row of n = 2^L complex numbers, unscaled:
out[b][k] = sum over i of x[b][i] * exp(-2 pi sqrt(-1) i k / n), for 0 <= b < B, 0 <= i, k < n.
    void kernel(const float *x, float *out, int64_t B, int64_t L)
x and out are B x 2^L x 2, row-major: real and imaginary part in turn.
"""
DIMS = ("B", "L")
VISIBLE = (
    {"B": 4, "L": 6},
    {"B": 3, "L": 5},
)
HIDDEN = (
    {"B": 1, "L": 1},
    {"B": 1, "L": 9},
    {"B": 7, "L": 1},
    {"B": 5, "L": 2},
)
TIMED = {"B": 16, "L": 10}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return (draw(dims["B"], 1 << dims["L"], 2),)


def reference(x: Array, **_dims: int) -> Array:
    together = x.view(np.complex64 if x.dtype == np.float32 else np.complex128)
    spectrum = np.fft.fft(together, axis=1)
    return spectrum.view(x.dtype)


def error(x: Array, **dims: int) -> Array:
    """Every stage rounds numbers, and factors from the unit circle, of about the size of the row's results."""
    size = np.sqrt(np.sum(np.square(x, dtype=np.float64), axis=(1, 2), keepdims=True) / 2)
    return np.asarray(2.0**-23 * np.sqrt(dims["L"]) * size)


def torch_peer(torch: Any, x: Any, **_dims: int) -> Any:
    return torch.view_as_real(torch.fft.fft(torch.view_as_complex(x)))


def flops(**dims: int) -> int:
    return 4 * dims["B"] * dims["L"] * (1 << dims["L"])


def bytes_moved(**dims: int) -> int:
    return 16 * dims["B"] * (1 << dims["L"])
