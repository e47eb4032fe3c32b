"""A task as the referee works with it: secret inputs, and what the right output is."""

import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .verdict import BrokenTaskError

Array = NDArray[Any]
T = TypeVar("T")


class Instance(NamedTuple):
    """One set of inputs with its truth."""

    inputs: tuple[Array, ...]
    truth: Array
    """The reference in float64; where outputs are integers, exactly what they must be."""
    error: Array
    """How far off, absolutely, single precision may be expected to be at each element (float64)."""
    label: str
    """The sizes and the distribution, for messages."""


class Workload:
    """The trusted modules `task` and `numerics`; whatever they raise is a BrokenTaskError."""

    def __init__(self, trusted: Mapping[str, str], dims: Sequence[str]) -> None:
        self._numerics = _load("numerics", trusted)
        self._task = _load("task", trusted)
        self._order = tuple(dims)
        self.dtype = output_dtype(self._task)

    @property
    def distributions(self) -> list[str]:
        """Those of timed calls."""
        return sorted(set(self._numerics.DISTRIBUTIONS) - set(getattr(self._numerics, "UNTIMED", ())))

    def arguments(self, dims: Mapping[str, int]) -> list[int]:
        """The sizes in the order in which the kernel takes them."""
        return [int(dims[name]) for name in self._order]

    def draw(self, seed: Sequence[int], distribution: str, dims: Mapping[str, int]) -> Instance:
        label = ", ".join(f"{name}={size}" for name, size in dims.items()) + f" ({distribution} inputs)"
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))

        def build() -> Instance:
            drawn: Callable[..., Array] = self._numerics.DISTRIBUTIONS[distribution]
            inputs = self._task.inputs(lambda *shape: drawn(rng, tuple(shape)), dims)
            arrays = tuple(np.ascontiguousarray(array) for array in inputs)
            return Instance(arrays, *expected(self._task, arrays, dims), label)

        return _trusting(f"inputs and reference for {label}", build)

    def mismatch(self, output: Array, instance: Instance) -> str | None:
        """None when the output is right; else one sentence."""
        if output.dtype != self.dtype:
            return f"the output is of type {output.dtype}, expected {self.dtype}"

        def compare() -> str | None:
            with np.errstate(all="ignore"):
                found: str | None = self._numerics.mismatch(output, instance.truth, instance.error)
            return found

        return _trusting("numerics.mismatch", compare)


def output_dtype(task: object) -> np.dtype[Any]:
    return np.dtype(getattr(task, "OUTPUT_DTYPE", np.float32))


def expected(task: Any, arrays: Sequence[Array], dims: Mapping[str, int]) -> tuple[Array, Array]:
    """Truth and error for inputs as the kernel gets them.

    Integers are the same in either precision. An integer truth is returned in the type of the output.
    Raises ValueError when it does not fit there, and when a truth or an error is not of the kind or shape it must be.
    """
    dtype = output_dtype(task)
    double = [array.astype(np.float64) if array.dtype.kind == "f" else array for array in arrays]
    with np.errstate(all="ignore"):
        truth = np.asarray(task.reference(*double, **dims))
        if dtype.kind in "iu":
            return _exact(truth, dtype), np.zeros(1)
        truth = truth.astype(np.float64, copy=False)
        estimate = getattr(task, "error", None)
        error = np.abs(task.reference(*arrays, **dims) - truth) if estimate is None else estimate(*arrays, **dims)
    return truth, np.broadcast_to(np.asarray(error, dtype=np.float64), truth.shape)


def _exact(truth: Array, dtype: np.dtype[Any]) -> Array:
    if truth.dtype.kind not in "iu":
        raise ValueError(f"the reference gives {truth.dtype}, its outputs are to be {dtype}")
    exact = truth.astype(dtype)
    if not np.array_equal(exact, truth):
        raise ValueError(f"the reference gives numbers that do not fit {dtype}")
    return exact


def _load(name: str, trusted: Mapping[str, str]) -> ModuleType:
    module = ModuleType(name)
    sys.modules[name] = module
    source = trusted.get(f"{name}.py")
    if source is None:
        raise BrokenTaskError(f"{name}.py is missing")
    _trusting(f"{name}.py", lambda: exec(compile(source, f"{name}.py", "exec"), module.__dict__))  # noqa: S102
    return module


def _trusting(what: str, work: Callable[[], T]) -> T:
    """The boundary to the task's own code: any exception of it is named as the task's fault."""
    try:
        return work()
    except Exception as error:
        raise BrokenTaskError(f"{what}: {type(error).__name__}: {error}") from error
