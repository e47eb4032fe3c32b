"""`hoisting` of what does not change within a loop, and `scalar_replacement` of an element that it updates in place."""

from collections.abc import Iterator
from functools import partial

from pycparser import c_ast

from evolve.domains.kernels.transform.expressions import floating, references, types
from evolve.domains.kernels.transform.loops import Loop, Site, fresh, loops, put_in_front, wrap
from evolve.domains.kernels.transform.source import Unit, expression, statements, text_of
from evolve.domains.kernels.transform.trees import Node, names, rewrite, root, walk, written


def hoisting(unit: Unit) -> Iterator[Site]:
    divided = []
    for loop in loops(unit):
        if not loop.innermost:
            continue
        divisors = _divisors(loop)
        if divisors:
            divided.append((loop, divisors))
        for spelt, kind in _invariants(loop).items():
            detail = f"{spelt} out of {loop.var}"
            yield Site(detail, partial(_hoist, unit, loop, spelt, kind))
    for loop, divisors in divided:
        for spelt, kind in divisors.items():
            detail = f"reciprocal of {spelt} out of {loop.var}"
            yield Site(detail, partial(_reciprocal, unit, loop, spelt, kind))


def _steady(node: Node, loop: Loop) -> bool:
    """Whether a subexpression has the same value in every iteration."""
    return not names(node) & loop.varying


def _divisors(loop: Loop) -> dict[str, str]:
    known = types(loop.function)
    return {
        text_of(node.right): _kind(node.right, known)
        for item in loop.body
        for node in walk(item)
        if isinstance(node, c_ast.BinaryOp)
        and node.op == "/"
        and names(node.right)
        and floating(node.right, known)
        and _steady(node.right, loop)
    }


def _invariants(loop: Loop) -> dict[str, str]:
    """Loads and calls that every iteration repeats, with their types."""
    known, stored = types(loop.function), written(loop.body)
    found = {}
    for reference in references(loop.body):
        if root(reference) not in stored and _steady(reference, loop):
            found[text_of(reference)] = known.get(root(reference), "float *").removesuffix(" *")
    for node in (below for item in loop.body for below in walk(item)):
        if isinstance(node, c_ast.FuncCall) and _steady(node, loop) and text_of(node.name).endswith("f"):
            found[text_of(node)] = "float"
    return found


def _kind(node: Node, known: dict[str, str]) -> str:
    double = any(known.get(name, "").startswith("double") for name in names(node))
    return "double" if double else "float"


def _hoist(unit: Unit, loop: Loop, spelt: str, kind: str) -> None:
    name = fresh(unit, "fixed")

    def change(node: Node) -> Node:
        same = isinstance(node, c_ast.ArrayRef | c_ast.FuncCall) and text_of(node) == spelt
        return c_ast.ID(name) if same else node

    loop.node.stmt.block_items = [rewrite(item, change) for item in loop.body]
    put_in_front(loop, statements(f"const {kind} {name} = {spelt};"))


def _reciprocal(unit: Unit, loop: Loop, spelt: str, kind: str) -> None:
    name = fresh(unit, "inverse")

    def change(node: Node) -> Node:
        divides = isinstance(node, c_ast.BinaryOp) and node.op == "/" and text_of(node.right) == spelt
        return c_ast.BinaryOp("*", node.left, c_ast.ID(name)) if divides else node

    loop.node.stmt.block_items = [rewrite(item, change) for item in loop.body]
    put_in_front(loop, statements(f"const {kind} {name} = 1.0f / ({spelt});"))


def scalar_replacement(unit: Unit) -> Iterator[Site]:
    for loop in loops(unit):
        if not loop.innermost or loop.has_pragma("parallel"):
            continue
        places = {text_of(node): root(node) for node in references(loop.body) if root(node) in written(loop.body)}
        for spelt, name in places.items():
            alone = sum(held == name for held in places.values()) == 1
            if alone and _steady(expression(spelt).subscript, loop):
                detail = f"{spelt} in {loop.var}"
                yield Site(detail, partial(_replace_scalar, unit, loop, spelt, name))


def _replace_scalar(unit: Unit, loop: Loop, spelt: str, name: str) -> None:
    kind = types(loop.function).get(name, "float *").removesuffix(" *")
    scalar = fresh(unit, f"{name}_element")

    def change(node: Node) -> Node:
        return c_ast.ID(scalar) if isinstance(node, c_ast.ArrayRef) and text_of(node) == spelt else node

    loop.node.stmt.block_items = [rewrite(item, change) for item in loop.body]
    block = wrap(loop)
    block.block_items = [
        *statements(f"{kind} {scalar} = {spelt};"),
        *block.block_items,
        *statements(f"{spelt} = {scalar};"),
    ]
