"""Behind numerics.py in the referee: distributions are tickets, from which task.py draws a problem's own inputs.

A ticket says which distribution and which seed; what is drawn keeps the structure of the problem's own inputs.
"""

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

NAMES = ("own", "normal", "uniform", "laplace", "exponential", "lognormal", "mixed")
"""`own` is what `get_inputs` gives."""


def _ticket(number: int, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int64]:
    ticket = rng.integers(0, 2**62, shape)
    ticket[0] = number
    return ticket


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.generic]]] = {
    name: functools.partial(_ticket, number) for number, name in enumerate(NAMES)
}
UNTIMED: frozenset[str] = frozenset()
