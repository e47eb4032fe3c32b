"""Intervals and tests: known values from the literature, and how often they hold when the truth is known."""

import math
import statistics
from collections.abc import Callable
from random import Random

import pytest

from evolve.intervals import (
    EXACT,
    FEWEST_PAIRS,
    Estimate,
    bootstrap,
    design_effect,
    difference,
    share,
    sign_flips,
    wilson,
)

# ---- shares


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_values_of_newcombes_table(hits: int, of: int, low: float, high: float) -> None:
    """Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3."""
    assert wilson(hits, of) == pytest.approx((low, high), abs=5e-5)


def test_a_share_of_all_or_none_keeps_a_width_and_stays_within_0_and_1() -> None:
    assert wilson(0, 3)[0] == 0
    assert 0.5 < wilson(0, 3)[1] < 0.6
    assert wilson(3, 3) == pytest.approx((1 - wilson(0, 3)[1], 1))


def test_tasks_that_are_all_or_nothing_count_as_few_observations() -> None:
    alike, unlike = [(5, 10)] * 4, [(10, 10), (0, 10)] * 2
    assert share(alike) == Estimate(0.5, wilson(20, 40))
    effect = design_effect(unlike)
    assert effect == pytest.approx(10 * 4 / 3)  # Rao and Scott: variance between tasks, over that of 40 single draws
    assert share(unlike).interval == pytest.approx(wilson(20 / effect, 40 / effect))


def test_a_share_of_nothing_is_unknown_and_tasks_without_attempts_do_not_count() -> None:
    assert share([]) == share([(0, 0)]) == Estimate(None)
    assert share([(1, 2), (0, 0)]) == share([(1, 2)]) == Estimate(0.5, wilson(1, 2))


def test_shares_hold_where_tasks_differ() -> None:
    """12 tasks of 10 attempts, each with a rate of its own: the plain interval holds far less often."""
    rng, held, plain, draws = Random(7), 0, 0, 400
    for _ in range(draws):
        rates = [rng.random() for _ in range(12)]
        clusters = [(sum(rng.random() < rate for _ in range(10)), 10) for rate in rates]
        low, high = share(clusters).interval or (1, 0)
        held += low <= 0.5 <= high
        low, high = wilson(sum(hits for hits, _ in clusters), 120)
        plain += low <= 0.5 <= high
    assert held / draws >= 0.91
    assert plain / draws < 0.8


# ---- figures of any kind


def mean(values: object) -> float | None:
    assert isinstance(values, list)
    return statistics.fmean(values) if values else None


def held(
    draws: int, tasks: int, seeds: int, spread: float, found: Callable[[list[list[float]], Random], tuple[float, float]]
) -> float:
    """How often an interval holds the truth, 0, of tasks that differ by `spread` and seeds that differ by 1."""
    rng, count = Random(11), 0
    for _ in range(draws):
        centres = [rng.gauss(0, spread) for _ in range(tasks)]
        low, high = found([[rng.gauss(centre, 1) for _ in range(seeds)] for centre in centres], rng)
        count += low <= 0 <= high
    return count / draws


@pytest.mark.parametrize(("tasks", "seeds", "spread"), [(3, 2, 1), (8, 3, 1), (1, 6, 0)])
def test_the_bootstrap_holds_with_few_tasks(tasks: int, seeds: int, spread: float) -> None:
    def interval(clusters: list[list[float]], rng: Random) -> tuple[float, float]:
        return bootstrap(clusters, mean, rng).interval or (1, 0)

    assert 0.88 <= held(60, tasks, seeds, spread, interval) <= 1


def test_the_bootstrap_draws_tasks_not_runs() -> None:
    """Ten runs of each of four tasks are hardly more than four observations."""
    tasks = [[float(task)] * 10 for task in (0, 0, 0, 10)]
    low, high = bootstrap(tasks, mean, Random(1)).interval or (0, 0)
    assert low == 0
    assert high > 7


def test_the_bootstrap_is_the_same_every_time() -> None:
    data = [[1.0, 4.0], [2.0], [9.0]]
    assert bootstrap(data, mean, Random(3)) == bootstrap(data, mean, Random(3))


def test_one_observation_has_no_interval_and_none_no_figure() -> None:
    assert bootstrap([[2.0]], mean, Random(1)) == Estimate(2.0)
    assert bootstrap([[], [2.0]], mean, Random(1)) == Estimate(2.0)
    assert bootstrap([], mean, Random(1)) == Estimate(None)


# ---- differences


def test_a_difference_is_students_over_the_means_of_tasks() -> None:
    found = difference([[3.0, 5.0], [5.0], [6.0]], Random(1))
    assert found.value == 5
    assert found.interval == pytest.approx((5 - 4.303 / 3**0.5, 5 + 4.303 / 3**0.5))
    assert found.pairs == 4


def test_differences_hold_with_few_tasks() -> None:
    def interval(clusters: list[list[float]], rng: Random) -> tuple[float, float]:
        return difference(clusters, rng).interval or (1, 0)

    assert 0.9 <= held(200, 3, 2, 1, interval) <= 1
    assert 0.9 <= held(200, 1, 4, 0, interval) <= 1


def test_chance_alone_is_seldom_told_from_nothing() -> None:
    """Solved or not, by a coin: with few tasks of equal outcome an interval alone has no width."""
    rng, told, draws = Random(5), 0, 400
    for _ in range(draws):
        pairs = [[float(rng.randrange(2) - rng.randrange(2)) for _ in range(2)] for _ in range(4)]
        told += difference(pairs, rng).told != 0
    assert told / draws <= 0.05


def test_what_is_large_and_always_there_is_told() -> None:
    pairs = [[2.0, 2.1], [1.9, 2.2], [2.0, 2.3], [1.8, 2.0]]
    assert difference(pairs, Random(1)).told == 1
    assert difference([[-each for each in group] for group in pairs], Random(1)).told == -1


def test_too_few_pairs_tell_nothing_however_much_they_agree() -> None:
    almost = difference([[1.0]] * (FEWEST_PAIRS - 1), Random(1))
    assert (almost.interval, almost.told) == ((1, 1), 0)
    assert difference([[1.0]] * FEWEST_PAIRS, Random(1)).told == 1
    assert difference([[1.0]], Random(1)) == (1, None, None, 1)
    assert difference([[], []], Random(1)) == (None, None, None, 0)


def test_signs_are_flipped_as_fisher_did_with_darwins_maize() -> None:
    """The Design of Experiments, section 21: 863 of 32,768 flips of the one side reach 314 eighths of an inch."""
    eighths = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert sum(eighths) == 314
    assert sign_flips(eighths, Random(1)) == 2 * 863 / 32_768


def test_flips_are_drawn_where_there_are_too_many() -> None:
    differences = [float(1 + each % 3) for each in range(EXACT)]
    differences[0] = differences[4] = -3.0
    exact = sign_flips(differences, Random(1))
    drawn = sign_flips([*differences, 1e-9], Random(1))
    assert exact != drawn == pytest.approx(exact, rel=0.5)


def test_few_pairs_are_flipped_exactly() -> None:
    assert sign_flips([1.0, 2.0, 3.0], Random(1)) == 2 / 8
    assert sign_flips([0.0, 0.0], Random(1)) == 1
    assert math.isclose(sign_flips([0.1] * 6, Random(1)), 2 / 64)
