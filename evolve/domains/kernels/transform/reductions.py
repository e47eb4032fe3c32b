"""Scalar reductions: `acc += e` and running maxima and minima, however they are spelt."""

from typing import NamedTuple

from pycparser import c_ast

from evolve.domains.kernels.transform.loops import Loop
from evolve.domains.kernels.transform.source import statements, text_of
from evolve.domains.kernels.transform.trees import Node, declared, names, walk, written

_EXTREMES = {"fmaxf": "max", "fmax": "max", "fminf": "min", "fmin": "min", "vec_fmaxf": "max"}


class Update(NamedTuple):
    name: str
    operator: str
    """`+`, `max` or `min`; usable in an OpenMP reduction clause."""
    value: Node

    def statement(self, place: str) -> Node:
        """The update applied to `place`, branch-free."""
        value = text_of(self.value)
        if self.operator == "+":
            return statements(f"{place} += {value};")[0]
        sign = ">" if self.operator == "max" else "<"
        return statements(f"{place} = ({value}) {sign} {place} ? ({value}) : {place};")[0]


def update(item: Node) -> Update | None:
    """What one statement reduces; None when it is no reduction."""
    if isinstance(item, c_ast.Compound) and len(item.block_items or []) == 1:
        return update(item.block_items[0])
    if isinstance(item, c_ast.If):
        return _guarded(item)
    if not (isinstance(item, c_ast.Assignment) and isinstance(item.lvalue, c_ast.ID)):
        return None
    found = _sum(item) or _extreme(item)
    return found if found and found.name not in names(found.value) else None


def reductions(loop: Loop) -> dict[str, str] | None:
    """Operators of the outside scalars that the loop reduces, by name.

    None when the loop carries any other scalar from one iteration to the next.
    """
    body = loop.body
    inside = declared(body) | counters(body)
    scalars = {name for name in written(body) - inside if not through_memory(name, body)}
    found: dict[str, str] = {}
    uses = 0
    for item in (node for part in body for node in _statements(part)):
        change = update(item)
        if change and change.name in scalars:
            if found.setdefault(change.name, change.operator) != change.operator:
                return None
            uses += _mentions(item, scalars)
    total = sum(_mentions(item, scalars) for item in body)
    return found if set(found) == scalars and uses == total else None


def _mentions(item: Node, scalars: set[str]) -> int:
    return sum(isinstance(node, c_ast.ID) and node.name in scalars for node in walk(item))


def counters(body: list[Node]) -> set[str]:
    """Counters of inner loops that are declared outside."""
    return {
        node.init.lvalue.name
        for part in body
        for node in walk(part)
        if isinstance(node, c_ast.For)
        and isinstance(node.init, c_ast.Assignment)
        and isinstance(node.init.lvalue, c_ast.ID)
    }


def through_memory(name: str, body: list[Node]) -> bool:
    """Whether every write to `name` is to an element of it."""
    return not any(
        (isinstance(node, c_ast.Assignment) and names(node.lvalue) == {name} and isinstance(node.lvalue, c_ast.ID))
        or (
            isinstance(node, c_ast.UnaryOp)
            and isinstance(node.expr, c_ast.ID)
            and node.expr.name == name
            and node.op not in "*-+!~"
        )
        for part in body
        for node in walk(part)
    )


def _statements(item: Node) -> list[Node]:
    """Leaf statements, and branches that are an update as a whole."""
    if isinstance(item, c_ast.If) and update(item):
        return [item]
    if isinstance(item, c_ast.Compound):
        return [leaf for inner in item.block_items or [] for leaf in _statements(inner)]
    if isinstance(item, c_ast.If):
        branches = [branch for branch in (item.iftrue, item.iffalse) if branch is not None]
        return [leaf for branch in branches for leaf in _statements(branch)]
    if isinstance(item, c_ast.For | c_ast.While | c_ast.DoWhile):
        return _statements(item.stmt)
    return [item]


def _sum(item: Node) -> Update | None:
    name, value = item.lvalue.name, item.rvalue
    if item.op == "+=":
        return Update(name, "+", value)
    if item.op == "=" and isinstance(value, c_ast.BinaryOp) and value.op == "+":
        for one, other in ((value.left, value.right), (value.right, value.left)):
            if isinstance(one, c_ast.ID) and one.name == name:
                return Update(name, "+", other)
    return None


def _extreme(item: Node) -> Update | None:
    name, value = item.lvalue.name, item.rvalue
    if item.op != "=":
        return None
    if isinstance(value, c_ast.FuncCall) and value.name.name in _EXTREMES:
        rest = [part for part in value.args.exprs if text_of(part) != name]
        return Update(name, _EXTREMES[value.name.name], rest[0]) if len(rest) == 1 else None
    if isinstance(value, c_ast.TernaryOp):
        kept = [part for part in (value.iftrue, value.iffalse) if text_of(part) != name]
        if len(kept) == 1:
            return _compared(value.cond, name, kept[0], chosen=text_of(value.iftrue) != name)
    return None


def _guarded(item: Node) -> Update | None:
    """`if (e > acc) acc = e;`"""
    inner = item.iftrue.block_items
    if item.iffalse is not None or len(inner) != 1 or not isinstance(inner[0], c_ast.Assignment):
        return None
    place = inner[0].lvalue
    if inner[0].op != "=" or not isinstance(place, c_ast.ID):
        return None
    return _compared(item.cond, place.name, inner[0].rvalue, chosen=True)


def _compared(cond: Node, name: str, value: Node, *, chosen: bool) -> Update | None:
    """The extreme that results where `value` replaces `name` if `cond` is `chosen`."""
    if not (isinstance(cond, c_ast.BinaryOp) and cond.op in {">", "<", ">=", "<="}):
        return None
    sides = text_of(cond.left), text_of(cond.right)
    if set(sides) != {name, text_of(value)}:
        return None
    larger = (sides[0] == text_of(value)) == (cond.op[0] == ">")
    return Update(name, "max" if larger == chosen else "min", value)
