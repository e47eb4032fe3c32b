import re
from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray

from evolve.domains import measuring
from evolve.domains.kernels import Kernels, catalogue, judge
from evolve.domains.kernels.catalogue import SOURCE, Entry
from evolve.domains.kernels.lint import lint
from evolve.domains.kernels.numerics import DISTRIBUTIONS
from evolve.domains.kernels.rules import violations
from evolve.errors import PluginError
from evolve.types import Execution, Sandbox
from sandboxes.referee.workload import output_dtype

Array = NDArray[np.number]

ENTRIES = catalogue.entries()
EXPECTED = """
    sum dot max argmax saxpy relu gelu silu_mul prefix_sum histogram
    transpose stencil gather im2col bit_reversal byte_search sort_bytes
    gemv matmul batched_matmul matmul_int8 dot_int8 syrk conv1d conv2d depthwise
    softmax layernorm rmsnorm attention cross_entropy rope linear_gelu mandelbrot nbody spmv fft
"""
C_TYPES: Mapping[str, DTypeLike] = {
    "float": np.float32,
    "int8_t": np.int8,
    "uint8_t": np.uint8,
    "int32_t": np.int32,
    "int64_t": np.int64,
}
MOST_MB = 16
"""Of inputs and output at the timed size: drawing them anew for every call must stay cheap."""

every_task = pytest.mark.parametrize("entry", [pytest.param(ENTRIES[name], id=name) for name in sorted(ENTRIES)])


def drawn(entry: Entry, dims: Mapping[str, int], distribution: str = "normal", seed: int = 0) -> tuple[Array, ...]:
    rng = np.random.default_rng(seed)
    return entry.spec.inputs(lambda *shape: DISTRIBUTIONS[distribution](rng, shape), dims)


def signature(text: str) -> str:
    """The line (or two) that declares the kernel, with single spaces."""
    found = re.search(r"void kernel\([^)]*\)", text)
    assert found
    return " ".join(found[0].split())


def arrays(text: str) -> list[tuple[str, str]]:
    """Of each pointer parameter its qualifier (or none) and its type."""
    return re.findall(r"(const )?(\w+) \*", signature(text))


def checked(entry: Entry, source: str, sandbox: Sandbox) -> Execution:
    """What the referee says of its correctness, at all shapes and on all distributions; nothing is timed."""
    job = judge.job(entry, source, measuring.Effort(), entry.task("kernels").limits, fresh=False)
    return sandbox.run(job.model_copy(update={"request": {**job.request, "timed": None}}))


def test_the_tasks_of_all_four_tiers_are_there_and_lint_clean() -> None:
    tasks = Kernels().tasks()
    assert {task.id for task in tasks} >= {f"kernels/{name}" for name in EXPECTED.split()}
    assert [task.tier for task in tasks] == sorted(task.tier for task in tasks)
    assert {task.tier for task in tasks} == {1, 2, 3, 4}


@every_task
def test_a_task_says_what_its_module_must(entry: Entry) -> None:
    spec = entry.spec
    for dims in (*spec.VISIBLE, *spec.HIDDEN, spec.TIMED):
        assert tuple(dims) == spec.DIMS
    assert any(set(dims.values()) == {1} for dims in spec.HIDDEN)
    assert any(size % 2 and size > 1 for dims in spec.HIDDEN for size in dims.values())
    assert spec.bytes_moved(**spec.TIMED) > 0
    assert spec.flops(**spec.TIMED) >= 0


@every_task
def test_prompt_seed_and_arrays_agree_on_the_arguments(entry: Entry) -> None:
    spec, parameters = entry.spec, arrays(entry.seed)
    assert signature(spec.PROMPT) == signature(entry.seed)
    assert signature(entry.seed).endswith(", ".join(["", *(f"int64_t {name}" for name in spec.DIMS)]) + ")")
    assert [bool(constant) for constant, _ in parameters] == [True] * (len(parameters) - 1) + [False]
    inputs = drawn(entry, spec.VISIBLE[0])
    assert [array.dtype for array in inputs] == [np.dtype(C_TYPES[kind]) for _, kind in parameters[:-1]]
    assert output_dtype(spec) == C_TYPES[parameters[-1][1]]


@every_task
def test_the_reference_stays_in_the_precision_of_its_inputs(entry: Entry) -> None:
    dims = entry.spec.VISIBLE[1]
    inputs = drawn(entry, dims)
    single = entry.spec.reference(*inputs, **dims)
    double = entry.spec.reference(*(a.astype(np.float64) if a.dtype.kind == "f" else a for a in inputs), **dims)
    assert single.shape == double.shape
    if output_dtype(entry.spec).kind == "f":
        assert [single.dtype, double.dtype] == [np.dtype(np.float32), np.dtype(np.float64)]
    else:
        assert {single.dtype.kind, double.dtype.kind} <= {"i", "u"}


@every_task
def test_timed_inputs_are_small_enough_to_be_drawn_for_every_call(entry: Entry) -> None:
    inputs = drawn(entry, entry.spec.TIMED)
    out = entry.spec.reference(*inputs, **entry.spec.TIMED).size * output_dtype(entry.spec).itemsize
    assert (sum(array.nbytes for array in inputs) + out) / 2**20 <= MOST_MB


@every_task
def test_inputs_hold_whatever_is_drawn(entry: Entry) -> None:
    """Nothing but zeros comes out of small draws of some distributions; structures must still be valid."""
    for dims in (*entry.spec.VISIBLE, *entry.spec.HIDDEN):
        inputs = entry.spec.inputs(lambda *shape: np.zeros(shape, np.float32), dims)
        assert all(np.isfinite(array).all() for array in inputs)
        assert entry.spec.reference(*inputs, **dims).size


@every_task
def test_a_seed_is_plain_c_that_keeps_the_rules(entry: Entry) -> None:
    assert violations(entry.seed) == []
    assert entry.seed.count("void kernel(") == 1
    assert "#define" not in entry.seed
    assert "#pragma" not in entry.seed


@every_task
def test_a_seed_can_be_transformed(entry: Entry) -> None:
    found = next(iter(Kernels().mutations(entry.task("kernels"), {SOURCE: entry.seed}, Random(1))))
    assert found.technique
    assert found.files[SOURCE] != entry.seed


@every_task
def test_a_seed_is_right_at_all_shapes_on_all_distributions(entry: Entry, process: Sandbox) -> None:
    reply = checked(entry, entry.seed, process).reply
    assert reply.get("failure", reply) is None, reply
    assert reply["cases_passed"] == len(DISTRIBUTIONS) * len([*entry.spec.VISIBLE, *entry.spec.HIDDEN])


@every_task
def test_a_single_wrong_output_is_found_at_once(entry: Entry, process: Sandbox) -> None:
    names = re.findall(r"(\w+)[,)]", signature(entry.seed))
    spoilt = (
        entry.seed.replace("void kernel(", "static void plain(")
        + f"\n{signature(entry.seed)}\n{{\n    plain({', '.join(names)});\n    out[0] += 1;\n}}\n"
    )
    reply = checked(entry, spoilt, process).reply
    assert (reply["failure"] or {}).get("gate") == "correct", reply
    assert reply["cases_passed"] == 0


class Hollow:
    """A task of which nothing is asked."""

    VISIBLE = ({"N": 64},)

    def inputs(self, draw: Any, dims: Mapping[str, int]) -> tuple[Any, ...]:
        return (-np.abs(draw(dims["N"])),)

    def reference(self, x: Any, **_dims: int) -> Any:
        return np.maximum(x, 0)


class Identity(Hollow):
    def inputs(self, draw: Any, dims: Mapping[str, int]) -> tuple[Any, ...]:
        return (np.abs(draw(dims["N"])),)


class OneBin(Hollow):
    """A histogram of values that are all the same."""

    OUTPUT_DTYPE = np.int32

    def inputs(self, draw: Any, dims: Mapping[str, int]) -> tuple[Any, ...]:
        return ((draw(dims["N"]) * 0).astype(np.uint8),)

    def reference(self, x: Any, **_dims: int) -> Any:
        return np.bincount(x, minlength=256)


@pytest.mark.parametrize(
    ("spec", "cheat"),
    [
        (Hollow(), "an array of zeros passes"),
        (Identity(), "input 0 unchanged passes"),
        (OneBin(), "an output left over from other inputs passes"),
    ],
)
def test_a_task_that_a_trivial_answer_would_pass_is_refused(spec: Any, cheat: str) -> None:
    with pytest.raises(PluginError, match=rf"kernels/relu: {cheat}"):
        lint(ENTRIES["relu"]._replace(spec=spec))
