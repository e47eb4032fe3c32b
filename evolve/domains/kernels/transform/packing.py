"""`packing`: an operand that a loop reads again and again, copied into a contiguous local buffer in front of it."""

from collections.abc import Iterator
from functools import partial

from pycparser import c_ast

from evolve.domains.kernels.transform.expressions import references, substitute, types
from evolve.domains.kernels.transform.loops import Loop, Site, fresh, loops, put_in_front
from evolve.domains.kernels.transform.source import Unit, duplicate, expression, statements, text_of
from evolve.domains.kernels.transform.trees import Node, declared, names, rewrite, root, walk, written


def packing(unit: Unit) -> Iterator[Site]:
    every = loops(unit)
    for loop in every:
        inside = [inner for inner in every if any(loop.node is around.node for around in inner.outer)]
        distinct = {text_of(reference): reference for reference in reversed(references(loop.body))}
        for spelt, reference in distinct.items():
            over = _over(loop, inside, reference)
            if over:
                yield _site(unit, loop, over, reference, f"{spelt} in front of {loop.var}")
            if len(over) > 1:
                yield _site(unit, loop, over[::-1], reference, f"{spelt} transposed in front of {loop.var}")


def _site(unit: Unit, loop: Loop, over: list[Loop], reference: Node, detail: str) -> Site:
    return Site(detail, partial(_pack, unit, loop, over, reference))


def _over(loop: Loop, inside: list[Loop], reference: Node) -> list[Loop]:
    """The inner loops that walk the operand, outermost first; none where the loop does not reuse all of it."""
    used = names(reference.subscript)
    name = root(reference)
    if loop.var in used or name in written(loop.body) | declared(loop.body):
        return []
    over: list[Loop] = []
    for inner in inside:
        enclosing = any(node is reference for node in walk(inner.node))
        if enclosing and inner.var in used and inner.var not in [held.var for held in over]:
            over.append(inner)
    counters = {held.var for held in over}
    local = (loop.varying - counters) & used
    steady = all(held.step == 1 and held.own and not held.bounds & loop.varying for held in over)
    return over if steady and not local else []


def _pack(unit: Unit, loop: Loop, over: list[Loop], reference: Node) -> None:
    spelt = text_of(reference)
    kind = types(loop.function).get(root(reference), "float *").removesuffix(" *")
    buffer = fresh(unit, f"{root(reference)}_packed")
    new = {held.var: fresh(unit, f"{held.var}_copy") for held in over}
    extents = [f"({held.trips})" for held in over]
    place = _place(over, extents, {held.var: held.var for held in over})
    filled = _place(over, extents, new)
    heads = "".join(
        f"for (int64_t {new[held.var]} = {held.low}; {new[held.var]} < {held.high}; {new[held.var]}++)" for held in over
    )
    value = text_of(substitute(duplicate([reference]), new)[0])
    copy = statements(f"{kind} {buffer}[{' * '.join(extents)}]; {heads} {buffer}[{filled}] = {value};")

    def change(node: Node) -> Node:
        same = isinstance(node, c_ast.ArrayRef) and text_of(node) == spelt
        return expression(f"{buffer}[{place}]") if same else node

    loop.node.stmt.block_items = [rewrite(item, change) for item in loop.body]
    put_in_front(loop, copy)


def _place(over: list[Loop], extents: list[str], counters: dict[str, str]) -> str:
    index = ""
    for held, extent in zip(over, extents, strict=True):
        offset = counters[held.var] if held.low == "0" else f"({counters[held.var]} - ({held.low}))"
        index = f"({index}) * {extent} + {offset}" if index else offset
    return index
