"""Minimises functions of several variables that it knows nothing about."""

from collections.abc import Callable
from random import Random

# EVOLVE-BLOCK-START
STEP = 1.0
"""Of the first trials, in the units of the box."""
GROWTH = 0.001
"""Of the step, after a trial that was better."""
DECAY = 0.001
"""And after one that was not."""


def search(
    objective: Callable[[list[float]], float], lower: float, upper: float, size: int, budget: int, rng: Random
) -> tuple[list[float], float]:
    best = [rng.uniform(lower, upper) for _ in range(size)]
    best_value = objective(best)
    step = STEP
    for _ in range(budget - 1):
        trial = [value + step * rng.uniform(-1.0, 1.0) for value in best]
        trial = [min(max(value, lower), upper) for value in trial]
        value = objective(trial)
        if value < best_value:
            best, best_value = trial, value
            step *= 1 + GROWTH
        else:
            step *= 1 - DECAY
    return best, best_value


# EVOLVE-BLOCK-END


def minimise(objective: Callable[[list[float]], float], lower: float, upper: float, size: int, budget: int) -> None:
    """Calls `objective` at most `budget` times, with `size` numbers between `lower` and `upper`."""
    search(objective, lower, upper, size, budget, Random(1))
