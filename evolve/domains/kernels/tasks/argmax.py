"""Position of the largest element of each row."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.number]

TIER = 1
TAGS = ("reduction", "integer")
PROMPT = """\
Position of the maximum of each row: out[i] = the least j for which x[i*N + j] is the largest of row i, exactly,
for 0 <= i < M, 0 <= j < N. There are no NaNs; the largest element often occurs more than once.
    void kernel(const float *x, int32_t *out, int64_t M, int64_t N)
x is M x N row-major, out holds M numbers.
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
TIMED = {"M": 512, "N": 1024}
OUTPUT_DTYPE = np.int32


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    x, chosen = (draw(dims["M"], dims["N"]) for _ in range(2))
    bits = chosen.view(np.uint32) * np.uint32(2654435761)
    # With replacement, and half of them raised by the least there is: so that there are ties and near ones.
    x = np.take_along_axis(x, (bits >> np.uint32(8)).astype(np.int64) % dims["N"], axis=1)
    return (np.where(bits >> np.uint32(31), np.nextafter(x, np.float32(np.inf)), x),)


def reference(x: Array, **_dims: int) -> Array:
    return np.asarray(x.argmax(axis=1))


def torch_peer(torch: Any, x: Any, **_dims: int) -> Any:
    return x.argmax(dim=1).to(torch.int32)


def flops(**dims: int) -> int:
    return dims["M"] * dims["N"]


def bytes_moved(**dims: int) -> int:
    return 4 * (dims["M"] * dims["N"] + dims["M"])
