"""Inline assembly as the rules see it: written-out instructions that compute, nothing that hides or leads elsewhere.

Like every static rule the first gate only: C can still jump into the middle of an instruction, and what that may do
is up to the sandbox.
"""

import re
from collections.abc import Iterator, Sequence

from evolve.domains.kernels.tokens import Token, tokens
from evolve.domains.kernels.vocabulary import FORBIDDEN_INSTRUCTIONS, INSTRUCTIONS, JUMPS, PREFIXES

NAMES = frozenset({"asm", "__asm", "__asm__"})
_QUALIFIERS = frozenset({"volatile", "__volatile__", "__volatile", "inline", "__inline__"})
_LABEL = re.compile(r"\s*(\d+|\.L\w*%=)\s*:")
_TARGET = re.compile(r"(\d+[bf]|\.L\w*%=)")
_STRANGE = re.compile(r"\\[^nt]|[^\w\s%$,;:().+*\[\]=\\-]")


def complaints(stream: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """Line and sentence for each asm that is not allowed. Macros are looked at one by one, each on its own."""
    for index, token in enumerate(stream):
        if token.kind == "directive" and not re.match(r"\s*(include|pragma|error)\b", token.text):
            yield from ((token.line, what) for _, what in complaints(tokens(token.text)))
        elif token.text in NAMES:
            yield from ((token.line, f"{token.text}: {what}") for what in _statement(stream[index + 1 :]))


def _statement(after: Sequence[Token]) -> Iterator[str]:
    start = 0
    while start < len(after) and after[start].text in _QUALIFIERS:
        start += 1
    inside = _operands(after[start:])
    if inside is None:
        yield 'write it out in one piece, as asm volatile("…" : outputs : inputs : clobbers), without goto'
        return
    end = next((at for at, token in enumerate(inside) if token.text == ":"), None)
    template = inside[:end]
    if end is None:
        yield "an asm without operands is not allowed (nor one that names a symbol); declare what it reads and writes"
    elif not template or any(token.kind != "string" or not token.text.startswith('"') for token in template):
        yield "the template must be strings written out here, not macros"
    else:
        yield from _template("".join(token.text[1:-1] for token in template))


def _operands(after: Sequence[Token]) -> Sequence[Token] | None:
    """What stands in the parenthesis that `after` begins with; None when it is cut by a directive or never closed."""
    depth = 0
    for index, token in enumerate(after):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.kind == "directive" or (depth == 0 and index == 0):
            return None
        if depth == 0:
            return after[1:index]
    return None


def _template(text: str) -> Iterator[str]:
    text = re.sub(r"%[{}]", " ", text)
    strange = _STRANGE.search(text)
    if strange:
        yield f"{strange[0]!r} has no place in a template; instructions are separated by \\n or ;"
        return
    for line in re.split(r"\\n|;", text.replace("\\t", " ")):
        rest = line
        while label := _LABEL.match(rest):
            rest = rest[label.end() :]
        what = _instruction(rest.split(maxsplit=1))
        if what:
            yield what


def _instruction(words: Sequence[str]) -> str | None:
    if not words:
        return None
    name, operands = words[0].lower(), words[1] if len(words) > 1 else ""
    if name in PREFIXES:
        return _instruction(operands.split(maxsplit=1))
    if name in FORBIDDEN_INSTRUCTIONS:
        return f"{name} {FORBIDDEN_INSTRUCTIONS[name]}"
    if name.startswith("."):
        return f"{name} is an assembler directive; only instructions are allowed"
    if JUMPS.fullmatch(name):
        target = operands.rsplit(",", 1)[-1].strip()
        return None if _TARGET.fullmatch(target) else f"{name} {operands} {FORBIDDEN_INSTRUCTIONS['call']}"
    return None if INSTRUCTIONS.fullmatch(name) else f"{name} is not an instruction that a kernel needs"
