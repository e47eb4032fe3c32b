"""Single-head attention."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 4
TAGS = ("fused", "dense", "transcendental", "reduction")
PROMPT = """\
Single-head attention: with score[i][j] = (sum over d of q[i*D + d] * k[j*D + d]) / sqrt(D)
and weight[i][:] = softmax of score[i][:], out[i*D + d] = sum over j of weight[i][j] * v[j*D + d],
for 0 <= i, j < N, 0 <= d < D.
    void kernel(const float *q, const float *k, const float *v, float *out, int64_t N, int64_t D)
q, k, v and out are N x D, row-major.
"""
DIMS = ("N", "D")
VISIBLE = (
    {"N": 32, "D": 16},
    {"N": 20, "D": 24},
)
HIDDEN = (
    {"N": 1, "D": 1},
    {"N": 1, "D": 37},
    {"N": 41, "D": 1},
    {"N": 67, "D": 13},
)
TIMED = {"N": 192, "D": 64}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    q, k, v = (draw(dims["N"], dims["D"]) for _ in range(3))
    # Scores stay of order one: softmax of large ones amplifies the rounding of the scores without bound.
    return q / _rms(q), k / _rms(k), v


def reference(q: Array, k: Array, v: Array, **_dims: int) -> Array:
    root = np.sqrt(q.dtype.type(q.shape[1]))
    score = (q @ k.T) / root
    weight = np.exp(score - score.max(axis=1, keepdims=True))
    total = weight.sum(axis=1, keepdims=True)
    return np.asarray((weight @ v) / total)


def error(q: Array, k: Array, v: Array, **_dims: int) -> Array:
    """A score's rounding is an exponent's: that of a plain dot product, in each row's worst score, and a margin."""
    scores = (np.abs(q) @ np.abs(k).T) / np.sqrt(np.float32(q.shape[1]))
    return np.asarray(3 * 2.0**-24 * scores.max(axis=1, keepdims=True) * reference(q, k, np.abs(v)))


def torch_peer(torch: Any, q: Any, k: Any, v: Any, **_dims: int) -> Any:
    return torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None])[0]


def flops(**dims: int) -> int:
    return 4 * dims["N"] * dims["N"] * dims["D"] + 14 * dims["N"] * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 16 * dims["N"] * dims["D"]


def _rms(x: Array) -> np.float32:
    """Never zero."""
    return np.float32(max(np.sqrt(np.mean(np.square(x, dtype=np.float64))), 2.0**-126))
