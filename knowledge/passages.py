"""Cuts a document into passages, each under its title; a fenced block is never cut."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

LONGEST, SHORTEST = 250, 60
"""Words of a passage; a rest that is shorter stays with what precedes it."""
TITLE_WORDS = 12
FENCE = re.compile(r"[ \t]*(?P<mark>`{3,}|~{3,})")
_ALWAYS = re.compile(r"^[ \t]*<!--\s*always\s*-->[ \t]*\n?", re.MULTILINE)
_HEADING = re.compile(r"(?P<level>#{1,6})[ \t]+(?P<title>.+?)[ \t#]*")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class Section(NamedTuple):
    title: str
    text: str
    always: bool = False
    """Its heading has the line `<!-- always -->` below it."""

    @property
    def whole(self) -> str:
        return f"{self.title}\n{self.text}" if self.title else self.text


def sections_of(document: str) -> list[Section]:
    """Passages of up to 250 words, a fenced block apart.

    Titles: the document's, which is its first line where that is short and stands alone, and the nearest heading.
    """
    return [
        Section(title, text, always) for title, paragraphs, always in _titled(document) for text in _packed(paragraphs)
    ]


def paragraphs_of(document: str) -> list[str]:
    """Split at blank lines and around headings, but not within a fence."""
    found: list[list[str]] = [[]]
    mark = ""
    for line in document.splitlines():
        fence = FENCE.match(line)
        if mark:
            found[-1].append(line)
            if fence and fence["mark"].startswith(mark) and line.strip() == fence["mark"]:
                mark = ""
                found.append([])
        elif fence:
            mark = fence["mark"]
            found.append([line])
        elif _HEADING.fullmatch(line):
            found += [[line], []]
        elif line.strip():
            found[-1].append(line)
        else:
            found.append([])
    return ["\n".join(lines) for lines in found if lines]


def _titled(document: str) -> Iterator[tuple[str, list[str], bool]]:
    """(title, paragraphs, whether it is shown always) of each section that says something."""
    paragraphs = paragraphs_of(document)
    name = _name(paragraphs)
    sections: list[tuple[str, list[str]]] = [(name, [])]
    for paragraph in paragraphs[1:] if name else paragraphs:
        heading = _HEADING.fullmatch(paragraph)
        if heading:
            sections.append((": ".join(filter(None, [name, heading["title"]])), []))
        else:
            sections[-1][1].append(paragraph)
    for title, inside in sections:
        bare = [paragraph if FENCE.match(paragraph) else _ALWAYS.sub("", paragraph) for paragraph in inside]
        if any(paragraph.strip() for paragraph in bare):
            yield title, [paragraph for paragraph in bare if paragraph.strip()], bare != inside


def _name(paragraphs: Sequence[str]) -> str:
    """What the whole document is called; empty where its first line is a heading among others, or a sentence."""
    if len(paragraphs) < 2 or "\n" in paragraphs[0]:  # noqa: PLR2004 - a title and something below it
        return ""
    headings = [heading for paragraph in paragraphs if (heading := _HEADING.fullmatch(paragraph))]
    first = _HEADING.fullmatch(paragraphs[0])
    if first:
        alone = all(len(other["level"]) > len(first["level"]) for other in headings[1:])
        return first["title"] if alone else ""
    line = paragraphs[0].strip()
    return line if len(line.split()) <= TITLE_WORDS and not line.endswith((".", ":", ">")) else ""


def _packed(paragraphs: Sequence[str]) -> list[str]:
    """Paragraphs together as long as they are short enough; a fenced block stays with what ends in `:` before it."""
    packs: list[list[str]] = []
    size = LONGEST
    for piece in (piece for paragraph in paragraphs for piece in _pieces(paragraph)):
        length = len(piece.split())
        introduced = bool(packs) and bool(FENCE.match(piece)) and packs[-1][-1].endswith(":")
        if size + length > LONGEST and not introduced:
            packs.append([])
            size = 0
        packs[-1].append(piece)
        size += length
    if len(packs) > 1 and size < SHORTEST:
        rest = packs.pop()
        packs[-1] += rest
    return ["\n\n".join(pack) for pack in packs]


def _pieces(paragraph: str) -> list[str]:
    """A long paragraph in its sentences, as many together as fit."""
    if FENCE.match(paragraph) or len(paragraph.split()) <= LONGEST:
        return [paragraph]
    pieces: list[list[str]] = [[]]
    size = 0
    for sentence in _SENTENCE.split(paragraph):
        size += len(sentence.split())
        if pieces[-1] and size > LONGEST:
            pieces.append([])
            size = len(sentence.split())
        pieces[-1].append(sentence)
    return [" ".join(piece) for piece in pieces]
