"""Counted loops: where they are, what they enclose, and how one is replaced without losing its pragmas."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pycparser import c_ast

from evolve.domains.kernels.transform.expressions import integer, varying
from evolve.domains.kernels.transform.source import Unit, functions, text_of
from evolve.domains.kernels.transform.trees import Node, names, walk, written

_SHORT = 64
_LEFT_OVER = re.compile(r"\w+_end_\d+")


class NotApplicableError(Exception):
    """A site turned out not to have the form that the transformation needs."""


class Site(NamedTuple):
    """One way to apply a technique."""

    detail: str
    apply: Callable[[], None]
    """Edits the unit in place. Raises NotApplicableError, or UnreadableError where the result is no C."""


@dataclass(frozen=True)
class Loop:
    """`for (var = low; var < high; var += step)`; `low` and `high` are C text, `high` is exclusive."""

    node: Node
    block: Node
    """The compound statement that holds the loop."""
    function: Node
    var: str
    low: str
    high: str
    step: int
    outer: "tuple[Loop, ...]"
    """Enclosing counted loops, outermost first."""

    @property
    def body(self) -> list[Node]:
        items: list[Node] = self.node.stmt.block_items
        return items

    @property
    def innermost(self) -> bool:
        return not any(isinstance(node, c_ast.For | c_ast.While | c_ast.DoWhile) for node in walk(self.node.stmt))

    @property
    def varying(self) -> set[str]:
        return varying(self.var, self.body)

    @property
    def bounds(self) -> set[str]:
        return names(self.node.init, self.node.cond, self.node.next) - {self.var}

    @property
    def trips(self) -> str:
        """Number of iterations, for step 1."""
        return self.high if self.low == "0" else f"({self.high}) - ({self.low})"

    @property
    def short(self) -> bool:
        """The trip count is a small constant."""
        return self.low.isdigit() and self.high.isdigit() and int(self.high) - int(self.low) <= _SHORT

    @property
    def own(self) -> bool:
        """The counter is declared in the header."""
        return isinstance(self.node.init, c_ast.DeclList)

    @property
    def pragmas(self) -> list[Node]:
        """Pragmas directly in front of the loop."""
        position = self.block.block_items.index(self.node)
        first = position
        while first > 0 and isinstance(self.block.block_items[first - 1], c_ast.Pragma):
            first -= 1
        held: list[Node] = self.block.block_items[first:position]
        return held

    def has_pragma(self, word: str) -> bool:
        return any(word in pragma.string for pragma in self.pragmas)

    @property
    def parallel(self) -> bool:
        """The loop, or one around it, is shared among threads."""
        return any(loop.has_pragma("parallel") for loop in (*self.outer, self))


def loops(unit: Unit) -> list[Loop]:
    """Counted loops with a positive constant step that leave only by their condition, in the order of the text.

    What an unrolled loop leaves over (`for (i = i_end_1; ...`) is not worth transforming and is left out.
    """
    return [loop for function in functions(unit) for loop in _within(function.body, (), function)]


def loops_in(items: list[Node], function: Node) -> list[Loop]:
    return list(_within(c_ast.Compound(items), (), function))


def only_loop(loop: Loop) -> Loop | None:
    """The loop that is perfectly nested in this one."""
    inner = [item for item in loop.body if not isinstance(item, c_ast.Pragma)]
    if len(inner) != 1 or not isinstance(inner[0], c_ast.For):
        return None
    return next((found for found in _within(loop.node.stmt, (*loop.outer, loop), loop.function)), None)


def chain(loop: Loop) -> list[Loop]:
    """The loop and all that are perfectly nested in it."""
    nest = [loop]
    while (inner := only_loop(nest[-1])) is not None and inner.node in nest[-1].body:
        nest.append(inner)
    return nest


def replace(loop: Loop, new: list[Node], simd: Node | None = None) -> None:
    """Put `new` in the loop's place. Its parallel pragmas go to the first loop of `new`, its simd ones to `simd`.

    Enclosing loops may no longer be perfectly nested after this, so their `collapse` clauses go.
    """
    items, pragmas = loop.block.block_items, loop.pragmas
    position = items.index(loop.node)
    shared = [pragma for pragma in pragmas if "parallel" in pragma.string]
    vector = [pragma for pragma in pragmas if "simd" in pragma.string and pragma not in shared]
    first = next((index for index, item in enumerate(new) if isinstance(item, c_ast.For)), len(new))
    placed = [*new[:first], *shared, *new[first:]]
    if simd is not None and vector:
        _insert_before(c_ast.Compound(placed), simd, vector)
    items[position - len(pragmas) : position + 1] = placed
    _uncollapse([*shared, *(pragma for around in loop.outer for pragma in around.pragmas)])


def put_in_front(loop: Loop, new: list[Node]) -> None:
    """Statements in front of the loop and its pragmas; enclosing `collapse` clauses go."""
    items = loop.block.block_items
    position = items.index(loop.node) - len(loop.pragmas)
    items[position:position] = new
    _uncollapse([pragma for around in loop.outer for pragma in around.pragmas])


def wrap(loop: Loop) -> Node:
    """Give the loop a block of its own, for declarations next to it; returns the block."""
    items, pragmas = loop.block.block_items, loop.pragmas
    position = items.index(loop.node)
    block = c_ast.Compound([*pragmas, loop.node])
    items[position - len(pragmas) : position + 1] = [block]
    _uncollapse([pragma for around in loop.outer for pragma in around.pragmas])
    return block


def fresh(unit: Unit, base: str, taken: Iterable[str] = ()) -> str:
    """A name that the unit does not use."""
    used = set(re.findall(r"\w+", text_of(unit.tree))) | set(taken)
    stem = re.sub(r"_\d+$", "", base)
    number = 1
    while f"{stem}_{number}" in used:
        number += 1
    return f"{stem}_{number}"


def header(node: Node) -> tuple[str, str, str, int] | None:
    """(variable, low, high, step) of a counted loop; None for any other loop."""
    start = _start(node.init)
    if start is None or not isinstance(node.cond, c_ast.BinaryOp) or node.cond.op not in {"<", "<="}:
        return None
    var, low = start
    step = _step(node.next, var)
    if step is None or not (isinstance(node.cond.left, c_ast.ID) and node.cond.left.name == var):
        return None
    high = text_of(node.cond.right)
    return var, low, high if node.cond.op == "<" else f"({high}) + 1", step


def _start(init: Node) -> tuple[str, str] | None:
    if isinstance(init, c_ast.DeclList) and len(init.decls) == 1 and init.decls[0].init is not None:
        return init.decls[0].name, text_of(init.decls[0].init)
    if isinstance(init, c_ast.Assignment) and init.op == "=" and isinstance(init.lvalue, c_ast.ID):
        return init.lvalue.name, text_of(init.rvalue)
    return None


def _step(node: Node, var: str) -> int | None:
    if isinstance(node, c_ast.UnaryOp) and node.op in {"++", "p++"} and names(node.expr) == {var}:
        return 1
    if isinstance(node, c_ast.Assignment) and node.op == "+=" and names(node.lvalue) == {var}:
        return integer(node.rvalue)
    return None


def _leaves(node: Node) -> bool:
    """Whether the body jumps out of, or within, its iteration."""
    jumps = c_ast.Break | c_ast.Continue | c_ast.Return | c_ast.Goto | c_ast.Label
    return any(isinstance(item, jumps) for item in walk(node))


def _within(block: Node, outer: tuple[Loop, ...], function: Node) -> Iterator[Loop]:
    for item in block.block_items or []:
        if isinstance(item, c_ast.For):
            found = _counted(item, block, outer, function)
            if found is not None and _LEFT_OVER.fullmatch(found.low):
                continue
            if found is not None:
                yield found
            yield from _within(item.stmt, outer if found is None else (*outer, found), function)
        elif isinstance(item, c_ast.Compound):
            yield from _within(item, outer, function)
        elif isinstance(item, c_ast.If):
            for branch in (item.iftrue, item.iffalse):
                if branch is not None:
                    yield from _within(branch, outer, function)
        elif isinstance(item, c_ast.While | c_ast.DoWhile):
            yield from _within(item.stmt, outer, function)


def _counted(node: Node, block: Node, outer: tuple[Loop, ...], function: Node) -> Loop | None:
    found = header(node)
    if found is None or found[0] in written(node.stmt.block_items) or _leaves(node.stmt):
        return None
    return Loop(node, block, function, *found, outer)


def _uncollapse(pragmas: list[Node]) -> None:
    for pragma in pragmas:
        pragma.string = re.sub(r" collapse\(\d\)", "", pragma.string)


def _insert_before(block: Node, target: Node, pragmas: list[Node]) -> None:
    for parent in walk(block):
        if isinstance(parent, c_ast.Compound) and target in (parent.block_items or []):
            position = parent.block_items.index(target)
            parent.block_items[position:position] = pragmas
            return
