"""Search/replace edits of files, in the form that models are trained on:

<<<<<<< SEARCH
lines that are there
=======
lines to put in their place
>>>>>>> REPLACE
"""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher

_EDIT = re.compile(
    r"^[ \t]*<{5,9} ?SEARCH[^\n]*\n(?P<search>.*?)^[ \t]*={5,9}[ \t]*\n(?P<replace>.*?)^[ \t]*>{5,9} ?REPLACE",
    re.MULTILINE | re.DOTALL,
)
_OPENING = re.compile(r"^[ \t]*<{5,9} ?SEARCH", re.MULTILINE)


def has_edits(text: str) -> bool:
    return _OPENING.search(text) is not None


def apply_edits(text: str, shown: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The files after every edit, in order; or none and a sentence that says which edit does not apply, and why.

    Blanks at line ends never matter; indentation does not where only that differs, and is then carried over.
    """
    edits = list(_EDIT.finditer(text))
    if len(edits) < len(_OPENING.findall(text)):
        return (
            {},
            f"edit {len(edits) + 1} is not complete: it needs SEARCH, ======= and >>>>>>> REPLACE",
        )
    files = {name: code.splitlines() for name, code in shown.items()}
    for number, edit in enumerate(edits, 1):
        search, replace = _lines(edit["search"]), edit["replace"].splitlines()
        if not search:
            return {}, f"edit {number} has nothing to search for; copy the lines to change into its SEARCH part"
        places = [(name, place) for name, code in files.items() for place in _places(search, code)]
        if not places:
            return {}, f"edit {number} does not apply: its SEARCH lines are not in the file; {_nearest(search, files)}"
        if len(places) > 1:
            return (
                {},
                f"edit {number} is ambiguous: its SEARCH lines occur {len(places)} times; add lines around them",
            )
        name, place = places[0]
        code = files[name]
        code[place : place + len(search)] = _reindented(replace, search[0], code[place])
    return {name: "\n".join(code) + "\n" for name, code in files.items()}, ""


def _places(search: list[str], code: list[str]) -> list[int]:
    """Where the lines stand: exactly, else but for indentation."""
    for reading in (str.rstrip, str.strip):
        wanted = [reading(line) for line in search]
        lines = [reading(line) for line in code]
        found = [at for at in range(len(lines) - len(wanted) + 1) if lines[at : at + len(wanted)] == wanted]
        if found:
            return found
    return []


def _reindented(replace: list[str], said: str, found: str) -> list[str]:
    """The replacement, moved by as much as the SEARCH part was off."""
    written, real = _indent(said), _indent(found)
    if written == real:
        return replace
    return [real + line.removeprefix(written) if line.strip() else line for line in replace]


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _lines(text: str) -> list[str]:
    lines = text.splitlines()
    while lines and not lines[0].strip():
        lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _nearest(search: list[str], files: Mapping[str, list[str]]) -> str:
    """Names the line that comes nearest to the first one searched for."""
    wanted = search[0].strip()
    lines = [line.strip() for code in files.values() for line in code if line.strip()]
    if not lines:
        return "it is empty"
    return f"the nearest line is {max(lines, key=lambda line: SequenceMatcher(None, wanted, line).ratio())!r}"
