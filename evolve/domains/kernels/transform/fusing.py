"""`fusion` of neighbouring loops over the same range, and `distribution` of one loop over several."""

from collections.abc import Iterator
from functools import partial

from pycparser import c_ast

from evolve.domains.kernels.transform.expressions import rename
from evolve.domains.kernels.transform.loops import Loop, Site, fresh, loops, replace
from evolve.domains.kernels.transform.reductions import through_memory
from evolve.domains.kernels.transform.source import Unit, duplicate, text_of
from evolve.domains.kernels.transform.trees import Node, declared, names, written


def fusion(unit: Unit) -> Iterator[Site]:
    every = loops(unit)
    for first in every:
        second = next((loop for loop in every if _follows(loop, first)), None)
        if second is not None:
            detail = f"two loops over {first.var}"
            yield Site(detail, partial(_fuse, unit, first, second))


def _follows(second: Loop, first: Loop) -> bool:
    items = first.block.block_items
    if second.block is not first.block or first.pragmas or second.pragmas or not (first.own and second.own):
        return False
    scalars = {name for name in written(first.body) - declared(first.body) if not through_memory(name, first.body)}
    if scalars & names(*second.body):
        return False
    adjacent = items.index(second.node) == items.index(first.node) + 1
    return adjacent and (first.low, first.high, first.step) == (second.low, second.high, second.step)


def _fuse(unit: Unit, first: Loop, second: Loop) -> None:
    clash = declared(first.body) & declared(second.body)
    body = rename(duplicate(second.body), {name: fresh(unit, name) for name in clash})
    if second.var != first.var:
        body = rename(body, {second.var: first.var})
    first.node.stmt.block_items = [*first.body, *body]
    first.block.block_items.remove(second.node)


def distribution(unit: Unit) -> Iterator[Site]:
    for loop in loops(unit):
        body = loop.body
        for cut in range(1, len(body)):
            if any(isinstance(item, c_ast.Pragma) for item in body[cut - 1 : cut]) or loop.has_pragma("simd"):
                continue
            local = {item.name for item in body[:cut] if isinstance(item, c_ast.Decl)}
            if not local & names(*body[cut:]) and not all(isinstance(item, c_ast.Decl) for item in body[:cut]):
                detail = f"{loop.var} before {text_of(body[cut])[:40].strip()!r}"
                yield Site(detail, partial(_split, loop, cut))


def _split(loop: Loop, cut: int) -> None:
    def part(items: list[Node]) -> Node:
        head = duplicate([loop.node.init, loop.node.cond, loop.node.next])
        return c_ast.For(*head, c_ast.Compound(items))

    pieces: list[Node] = [part(loop.body[:cut])]
    shared = [pragma for pragma in loop.pragmas if "parallel" in pragma.string]
    pieces += [*duplicate(shared), part(loop.body[cut:])]
    replace(loop, pieces)
