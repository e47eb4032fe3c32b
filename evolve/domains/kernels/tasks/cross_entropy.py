"""Cross-entropy loss of each row of logits."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.number]

TIER = 4
TAGS = ("fused", "transcendental", "reduction")
PROMPT = """\
Cross-entropy of each row, stable for large logits: with m_i the largest element of row i,
out[i] = log(sum over j of exp(x[i*N + j] - m_i)) + m_i - x[i*N + label[i]], for 0 <= i < M, 0 <= j < N.
    void kernel(const float *x, const int32_t *label, float *out, int64_t M, int64_t N)
x is M x N row-major, label holds M numbers with 0 <= label[i] < N, out M floats.
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
TIMED = {"M": 512, "N": 640}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    label = draw(dims["M"]).view(np.uint32) * np.uint32(2654435761) >> np.uint32(8)
    return 3 * _unit(draw(dims["M"], dims["N"])), (label % dims["N"]).astype(np.int32)


def reference(x: Array, label: NDArray[np.int32], **_dims: int) -> Array:
    largest = x.max(axis=1)
    total = np.exp(x - largest[:, None]).sum(axis=1)
    return np.asarray(np.log(total) + largest - x[np.arange(len(x)), label])


def error(x: Array, label: NDArray[np.int32], **_dims: int) -> Array:
    """Roundings of the logits and the logarithm; of the exponents, by weight; of the total, where many tiny terms
    may all be rounded one way: as far off as a loop is, and at least as it may be expected.
    """
    largest = x.max(axis=1)
    exponent = x - largest[:, None]
    weight = np.exp(exponent)
    total = weight.sum(axis=1)
    terms = np.abs(largest) + np.abs(x[np.arange(len(x)), label]) + np.log(total) + 1
    averaged = (weight * np.abs(exponent)).sum(axis=1) / total
    summed = np.maximum(np.abs(np.cumsum(weight, axis=1)[:, -1] / total - 1), 2.0**-25 * np.sqrt(x.shape[1] / 3))
    return np.asarray(2.0**-24 * (terms + averaged) + summed)


def torch_peer(torch: Any, x: Any, label: Any, **_dims: int) -> Any:
    return torch.nn.functional.cross_entropy(x, label.to(torch.int64), reduction="none")


def flops(**dims: int) -> int:
    return 14 * dims["M"] * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 4 * (dims["M"] * dims["N"] + 2 * dims["M"])


def _unit(x: Array) -> Array:
    """Of order one, whatever the distribution."""
    scale = np.sqrt(np.mean(np.square(x, dtype=np.float64)))
    return (x / scale).astype(np.float32) if scale else x
