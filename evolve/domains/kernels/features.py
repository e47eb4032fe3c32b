"""What a source shows of its loops without compiling it: accumulators, strides, library calls, threads."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from evolve.domains.kernels.tokens import Token, tokens

_NAMES = "exp exp2 expm1 log log2 log10 log1p erf erfc tanh sinh cosh sin cos tan pow fmax fmin fmod atan"
LIBM = frozenset(f"{name}f" for name in _NAMES.split())
"""Float functions of the C library that gcc calls once per element."""


class Loop(NamedTuple):
    """A `for` loop."""

    line: int
    last: int
    """Line of its last token."""
    variable: str
    innermost: bool
    reassociated: bool
    """An `omp simd` pragma with a reduction lets the compiler reorder its sums."""
    calls: frozenset[str]
    """Library functions called in the loop itself, not in loops within."""
    accumulators: frozenset[str]
    """Scalars that every iteration updates: each waits for the one before."""
    strided: bool
    """Neighbouring iterations touch memory that is not neighbouring."""


class Features(NamedTuple):
    loops: tuple[Loop, ...]
    parallel: bool
    intrinsics: bool

    @property
    def inner(self) -> list[Loop]:
        return [loop for loop in self.loops if loop.innermost]


def features(source: str) -> Features:
    stream = tokens(source)
    loops = tuple(
        _loop(stream, index) for index, token in enumerate(stream) if token.kind == "name" and token.text == "for"
    )
    pragmas = " ".join(token.text for token in stream if token.kind == "directive")
    return Features(
        loops=loops,
        parallel=re.search(r"\bomp\s+(\w+\s+)*(parallel|taskloop)\b", pragmas) is not None,
        intrinsics=any(re.match(r"_mm\d*_|__m\d+|vector_size", token.text) for token in stream),
    )


def _loop(stream: Sequence[Token], index: int) -> Loop:
    head_end = _closing(stream, index + 1)
    end = _statement_end(stream, head_end + 1)
    head, body = stream[index + 2 : head_end], stream[head_end + 1 : end + 1]
    variable = next((head[i - 1].text for i, token in enumerate(head) if token.text == "=" and i), "")
    own = _without_loops(body)
    pragma = stream[index - 1].text if index and stream[index - 1].kind == "directive" else ""
    return Loop(
        line=stream[index].line,
        last=stream[min(end, len(stream) - 1)].line,
        variable=variable,
        innermost=not any(token.text == "for" for token in body),
        reassociated="simd" in pragma and "reduction" in pragma,
        calls=frozenset(token.text for token, after in pairwise(own) if token.text in LIBM and after.text == "("),
        accumulators=_accumulators(own),
        strided=_strided(own, variable),
    )


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


def _accumulators(own: Sequence[Token]) -> frozenset[str]:
    """Names that are changed from their own value and are not declared in the body."""
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
            found.add(token.text)
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
