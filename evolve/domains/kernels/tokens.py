"""C as tokens: comments gone, lines spliced, strings and directives whole; for rules and features."""

import re
from bisect import bisect_right
from typing import NamedTuple


class Token(NamedTuple):
    kind: str
    """`name`, `number`, `string`, `char`, `directive` (a whole `#` line), `mark` (punctuation)."""
    text: str
    line: int
    """In the source as written, from 1."""


_GRAMMAR = re.compile(
    r"""
    (?P<blank>[ \t\r\f\v]+)
  | (?P<newline>\n)
  | (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<string>(?:u8|[uUL])?"(?:\\.|[^"\\\n])*")
  | (?P<char>[uUL]?'(?:\\.|[^'\\\n])+')
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>\.?[0-9](?:[eEpP][+-]|[A-Za-z0-9_.])*)
  | (?P<mark>\#\#|%:%:|%:|<:|:>|<%|%>|<<=|>>=|\.\.\.|->|\+\+|--|<<|>>|[-+*/%&|^<>=!]=|&&|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)


def tokens(source: str) -> list[Token]:
    """All tokens in order. An unfinished comment or string comes out as marks, which no rule lets through."""
    text, starts = _spliced(source)
    found: list[Token] = []
    fresh, directive_end = True, -1
    for match in _GRAMMAR.finditer(text):
        kind, word = str(match.lastgroup), match[0]
        if match.start() < directive_end or kind in {"blank", "comment"}:
            continue
        line = bisect_right(starts, match.start())
        if kind == "newline":
            fresh = True
        elif fresh and word in {"#", "%:"}:
            directive_end = _end_of_directive(text, match.start())
            found.append(Token("directive", text[match.end() : directive_end], line))
        else:
            fresh = False
            found.append(Token(kind, word, line))
    return found


def _spliced(source: str) -> tuple[str, list[int]]:
    """The source with backslash-newlines removed, and where each of its lines now starts."""
    parts, starts = [], [0]
    for line in source.replace("\r\n", "\n").split("\n"):
        parts.append(line.removesuffix("\\") if line.endswith("\\") else line + "\n")
        starts.append(starts[-1] + len(parts[-1]))
    return "".join(parts), starts


def _end_of_directive(text: str, start: int) -> int:
    """A directive ends with its line, unless a comment carries it on."""
    position = start
    while position < len(text):
        match = _GRAMMAR.match(text, position)
        if match is None or match.lastgroup == "newline":
            return position
        position = match.end()
    return position
