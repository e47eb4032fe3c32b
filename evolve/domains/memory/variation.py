"""Changes of a memory for search without a model: other parameters, programs of the architectures that are shipped."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from random import Random
from typing import NamedTuple

from evolve.domains.memory.lint import MOST_LINES
from knowledge.architecture import DesignError
from knowledge.design import Design, seeds
from knowledge.genome import Genome, compose

OWN = "own"
SPREAD = 0.25
"""Standard deviation of a step, as a share of what lies between a parameter's bounds."""
STEPS = 2
"""Offered for each parameter."""


class Literal(NamedTuple):
    """Where a module says the default of a parameter."""

    name: str
    default: float
    low: float
    high: float
    whole: bool
    line: int
    start: int
    end: int
    """Bytes of the line."""


def mutations(source: str, rng: Random) -> Iterator[tuple[str, str, str]]:
    """(technique, detail, module), lazily, in random order."""
    try:
        literals = list(_literals(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return
    offers: list[Literal | tuple[str, str]] = [*literals * STEPS]
    offers += [(way, name) for way in ("keep", "retrieve", "manage", "blend", "become") for name in seeds()]
    rng.shuffle(offers)
    for offer in offers:
        if isinstance(offer, Literal):
            yield _stepped(source, offer, rng)
        elif (changed := _exchanged(source, *offer)) and changed != source:
            yield f"{offer[0]}_{offer[1]}", "", changed


@cache
def described() -> Mapping[str, str]:
    """The first words of each architecture that is shipped, by name."""
    return {name: ast.get_docstring(ast.parse(design.source)) or "" for name, design in seeds().items()}


@lru_cache(maxsize=1024)
def _exchanged(source: str, way: str, name: str) -> str:
    """Empty where no module comes of it."""
    genome = {
        "keep": Genome(name, name, ((OWN, 1.0),), name),
        "retrieve": Genome(OWN, OWN, ((name, 1.0),), OWN),
        "manage": Genome(OWN, OWN, ((OWN, 1.0),), name),
        "blend": Genome(OWN, OWN, ((OWN, 1.0), (name, 1.0)), OWN),
        "become": Genome.of(name),
    }[way]
    try:
        made = compose(f"{way}_{name}", genome, {**seeds(), OWN: Design(OWN, source)}, {})
    except DesignError:
        return ""
    return made.source if made.lines <= MOST_LINES else ""


def _literals(tree: ast.Module) -> Iterator[Literal]:
    """Every `"name": Param(default, low, high)` with numbers."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Dict):
            continue
        for key, value in zip(node.keys, node.values, strict=True):
            match key, value:
                case (
                    ast.Constant(value=str() as name),
                    ast.Call(func=ast.Name(id="Param"), args=[default, low, high, *more], keywords=keywords),
                ):
                    yield from _literal(name, [default, low, high], bool(keywords or more))


def _literal(name: str, numbers: list[ast.expr], whole: bool) -> Iterator[Literal]:
    first = numbers[0]
    try:
        default, low, high = (float(ast.literal_eval(number)) for number in numbers)
    except (ValueError, TypeError):
        return
    if first.lineno == first.end_lineno and first.end_col_offset is not None and low < high:
        yield Literal(name, default, low, high, whole, first.lineno, first.col_offset, first.end_col_offset)


def _stepped(source: str, at: Literal, rng: Random) -> tuple[str, str, str]:
    drawn = min(at.high, max(at.low, at.default + rng.gauss(0.0, SPREAD * (at.high - at.low))))
    new = f"{round(drawn)}" if at.whole else f"{drawn:.3g}"
    lines = source.splitlines(keepends=True)
    line = lines[at.line - 1].encode()
    lines[at.line - 1] = (line[: at.start] + new.encode() + line[at.end :]).decode()
    return f"tune_{at.name}", f"{at.default:g} -> {new}", "".join(lines)
