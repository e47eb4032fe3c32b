"""The tasks as they lie in `tasks/`: for each a Python module and a C seed of the same name."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from evolve.types import Limits, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.floating]

SOURCE = "kernel.c"
"""Name of a candidate's only file."""
FOLDER = Path(__file__).with_name("tasks")

RULES = """\
Rules: one C file (gnu17), which defines `kernel` and may define functions of its own. The output array is yours to
write whole; inputs are read-only; arrays may be of any alignment and never overlap. Headers: math, stdint, string,
stdlib, stdbool, stddef, float, limits, omp, immintrin. No other library, no assembly, files, clocks or threads but
OpenMP. It is built by gcc -O3 -march=native -fopenmp; a first line `// flags: ...` may add some of {flags}.
It must be right for every size of at least 1 (remainders of vector and tile sizes included), for values of either
sign and over many decades, to about single precision; sums may be reordered. It is judged by its speed at sizes
such as {timed}, on fresh data, as a ratio over the plain loops below built with the same flags.
Sizes to try: {visible}.
"""


class Spec(Protocol):
    """What a task's module says (the names of module level are the contract)."""

    __doc__: str | None
    TIER: int
    TAGS: tuple[str, ...]
    PROMPT: str
    DIMS: tuple[str, ...]
    """Order of the size arguments."""
    VISIBLE: Sequence[Mapping[str, int]]
    HIDDEN: Sequence[Mapping[str, int]]
    TIMED: Mapping[str, int]

    def inputs(self, draw: "Callable[..., Array]", dims: Mapping[str, int]) -> "tuple[Array, ...]": ...

    def reference(self, *arrays: "Array", **dims: int) -> "Array":
        """In double precision the truth; in single precision what that may make of it (see numerics.mismatch)."""
        ...

    def flops(self, **dims: int) -> int: ...

    def bytes_moved(self, **dims: int) -> int:
        """What must be read and written at least."""
        ...


class Entry(NamedTuple):
    name: str
    spec: Spec
    module: str
    """Text of the module: the referee runs it."""
    seed: str

    def task(self, domain: str) -> Task:
        return Task(
            id=f"{domain}/{self.name}",
            domain=domain,
            prompt=f"{self.spec.PROMPT}\n{_rules(self.spec)}",
            files={SOURCE: self.seed},
            limits=Limits(seconds=10, memory_mb=2048),
            tier=self.spec.TIER,
            tags=self.spec.TAGS,
        )


@cache
def entries() -> Mapping[str, Entry]:
    """By name, tier by tier."""
    names = sorted(path.stem for path in FOLDER.glob("*.c"))
    return {entry.name: entry for entry in sorted(map(_entry, names), key=lambda entry: entry.spec.TIER)}


@cache
def numerics() -> str:
    """Text of the module that says what inputs look like and when an output is right."""
    return Path(__file__).with_name("numerics.py").read_text()


def _entry(name: str) -> Entry:
    import importlib

    module: ModuleType = importlib.import_module(f"{__package__}.tasks.{name}")
    text, seed = ((FOLDER / f"{name}.{suffix}").read_text() for suffix in ("py", "c"))
    return Entry(name, cast("Spec", module), text, seed)


def _rules(spec: Spec) -> str:
    from evolve.domains.kernels.vocabulary import FLAGS

    return RULES.format(flags=" ".join(FLAGS), timed=_size(spec.TIMED), visible="; ".join(map(_size, spec.VISIBLE)))


def _size(dims: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in dims.items())
