import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from evolve.domains.kernels.numerics import DISTRIBUTIONS, mismatch

Single = NDArray[np.float32]
Double = NDArray[np.float64]


def product(name: str, size: int = 96) -> tuple[Single, Single, Double, Single]:
    rng = np.random.default_rng(3)
    a, b = (DISTRIBUTIONS[name](rng, (size, size)) for _ in range(2))
    return a, b, a.astype(np.float64) @ b.astype(np.float64), a @ b


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_inputs_are_single_precision_finite_and_of_both_signs(name: str) -> None:
    drawn = DISTRIBUTIONS[name](np.random.default_rng(1), (64, 64))
    assert drawn.dtype == np.float32
    assert drawn.shape == (64, 64)
    assert np.isfinite(drawn).all()
    assert drawn.min() < 0 < drawn.max()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_sum_in_another_order_passes(name: str) -> None:
    a, b, truth, single = product(name)
    one_by_one = np.zeros_like(single)
    for p in range(a.shape[1]):
        one_by_one += np.outer(a[:, p], b[p])
    backwards = np.zeros_like(single)
    for p in reversed(range(a.shape[1])):
        backwards += np.outer(a[:, p], b[p])
    assert mismatch(one_by_one, truth, single) is None
    assert mismatch(backwards, truth, single) is None


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_half_precision_inside_does_not_pass(name: str) -> None:
    a, b, truth, single = product(name)
    halves = (a.astype(np.float16).astype(np.float32), b.astype(np.float16).astype(np.float32))
    assert mismatch(halves[0] @ halves[1], truth, single) is not None


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize(
    "cheat",
    [
        np.zeros_like,
        lambda truth: np.full_like(truth, truth.mean()),
        lambda truth: truth[::-1],
        lambda truth: truth * 1.0001,
    ],
    ids=["zeros", "mean", "rows swapped", "a hair too large"],
)
def test_answers_that_are_not_the_product_do_not_pass(name: str, cheat: Callable[[Double], Double]) -> None:
    _, _, truth, single = product(name)
    assert mismatch(cheat(truth).astype(np.float32), truth, single) is not None


def test_a_function_two_ulp_off_passes_on_every_magnitude() -> None:
    x = np.linspace(-80, 80, 4001)
    truth = np.exp(x)
    single = np.exp(x.astype(np.float32))
    off = truth.astype(np.float32)
    for _ in range(2):
        off = np.nextafter(off, np.float32(np.inf))
    assert mismatch(off, truth, single) is None
    assert mismatch((truth * (1 + 1e-4)).astype(np.float32), truth, single) is not None


def test_one_wrong_element_among_many_is_named_with_index_and_values() -> None:
    truth = np.arange(1.0, 101.0).reshape(10, 10)
    output = truth.astype(np.float32)
    output[3, 4] = 7.0
    found = mismatch(output, truth, truth.astype(np.float32))
    assert found is not None
    assert "1 of 100" in found
    assert "out[3, 4] = 7, expected 35" in found
    assert "allowed" in found


def test_a_small_wrong_element_is_found_beside_huge_right_ones() -> None:
    truth = np.geomspace(1e-4, 1e4, 5000)
    output = truth.astype(np.float32)
    output[2000] *= np.float32(1.001)
    assert mismatch(output, truth, truth.astype(np.float32)) is not None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_output_must_be_finite_where_the_truth_is(value: float) -> None:
    truth = np.ones(16)
    output = truth.astype(np.float32)
    output[5] = value
    found = mismatch(output, truth, truth.astype(np.float32))
    assert found is not None
    assert "out[5]" in found


def test_where_the_truth_is_not_finite_the_output_must_be_the_same() -> None:
    truth = np.array([1.0, np.inf, np.nan, 2.0])
    single = truth.astype(np.float32)
    assert mismatch(single, truth, single) is None
    assert mismatch(np.array([1, -np.inf, np.nan, 2], np.float32), truth, single) is not None
    assert mismatch(np.array([1, np.inf, 0, 2], np.float32), truth, single) is not None


def test_another_shape_does_not_pass() -> None:
    truth = np.ones((4, 4))
    found = mismatch(np.ones(16, np.float32), truth, truth.astype(np.float32))
    assert found is not None
    assert "(16,)" in found


def test_negative_zero_is_zero() -> None:
    truth = np.zeros(8)
    assert mismatch(-truth.astype(np.float32), truth, truth.astype(np.float32)) is None


def test_no_error_estimate_however_large_excuses_more_than_the_cap() -> None:
    truth = np.linspace(1, 2, 64)
    bad = truth.astype(np.float32)
    bad[::2] += np.float32(0.001)
    assert mismatch((truth * 1.05).astype(np.float32), truth, bad) is not None
