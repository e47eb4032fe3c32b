"""The EVOLVE-BLOCK marks of a program: what stands between them may change, the rest is fixed.

A program without marks may change as a whole. What is fixed is compared as code: comments, blank lines and blanks at
line ends do not count, and marks that a writer left out (they are comments) are put back.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest
from typing import NamedTuple

from knowledge.comments import without_comments

START, END = "EVOLVE-BLOCK-START", "EVOLVE-BLOCK-END"
NO_CODE = frozenset({"", START, END})
LONGEST_LINE = 80
"""Characters of a line that are told."""


class MarksError(ValueError):
    """Marks that do not pair, or fixed lines that are not what they were; says which line."""


class Line(NamedTuple):
    number: int
    """From 0."""
    code: str


def parted(source: str) -> list[str]:
    """Fixed, changing, fixed, … and a fixed part at the end; the lines with the marks are fixed.

    Raises MarksError where marks do not pair.
    """
    lines, parts, opened = source.splitlines(keepends=True), [""], False
    for number, line in enumerate(lines, start=1):
        start, end = _is_mark(line, START), _is_mark(line, END)
        if (start and opened) or (end and not opened):
            raise MarksError(f"line {number}: {START if start else END} where the other mark is due")
        if end:
            parts.append("")
        parts[-1] += line
        if start:
            parts.append("")
        opened = (opened or start) and not end
    if opened:
        raise MarksError(f"the last {START} has no {END}")
    return parts if len(parts) > 1 else ["", source, ""]


def changeable(source: str) -> list[range]:
    """Numbers of the lines that may change, from 1; all where the marks do not pair."""
    try:
        parts = parted(source)
    except MarksError:
        parts = ["", source, ""]
    ends = [0]
    for part in parts:
        ends.append(ends[-1] + len(part.splitlines()))
    return [range(first + 1, last + 1) for first, last in list(pairwise(ends))[1::2]]


def restored(initial: str, source: str) -> str:
    """`source` with the fixed parts, marks and comments included, as they are in `initial`.

    Raises MarksError naming the first line that is not what is fixed.
    """
    fixed = parted(initial)[0::2]
    if START not in initial:
        return source
    try:
        parts = parted(source)
    except MarksError:
        parts = []
    marked = len(parts) == 2 * len(fixed) - 1 and START in source
    blocks = _between(fixed, parts) if marked else _found(fixed, source)
    whole = zip_longest(fixed, blocks, fillvalue="")
    return "".join(text if text.endswith("\n") or not text else f"{text}\n" for pair in whole for text in pair)


def _is_mark(line: str, mark: str) -> bool:
    return line.lstrip().startswith("#") and mark in line


def _between(fixed: Sequence[str], parts: Sequence[str]) -> Sequence[str]:
    for wanted, given in zip(fixed, parts[0::2], strict=True):
        _same(_code(wanted), _code(given))
    return parts[1::2]


def _found(fixed: Sequence[str], source: str) -> list[str]:
    """What is between the fixed parts of a source without marks."""
    lines, codes = source.splitlines(keepends=True), _code(source)
    first, *middle, last = (_code(part) for part in fixed)
    _same(first, codes[: len(first)])
    _same(last, codes[len(first) :][-len(last) :] if last else [])
    place, cuts = len(first), [codes[len(first) - 1].number + 1 if first else 0]
    for part in middle:
        at = next((at for at in range(place, len(codes)) if _equal(part, codes[at : at + len(part)])), None)
        if at is None or not part:
            raise MarksError(f"the fixed line `{_told(part[0].code if part else '')}` is missing")
        place = at + len(part)
        cuts += [codes[at].number, codes[place - 1].number + 1]
    cuts.append(codes[-len(last)].number if last else len(lines))
    return ["".join(lines[start:end]) for start, end in zip(cuts[0::2], cuts[1::2], strict=True)]


def _code(text: str) -> list[Line]:
    """The lines with code on them, without comments and marks."""
    bare = without_comments("part.py", text).splitlines()
    return [Line(number, line.rstrip()) for number, line in enumerate(bare) if line.strip(" \t#") not in NO_CODE]


def _equal(wanted: Sequence[Line], given: Sequence[Line]) -> bool:
    return [line.code for line in wanted] == [line.code for line in given]


def _same(wanted: Sequence[Line], given: Sequence[Line]) -> None:
    for difference in _differences(wanted, given):
        raise MarksError(difference)


def _differences(wanted: Sequence[Line], given: Sequence[Line]) -> Iterator[str]:
    for one, other in zip_longest(wanted, given):
        if one is None:
            yield f"`{_told(other.code)}` is added to what is fixed"
        elif other is None:
            yield f"the fixed line `{_told(one.code)}` is missing"
        elif one.code != other.code:
            yield f"the fixed line `{_told(one.code)}` has become `{_told(other.code)}`"


def _told(code: str) -> str:
    return code.strip()[:LONGEST_LINE]
