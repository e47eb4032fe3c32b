"""Walking and rewriting pycparser's trees, and the normal form that every technique relies on."""

import copy
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from pycparser import c_ast

Node: TypeAlias = Any  # pycparser carries no types
"""A node of the parsed tree."""


def fields(node: Node) -> list[str]:
    """Slots of a node that hold nodes or lists of nodes."""
    held: list[str] = [
        slot for slot in node.__slots__ if slot not in node.attr_names and slot not in {"coord", "__weakref__"}
    ]
    return held


def walk(node: Node) -> list[Node]:
    """The node and everything below it, in the order of the text."""
    found = [node]
    for _, child in node.children():
        found.extend(walk(child))
    return found


def rewrite(node: Node, change: Callable[[Node], Node]) -> Node:
    """`change` applied to every node below and then to the node itself; the tree is edited in place."""
    for slot in fields(node):
        held = getattr(node, slot)
        if isinstance(held, list):
            held[:] = [rewrite(item, change) for item in held]
        elif isinstance(held, c_ast.Node):
            setattr(node, slot, rewrite(held, change))
    return change(node)


def names(*nodes: Node) -> set[str]:
    return {item.name for node in nodes if node is not None for item in walk(node) if isinstance(item, c_ast.ID)}


def declared(items: Iterable[Node]) -> set[str]:
    """Names declared anywhere in the statements."""
    return {node.name for item in items for node in walk(item) if isinstance(node, c_ast.Decl) and node.name}


def root(place: Node) -> str:
    """The variable that an lvalue belongs to; empty when there is none."""
    while not isinstance(place, c_ast.ID):
        if isinstance(place, c_ast.ArrayRef | c_ast.StructRef):
            place = place.name
        elif isinstance(place, c_ast.UnaryOp | c_ast.Cast):
            place = place.expr
        elif isinstance(place, c_ast.BinaryOp):
            place = place.left
        else:
            return ""
    return str(place.name)


def written(items: Iterable[Node]) -> set[str]:
    """Variables that the statements assign to, through a pointer or not; what is passed by address counts."""
    found = set()
    for node in (below for item in items for below in walk(item)):
        if isinstance(node, c_ast.Assignment):
            found.add(root(node.lvalue))
        elif isinstance(node, c_ast.UnaryOp) and node.op in {"++", "p++", "--", "p--", "&"}:
            found.add(root(node.expr))
        elif isinstance(node, c_ast.FuncCall) and names(node.name) & {"memcpy", "memset", "memmove"}:
            found.add(root(node.args.exprs[0]))
    return found


def normalise(tree: Node) -> None:
    """Bodies become blocks, `continue` guards become branches, index and row locals are substituted forward."""
    for node in walk(tree):
        for slot in ("stmt", "iftrue", "iffalse"):
            body = getattr(node, slot, None)
            if body is not None and not isinstance(node, c_ast.Label | c_ast.Case | c_ast.Default | c_ast.TernaryOp):
                setattr(node, slot, _block(body))
        if isinstance(node, c_ast.For):
            node.stmt.block_items = _without_continue(node.stmt.block_items)
    for node in walk(tree):
        if isinstance(node, c_ast.Compound):
            node.block_items = _forwarded(node.block_items or [])


def _block(body: Node) -> Node:
    if not isinstance(body, c_ast.Compound):
        return c_ast.Compound([] if isinstance(body, c_ast.EmptyStatement) else [body])
    body.block_items = body.block_items or []
    return body


def _without_continue(items: list[Node]) -> list[Node]:
    """`if (c) continue; rest` is `if (!(c)) { rest }`, which loops can be moved into."""
    for position, item in enumerate(items):
        if isinstance(item, c_ast.If) and item.iffalse is None and _only_continue(item.iftrue):
            rest = c_ast.Compound(_without_continue(items[position + 1 :]))
            return [*items[:position], c_ast.If(c_ast.UnaryOp("!", item.cond), rest, None)]
    return items


def _only_continue(branch: Node) -> bool:
    inner = branch
    while isinstance(inner, c_ast.Compound) and len(inner.block_items or []) == 1:
        inner = inner.block_items[0]
    return bool(isinstance(inner, c_ast.Continue))


def _forwarded(items: list[Node]) -> list[Node]:
    """Locals that only name an index or a row (`const float *row = a + i * n`) give way to what they stand for."""
    kept: list[Node] = []
    rest = list(items)
    while rest:
        item = rest.pop(0)
        if _names_a_place(item) and not ({item.name} | names(item.init)) & written(rest):
            rest = [rewrite(later, _standing_for(item)) for later in rest]
        else:
            kept.append(item)
    return kept


def _names_a_place(item: Node) -> bool:
    if not isinstance(item, c_ast.Decl) or item.init is None or item.storage:
        return False
    kind = item.type.type if isinstance(item.type, c_ast.PtrDecl) else item.type
    if not isinstance(kind, c_ast.TypeDecl) or not isinstance(kind.type, c_ast.IdentifierType):
        return False
    pointer = isinstance(item.type, c_ast.PtrDecl)
    integral = not {"float", "double", "_Float16", "bool"} & set(kind.type.names)
    return (pointer or integral) and all(_affine(node) for node in walk(item.init)) and not _calls(item.init)


def _affine(node: Node) -> bool:
    if isinstance(node, c_ast.BinaryOp):
        return node.op in {"+", "-", "*"}
    if isinstance(node, c_ast.UnaryOp):
        return node.op in {"&", "-"}
    return isinstance(node, c_ast.ID | c_ast.Constant | c_ast.ArrayRef) or not isinstance(node, c_ast.Node)


def _calls(init: Node) -> bool:
    """Whether the value needs a load: an element, not the address of one."""
    addressed = init.expr if isinstance(init, c_ast.UnaryOp) and init.op == "&" else None
    return any(isinstance(node, c_ast.ArrayRef) and node is not addressed for node in walk(init))


def _standing_for(item: Node) -> Callable[[Node], Node]:
    def change(node: Node) -> Node:
        if isinstance(node, c_ast.ID) and node.name == item.name:
            return copy.deepcopy(item.init)
        if isinstance(node, c_ast.ArrayRef):
            return _flattened(node)
        return node

    return change


def _flattened(node: Node) -> Node:
    """`(p + x)[y]` and `(&p[x])[y]` are `p[x + y]`."""
    base = node.name
    if isinstance(base, c_ast.UnaryOp) and base.op == "&" and isinstance(base.expr, c_ast.ArrayRef):
        return c_ast.ArrayRef(base.expr.name, c_ast.BinaryOp("+", base.expr.subscript, node.subscript))
    if isinstance(base, c_ast.BinaryOp) and base.op == "+":
        return _flattened(c_ast.ArrayRef(base.left, c_ast.BinaryOp("+", base.right, node.subscript)))
    return node
