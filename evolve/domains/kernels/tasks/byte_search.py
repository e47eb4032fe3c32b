"""Where a pattern of bytes occurs in a text."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.number]

TIER = 2
TAGS = ("integer", "search")
PROMPT = """\
Search: out[i] = 1 where text[i+j] == pattern[j] for all 0 <= j < P, else 0, for 0 <= i < N. Occurrences may overlap.
    void kernel(const uint8_t *text, const uint8_t *pattern, uint8_t *out, int64_t N, int64_t P)
text holds N+P-1 bytes, of few different values in the trials but any are possible; pattern holds P, out N.
"""
DIMS = ("N", "P")
VISIBLE = (
    {"N": 1024, "P": 3},
    {"N": 1000, "P": 5},
)
HIDDEN = (
    {"N": 1, "P": 1},
    {"N": 1, "P": 11},
    {"N": 37, "P": 1},
    {"N": 4093, "P": 4},
)
TIMED = {"N": 300000, "P": 8}
OUTPUT_DTYPE = np.uint8


def inputs(draw: Callable[..., Array], dims: Mapping[str, int]) -> tuple[Array, ...]:
    text = _letters(draw(dims["N"] + dims["P"] - 1))
    start = dims["N"] * 2 // 3  # the pattern occurs once at least
    return text, text[start : start + dims["P"]]


def reference(text: Array, pattern: Array, **_dims: int) -> Array:
    windows = np.lib.stride_tricks.sliding_window_view(text, pattern.size)
    return np.asarray((windows == pattern).all(axis=1), dtype=np.uint8)


def torch_peer(torch: Any, text: Any, pattern: Any, **dims: int) -> Any:
    return (text.unfold(0, dims["P"], 1) == pattern).all(dim=1).to(torch.uint8)


def flops(**dims: int) -> int:
    del dims
    return 0


def bytes_moved(**dims: int) -> int:
    return 2 * dims["N"] + 2 * dims["P"]


def _letters(x: Array) -> Array:
    """One of four: the first two bits of each mantissa behind the leading one."""
    return (97 + (x.view(np.uint32) >> 21 & 3)).astype(np.uint8)
