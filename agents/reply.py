"""Reads a model's reply: whole files in fenced blocks, or edits of the files it was shown, and the technique it names.

Made for the way small models answer: prose around the code, a fence that is never closed, several versions in one
reply, no fence at all. Not covered: a reply that adds files of its own, and one file spread over several blocks.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from agents.edits import Edit, apply_edits, has_edits

LONGEST_TECHNIQUE = 120
"""Characters of a chain."""
LONGEST_NAME = 6
"""Words of one technique."""
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_FENCE = re.compile(r"^\s*(?P<mark>`{3,}|~{3,})\s*(?P<info>[^`]*)$")
_NAME = re.compile(r"[\w./-]*\w\.\w+")
_TECHNIQUE = re.compile(r"^[\W_]*technique[\w ]*[\W_]*?:[ \t]*(?P<words>.+)$", re.IGNORECASE | re.MULTILINE)
_DENIAL = re.compile(r"(?:no|not|none|without|nothing|n/a)(?![\w-])")
"""`no vector intrinsics used`: how small models say that they kept to the request."""
_C_FUNCTION = re.compile(
    r"^(?!\s*(?:static|typedef|else|return)\b)[A-Za-z_][\w \t*]*[\s*](\w+)\s*\([^;{}]*\)\s*\{", re.MULTILINE
)
_NAMED_FUNCTION = re.compile(r"^(?:async\s+)?(?:def|fn|class)\s+(\w+)", re.MULTILINE)
_FIRST_CODE = re.compile(
    r"^(?:#\s*(?:include|define|pragma)|(?:static|inline|void|int|float|double|typedef)\b|import |from |def )"
)
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include\b.*$", re.MULTILINE)
_ELISION = re.compile(
    r"^\s*(?://|/\*|#)\s*(?:\.{3}|…|\(?(?:rest of|existing code|same as before)\b).*$", re.IGNORECASE | re.MULTILINE
)


class Kept(NamedTuple):
    """What stays of edits of which some did not apply: a repair goes on from here."""

    files: dict[str, str]
    """Those shown, with the edits that applied."""
    applied: frozenset[Edit]
    near: str
    """The lines that the first of the others probably meant, as they stand now."""


class Reply(NamedTuple):
    files: dict[str, str]
    """Complete: those shown, with the reply's changes."""
    technique: str
    """In lower case, a chain joined by ` + `; empty when the reply names none."""
    problem: str = ""
    """Why the reply cannot be used, in a sentence its author can repair it from; `files` is then empty."""
    kept: Kept | None = None


class Block(NamedTuple):
    name: str
    """The file name by the fence or on the line before it; empty when there is none."""
    code: str
    closed: bool


def functions(files: Mapping[str, str]) -> frozenset[str]:
    """What the files define for others: functions of C that are not static, top-level definitions elsewhere."""
    found = [name for code in files.values() for name in (*_C_FUNCTION.findall(code), *_NAMED_FUNCTION.findall(code))]
    return frozenset(found) - {"if", "for", "while", "switch", "main"}


def parse(
    text: str,
    shown: Mapping[str, str],
    required: frozenset[str],
    *,
    truncated: bool = False,
    kept: Kept | None = None,
) -> Reply:
    """`shown` are the files that the author saw, `required` the functions of which at least one must be there.

    `truncated`: the provider stopped the reply at its token limit. `kept`: of the reply that this one repairs; edits
    apply to those files, and the ones that had applied are not applied again.
    """
    text = _THOUGHT.sub("", text)
    technique = named_technique(text)
    if not text.strip():
        return Reply({}, technique, "the reply is empty", kept)
    if has_edits(text):
        return _edited(text, shown, required, technique, truncated=truncated, kept=kept)
    files, problem = _rewritten(text, kept.files if kept else shown, required, truncated=truncated)
    problem = problem or _missing(files, required)
    return Reply({}, technique, problem, kept) if problem else Reply(files, technique)


def _edited(
    text: str,
    shown: Mapping[str, str],
    required: frozenset[str],
    technique: str,
    *,
    truncated: bool,
    kept: Kept | None,
) -> Reply:
    files, applied = (kept.files, kept.applied) if kept else (shown, frozenset[Edit]())
    edited = apply_edits(text, files, applied)
    if edited.problem:
        cut = "the reply was cut off at the token limit: " if truncated else ""
        left = Kept(edited.files, edited.applied, edited.near)
        return Reply({}, technique, cut + edited.problem, left)
    missing = _missing(edited.files, required)
    return Reply({}, technique, missing) if missing else Reply(edited.files, technique)


def named_technique(text: str) -> str:
    """The technique that the reply names: what is learnt is learnt about this name, so a sentence is none."""
    found = _TECHNIQUE.search(text)
    if not found:
        return ""
    parts = re.split(r"\s*(?:[,;]|\s\+\s|→|->)\s*", found["words"].lower())
    clean = (" ".join(part.strip(" \t*_`#/.\"'<>[]()").split()) for part in parts)
    names = (part for part in clean if 0 < len(part.split()) <= LONGEST_NAME and not _DENIAL.match(part))
    return " + ".join(names)[:LONGEST_TECHNIQUE]


def blocks(text: str) -> list[Block]:
    """The fenced blocks in order; the last one may be open."""
    found: list[Block] = []
    opened: re.Match[str] | None = None
    code: list[str] = []
    before = ""
    for line in text.splitlines():
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened, code = fence, []
        elif opened and fence and not fence["info"].strip() and fence["mark"].startswith(opened["mark"]):
            found.append(_block(opened["info"], before, code, closed=True))
            opened, before = None, ""
        elif opened:
            code.append(line)
        elif line.strip():
            before = line
    if opened:
        found.append(_block(opened["info"], before, code, closed=False))
    return [block for block in found if block.code.strip()]


def _rewritten(
    text: str, shown: Mapping[str, str], required: frozenset[str], *, truncated: bool
) -> tuple[dict[str, str], str]:
    whole = ", ".join(shown) or "the program"
    found = blocks(text) or _bare(text, required)
    if not found:
        return {}, f"there is no code block in the reply; give the complete file {whole} in one"
    chosen = _chosen(found, shown, required)
    if truncated and not all(block.closed for block in chosen.values()):
        return {}, "the reply was cut off at the token limit before the code ended; give the code alone, and shorter"
    if not chosen:
        return {}, "the code block has no file name; write it after the language, as in ```c kernel.c"
    elided = [match[0].strip() for block in chosen.values() if (match := _ELISION.search(block.code))]
    if elided:
        return {}, f"the code leaves something out ({elided[0]!r}); give the complete file {whole}"
    return {**shown, **{name: _with_includes(block.code, shown.get(name, "")) for name, block in chosen.items()}}, ""


def _with_includes(code: str, shown: str) -> str:
    """A file that forgot its includes, all of them, gets those of the one that was shown."""
    if _INCLUDE.search(code):
        return code
    includes = "".join(f"{line}\n" for line in _INCLUDE.findall(shown))
    return f"{includes}\n{code}" if includes else code


def _chosen(found: list[Block], shown: Mapping[str, str], required: frozenset[str]) -> dict[str, Block]:
    """Which block becomes which file: by name where there are several files, else the best one is the file."""

    def worth(place: int) -> tuple[int, bool, int]:
        block = found[place]
        defined = sum(_defines(block.code, name) for name in required)
        return defined, block.closed, place if required else len(block.code)

    best = found[max(range(len(found)), key=worth)]
    if len(shown) == 1:
        return {next(iter(shown)): best}
    if not shown:
        return {best.name: best} if best.name else {}
    named = {name: block for block in found for name in shown if block.name and _same_file(block.name, name)}
    if named:
        return named
    defined = [function for function in required if _defines(best.code, function)]
    homes = [name for name, code in shown.items() if any(_defines(code, function) for function in defined)]
    return {homes[0]: best} if len(homes) == 1 else {}


def _missing(files: Mapping[str, str], required: frozenset[str]) -> str:
    if not required or any(_defines(code, name) for code in files.values() for name in required):
        return ""
    return f"no code in the reply defines {' or '.join(f'`{name}`' for name in sorted(required))}"


def _defines(code: str, name: str) -> bool:
    escaped = re.escape(name)
    return bool(re.search(rf"\b{escaped}\s*\([^;{{}}]*\)\s*\{{|\b(?:def|fn|class)\s+{escaped}\b", code))


def _bare(text: str, required: frozenset[str]) -> list[Block]:
    """Code without a fence: from the first line that looks like code to the last closing brace."""
    lines = text.splitlines()
    first = next((place for place, line in enumerate(lines) if _FIRST_CODE.match(line)), None)
    if first is None or not any(_defines(text, name) for name in required):
        return []
    braces = [place for place, line in enumerate(lines) if line.startswith("}")]
    last = braces[-1] + 1 if braces and braces[-1] > first else len(lines)
    return [Block("", _text(lines[first:last]), closed=bool(braces))]


def _block(info: str, before: str, code: list[str], *, closed: bool) -> Block:
    """The name stands by the fence, alone on the block's first line, or on the line before it, with little else."""
    lone = code and _NAME.fullmatch(code[0].strip())
    heading = before if len(before.split()) <= 3 else ""  # noqa: PLR2004 - `### File: kernel.c`
    said = [info, code[0] if lone else "", heading]
    found = next((match for text in said if (match := _NAME.search(text))), None)
    name = PurePosixPath(found[0]) if found else PurePosixPath()
    safe = bool(name.parts) and not name.is_absolute() and ".." not in name.parts
    return Block(str(name) if safe else "", _text(code[1:] if lone else code), closed)


def _same_file(said: str, name: str) -> bool:
    return said == name or PurePosixPath(said).name == name


def _text(lines: list[str]) -> str:
    """Without the line that names the technique, where it slipped into the block."""
    return "\n".join(line for line in lines if not line.lower().startswith("technique:")).strip("\n") + "\n"
