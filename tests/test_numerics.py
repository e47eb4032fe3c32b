import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from evolve.domains.kernels import catalogue, numerics
from evolve.domains.kernels.lint import lint
from evolve.domains.kernels.numerics import CAP, DISTRIBUTIONS, UNTIMED, mismatch, tolerance
from evolve.errors import PluginError
from sandboxes.referee.verdict import BrokenTaskError
from sandboxes.referee.workload import Workload, expected

Single = NDArray[np.float32]
Double = NDArray[np.float64]
FLOATS = sorted(n for n, e in catalogue.entries().items() if getattr(e.spec, "OUTPUT_DTYPE", np.float32) is np.float32)
SIDES = arrays.array_shapes(max_dims=3, max_side=20)
SINGLES = arrays.arrays(np.float32, SIDES, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
ORDINARY = arrays.arrays(np.float32, SIDES, elements=st.floats(-1e6, 1e6, width=32))
INTEGERS = st.sampled_from([np.int8, np.uint8, np.int32, np.int64]).flatmap(lambda kind: arrays.arrays(kind, SIDES))


def product(name: str, size: int = 96) -> tuple[Single, Single, Double, Double]:
    rng = np.random.default_rng(3)
    a, b = (DISTRIBUTIONS[name](rng, (size, size)) for _ in range(2))
    truth = a.astype(np.float64) @ b.astype(np.float64)
    return a, b, truth, np.abs(a @ b - truth)


def exactly(truth: Double) -> Double:
    """The error of a reference that makes none."""
    return np.zeros_like(truth)


# ---- inputs


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_inputs_are_single_precision_finite_and_of_both_signs(name: str) -> None:
    drawn = DISTRIBUTIONS[name](np.random.default_rng(1), (64, 64))
    assert drawn.dtype == np.float32
    assert drawn.shape == (64, 64)
    assert np.isfinite(drawn).all()
    assert drawn.min() < 0 < drawn.max()


def test_among_tiny_inputs_are_zeros_of_both_signs_and_denormals() -> None:
    drawn = DISTRIBUTIONS["tiny"](np.random.default_rng(1), (64, 64))
    zeros = drawn[drawn == 0]
    assert np.signbit(zeros).any()
    assert not np.signbit(zeros).all()
    assert ((drawn != 0) & (np.abs(drawn) < np.finfo(np.float32).tiny)).any()
    assert np.median(np.abs(drawn)) > 0.1


# ---- sums


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_sum_in_another_order_passes(name: str) -> None:
    a, b, truth, error = product(name)
    one_by_one, backwards = np.zeros_like(a), np.zeros_like(a)
    for p in range(a.shape[1]):
        one_by_one += np.outer(a[:, p], b[p])
    for p in reversed(range(a.shape[1])):
        backwards += np.outer(a[:, p], b[p])
    assert mismatch(one_by_one, truth, error) is None
    assert mismatch(backwards, truth, error) is None


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_half_precision_inside_does_not_pass(name: str) -> None:
    a, b, truth, error = product(name)
    halves = (a.astype(np.float16).astype(np.float32), b.astype(np.float16).astype(np.float32))
    assert mismatch(halves[0] @ halves[1], truth, error) is not None


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
    _, _, truth, error = product(name)
    assert mismatch(cheat(truth).astype(np.float32), truth, error) is not None


# ---- the tolerance


@given(SINGLES)
def test_the_truth_as_near_as_single_precision_has_it_always_passes(output: Single) -> None:
    truth = output.astype(np.float64)
    assert mismatch(output, truth, exactly(truth)) is None
    truth *= 1 + 2.0**-25
    assert mismatch(output, truth, exactly(truth)) is None


@given(ORDINARY, st.integers(-16, 16))
def test_what_passes_does_not_depend_on_the_unit_of_measurement(output: Single, power: int) -> None:
    truth = output.astype(np.float64) * (1 + 2e-6)
    assume(np.max(np.abs(truth)) > 1e-3)
    error = np.abs(truth) * 1e-7
    scaled = (output.astype(np.float64) * 2.0**power).astype(np.float32)
    assume(np.array_equal(scaled.astype(np.float64), output.astype(np.float64) * 2.0**power))
    found = mismatch(scaled, truth * 2.0**power, error * 2.0**power)
    assert (found is None) == (mismatch(output, truth, error) is None)


@given(ORDINARY, st.data())
def test_one_element_beyond_the_cap_is_found_and_named(right: Single, data: st.DataObject) -> None:
    index = tuple(data.draw(st.integers(0, side - 1)) for side in right.shape)
    truth = right.astype(np.float64)
    rms = math.sqrt(float(np.mean(truth**2)))
    assume(rms > 1e-6)
    output = right.copy()
    output[index] += np.float32(2 * CAP * max(rms, abs(float(truth[index]))))
    found = mismatch(output, truth, np.full(truth.shape, CAP * rms / 100))
    assert found is not None
    assert f"1 of {truth.size} outputs are wrong; first out[{', '.join(map(str, index))}] = " in found


@given(ORDINARY, st.integers(0, 2**32), st.floats(1e-9, 1e-2))
def test_an_output_passes_exactly_when_each_element_is_within_its_tolerance(
    right: Single, seed: int, noise: float
) -> None:
    rng = np.random.default_rng(seed)
    truth = right.astype(np.float64)
    error = np.abs(truth * noise * rng.standard_normal(truth.shape)) / 10
    output = (truth * (1 + noise * rng.standard_normal(truth.shape))).astype(np.float32)
    within = bool(np.all(np.abs(output - truth) <= tolerance(truth, error)))
    assert (mismatch(output, truth, error) is None) == within


def test_large_outputs_are_judged_to_the_last_element() -> None:
    truth = np.random.default_rng(1).standard_normal((700, 300))
    output = truth.astype(np.float32)
    assert mismatch(output, truth, exactly(truth)) is None
    output[-1, -1] += np.float32(1e-4)
    found = mismatch(output, truth, exactly(truth))
    assert found is not None
    assert "out[699, 299]" in found


def test_a_function_two_ulp_off_passes_on_every_magnitude() -> None:
    x = np.linspace(-80, 80, 4001)
    truth = np.exp(x)
    error = np.abs(np.exp(x.astype(np.float32)) - truth)
    off = truth.astype(np.float32)
    for _ in range(2):
        off = np.nextafter(off, np.float32(np.inf))
    assert mismatch(off, truth, error) is None
    assert mismatch((truth * (1 + 1e-4)).astype(np.float32), truth, error) is not None


def test_one_wrong_element_among_many_is_named_with_index_and_values() -> None:
    truth = np.arange(1.0, 101.0).reshape(10, 10)
    output = truth.astype(np.float32)
    output[3, 4] = 7.0
    found = mismatch(output, truth, exactly(truth))
    assert found is not None
    assert "1 of 100" in found
    assert "out[3, 4] = 7, expected 35" in found
    assert "allowed" in found


def test_a_small_wrong_element_is_found_beside_huge_right_ones() -> None:
    truth = np.geomspace(1e-4, 1e4, 5000)
    output = truth.astype(np.float32)
    output[2000] *= np.float32(1.001)
    assert mismatch(output, truth, exactly(truth)) is not None


def test_where_terms_cancel_the_expected_error_is_what_counts() -> None:
    truth = np.full(64, 1.0)
    truth[7] = 1e-9
    error = np.full(64, 1e-7)
    output = truth.astype(np.float32)
    output[7] = 4e-7
    assert mismatch(output, truth, error) is None
    assert mismatch(output, truth, error / 100) is not None


def test_a_zero_is_not_excused_by_the_errors_of_larger_numbers() -> None:
    truth = np.concatenate([np.full(16, 1.0), np.zeros(48)])
    output = truth.astype(np.float32)
    output[40] = 1e-6
    assert mismatch(output, truth, truth * 1e-6) is not None


def test_denormal_numbers_may_count_as_zero_but_ordinary_ones_may_not() -> None:
    truth = np.array([1e-40, -3e-39, 2.0**-149])
    assert mismatch(np.zeros(3, np.float32), truth, exactly(truth)) is None
    assert mismatch(np.zeros(3, np.float32), truth + 1e-30, exactly(truth)) is not None


def test_no_error_estimate_however_large_excuses_more_than_the_cap() -> None:
    truth = np.linspace(1, 2, 64)
    error = exactly(truth)
    error[::2] = 0.001
    assert mismatch((truth * 1.05).astype(np.float32), truth, error) is not None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_error_that_is_no_number_excuses_nothing(value: float) -> None:
    truth = np.linspace(1, 2, 64)
    assert mismatch((truth * 1.01).astype(np.float32), truth, np.full(64, value)) is not None
    assert mismatch(truth.astype(np.float32), truth, np.full(64, value)) is None


# ---- what is no number, and zeros


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_output_must_be_finite_where_the_truth_is(value: float) -> None:
    truth = np.ones(16)
    output = truth.astype(np.float32)
    output[5] = value
    found = mismatch(output, truth, exactly(truth))
    assert found is not None
    assert "out[5]" in found


def test_where_the_truth_is_not_finite_the_output_must_be_the_same() -> None:
    truth = np.array([1.0, np.inf, np.nan, 2.0])
    error = np.array([0, np.nan, np.nan, 0])
    assert mismatch(truth.astype(np.float32), truth, error) is None
    assert mismatch(np.array([1, -np.inf, np.nan, 2], np.float32), truth, error) is not None
    assert mismatch(np.array([1, np.inf, 0, 2], np.float32), truth, error) is not None
    assert mismatch(np.array([1, np.inf, np.nan, 3], np.float32), truth, error) is not None


def test_finite_numbers_whose_sum_is_not_are_judged_as_ever() -> None:
    truth = np.full(64, 3e38)
    output = truth.astype(np.float32)
    assert mismatch(output, truth, exactly(truth)) is None
    output[3] = 2e38
    assert mismatch(output, truth, exactly(truth)) is not None


def test_negative_zero_is_zero() -> None:
    truth = np.zeros(8)
    assert mismatch(-truth.astype(np.float32), truth, exactly(truth)) is None


# ---- shapes, types and integers


def test_another_shape_does_not_pass() -> None:
    truth = np.ones((4, 4))
    found = mismatch(np.ones(16, np.float32), truth, exactly(truth))
    assert found is not None
    assert "(16,)" in found


@given(INTEGERS, st.data())
def test_integers_must_be_exactly_right(truth: NDArray[Any], data: st.DataObject) -> None:
    assert mismatch(truth.copy(), truth, np.zeros(1)) is None
    index = tuple(data.draw(st.integers(0, side - 1)) for side in truth.shape)
    output = truth.copy()
    output[index] ^= 1
    where = f"out[{', '.join(map(str, index))}] = {output[index]:d}, expected {truth[index]:d}"
    assert mismatch(output, truth, np.full(1, 100.0)) == (
        f"1 of {truth.size} outputs are wrong, which must be exact; first {where}"
    )


def test_integers_beyond_double_precision_are_compared_exactly() -> None:
    truth = np.array([2**53], np.int64)
    found = mismatch(truth + 1, truth, np.zeros(1))
    assert found is not None
    assert "out[0] = 9007199254740993, expected 9007199254740992" in found


@pytest.mark.parametrize(
    ("output", "truth"),
    [
        (np.ones(4, np.float32), np.ones(4, np.int32)),
        (np.ones(4, np.int64), np.ones(4, np.int32)),
        (np.ones(4, np.int32), np.ones(4)),
    ],
)
def test_another_kind_of_number_does_not_pass(output: NDArray[Any], truth: NDArray[Any]) -> None:
    found = mismatch(output, truth, np.zeros(1))
    assert found is not None
    assert "the output is of type" in found


# ---- truth and error of a task


class Halved:
    """Halves integers and floating-point numbers alike."""

    OUTPUT_DTYPE: Any = np.float32
    VISIBLE = ({"N": 64},)

    def inputs(self, draw: Callable[..., Any], dims: Mapping[str, int]) -> tuple[Any, ...]:
        return draw(dims["N"]), (100 * draw(dims["N"])).astype(np.int32)

    def reference(self, x: Any, n: Any, **_dims: int) -> Any:
        assert n.dtype == np.int32
        return x / 2 + n


class Counted(Halved):
    OUTPUT_DTYPE: Any = np.int32

    def reference(self, x: Any, n: Any, **_dims: int) -> Any:
        return n + np.int64(x.dtype == np.float64)


def test_without_an_estimate_the_error_is_that_of_the_reference() -> None:
    x, n = np.full(4, 0.1, np.float32), np.full(4, 1000, np.int32)
    truth, error = expected(Halved(), (x, n), {})
    assert truth.dtype == error.dtype == np.float64
    assert truth[0] == np.float64(np.float32(0.1)) / 2 + 1000
    assert error[0] == abs((x / 2 + n)[0] - truth[0])


def test_a_task_may_estimate_the_error_once_for_all_outputs() -> None:
    class Estimated(Halved):
        def error(self, x: Any, n: Any, **_dims: int) -> Any:
            assert x.dtype == np.float32
            assert n.dtype == np.int32
            return np.float32(0.5)

    _, error = expected(Estimated(), (np.ones(4, np.float32), np.ones(4, np.int32)), {})
    assert error.tolist() == [0.5] * 4


def test_an_integer_truth_has_the_type_of_the_output() -> None:
    truth, _ = expected(Counted(), (np.ones(4, np.float32), np.arange(4, dtype=np.int32)), {})
    assert truth.dtype == np.int32
    assert truth.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("kind", "returned"),
    [(np.int8, np.array([300])), (np.uint8, np.array([-1])), (np.int32, np.array([1.5]))],
)
def test_a_truth_that_its_output_cannot_hold_is_the_tasks_fault(kind: Any, returned: NDArray[Any]) -> None:
    class Overflowing(Counted):
        OUTPUT_DTYPE = kind

        def reference(self, x: Any, n: Any, **_dims: int) -> Any:
            del x, n
            return returned

    with pytest.raises(ValueError, match="the reference gives"):
        expected(Overflowing(), (np.ones(1, np.float32), np.ones(1, np.int32)), {})


def test_a_workload_judges_the_type_and_times_no_denormal_numbers() -> None:
    entry = catalogue.entries()["relu"]
    workload = Workload({"task.py": entry.module, "numerics.py": catalogue.numerics()}, entry.spec.DIMS)
    assert set(workload.distributions) == set(DISTRIBUTIONS) - UNTIMED
    instance = workload.draw([1], "tiny", {"N": 100})
    right = np.maximum(instance.inputs[0], 0)
    assert workload.mismatch(right, instance) is None
    assert workload.mismatch(right.astype(np.float64), instance) == "the output is of type float64, expected float32"


def test_an_error_of_the_wrong_shape_is_the_tasks_fault() -> None:
    module = "def inputs(draw, dims): return (draw(dims['N']),)\ndef reference(x, N): return x\n"
    trusted = {"task.py": module + "def error(x, N): return x[1:]\n", "numerics.py": catalogue.numerics()}
    with pytest.raises(BrokenTaskError, match="inputs and reference for N=5"):
        Workload(trusted, ("N",)).draw([1], "normal", {"N": 5})


# ---- the lint


def linted(spec: Any) -> None:
    lint(catalogue.entries()["relu"]._replace(spec=spec))


def test_honest_tasks_of_either_kind_are_clean() -> None:
    linted(Halved())

    class Exact(Counted):
        def reference(self, x: Any, n: Any, **_dims: int) -> Any:
            return n + (x > 0)

    linted(Exact())


def test_a_task_whose_integers_depend_on_the_precision_is_refused() -> None:
    with pytest.raises(PluginError, match=r"single precision itself fails: .* must be exact"):
        linted(Counted())


@pytest.mark.parametrize(
    ("cheat", "answer"),
    [
        ("an array of zeros", lambda n: 0 * n),
        ("the mean everywhere", lambda n: np.full_like(n, 7)),
        ("input 1 unchanged", lambda n: n.copy()),
    ],
)
def test_an_integer_task_that_a_trivial_answer_passes_is_refused(cheat: str, answer: Callable[..., Any]) -> None:
    class Trivial(Counted):
        def reference(self, x: Any, n: Any, **_dims: int) -> Any:
            del x
            return answer(n)

    with pytest.raises(PluginError, match="passes for an answer") as raised:
        linted(Trivial())
    assert cheat in str(raised.value) or "left over" in str(raised.value)


def test_a_task_whose_truth_does_not_fit_its_output_is_refused() -> None:
    class Overflowing(Counted):
        OUTPUT_DTYPE = np.int8

        def reference(self, x: Any, n: Any, **_dims: int) -> Any:
            del x
            return n.astype(np.int64)

    with pytest.raises(PluginError, match="numbers that do not fit int8"):
        linted(Overflowing())


def test_a_task_whose_plain_evaluation_is_beyond_its_estimate_is_refused() -> None:
    class Optimistic(Halved):
        def reference(self, x: Any, n: Any, **_dims: int) -> Any:
            return (x + n.astype(x.dtype) * 1000) - n.astype(x.dtype) * 1000

        def error(self, x: Any, n: Any, **_dims: int) -> Any:
            del x, n
            return 0

    with pytest.raises(PluginError, match="single precision itself fails"):
        linted(Optimistic())


# ---- every task


@pytest.mark.parametrize("name", FLOATS)
def test_a_reference_stays_in_the_precision_of_what_it_is_given(name: str) -> None:
    spec = catalogue.entries()[name].spec
    rng = np.random.default_rng(2)
    given_arrays = spec.inputs(lambda *shape: DISTRIBUTIONS["normal"](rng, shape), spec.VISIBLE[0])
    doubles = [array.astype(np.float64) if array.dtype.kind == "f" else array for array in given_arrays]
    assert spec.reference(*given_arrays, **spec.VISIBLE[0]).dtype == np.float32
    assert spec.reference(*doubles, **spec.VISIBLE[0]).dtype == np.float64


@pytest.mark.parametrize("name", sorted(catalogue.entries()))
def test_plain_numpy_passes_at_every_small_shape_and_half_precision_does_not_pass_them_all(name: str) -> None:
    entry = catalogue.entries()[name]
    spec = entry.spec
    workload = Workload({"task.py": entry.module, "numerics.py": catalogue.numerics()}, spec.DIMS)
    rounded = []
    for number, dims in enumerate((*spec.VISIBLE, *spec.HIDDEN)):
        for distribution in numerics.DISTRIBUTIONS:
            instance = workload.draw([7, number], distribution, dims)
            with np.errstate(all="ignore"):
                right = np.asarray(spec.reference(*instance.inputs, **dims)).astype(workload.dtype)
                halves = [a.astype(np.float16).astype(a.dtype) if a.dtype.kind == "f" else a for a in instance.inputs]
                rough = np.asarray(spec.reference(*halves, **dims)).astype(workload.dtype)
            assert workload.mismatch(right, instance) is None, instance.label
            rounded.append(workload.mismatch(rough, instance))
    if name in FLOATS:
        assert any(rounded)
