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
    """The reference in float64."""
    single: Array
    """The reference in float32: what its own rounding costs."""
    label: str
    """The sizes and the distribution, for messages."""


class Workload:
    """The trusted modules `task` and `numerics`; whatever they raise is a BrokenTaskError."""

    def __init__(self, trusted: Mapping[str, str], dims: Sequence[str]) -> None:
        self._numerics = _load("numerics", trusted)
        self._task = _load("task", trusted)
        self._order = tuple(dims)
        self.dtype = np.dtype(getattr(self._task, "OUTPUT_DTYPE", np.float32))

    @property
    def distributions(self) -> list[str]:
        return sorted(self._numerics.DISTRIBUTIONS)

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
            double = tuple(a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays)
            with np.errstate(all="ignore"):
                truth = np.asarray(self._task.reference(*double, **dims))
                single = np.asarray(self._task.reference(*arrays, **dims))
            return Instance(arrays, truth, single, label)

        return _trusting(f"inputs and reference for {label}", build)

    def mismatch(self, output: Array, instance: Instance) -> str | None:
        """None when the output is right; else one sentence."""

        def compare() -> str | None:
            with np.errstate(all="ignore"):
                found: str | None = self._numerics.mismatch(output, instance.truth, instance.single)
            return found

        return _trusting("numerics.mismatch", compare)


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
