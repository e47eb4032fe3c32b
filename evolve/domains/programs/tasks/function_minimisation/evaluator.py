"""How near a program comes to the minima of functions that it can only call, and only so often.

Where the minima lie is drawn anew for each judgement. Nothing that the program claims counts: what does is the best
of the values that it was given.
"""

import importlib.util
import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import ModuleType

LOWER, UPPER = -5.0, 5.0
SHIFT = 3.5
"""Farthest that a minimum lies from the middle, in each variable."""
BUDGET = 200
SIZE = 3
TIMES = 2
"""Each function with its minimum at so many places."""
EXACT = 1e-6
"""Of a typical value: what is nearer is as good as found."""
SAMPLES = 200

Function = Callable[[Sequence[float]], float]


def sphere(x: Sequence[float]) -> float:
    return sum(v * v for v in x)


def ellipsoid(x: Sequence[float]) -> float:
    return sum(30.0**at * v * v for at, v in enumerate(x))


def valley(x: Sequence[float]) -> float:
    return sum(20 * (w - v - v * v / 4) ** 2 + v * v for v, w in pairwise(x))


def waves(x: Sequence[float]) -> float:
    return sum(v * v + 4 * (1 - math.cos(2 * v)) for v in x)


def funnel(x: Sequence[float]) -> float:
    far = math.sqrt(sum(v * v for v in x) / len(x))
    ripple = sum(math.cos(3 * v) for v in x) / len(x)
    return 20 * (1 - math.exp(-far / 4)) + 1 - ripple


def ridge(x: Sequence[float]) -> float:
    return abs(x[0]) + 5 * math.sqrt(sum(v * v for v in x[1:])) + abs(sum(x))


FUNCTIONS: tuple[Function, ...] = (sphere, ellipsoid, valley, waves, funnel, ridge)
"""Each is 0 at the origin and more elsewhere."""


class Exhausted(Exception):  # noqa: N818
    """The calls are used up."""


class Counted:
    """A function with its minimum elsewhere, called so often and no more."""

    def __init__(self, function: Function, shift: Sequence[float]) -> None:
        self._function = function
        self._shift = shift
        self._left = BUDGET
        self.best = math.inf

    def __call__(self, point: Sequence[float]) -> float:
        values = [float(value) for value in point]
        if self._left <= 0:
            raise Exhausted(f"all {BUDGET} calls are used up")
        self._left -= 1
        if len(values) != len(self._shift) or not all(LOWER <= value <= UPPER for value in values):
            raise ValueError(f"{len(self._shift)} numbers from {LOWER} to {UPPER} are wanted, not {values}")
        result = self.at(values)
        self.best = min(self.best, result)
        return result

    def at(self, values: Sequence[float]) -> float:
        return self._function([value - shift for value, shift in zip(values, self._shift, strict=True)])


def evaluate(program_path: str) -> dict[str, float | str]:
    scores: dict[str, float] = {}
    try:
        program = load(program_path)
        for function in FUNCTIONS:
            scores[function.__name__] = sum(judged(program, function) for _ in range(TIMES)) / TIMES
    except Exception as error:  # noqa: BLE001 - whatever the program does
        return {"combined_score": 0.0, "error": f"{type(error).__name__}: {error}"}
    return {"combined_score": sum(scores.values()) / len(scores), **scores}


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("program", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


def judged(program: ModuleType, function: Function) -> float:
    """From 0, as near as a point drawn at random, to 1; each power of ten nearer counts the same."""
    counted = Counted(function, [random.uniform(-SHIFT, SHIFT) for _ in range(SIZE)])
    drawn = sorted(counted.at([random.uniform(LOWER, UPPER) for _ in range(SIZE)]) for _ in range(SAMPLES))
    typical = drawn[SAMPLES // 2]
    try:
        program.minimise(counted, LOWER, UPPER, SIZE, BUDGET)
    except Exception as error:
        if "calls are used up" not in str(error):
            raise
    gap = max(counted.best / typical, EXACT)
    return max(0.0, math.log10(gap) / math.log10(EXACT))
