"""A Python source as text and tree, and changes of it by position: all else keeps its layout and comments."""

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Edit(NamedTuple):
    start: int
    end: int
    """Bytes of the source."""
    text: str


class Change(NamedTuple):
    technique: str
    detail: str
    edits: tuple[Edit, ...]
    named: bool = False
    """Of a number that has a name, or is a default."""


class Source:
    """Raises SyntaxError, ValueError, RecursionError or MemoryError for what cannot be parsed."""

    def __init__(self, text: str, lines: Sequence[range]) -> None:
        """`lines`: numbers of those that may change, from 1."""
        self._text = text.encode()
        self.tree = ast.parse(text)
        self._begin = [0]
        for line in self._text.splitlines(keepends=True):
            self._begin.append(self._begin[-1] + len(line))
        self.lines = text.splitlines()
        self._changeable = lines
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self.nodes = [node for node in _outside_of_texts(self.tree) if self.may_change(node)]

    def may_change(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.expr | ast.stmt) or node.end_lineno is None:
            return False
        return any(node.lineno in span and node.end_lineno in span for span in self._changeable)

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._begin[node.lineno - 1] + node.col_offset, self._begin[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self._text[start:end].decode()

    def between(self, left: ast.expr, right: ast.expr) -> Edit:
        """What stands between two nodes, as an edit that changes nothing."""
        start, end = self.span(left)[1], self.span(right)[0]
        return Edit(start, end, self._text[start:end].decode())

    def put(self, node: ast.expr | ast.stmt, text: str) -> Edit:
        return Edit(*self.span(node), text)

    def indent(self, node: ast.stmt) -> str:
        """Of its line; more than blanks where another statement stands before it."""
        return self._text[self._begin[node.lineno - 1] : self.span(node)[0]].decode()

    def applied(self, change: Change) -> str:
        """Empty where no program comes of it."""
        made = self._text
        for edit in sorted(change.edits, reverse=True):
            made = made[: edit.start] + edit.text.encode() + made[edit.end :]
        try:
            text = made.decode()
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ""
        return text


def _outside_of_texts(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that have a place of their own: not those inside f-strings, whose positions Python 3.11 does not know."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.JoinedStr):
            yield node
            waiting += list(ast.iter_child_nodes(node))[::-1]
