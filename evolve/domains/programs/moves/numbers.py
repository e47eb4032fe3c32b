"""Changes of parameters: the numbers that a program was given."""

import ast
import math
from collections.abc import Iterator
from random import Random

from evolve.domains.programs.moves.source import Change, Source

SPREADS = (0.3, 0.05)
"""Standard deviations of the perturbations of one number, of its logarithm."""
SHAPES = frozenset({"zeros", "ones", "empty", "full", "eye", "reshape", "transpose", "identity"})
NO_PARAMETERS = frozenset({"axis", "ndmin", "shape", "dtype"})
SEEDS = frozenset({"seed", "default_rng", "RandomState", "Random"})
COUNTS = frozenset({"range", "repeat"})


def changes(source: Source, rng: Random) -> Iterator[Change]:
    for node in source.nodes:
        match node:
            case ast.Constant(value=bool() as value):
                yield Change("flip_flag", f"{value} -> {not value}", (source.put(node, str(not value)),))
            case ast.Constant(value=int() | float() as number) if math.isfinite(number):
                yield from _number(source, node, number, rng)
            case ast.Call(func=ast.Name(id="range"), args=[*_, last]) if not isinstance(last, ast.Constant):
                text = source.text(last)
                yield Change("loop_count", f"{text} doubled", (source.put(last, f"2 * ({text})"),))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                text = source.text(operand)
                yield Change("flip_sign", f"-{text} -> {text}", (source.put(node, f"(+{text})"),))


def _number(source: Source, node: ast.Constant, number: float, rng: Random) -> Iterator[Change]:
    role = _role(source, node)
    if role == "seed":
        yield _to(source, node, "reseed", rng.randrange(10_000))
    elif role == "count" and isinstance(number, int):
        for new in (2 * number, 4 * number, number // 2, number + 1, number - 1):
            yield _to(source, node, "loop_count", max(0, new))
    elif role == "parameter":
        yield from _parameter(source, node, number, rng)


def _parameter(source: Source, node: ast.Constant, number: float, rng: Random) -> Iterator[Change]:
    if isinstance(number, int):
        for new in (number + 1, number - 1):
            yield _to(source, node, "step_parameter", new)
        for new in (2 * number, number // 2):
            yield _to(source, node, "scale_parameter", new)
        if number:
            yield _to(source, node, "perturb_parameter", number * math.exp(rng.gauss(0.0, SPREADS[0])))
        return
    if number == 0:
        yield _to(source, node, "perturb_parameter", rng.gauss(0.0, 0.1))
        return
    for factor in (0.1, 0.5, 2.0, 10.0):
        yield _to(source, node, "scale_parameter", number * factor)
    for spread in SPREADS:
        yield _to(source, node, "perturb_parameter", number * math.exp(rng.gauss(0.0, spread)))
    if 0 < number < 1:
        yield _to(source, node, "complement_parameter", 1.0 - number)


def _to(source: Source, node: ast.Constant, technique: str, new: float) -> Change:
    text = repr(new) if isinstance(new, int) else f"{new:.4g}"
    text = text if isinstance(new, int) or any(mark in text for mark in ".en") else f"{text}.0"
    shown = f"({text})" if new < 0 else text
    detail = f"line {node.lineno}: {source.text(node)} -> {text}"
    return Change(technique, detail, (source.put(node, shown),), named=_is_named(source, node))


def _is_named(source: Source, node: ast.expr) -> bool:
    """`NAME = 3` at the top of a module or class, or the default of a parameter."""
    parent = source.parents[node]
    if isinstance(parent, ast.UnaryOp):
        parent = source.parents[parent]
    if isinstance(parent, ast.Assign | ast.AnnAssign):
        return isinstance(source.parents[parent], ast.Module | ast.ClassDef)
    return isinstance(parent, ast.arguments)


def _role(source: Source, node: ast.expr) -> str:
    """`seed`, `count`, `parameter`, or empty: an index, a shape."""
    child: ast.AST = node
    while (parent := source.parents.get(child)) is not None and not isinstance(parent, ast.stmt):
        role = _role_in(parent, child)
        if role is not None:
            return role
        child = parent
    return "parameter"


def _role_in(parent: ast.AST, child: ast.AST) -> str | None:
    """None where what is around the parent decides."""
    match parent:
        case ast.Subscript(slice=inner) if inner is child:
            return ""
        case ast.keyword(arg=name):
            return "seed" if name in SEEDS else "" if name in NO_PARAMETERS else None
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name) as function) if function is not child:
            return "seed" if name in SEEDS else "" if name in SHAPES else "count" if name in COUNTS else "parameter"
    return None
