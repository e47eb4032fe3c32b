"""Questions about expressions and statements: what they read, write and depend on, and how they move through memory."""

import copy
import re
from collections.abc import Iterable, Mapping

from pycparser import c_ast

from evolve.domains.kernels.transform.source import expression, text_of
from evolve.domains.kernels.transform.trees import Node, declared, names, rewrite, root, walk, written

FAR = 1 << 20
"""Stride of an access that is symbolic or not linear."""
_FLOATING = {"float", "double", "_Float16"}


def varying(var: str, items: Iterable[Node]) -> set[str]:
    """Names whose value may change from one iteration of the loop over `var` to the next."""
    body = list(items)
    return {var} | declared(body) | written(body)


def references(items: Iterable[Node]) -> list[Node]:
    """Outermost array references, reads and writes, in the order of the text."""
    found: list[Node] = []

    def visit(node: Node) -> None:
        if isinstance(node, c_ast.ArrayRef):
            found.append(node)
            visit(node.subscript)
            return
        for _, child in node.children():
            visit(child)

    for item in items:
        visit(item)
    return found


def stride(index: Node, var: str) -> int:
    """Change of `index` when `var` grows by one; FAR where it is not a small constant."""
    if var not in names(index):
        return 0
    if isinstance(index, c_ast.ID):
        return 1
    if isinstance(index, c_ast.Cast):
        return stride(index.expr, var)
    if isinstance(index, c_ast.BinaryOp):
        left, right = stride(index.left, var), stride(index.right, var)
        if index.op in "+-" and FAR not in {left, right}:
            return left + right if index.op == "+" else left - right
        if index.op == "*":
            factor, inner = (index.left, right) if left == 0 else (index.right, left)
            constant = integer(factor)
            if constant is not None and inner != FAR:
                return constant * inner
    return FAR


def contiguous(items: Iterable[Node], var: str) -> bool:
    """Whether every access moves by a small constant, or not at all, along the loop over `var`."""
    return all(stride(reference.subscript, var) != FAR for reference in references(items))


def integer(node: Node) -> int | None:
    if not (isinstance(node, c_ast.Constant) and "int" in node.type):
        return None
    return int(node.value.rstrip("uUlL"), 0)


def substitute(items: list[Node], values: Mapping[str, str]) -> list[Node]:
    """The statements with variables replaced by expressions, given as C text; edits them in place."""
    trees = {name: expression(text) for name, text in values.items()}

    def change(node: Node) -> Node:
        if isinstance(node, c_ast.Pragma):
            node.string = _clauses(node.string, values)
        known = isinstance(node, c_ast.ID) and node.name in trees
        return copy.deepcopy(trees[node.name]) if known else node

    return [rewrite(item, change) for item in items]


def rename(items: list[Node], new: Mapping[str, str]) -> list[Node]:
    """The statements with variables renamed, where they are declared, in place."""

    def change(node: Node) -> Node:
        if isinstance(node, c_ast.Pragma):
            node.string = _clauses(node.string, new)
        if isinstance(node, c_ast.ID | c_ast.Decl | c_ast.TypeDecl):
            key = node.declname if isinstance(node, c_ast.TypeDecl) else node.name
            if key in new:
                setattr(node, "declname" if isinstance(node, c_ast.TypeDecl) else "name", new[key])
        return node

    return [rewrite(item, change) for item in items]


def _clauses(pragma: str, values: Mapping[str, str]) -> str:
    """A pragma whose variables were replaced; a reduction of what is no plain variable any more is none."""

    def change(clause: re.Match[str]) -> str:
        words = re.findall(r"\w+", clause[0])
        if any(word in values and not values[word].isidentifier() for word in words):
            return ""
        return re.sub(r"\w+", lambda word: values.get(word[0], word[0]), clause[0])

    return re.sub(r" (?:reduction|private)\([^)]*\)", change, pragma)


def types(function: Node) -> dict[str, str]:
    """Type of every scalar (`float`, `int64_t`) and pointer or array (`float *`) by name."""
    found = {}
    for node in walk(function):
        if isinstance(node, c_ast.Decl) and node.name:
            kind, stars = node.type, ""
            while isinstance(kind, c_ast.PtrDecl | c_ast.ArrayDecl):
                kind, stars = kind.type, " *"
            if isinstance(kind, c_ast.TypeDecl) and isinstance(kind.type, c_ast.IdentifierType):
                found[node.name] = " ".join(kind.type.names) + stars
    return found


def floating(node: Node, known: Mapping[str, str]) -> bool:
    """Whether an arithmetic expression has a floating type, as far as can be seen."""
    if isinstance(node, c_ast.ID | c_ast.ArrayRef):
        return known.get(root(node), "").removesuffix(" *") in _FLOATING
    if isinstance(node, c_ast.Constant):
        return node.type in _FLOATING
    if isinstance(node, c_ast.Cast):
        return any(word in text_of(node.to_type) for word in _FLOATING)
    if isinstance(node, c_ast.BinaryOp | c_ast.UnaryOp):
        return any(floating(child, known) for _, child in node.children())
    return isinstance(node, c_ast.FuncCall)
