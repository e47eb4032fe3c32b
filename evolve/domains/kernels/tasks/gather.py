"""Elements of a table by index."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.number]

TIER = 2
TAGS = ("layout", "gather")
PROMPT = """\
Gather: out[i] = table[index[i]], for 0 <= i < N, where 0 <= index[i] < T.
    void kernel(const float *table, const int32_t *index, float *out, int64_t N, int64_t T)
table holds T floats, index N numbers, out N floats.
"""
DIMS = ("N", "T")
VISIBLE = (
    {"N": 1024, "T": 512},
    {"N": 1000, "T": 37},
)
HIDDEN = (
    {"N": 1, "T": 1},
    {"N": 7, "T": 1},
    {"N": 1, "T": 101},
    {"N": 4093, "T": 8191},
)
TIMED = {"N": 500000, "T": 500000}


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    return draw(dims["T"]), (_scrambled(draw(dims["N"])) % dims["T"]).astype(np.int32)


def reference(table: Array, index: NDArray[np.int32], **_dims: int) -> Array:
    return table[index]


def torch_peer(torch: Any, table: Any, index: Any, **_dims: int) -> Any:
    return torch.index_select(table, 0, index)


def flops(**dims: int) -> int:
    del dims
    return 0


def bytes_moved(**dims: int) -> int:
    return 8 * dims["N"]


def _scrambled(x: Array) -> NDArray[np.uint32]:
    """Numbers below 2^24 that are as good as independent of the values."""
    return (x.view(np.uint32) * np.uint32(2654435761)) >> np.uint32(8)
