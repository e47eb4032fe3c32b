"""`accumulator_expansion`: the scalars of one iteration become a tile, so that the reduction loop can move outside.

    for v { T acc = 0; for r acc += e(v, r); out[v] = acc; }

becomes, tile by tile,

    T acc[B]; for v acc[v] = 0; for r for v acc[v] += e(v, r); for v out[v] = acc[v];

which is scalar expansion, loop distribution and interchange in one (Allen & Kennedy, Optimizing Compilers for Modern
Architectures, 5.2 and 5.3): none of the three is possible, or worth anything, without the others.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

from pycparser import c_ast

from evolve.domains.kernels.transform.expressions import contiguous, references, stride, substitute, types
from evolve.domains.kernels.transform.loops import Loop, NotApplicableError, Site, fresh, loops, replace
from evolve.domains.kernels.transform.source import Unit, block_text, duplicate, statements, text_of
from evolve.domains.kernels.transform.trees import Node, declared, names, written

_TILES = (32, 64, 128, 512)
_SEPARATED = (16, 32, 64, 128)
"""Tiles whose accumulators may stay in vector registers, as the trip count is a constant."""


class _Tile(NamedTuple):
    var: str
    trips: str
    """Iterations of the tile."""
    places: Mapping[str, str]
    """What stands for the loop's counter and its scalars within the tile."""

    def pointwise(self, items: list[Node]) -> str:
        if not items:
            return ""
        body = substitute(duplicate(items), self.places)
        return f"for (int64_t {self.var} = 0; {self.var} < {self.trips}; {self.var}++) {block_text(body)}"


def accumulator_expansion(unit: Unit) -> Iterator[Site]:
    for loop in loops(unit):
        if _suitable(loop):
            yield from _sites(unit, loop)


def _sites(unit: Unit, loop: Loop) -> Iterator[Site]:
    for size in _TILES:
        yield Site(f"along {loop.var}, tile {size}", partial(_expand, unit, loop, size, full=False))
    for size in _SEPARATED:
        detail = f"along {loop.var}, tile {size}, full tiles apart"
        yield Site(detail, partial(_expand, unit, loop, size, full=True))


def _suitable(loop: Loop) -> bool:
    """One reduction nest in the body, whose accesses are contiguous along the loop."""
    nests = [item for item in loop.body if isinstance(item, c_ast.For)]
    branches = any(isinstance(item, c_ast.If | c_ast.Compound | c_ast.While) for item in loop.body)
    if loop.step != 1 or not loop.own or len(nests) != 1 or branches:
        return False
    moves = any(stride(reference.subscript, loop.var) == 1 for reference in references(nests))
    return moves and contiguous(nests, loop.var)


def _expand(unit: Unit, loop: Loop, size: int, *, full: bool) -> None:
    kinds = types(loop.function)
    start, count = fresh(unit, f"{loop.var}_tile"), fresh(unit, "count")
    nest = next(item for item in loop.body if isinstance(item, c_ast.For))
    position = loop.body.index(nest)
    before = [item for item in loop.body[:position] if not isinstance(item, c_ast.Pragma)]
    scalars = {item.name: kinds.get(item.name, "") for item in before if isinstance(item, c_ast.Decl)}
    if any(kind.endswith("*") or not kind for kind in scalars.values()):
        raise NotApplicableError("only scalars can be expanded")
    arrays = {name: fresh(unit, f"{name}_tile") for name in scalars}
    places = {name: f"{array}[{loop.var}]" for name, array in arrays.items()}
    tile = _Tile(loop.var, count, {loop.var: f"{start} + {loop.var}", **places})
    changing = {loop.var} | set(scalars) | (written(loop.body) - declared([nest]))
    middle = _sunk([nest], changing, tile)
    if middle[0] is nest:
        raise NotApplicableError("the reduction loop depends on the tile")
    opening = "".join(f"_Alignas(64) {kind} {arrays[name]}[{size}];" for name, kind in scalars.items())
    last = tile.pointwise(loop.body[position + 1 :])
    body = f"{opening} {tile.pointwise(_assigned(before))} {block_text(middle)} {last}"
    if full:
        constant = block_text(substitute(statements(body), {count: str(size)}))
        body = f"if ({count} == {size}) {constant} else {{ {body} }}"
    code = (
        f"for (int64_t {start} = {loop.low}; {start} < {loop.high}; {start} += {size}) {{"
        f"const int64_t {count} = {loop.high} - {start} < {size} ? {loop.high} - {start} : {size}; {body} }}"
    )
    replace(loop, statements(code))


def _sunk(items: list[Node], changing: set[str], tile: _Tile) -> list[Node]:
    """The statements with the loop over the tile moved as far inside as it can go."""
    work = [item for item in items if not isinstance(item, c_ast.Pragma)]
    *first, last = work
    if any(not isinstance(item, c_ast.Decl) or _changes(item, [last], changing) for item in first):
        return statements(tile.pointwise(work))
    if isinstance(last, c_ast.For) and not (names(last.init, last.cond, last.next) - _counter(last)) & changing:
        inner = c_ast.For(last.init, last.cond, last.next, c_ast.Compound(_sunk(last.stmt.block_items, changing, tile)))
        return [*first, inner]
    if isinstance(last, c_ast.If) and last.iffalse is None and not names(last.cond) & changing:
        return [*first, c_ast.If(last.cond, c_ast.Compound(_sunk(last.iftrue.block_items, changing, tile)), None)]
    return statements(tile.pointwise(work))


def _counter(loop: Node) -> set[str]:
    if isinstance(loop.init, c_ast.DeclList):
        return {item.name for item in loop.init.decls}
    return names(loop.init.lvalue) if isinstance(loop.init, c_ast.Assignment) else set()


def _changes(item: Node, later: list[Node], changing: set[str]) -> bool:
    return bool(names(item.init) & changing) or item.name in written(later)


def _assigned(items: list[Node]) -> list[Node]:
    """Declarations as the assignments that they make."""
    done = []
    for item in items:
        if not isinstance(item, c_ast.Decl):
            done.append(item)
        elif item.init is not None:
            done.extend(statements(f"{item.name} = {text_of(item.init)};"))
    return done
