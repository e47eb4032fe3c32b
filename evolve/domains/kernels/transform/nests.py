"""`interchange` and `tiling` of perfectly nested loops, and `tile_separation` of what tiling leaves behind."""

from collections.abc import Iterator
from functools import partial

from pycparser import c_ast

from evolve.domains.kernels.transform.expressions import substitute
from evolve.domains.kernels.transform.loops import Loop, Site, chain, fresh, loops, only_loop, replace
from evolve.domains.kernels.transform.source import Unit, block_text, duplicate, statements, text_of
from evolve.domains.kernels.transform.trees import Node, walk

_SIZES = (16, 32, 64, 256)
_LARGEST = 1024


def interchange(unit: Unit) -> Iterator[Site]:
    for loop in loops(unit):
        inner = only_loop(loop)
        if inner is not None and not inner.pragmas and loop.var not in inner.bounds and inner.var not in loop.bounds:
            detail = f"{loop.var} and {inner.var}"
            yield Site(detail, partial(_swap, loop.node, inner.node))


def _swap(one: Node, other: Node) -> None:
    for slot in ("init", "cond", "next"):
        first, second = getattr(one, slot), getattr(other, slot)
        setattr(one, slot, second)
        setattr(other, slot, first)


def tiling(unit: Unit) -> Iterator[Site]:
    for loop in loops(unit):
        nest = chain(loop)
        for depth in range(1, min(len(nest), 3) + 1):
            group = nest[:depth]
            if not _tileable(group):
                continue
            for size in _SIZES:
                where = ", ".join(part.var for part in group)
                yield Site(f"{where} by {size}", partial(_tile, unit, group, size))


def _tileable(group: list[Loop]) -> bool:
    counters = {loop.var for loop in group}
    simple = all(loop.step == 1 and not loop.short and loop.own and not loop.bounds & counters for loop in group)
    return simple and (len(group) > 1 or not (group[0].innermost or group[0].pragmas))


def _tile(unit: Unit, group: list[Loop], size: int) -> None:
    """Strip-mine every loop of the group and move the loops over tiles outside."""
    heads, counts, points = "", "", ""
    taken: list[str] = []
    places: dict[str, str] = {}
    for loop in group:
        start = fresh(unit, f"{loop.var}_tile", taken)
        count = fresh(unit, "count", [*taken, start])
        taken += [start, count]
        heads += f"for (int64_t {start} = {loop.low}; {start} < {loop.high}; {start} += {size}) {{"
        counts += f"const int64_t {count} = {loop.high} - {start} < {size} ? {loop.high} - {start} : {size};"
        points += f"for (int64_t {loop.var} = 0; {loop.var} < {count}; {loop.var}++)"
        places[loop.var] = f"{start} + {loop.var}"
    body = substitute(duplicate(group[-1].body), places)
    new = statements(f"{heads} {counts} {points} {block_text(body)} {'}' * len(group)}")
    innermost = [node for node in walk(new[0]) if isinstance(node, c_ast.For)][2 * len(group) - 1]
    replace(group[0], new, simd=innermost)


def tile_separation(unit: Unit) -> Iterator[Site]:
    for loop in loops(unit):
        for item in loop.body:
            size = _partial_count(item)
            if size is not None and not _branches_on(loop.body, item.name):
                detail = f"{loop.var}, {item.name} = {size}"
                yield Site(detail, partial(_separate, loop, item, size))


def _partial_count(item: Node) -> int | None:
    """N of a declaration `count = rest < N ? rest : N`."""
    if not (isinstance(item, c_ast.Decl) and isinstance(item.init, c_ast.TernaryOp)):
        return None
    last = item.init.iffalse
    return int(last.value) if isinstance(last, c_ast.Constant) and last.value.isdigit() else None


def _branches_on(items: list[Node], name: str) -> bool:
    return any(isinstance(item, c_ast.If) and text_of(item.cond).startswith(f"{name} ==") for item in items)


def _separate(loop: Loop, count: Node, size: int) -> None:
    """A version of the body for full tiles, whose trip count the compiler knows."""
    position = loop.body.index(count) + 1
    rest = [item for item in loop.body[position:] if _partial_count(item) is None]
    others = [item for item in loop.body[position:] if _partial_count(item) is not None]
    constant = block_text(substitute(duplicate(rest), {count.name: str(size)}))
    branch = statements(f"if ({count.name} == {size}) {constant} else {block_text(rest)}")
    loop.node.stmt.block_items = [*loop.body[:position], *others, *branch]
