"""Gravitational accelerations of bodies."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

TIER = 4
TAGS = ("fused", "reduction")
PROMPT = """\
Accelerations among bodies, softened: with d = position of j - position of i and r2 = d.x^2 + d.y^2 + d.z^2 + 0.01,
out[i] = sum over j of mass_j * d / (r2 * sqrt(r2)), three components, for 0 <= i, j < N. Masses may be negative.
    void kernel(const float *body, float *out, int64_t N)
body is N x 4 (x, y, z, mass), out is N x 3, both row-major.
"""
DIMS = ("N",)
VISIBLE = (
    {"N": 64},
    {"N": 100},
)
HIDDEN = (
    {"N": 1},
    {"N": 7},
    {"N": 257},
)
TIMED = {"N": 512}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return (_unit(draw(dims["N"], 4)),)


def reference(body: Array, **_dims: int) -> Array:
    offset, scale = _pairs(body)
    return np.asarray(np.einsum("ijk,ij->ik", offset, scale))


def error(body: Array, **_dims: int) -> Array:
    """Each term errs by some roundings of its own; so does a sum one by one."""
    offset, scale = _pairs(body)
    total = np.einsum("ijk,ij->ik", offset, scale)
    squares = np.einsum("ijk,ij->ik", offset * offset, scale * scale)
    summed = 2.0**-25 * np.sqrt(len(body) * (squares / 2 + total**2 / 3))
    return np.asarray(2.0**-23 * np.sqrt(squares) + summed)


def torch_peer(torch: Any, body: Any, **_dims: int) -> Any:
    offset = body[None, :, :3] - body[:, None, :3]
    square = (offset * offset).sum(dim=2) + 0.01
    return torch.einsum("ijk,ij->ik", offset, body[:, 3] / (square * torch.sqrt(square)))


def flops(**dims: int) -> int:
    return 12 * dims["N"] * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 28 * dims["N"]


def _pairs(body: Array) -> tuple[Array, Array]:
    """For each pair the offset of the other, and what it is multiplied with."""
    offset = body[None, :, :3] - body[:, None, :3]
    square = (offset * offset).sum(axis=2) + body.dtype.type(0.01)
    return offset, body[:, 3] / (square * np.sqrt(square))


def _unit(x: Array) -> Array:
    """Of order one, whatever the distribution."""
    scale = np.sqrt(np.mean(np.square(x, dtype=np.float64)))
    return (x / scale).astype(np.float32) if scale else x
