"""Mojo as tokens: comments gone, strings whole."""

import re
from typing import NamedTuple


class Word(NamedTuple):
    kind: str
    """`name`, `quoted` (in backticks), `number`, `string`, `mark`."""
    text: str
    line: int
    """From 1."""
    first: bool
    """The first of its line."""


_GRAMMAR = re.compile(
    r"""
    (?P<newline>\n)
  | (?P<blank>[ \t\r\f]+|\\\n|\#[^\n]*)
  | (?P<string>[A-Za-z]{0,2}(?:
        \"\"\"(?:\\.|[^\\])*?\"\"\" | '''(?:\\.|[^\\])*?''' | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'))
  | (?P<quoted>`[^`\n]*`)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>\.?[0-9](?:[eE][+-]|[A-Za-z0-9_.])*)
  | (?P<mark>->|\*\*|//|<<|>>|[-+*/%&|^<>=!]=|.)
    """,
    re.VERBOSE | re.DOTALL,
)


def words(source: str) -> list[Word]:
    """All tokens in order. An unfinished string comes out as marks, which no rule lets through."""
    found: list[Word] = []
    line, first = 1, True
    for match in _GRAMMAR.finditer(source):
        kind, text = str(match.lastgroup), match[0]
        if kind == "newline":
            first = True
        elif kind != "blank":
            found.append(Word(kind, text, line, first))
            first = False
        line += text.count("\n")
    return found
