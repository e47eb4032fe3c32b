"""How well a filter follows signals through noise: it is given one sample at a time and answers before the next.

The signals are drawn anew for each judgement, and what comes later is not there to be read.
"""

import importlib.util
import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import ModuleType

LENGTH = 160
SKIPPED = 15
"""Samples at the beginning that do not count."""
MOST_LAG = 12
SPIKES = 0.02
"""Share of samples that are far off."""
WEIGHTS = {"fidelity": 0.6, "promptness": 0.2, "smoothness": 0.2}

Shape = Callable[[float], float]


def tones() -> Shape:
    slow, fast, turn = random.uniform(1, 2), random.uniform(3, 5), random.uniform(0, 6)
    return lambda t: math.sin(6.28 * slow * t + turn) + 0.4 * math.sin(6.28 * fast * t)


def chirp() -> Shape:
    begin, more = random.uniform(0.5, 1), random.uniform(2, 4)
    return lambda t: math.sin(6.28 * (begin + more * t) * t)


def steps() -> Shape:
    edges = sorted(random.uniform(0.1, 0.9) for _ in range(4))
    heights = [random.uniform(-1.5, 1.5) for _ in range(5)]
    return lambda t: heights[sum(t > edge for edge in edges)]


def ramps() -> Shape:
    turn, slope = random.uniform(0.3, 0.7), random.uniform(2, 4)
    return lambda t: slope * (t if t < turn else 2 * turn - t)


SHAPES = (tones, chirp, steps, ramps)
TIMES = 2
"""Signals of each shape."""


def evaluate(program_path: str) -> dict[str, float | str]:
    try:
        program = load(program_path)
        found = [judged(program, shape()) for shape in SHAPES for _ in range(TIMES)]
    except Exception as error:  # noqa: BLE001 - whatever the program does
        return {"combined_score": 0.0, "error": f"{type(error).__name__}: {error}"}
    means = {name: sum(each[name] for each in found) / len(found) for name in WEIGHTS}
    return {"combined_score": sum(weight * means[name] for name, weight in WEIGHTS.items()), **means}


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("program", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


def judged(program: ModuleType, shape: Shape) -> dict[str, float]:
    clean = [shape(at / LENGTH) for at in range(LENGTH)]
    noise = random.uniform(0.15, 0.35)
    noisy = [value + random.gauss(0, noise) * (1 if random.random() > SPIKES else 8) for value in clean]
    filtering = program.Filter()
    found = []
    for sample in noisy:
        value = float(filtering.update(sample))
        if not math.isfinite(value):
            raise ValueError(f"update gave {value} for {sample}")
        found.append(value)
    return marks(clean[SKIPPED:], noisy[SKIPPED:], found[SKIPPED:])


def marks(clean: Sequence[float], noisy: Sequence[float], found: Sequence[float]) -> dict[str, float]:
    """Each from 0 to 1."""
    fidelity = max(0.0, 1 - distance(clean, found) / distance(clean, noisy))
    lag = min(range(MOST_LAG + 1), key=lambda lag: distance(clean[: len(clean) - lag], found[lag:]))
    true, made = roughness(clean), roughness(found)
    smoothness = min(true, made) / max(true, made)
    promptness = 1 - lag / MOST_LAG if fidelity else 0.0
    return {"fidelity": fidelity, "promptness": promptness, "smoothness": smoothness}


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / len(one))


def roughness(values: Sequence[float]) -> float:
    return sum(abs(b - a) for a, b in pairwise(values)) + 1e-9
