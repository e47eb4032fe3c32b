"""The tasks as they lie in `tasks/`: for each a Python module and a C seed of the same name."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from evolve.domains.kernels import targets
from evolve.domains.kernels.targets import FOLDER, Target
from evolve.errors import PluginError
from evolve.types import Limits, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.number]

SOURCE = targets.C.source
"""Name of a candidate's only file where it is C."""


class Spec(Protocol):
    """What a task's module says (the names of module level are the contract).

    Where it has them, these count too: `OUTPUT_DTYPE` (single precision without; integers must be exactly right) and
    `error(*arrays, **dims)`: how far off, absolutely, a plain evaluation of these single-precision inputs may be
    expected to be at each output (without: as far as `reference` is).
    """

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
        """In the precision of what it is given: in double the truth, in single plain numpy. Integers come as drawn."""
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

    def task(self, domain: str, target: Target = targets.C) -> Task:
        """Raises PluginError for a target that has no seed of it."""
        seed = self.seed if target is targets.C else target.seed(self.name)
        if seed is None:
            raise PluginError(f"{domain}/{self.name} has no seed for the target {target.name}")
        return Task(
            id=f"{domain}/{self.name}",
            domain=domain,
            prompt=f"{self.spec.PROMPT}\n{_rules(self, target)}",
            files={target.source: seed},
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


def _rules(entry: Entry, target: Target) -> str:
    spec = entry.spec
    return target.rules.format(
        flags=" ".join(target.flags),
        given=" ".join(target.given),
        headers=" ".join(target.headers),
        signature=_in_python(spec.PROMPT),
        timed=_size(target.timed(entry.name, spec.TIMED)),
        visible="; ".join(map(_size, spec.VISIBLE)),
    )


def _in_python(prompt: str) -> str:
    """The declaration in C that a prompt contains, as Python has it."""
    declared = re.search(r"void kernel\((?P<arguments>[^)]*)\)", prompt)
    arguments = declared["arguments"].split(",") if declared else []
    return f"kernel({', '.join(re.findall(r'[A-Za-z_]+', argument)[-1] for argument in arguments)})"


def _size(dims: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in dims.items())
