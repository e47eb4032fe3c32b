"""What a candidate's C may not contain, seen on its tokens: the first gate, before anything is compiled.

The sandbox is what keeps a candidate from cheating; these rules give the writer an early, plain answer and keep
optimisations honest. Inline assembly is read by its instructions, see `assembly`. Not covered: what a function does
(`static` state, skipped work), which the referee finds out, and whoever means to get past a list of words.
"""

import re
from collections.abc import Iterator, Sequence

from evolve.domains.kernels import assembly
from evolve.domains.kernels.tokens import Token, tokens
from evolve.domains.kernels.vocabulary import (
    ATTRIBUTES,
    BUILTINS,
    CLOCKS,
    DIRECTIVES,
    FLAGS,
    FORBIDDEN,
    FORBIDDEN_CALLS,
    FUNCTIONS,
    GIVEN,
    HEADERS,
    INTRINSICS,
    KEYWORDS,
    PRAGMAS,
)

LONGEST = 64 * 1024
"""Characters of a source: a kernel is shorter, an embedded table of answers is not."""
_NOTHING = Token("mark", "", 0)


def declared_flags(source: str) -> tuple[str, ...]:
    """The flags that a first line such as `// flags: -funroll-loops` adds to those that all are built with."""
    found = re.match(r"\s*//\s*flags:([^\n]*)", source)
    return tuple(flag for flag in found[1].split() if flag not in GIVEN) if found else ()


def violations(source: str) -> list[str]:
    """One sentence for each thing that is not allowed, none for an honest kernel."""
    if len(source) > LONGEST:
        return [f"the source has {len(source)} characters, more than {LONGEST}"]
    sentences = [
        f"line 1: the flag {flag} is not among {', '.join(FLAGS)}"
        for flag in declared_flags(source)
        if flag not in FLAGS
    ]
    stream = tokens(source)
    found = [(token.line, what) for token in stream if token.kind == "directive" for what in _directive(token.text)]
    found += assembly.complaints(stream)
    found += _tokens(list(_with_directives(stream)), _defined(stream))
    return list(dict.fromkeys(sentences + [f"line {line}: {what}" for line, what in sorted(found)]))


def _with_directives(stream: Sequence[Token]) -> Iterator[Token]:
    """All tokens, those inside `#define` and `#if` lines included."""
    for token in stream:
        if token.kind != "directive":
            yield token
        elif not re.match(r"\s*(include|pragma|error)\b", token.text):
            yield from (inner._replace(line=token.line) for inner in tokens(token.text)[1:])


def _directive(text: str) -> Iterator[str]:
    words = tokens(text)
    if not words:
        return
    name = words[0].text
    rest = text.strip().removeprefix(name).strip()
    if name not in DIRECTIVES:
        yield f"#{name} is not allowed"
    elif name == "include":
        header = re.match(r"<([a-z0-9_]+)\.h>", rest)
        if header is None or header[1] not in HEADERS:
            yield f"#include {rest} is not allowed; there are {', '.join(f'<{known}.h>' for known in sorted(HEADERS))}"
    elif name == "pragma" and not PRAGMAS.match(rest):
        yield f"#pragma {rest} is not allowed; omp, GCC unroll and GCC ivdep are"


def _tokens(stream: Sequence[Token], defined: frozenset[str]) -> Iterator[tuple[int, str]]:
    for index, token in enumerate(stream):
        after = stream[index + 1] if index + 1 < len(stream) else _NOTHING
        if token.kind == "name":
            field = index > 0 and stream[index - 1].text in {".", "->"}
            problem = None if field else _name(token.text, defined, called=after.text == "(")
        else:
            problem = _mark(token.text, after.text)
        if problem:
            yield token.line, problem
        if token.text in {"__attribute__", "__attribute", "_Pragma"}:
            inside = _parenthesis(stream[index + 1 :])
            check = _pragma if token.text == "_Pragma" else _attribute
            yield from ((token.line, what) for what in check(inside))


def _name(name: str, defined: frozenset[str], *, called: bool) -> str | None:
    reason = FORBIDDEN.get(name) or (FORBIDDEN_CALLS.get(name) if called else None)
    if reason:
        return f"{name} {reason}"
    if CLOCKS.fullmatch(name):
        return f"{name} reads a clock; the judge keeps the time"
    known = KEYWORDS | FUNCTIONS | ATTRIBUTES | defined
    if not called or name in known or name.strip("_") in ATTRIBUTES:
        return None
    if INTRINSICS.fullmatch(name) or BUILTINS.fullmatch(name):
        return None
    return f"{name}() is neither defined here nor what a kernel may call (math, memory, OpenMP, intrinsics)"


def _mark(text: str, after: str) -> str | None:
    if text in {"##", "%:%:"}:
        return "## builds names that cannot be seen; write them out"
    if text == "[" and after == "[":
        return f"[[attributes]] are not allowed; __attribute__ is, with {', '.join(sorted(ATTRIBUTES))}"
    if text in {"<:", ":>", "<%", "%>", "%:", "\\", "`", "@", "$", '"', "'"} or not text.isascii():
        return f"{text} has no place in a kernel outside of comments"
    return None


def _pragma(inside: Sequence[Token]) -> Iterator[str]:
    text = inside[0].text.strip('"') if len(inside) == 1 and inside[0].kind == "string" else ""
    if not PRAGMAS.match(text):
        yield "_Pragma takes one string that begins with omp, GCC unroll or GCC ivdep"


def _attribute(inside: Sequence[Token]) -> Iterator[str]:
    depth = 0
    for token in inside:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.kind == "name" and depth == 1 and token.text.strip("_") not in ATTRIBUTES:
            yield f"the attribute {token.text} is not allowed; there are {', '.join(sorted(ATTRIBUTES))}"


def _parenthesis(after: Sequence[Token]) -> Sequence[Token]:
    """What stands between the parenthesis that `after` begins with and its partner."""
    depth = 0
    for index, token in enumerate(after):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            return after[1:index]
    return after[1:]


def _defined(stream: Sequence[Token]) -> frozenset[str]:
    """The file's own functions, macros, types and pointers to functions: what a call may name besides those allowed."""
    found: set[str] = set()
    types: set[str] = set()
    makers: dict[str, int] = {}
    for index, token in enumerate(stream):
        if token.kind == "directive":
            macro = re.match(r"\s*define\s+(\w+)", token.text)
            if macro:
                found.add(macro[1])
                body = tokens(token.text)[1:]
                found |= _defined(body)
                makers |= _maker(body)
        elif token.text == "typedef":
            types |= _typedef(stream[index + 1 :])
        elif token.kind == "name":
            found |= _declared(stream[index - 1] if index else _NOTHING, stream[index : index + 400], types)
            if token.text in makers:
                arguments = [word.text for word in _parenthesis(stream[index + 1 : index + 400]) if word.text != ","]
                found |= set(arguments[makers[token.text] : makers[token.text] + 1])
    return frozenset(found | types)


def _declared(before: Token, here: Sequence[Token], types: set[str]) -> set[str]:
    """The name that `here` begins with, when it is a function's being defined or a pointer's to a function."""
    name, after = here[0].text, [token.text for token in here[1:3]]
    if before.text == "*" and after == [")", "("]:
        return {name}
    if before.text in types and after[:1] != ["("]:
        return {name}
    if after[:1] != ["("]:
        return set()
    end = 3 + len(_parenthesis(here[1:]))
    return {name} if end < len(here) and here[end].text == "{" else set()


def _maker(body: Sequence[Token]) -> dict[str, int]:
    """A macro that defines a function named by one of its parameters, and which parameter that is."""
    if [token.text for token in body[1:2]] != ["("]:
        return {}
    inside = _parenthesis(body[1:])
    parameters = [token.text for token in inside if token.text != ","]
    made = _defined(body[3 + len(inside) :])
    at = next((number for number, name in enumerate(parameters) if name in made), None)
    return {} if at is None else {body[0].text: at}


def _typedef(after: Sequence[Token]) -> set[str]:
    """Its name, and where it is or holds a pointer to a function, that one's."""
    names, texts, depth = [""], [""], 0
    for token in after:
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(token.text, 0)
        if token.text == ";" and depth == 0:
            break
        texts.append(token.text)
        if token.kind == "name" and depth == 0 and not token.text.startswith("__attribute"):
            names.append(token.text)
    pointer = re.search(r"\( \* (\w+) \) \(", " ".join(texts))
    return {names[-1], *(pointer.groups() if pointer else ())}
