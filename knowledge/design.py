"""A memory architecture as a text: one Python module, and the numbers it is built with."""

import ast
import math
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from types import ModuleType
from typing import Any, NamedTuple

from knowledge.architecture import DesignError, MemoryArchitecture, Param

SEEDS, SIGNALS = "knowledge.architectures", "knowledge.signals"


class Design(NamedTuple):
    name: str
    source: str
    """A module that exports `PARAMS` and `build(params)`."""
    params: Mapping[str, float] = {}
    """Those that are not at their defaults."""

    @property
    def lines(self) -> int:
        """Of code, however it is laid out: neither comments nor docstrings count. Raises DesignError."""
        try:
            statements = ast.unparse(_Bare().visit(ast.parse(self.source)))
        except (SyntaxError, ValueError, RecursionError) as fault:
            raise DesignError("import", f"{type(fault).__name__}: {fault}") from fault
        return sum(line.strip() not in {"", "..."} for line in statements.splitlines())


class _Bare(ast.NodeTransformer):
    """Leaves `...` for what only says something."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        if isinstance(node.value, ast.Constant):
            node.value = ast.Constant(...)
        return node


def loaded(design: Design) -> ModuleType:
    """Run the module here, in this process: only for modules that can be trusted. Raises DesignError."""
    name = f"design_{abs(hash(design.source)):x}"
    module = ModuleType(name)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        exec(compile(design.source, f"{design.name}.py", "exec"), module.__dict__)  # noqa: S102
    except Exception as fault:  # the boundary to an architecture
        raise DesignError("import", f"{type(fault).__name__}: {fault}") from fault
    return module


def declared(design: Design) -> Mapping[str, Param]:
    """What may be tuned. Raises DesignError."""
    return params_of(loaded(design))


def params_of(module: ModuleType) -> Mapping[str, Param]:
    known: Any = getattr(module, "PARAMS", None)
    if not isinstance(known, Mapping) or not all(isinstance(param, Param) for param in known.values()):
        raise DesignError("import", "the module exports no PARAMS: a mapping of names to Param")
    for name, param in known.items():
        if not isinstance(name, str) or not _sound(param):
            raise DesignError("import", f"the parameter {name!r:.80} needs finite bounds with its default between them")
    return known


def _sound(param: Param) -> bool:
    bounds = (param.low, param.default, param.high)
    numbers = all(isinstance(bound, int | float) and math.isfinite(bound) for bound in bounds)
    return numbers and param.low <= param.default <= param.high


def built(design: Design) -> MemoryArchitecture:
    """The architecture, ready to work in this process: only for modules that can be trusted. Raises DesignError."""
    return made(loaded(design), design.params)


def made(module: ModuleType, params: Mapping[str, float]) -> MemoryArchitecture:
    params_of(module)
    build: Callable[[Mapping[str, float]], Any] | None = getattr(module, "build", None)
    if not callable(build):
        raise DesignError("import", "the module exports no build(params)")
    try:
        architecture: Any = build(dict(params))
    except Exception as fault:  # the boundary to an architecture
        raise DesignError("build", f"{type(fault).__name__}: {fault}") from fault
    missing = [
        name for name in ("encode", "store", "retrieve", "manage") if not callable(getattr(architecture, name, 0))
    ]
    if missing:
        raise DesignError("build", f"what build(params) gives has no {', '.join(missing)}")
    found: MemoryArchitecture = architecture
    return found


@cache
def seeds() -> Mapping[str, Design]:
    """The architectures that are shipped, by name."""
    return _shipped(SEEDS)


@cache
def signals() -> Mapping[str, Design]:
    """Small ones that only score, to be blended with a retriever; by name."""
    return _shipped(SIGNALS)


def _shipped(package: str) -> Mapping[str, Design]:
    found = {
        file.name.removesuffix(".py"): file.read_text(encoding="utf-8")
        for file in files(package).iterdir()
        if file.name.endswith(".py") and not file.name.startswith("_")
    }
    return {name: Design(name, source) for name, source in sorted(found.items())}
