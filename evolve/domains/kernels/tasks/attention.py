"""Single-head attention."""

from collections.abc import Callable, Mapping

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
    out = (weight @ v) / total
    if q.dtype == np.float64:
        return np.asarray(out)
    # A score's rounding is an exponent's: allow for that of a textbook dot product in each row's worst score.
    rounding = 2.0**-24 * ((np.abs(q) @ np.abs(k).T) / root).max(axis=1, keepdims=True).astype(np.float64)
    return np.asarray(out + rounding * ((weight @ np.abs(v)) / total))


def flops(**dims: int) -> int:
    return 4 * dims["N"] * dims["N"] * dims["D"] + 14 * dims["N"] * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 16 * dims["N"] * dims["D"]


def _rms(x: Array) -> np.float32:
    return np.float32(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
