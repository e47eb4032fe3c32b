"""C text to a parsed unit and back.

pycparser reads preprocessed C only. So comments go, `#include` and `#define` lines are kept aside as they are, and
the types they would have brought are declared for the parser alone. Whatever it still cannot read (intrinsics,
attributes, conditional compilation) is `UnreadableError`: such a source is no material for transformations.
"""

import copy
import re
from typing import NamedTuple

from pycparser import c_ast, c_generator, c_parser

from evolve.domains.kernels.transform.trees import Node, normalise

_TYPES = [
    "size_t",
    "ptrdiff_t",
    "ssize_t",
    "int8_t",
    "int16_t",
    "int32_t",
    "int64_t",
    "uint8_t",
    "uint16_t",
    "uint32_t",
    "uint64_t",
    "intptr_t",
    "uintptr_t",
    "bool",
    "_Float16",
]
_HEADER = "".join(f"typedef int {name};\n" for name in _TYPES)
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LINE = re.compile(r"^[ \t]*#[ \t]*(\w+)[^\n]*\n?", re.MULTILINE)
_SPELLINGS = (("__restrict__", "restrict"), ("__restrict", "restrict"), ("__inline__", "inline"))


class UnreadableError(ValueError):
    """C that pycparser does not parse."""


class Unit(NamedTuple):
    prologue: str
    """`#include` and `#define` lines."""
    tree: Node
    """The parsed file, normalised."""


def parse(source: str) -> Unit:
    """Raises UnreadableError."""
    text = _TOKEN.sub(lambda m: " " if m[0].startswith("/") else m[0], source).replace("\\\n", " ")
    for spelling, standard in _SPELLINGS:
        text = text.replace(spelling, standard)
    kept = [m[0].strip() for m in _LINE.finditer(text) if m[1] in {"include", "define"}]
    other = {m[1] for m in _LINE.finditer(text)} - {"include", "define", "pragma"}
    if other:
        raise UnreadableError(f"conditional compilation: {', '.join(sorted(other))}")
    text = _LINE.sub(lambda m: m[0] if m[1] == "pragma" else "\n", text)
    tree = _parsed(_HEADER + text)
    tree.ext = tree.ext[len(_TYPES) :]
    normalise(tree)
    return Unit("".join(f"{line}\n" for line in kept), tree)


def render(unit: Unit) -> str:
    gap = "\n" if unit.prologue else ""
    return unit.prologue + gap + text_of(unit.tree)


def statements(text: str) -> list[Node]:
    """The statements of a piece of C, in the shape that `parse` gives them."""
    tree = _parsed(f"{_HEADER}void fragment(void) {{ {text}\n }}")
    normalise(tree)
    return list(tree.ext[-1].body.block_items or [])


def expression(text: str) -> Node:
    tree = _parsed(f"{_HEADER}void fragment(void) {{ fragment = ({text}); }}")
    return tree.ext[-1].body.block_items[0].rvalue


def definitions(text: str) -> list[Node]:
    tree = _parsed(_HEADER + text)
    normalise(tree)
    return list(tree.ext[len(_TYPES) :])


def text_of(node: Node) -> str:
    return str(c_generator.CGenerator().visit(node))


def block_text(items: list[Node]) -> str:
    """The statements in braces."""
    return text_of(c_ast.Compound(list(items)))


def duplicate(items: list[Node]) -> list[Node]:
    return copy.deepcopy(items)


def functions(unit: Unit) -> list[Node]:
    """Definitions that may be transformed: all but the helpers that transformations have inserted."""
    return [node for node in unit.tree.ext if isinstance(node, c_ast.FuncDef) and not node.decl.name.startswith("vec_")]


def _parsed(text: str) -> Node:
    try:
        return c_parser.CParser().parse(text)
    except (c_parser.ParseError, AssertionError, RecursionError) as error:
        raise UnreadableError(str(error)) from error
