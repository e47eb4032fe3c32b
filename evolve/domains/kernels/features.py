"""What a source shows of its loops without compiling it: accumulators, strides, library calls, threads."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from evolve.domains.kernels.tokens import Token, tokens

_NAMES = "exp exp2 expm1 log log2 log10 log1p erf erfc tanh sinh cosh sin cos tan pow fmax fmin fmod atan"
LIBM = frozenset(f"{name}f" for name in _NAMES.split())
"""Float functions of the C library that gcc calls once per element."""
_INTEGER = re.compile(r"u?int\d+_t|size_t|ptrdiff_t|bool|char|short|int|long|unsigned")


class Loop(NamedTuple):
    """A `for` loop."""

    line: int
    last: int
    """Line of its last token."""
    variable: str
    depth: int
    """Loops around it."""
    innermost: bool
    fixed: bool
    """Its bound is a number."""
    remainder: bool
    """It seems to do what a blocked loop leaves over: it begins at no number or outer variable, or in an `else`."""
    reassociated: bool
    """An `omp simd` pragma with a reduction lets the compiler reorder its sums."""
    calls: frozenset[str]
    """Library functions called in the loop itself, not in loops within."""
    accumulators: frozenset[str]
    """Scalars that every iteration updates, each waiting for the one before; gcc reorders sums of integers itself."""
    strided: bool
    """Neighbouring iterations touch memory that is not neighbouring."""


class Features(NamedTuple):
    loops: tuple[Loop, ...]
    parallel: bool
    intrinsics: bool

    @property
    def hot(self) -> list[Loop]:
        """Loops that are no remainders."""
        return [loop for loop in self.loops if not loop.remainder]

    @property
    def inner(self) -> list[Loop]:
        """Innermost hot loops, less those that only combine a fixed number of lanes beside deeper ones."""
        deepest = max((loop.depth for loop in self.hot), default=0)
        return [loop for loop in self.hot if loop.innermost and (loop.depth == deepest or not loop.fixed)]


class _Span(NamedTuple):
    """Where a loop's tokens are: `for`, the end of its head, its last one."""

    start: int
    head_end: int
    end: int


def features(source: str) -> Features:
    stream = tokens(source)
    spans = [_span(stream, index) for index, token in enumerate(stream) if (token.kind, token.text) == ("name", "for")]
    loops: list[Loop] = []
    for span in spans:
        around = [loops[i] for i, other in enumerate(spans[: len(loops)]) if other.start < span.start < other.end]
        loops.append(_loop(stream, span, around))
    pragmas = " ".join(token.text for token in stream if token.kind == "directive")
    return Features(
        loops=tuple(loops),
        parallel=re.search(r"\bomp\s+(\w+\s+)*(parallel|taskloop)\b", pragmas) is not None,
        intrinsics=any(re.match(r"_mm\d*_|__m\d+|vector_size", token.text) for token in stream),
    )


def _span(stream: Sequence[Token], index: int) -> _Span:
    head_end = _closing(stream, index + 1)
    return _Span(index, head_end, min(_statement_end(stream, head_end + 1), len(stream) - 1))


def _loop(stream: Sequence[Token], span: _Span, around: Sequence[Loop]) -> Loop:
    head, body = stream[span.start + 2 : span.head_end], stream[span.head_end + 1 : span.end + 1]
    own = _without_loops(body)
    pragma = stream[span.start - 1].text if span.start and stream[span.start - 1].kind == "directive" else ""
    variable, first, bound = _head(head)
    outer = {loop.variable for loop in around}
    begins_late = not variable or any(token.kind == "name" and token.text not in outer for token in first)
    return Loop(
        line=stream[span.start].line,
        last=stream[span.end].line,
        variable=variable,
        depth=len(around),
        innermost=not any(token.text == "for" for token in body),
        fixed=[token.kind for token in bound] == ["number"],
        remainder=begins_late or any(loop.remainder for loop in around) or _in_else(stream, span.start),
        reassociated="simd" in pragma and "reduction" in pragma,
        calls=frozenset(token.text for token, after in pairwise(own) if token.text in LIBM and after.text == "("),
        accumulators=_accumulators(own, _integers(stream)),
        strided=_strided(own, variable),
    )


def _head(head: Sequence[Token]) -> tuple[str, Sequence[Token], Sequence[Token]]:
    """The variable of a loop, what it starts from, and what it is compared with; empty where it is not of that form."""
    ends = [index for index, token in enumerate(head) if token.text == ";"]
    equals = next((index for index, token in enumerate(head) if token.text == "="), 0)
    if len(ends) < 2 or not 0 < equals < ends[0]:  # noqa: PLR2004 - a head has two semicolons
        return "", (), ()
    compared = next((i for i in range(ends[0], ends[1]) if head[i].text in {"<", "<=", "!=", ">", ">="}), ends[1])
    return head[equals - 1].text, head[equals + 1 : ends[0]], head[compared + 1 : ends[1]]


def _in_else(stream: Sequence[Token], start: int) -> bool:
    """Whether the loop stands in the braces of an `else`."""
    depth = 0
    for index in range(start - 1, 0, -1):
        depth += {"}": 1, "{": -1}.get(stream[index].text, 0)
        if depth < 0:
            if stream[index - 1].text == "else":
                return True
            depth = 0
    return False


def _closing(stream: Sequence[Token], start: int) -> int:
    """Index of the partner of the bracket at `start`; the last token when there is none."""
    depth = 0
    for index in range(start, len(stream)):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(stream[index].text, 0)
        if depth == 0:
            return index
    return len(stream) - 1


def _statement_end(stream: Sequence[Token], start: int) -> int:
    """Index of the last token of the statement that begins at `start`."""
    while start < len(stream) and stream[start].kind == "directive":
        start += 1
    if start >= len(stream):
        return len(stream) - 1
    if stream[start].text == "{":
        return _closing(stream, start)
    if stream[start].text in {"for", "while", "if"}:
        return _statement_end(stream, _closing(stream, start + 1) + 1)
    return next((i for i in range(start, len(stream)) if stream[i].text == ";"), len(stream) - 1)


def _without_loops(body: Sequence[Token]) -> list[Token]:
    own: list[Token] = []
    index = 0
    while index < len(body):
        if body[index].text == "for" and index + 1 < len(body):
            index = _statement_end(body, _closing(body, index + 1) + 1)
        else:
            own.append(body[index])
        index += 1
    return own


def _integers(stream: Sequence[Token]) -> frozenset[str]:
    """Names that are declared right behind an integer type."""
    return frozenset(after.text for token, after in pairwise(stream) if _INTEGER.fullmatch(token.text))


def _accumulators(own: Sequence[Token], integers: frozenset[str]) -> frozenset[str]:
    """Names changed from their own value, other than integers that are summed, and not declared in the body."""
    found: set[str] = set()
    declared = {
        after.text
        for token, after in pairwise(own)
        if token.kind == "name" and after.kind == "name" and token.text not in {"return", "else"}
    }
    for index, token in enumerate(own[:-1]):
        before = own[index - 1].text if index else ";"
        if token.kind != "name" or before not in {";", "{", "}", ")"} or token.text in declared:
            continue
        if own[index + 1].text in {"+=", "-=", "*="}:
            found |= {token.text} - integers
        elif own[index + 1].text == "=":
            end = next((i for i in range(index + 2, len(own)) if own[i].text == ";"), len(own))
            if any(other.text == token.text for other in own[index + 2 : end]):
                found.add(token.text)
    return frozenset(found)


def _strided(own: Sequence[Token], variable: str) -> bool:
    """Whether an index multiplies the loop's variable, itself or within parentheses."""
    name = rf"\b{re.escape(variable)}\b"
    product = re.compile(rf"{name} \*|\* {name}|{name}[^()]*\) \*|\* \([^()]*{name}")
    indices = (own[i + 1 : _closing(own, i)] for i, token in enumerate(own) if token.text == "[")
    return bool(variable) and any(product.search(" ".join(part.text for part in inside)) for inside in indices)
