"""Linear layer with bias and GELU."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 4
TAGS = ("fused", "dense", "transcendental")
PROMPT = """\
Linear layer with bias and GELU (its tanh form): with y = bias[j] + sum over p of x[i*K + p] * weight[p*N + j],
out[i*N + j] = y/2 * (1 + tanh(0.7978845608 * (y + 0.044715 * y*y*y))), for 0 <= i < M, 0 <= j < N, 0 <= p < K.
    void kernel(const float *x, const float *weight, const float *bias, float *out, int64_t M, int64_t N, int64_t K)
x is M x K, weight is K x N, bias holds N floats, out is M x N, all row-major.
"""
DIMS = ("M", "N", "K")
VISIBLE = (
    {"M": 32, "N": 32, "K": 32},
    {"M": 20, "N": 30, "K": 50},
)
HIDDEN = (
    {"M": 1, "N": 1, "K": 1},
    {"M": 1, "N": 37, "K": 5},
    {"M": 41, "N": 1, "K": 13},
    {"M": 31, "N": 37, "K": 43},
)
TIMED = {"M": 64, "N": 128, "K": 192}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    # Of order one, so that the sums lie where GELU bends.
    x, weight = _unit(draw(dims["M"], dims["K"])), _unit(draw(dims["K"], dims["N"]))
    return x, weight / np.float32(np.sqrt(dims["K"])), _unit(draw(dims["N"]))


def reference(x: Array, weight: Array, bias: Array, **_dims: int) -> Array:
    one = x.dtype.type
    y = x @ weight + bias
    return np.asarray(one(0.5) * y * (1 + np.tanh(one(0.7978845608028654) * (y + one(0.044715) * y * y * y))))


def error(x: Array, weight: Array, bias: Array, **_dims: int) -> Array:
    """Of a sum one by one, which GELU hardly stretches; and 1 + tanh(y) rounds off up to an ulp of 1."""
    y = x @ weight + bias
    squares = np.square(x) @ np.square(weight)
    summed = 2.0**-25 * np.sqrt(x.shape[1] * (squares / 2 + (y - bias) ** 2 / 3)) + 2.0**-24 * np.abs(bias)
    return np.asarray(1.2 * summed + 2.0**-23 * np.minimum(np.abs(y), 8))


def torch_peer(torch: Any, x: Any, weight: Any, bias: Any, **_dims: int) -> Any:
    return torch.nn.functional.gelu(torch.addmm(bias, x, weight), approximate="tanh")


def flops(**dims: int) -> int:
    return (2 * dims["K"] + 20) * dims["M"] * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 4 * (dims["M"] * dims["K"] + dims["K"] * dims["N"] + dims["N"] + dims["M"] * dims["N"])


def _unit(x: Array) -> Array:
    """Of order one, whatever the distribution."""
    scale = np.sqrt(np.mean(np.square(x, dtype=np.float64)))
    return (x / scale).astype(np.float32) if scale else x
