"""Search/replace edits of files, in the form that models are trained on, the file named before where there are several:

kernel.c
<<<<<<< SEARCH
lines that are there
=======
lines to put in their place
>>>>>>> REPLACE
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import PurePosixPath
from typing import NamedTuple

SHOWN_LINES = 12
"""Of the place that comes nearest to what an edit searches for."""
_OPENING = re.compile(r"^[ \t]*<{5,9} ?SEARCH(?P<name>[^\n]*)$", re.MULTILINE)
_DIVIDER = re.compile(r"[ \t]*={5,9}[ \t]*")
_CLOSING = re.compile(r"[ \t]*>{5,9} ?(?:REPLACE.*|[ \t]*)")
_FENCE = re.compile(r"[ \t]*(?:`{3}|~{3})")
_NAME = re.compile(r"[\w./-]*\w\.\w+")
HEADING_WORDS = 3
"""Words of a line that names a file: `### File: kernel.c`."""


class Edit(NamedTuple):
    search: tuple[str, ...]
    """Lines, without blank ones around them."""
    replace: tuple[str, ...]
    name: str = ""
    """The file it is for; empty where the reply does not say."""
    complete: bool = True


class Edited(NamedTuple):
    """Files after the edits that applied; what did not apply has its sentence."""

    files: dict[str, str]
    applied: frozenset[Edit]
    problem: str = ""
    """Which edits do not apply, and why; empty when all do."""
    near: str = ""
    """The lines that the first such edit probably meant, as they stand now."""


def has_edits(text: str) -> bool:
    return _OPENING.search(text) is not None


def apply_edits(text: str, shown: Mapping[str, str], applied: frozenset[Edit] = frozenset()) -> Edited:
    """Every edit that applies, in order; those that had been `applied` to the files before are passed over.

    Blanks at line ends never matter; indentation does not where only that differs, and is then carried over.
    """
    files = {name: code.splitlines() for name, code in shown.items()}
    done, problems, near = set(applied), [], ""
    for number, edit in enumerate(read_edits(text, list(shown)), 1):
        if edit in done:
            continue
        problem = _apply(edit, files)
        if problem:
            problems.append(f"edit {number} {problem}")
            near = near or _nearest(edit, files)
        else:
            done.add(edit)
    whole = {name: "\n".join(code) + "\n" for name, code in files.items()}
    return Edited(whole, frozenset(done), "; ".join(problems), near)


def read_edits(text: str, names: Sequence[str]) -> Iterator[Edit]:
    """In order; one that is not closed before the next one or the end is not complete."""
    name, search, replace, heading = "", list[str](), list[str](), ""
    part: list[str] | None = None
    for line in text.splitlines():
        opening = _OPENING.fullmatch(line)
        if opening:
            if part is not None:
                yield _edit(search, replace, name, complete=False)
            name = _named(opening["name"], names) or _named(heading, names)
            search, replace, heading = [], [], ""
            part = search
        elif part is search and _DIVIDER.fullmatch(line):
            part = replace
        elif part is replace and _CLOSING.fullmatch(line):
            yield _edit(search, replace, name)
            part = None
        elif part is not None:
            part.append(line)
        elif line.strip() and not (_FENCE.match(line) and not _NAME.search(line)):
            heading = line
    if part is not None:
        yield _edit(search, replace, name, complete=False)


def _edit(search: list[str], replace: list[str], name: str, *, complete: bool = True) -> Edit:
    return Edit(tuple(_trimmed(search)), tuple(replace), name, complete)


def _named(heading: str, names: Sequence[str]) -> str:
    """The one of the files that a heading names, by its path or its last part."""
    said = _NAME.search(heading) if len(heading.split()) <= HEADING_WORDS else None
    if said is None:
        return ""
    last = PurePosixPath(said[0]).name
    return next((name for name in names if said[0] == name or last == PurePosixPath(name).name), "")


def _apply(edit: Edit, files: Mapping[str, list[str]]) -> str:
    """Changes the file it is for; else says why it cannot."""
    if not edit.complete:
        return "is not complete: it needs SEARCH, ======= and >>>>>>> REPLACE"
    if not edit.search:
        return "has nothing to search for; copy the lines to change into its SEARCH part"
    home = edit.name or ("the file" if len(files) == 1 else "any file")
    places = [(name, at) for name, code in _meant(edit, files).items() for at in _places(edit.search, code)]
    if not places:
        return f"does not apply: its SEARCH lines are not in {home}; {_nearest_line(edit, files)}"
    if len(places) > 1:
        return f"is ambiguous: its SEARCH lines occur {len(places)} times; add lines around them"
    name, place = places[0]
    code = files[name]
    code[place : place + len(edit.search)] = _reindented(edit.replace, edit.search[0], code[place])
    return ""


def _meant(edit: Edit, files: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
    return {edit.name: files[edit.name]} if edit.name else files


def _places(search: Sequence[str], code: Sequence[str]) -> list[int]:
    """Where the lines stand: exactly, else but for indentation."""
    for reading in (str.rstrip, str.strip):
        wanted = [reading(line) for line in search]
        lines = [reading(line) for line in code]
        found = [at for at in range(len(lines) - len(wanted) + 1) if lines[at : at + len(wanted)] == wanted]
        if found:
            return found
    return []


def _reindented(replace: Sequence[str], said: str, found: str) -> list[str]:
    """The replacement, moved by as much as the SEARCH part was off."""
    written, real = _indent(said), _indent(found)
    if written == real:
        return list(replace)
    return [real + line.removeprefix(written) if line.strip() else line for line in replace]


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _trimmed(lines: list[str]) -> list[str]:
    filled = [place for place, line in enumerate(lines) if line.strip()]
    return lines[filled[0] : filled[-1] + 1] if filled else []


def _nearest_line(edit: Edit, files: Mapping[str, list[str]]) -> str:
    """Names the line that comes nearest to the first one searched for."""
    place = _nearest_place(edit, files)
    return f"the nearest line is {place[0][place[1]].strip()!r}" if place else "it is empty"


def _nearest(edit: Edit, files: Mapping[str, list[str]]) -> str:
    """As many lines as were searched for, from the nearest one on, and one before and after them."""
    place = _nearest_place(edit, files) if edit.search else None
    if place is None:
        return ""
    code, at = place
    return "\n".join(code[max(0, at - 1) : at + min(len(edit.search), SHOWN_LINES) + 1])


def _nearest_place(edit: Edit, files: Mapping[str, list[str]]) -> tuple[list[str], int] | None:
    wanted = SequenceMatcher(None, b="", autojunk=False)
    wanted.set_seq2(edit.search[0].strip())
    best, found = -1.0, None
    for code in _meant(edit, files).values():
        for at, line in enumerate(code):
            wanted.set_seq1(line.strip())
            if line.strip() and wanted.real_quick_ratio() > best and (ratio := wanted.ratio()) > best:
                best, found = ratio, (code, at)
    return found
