"""Reads the pages of the documentation: fences, commands, code spans, headings and links, each with its line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGES = tuple(str(page.relative_to(ROOT)) for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))))

_OPENING = re.compile(r"(?P<indent> {0,3})(?P<marks>`{3,}|~{3,})(?P<language>[\w-]*)")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_FILE = re.compile(r"`([\w./-]+\.\w+)`:$")
_NOTE = re.compile(r"<!-- (.+?) -->$")


class Fence(NamedTuple):
    line: int
    """Of the first line inside, from 1."""
    language: str
    text: str
    said: str
    """The line before, blank ones left out."""

    @property
    def note(self) -> str:
        """What an HTML comment says right before it."""
        found = _NOTE.fullmatch(self.said)
        return found[1] if found else ""

    @property
    def file(self) -> str | None:
        """The name it is introduced with, where the line before ends with one and a colon, or a comment has one."""
        if self.note.startswith("file: "):
            return self.note.removeprefix("file: ")
        found = _FILE.search(self.said)
        return found[1] if found else None


class Command(NamedTuple):
    line: int
    text: str
    shown: list[str]
    """What the page says it prints; empty where it says nothing."""


class Page(NamedTuple):
    fences: list[Fence]
    prose: list[tuple[int, str]]
    """Paragraphs outside of fences and comments, with their first line."""

    @property
    def anchors(self) -> set[str]:
        lines = (line for _, text in self.prose for line in text.splitlines())
        titles = (line.lstrip("#").strip() for line in lines if line.startswith("#"))
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    def links(self) -> Iterator[tuple[int, str]]:
        for line, text in self.prose:
            for found in _LINK.finditer(text):
                yield line + text.count("\n", 0, found.start()), found[1]

    def spans(self) -> Iterator[tuple[int, str]]:
        """Code spans, on one line each."""
        for line, text in self.prose:
            for found in _SPAN.finditer(text):
                yield line + text.count("\n", 0, found.start()), " ".join(found[2].replace("\\|", "|").split())


def read(text: str) -> Page:
    fences: list[Fence] = []
    outside: list[str] = []
    lines = text.splitlines()
    place = 0
    while place < len(lines):
        if opening := _OPENING.match(lines[place]):
            end = next(n for n in range(place + 1, len(lines)) if lines[n].strip().startswith(opening["marks"]))
            inside = (line.removeprefix(opening["indent"]) for line in lines[place + 1 : end])
            said = next((line.strip() for line in reversed(lines[:place]) if line.strip()), "")
            fences.append(Fence(place + 2, opening["language"], "\n".join(inside) + "\n", said))
            outside += [""] * (end + 1 - place)
            place = end + 1
        else:
            outside.append("" if _NOTE.fullmatch(lines[place].strip()) else lines[place])
            place += 1
    return Page(fences, list(_paragraphs(outside)))


def _paragraphs(lines: list[str]) -> Iterator[tuple[int, str]]:
    start = 0
    for place, line in enumerate([*lines, ""]):
        if not line.strip() or line.startswith("|"):
            if start < place:
                yield start + 1, "\n".join(lines[start:place])
            if line.strip():
                yield place + 1, line
            start = place + 1


def commands(fence: Fence) -> Iterator[Command]:
    """Of `console`: what follows `$ `, with what it shows. Of `sh`: every command, over as many lines as it has."""
    console = fence.language == "console"
    lines = fence.text.splitlines()
    place = 0
    while place < len(lines):
        start = place
        place += 1
        if console and not lines[start].startswith("$ "):
            continue
        text = lines[start].removeprefix("$ ") if console else lines[start]
        if not text.strip() or text.startswith("#"):
            continue
        ending = re.search(r"<<-?\s*['\"]?(\w+)", text)
        while place < len(lines) and ((ending and text.rsplit("\n", 1)[-1] != ending[1]) or text.endswith("\\")):
            text += "\n" + (lines[place].removeprefix("> ") if console else lines[place])
            place += 1
        shown = []
        while console and place < len(lines) and not lines[place].startswith("$ "):
            shown.append(lines[place])
            place += 1
        yield Command(fence.line + start, text, shown)
