"""The counted loops of a Mojo source and the statements in them, as far as the seeds' own style goes.

A line-based reading: what it does not recognise it leaves alone.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_HEAD = re.compile(r"^(?P<indent> *)for (?P<name>\w+) in range\((?P<bounds>.*)\):$")
_ACCESS = re.compile(r"(?P<array>\w+)\[(?P<key>unsafe_offset=)?")


class Loop(NamedTuple):
    """`for name in range(start, stop, step):` on line `at` (from 0), with its body up to line `end`."""

    at: int
    end: int
    indent: str
    name: str
    start: str
    stop: str
    step: str
    body: tuple[str, ...]
    """Without the loop's own indentation and four spaces more."""

    @property
    def innermost(self) -> bool:
        return not any(re.match(r" *(for|while|if|def|comptime) ", line) for line in self.body)


class Access(NamedTuple):
    """An element `array[unsafe_offset=index]`, or `array[index]` of a list, within a text."""

    start: int
    end: int
    array: str
    place: str
    """The index, as it is written."""
    listed: bool


class Statement(NamedTuple):
    """`kind`: `store`, `sum` (name += value), `max`, `min` (name = max(name, value)), `local`, `other`."""

    kind: str
    text: str
    name: str = ""
    value: str = ""
    operator: str = ""
    target: Access | None = None


def loops(lines: Sequence[str]) -> Iterator[Loop]:
    for at, line in enumerate(lines):
        head = _HEAD.match(line)
        if head:
            inside = head["indent"] + "    "
            end = at + 1
            while end < len(lines) and (lines[end].startswith(inside) or not lines[end].strip()):
                end += 1
            body = tuple(text.removeprefix(inside) for text in lines[at + 1 : end] if text.strip())
            bounds = split(head["bounds"])
            start, stop, step = {1: ["0", *bounds, "1"], 2: [*bounds, "1"]}.get(len(bounds), bounds)[:3]
            yield Loop(at, end, head["indent"], head["name"], start, stop, step, body)


def split(text: str, mark: str = ",") -> list[str]:
    """At the marks that stand in no bracket."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(letter, 0)
        if letter == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def accesses(text: str) -> list[Access]:
    """The outermost ones, in order."""
    found: list[Access] = []
    position = 0
    while match := _ACCESS.search(text, position):
        end = _closing(text, match.end())
        is_type = match["array"][0].isupper() or match["array"].startswith("unsafe_")
        if not is_type:
            place = text[match.end() : end]
            found.append(Access(match.start(), end + 1, match["array"], place, match["key"] is None))
        position = match.end() if is_type else end + 1
    return found


def _closing(text: str, start: int) -> int:
    depth = 1
    for at in range(start, len(text)):
        depth += {"[": 1, "]": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return len(text)


def statement(text: str) -> Statement:
    target = next(iter(accesses(text)), None)
    if target and target.start == 0:
        stored = re.match(r" ([-+*/]?)= (.*)$", text[target.end :])
        if stored:
            return Statement("store", text, target.array, stored[2], stored[1], target)
    for kind, form in (
        ("local", r"var (\w+)(?:: Float32)? = (.*)$"),
        ("sum", r"(\w+) \+= (.*)$"),
        ("max", r"(\w+) = max\(\1, (.*)\)$"),
        ("min", r"(\w+) = min\(\1, (.*)\)$"),
    ):
        found = re.match(form, text)
        if found:
            return Statement(kind, text, found[1], found[2])
    return Statement("other", text)


def uses(name: str, text: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


def stride(place: str, name: str) -> str:
    """`one` where neighbouring iterations touch neighbours, `none` where they touch the same, else `some`."""
    terms = split(place, "+")
    holding = [term for term in terms if uses(name, term)]
    if not holding:
        return "none"
    return "one" if holding == [name] else "some"
