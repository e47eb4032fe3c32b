"""What a writer of memory architectures is told of their protocol: read from the module that defines it, so that it
cannot go stale.
"""

import ast
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from knowledge.architecture import IMPORTS

LEFT_OUT = frozenset({"DesignError", "NoModelError", "MemoryArchitecture", "Verbatim"})
"""Said in other words, or of no use to a module."""
FUNCTIONS = ("filled", "named", "tokens", "verbatim")


@cache
def protocol() -> str:
    """Every type, operation and method, each on a line with what is said of it."""
    source = files("knowledge").joinpath("architecture.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    lines = [line for node in tree.body if isinstance(node, ast.ClassDef) for line in _class(node)]
    lines += [_function(node) for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS]
    return "\n".join(lines)


def imports() -> str:
    return ", ".join(sorted(IMPORTS))


def _class(node: ast.ClassDef) -> Iterator[str]:
    if node.name in LEFT_OUT:
        return
    if ast.unparse(node.bases[0]) == "Protocol":
        yield f"{node.name}: {ast.get_docstring(node) or ''}".rstrip(": ")
        yield from (f"  {_function(each)}" for each in node.body if isinstance(each, ast.FunctionDef))
        return
    fields = [ast.unparse(each).replace(" = ", "=") for each in node.body if isinstance(each, ast.AnnAssign)]
    words = [_words(ast.get_docstring(node)), *_said(node)]
    yield _noted(f"{node.name}({', '.join(fields)})", " ".join(filter(None, words)))


def _said(node: ast.ClassDef) -> Iterator[str]:
    """What follows a field, with the field's name."""
    for field, after in zip(node.body, node.body[1:], strict=False):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text)):
                yield f"{name}: {_words(text)}"


def _function(node: ast.FunctionDef) -> str:
    node.args.args = [each for each in node.args.args if each.arg != "self"]
    is_property = any(ast.unparse(each) == "property" for each in node.decorator_list)
    told = "" if is_property else f"({ast.unparse(node.args)})"
    result = f" -> {ast.unparse(node.returns).strip(chr(39))}" if node.returns else ""
    return _noted(f"{node.name}{told}{result}", _words(ast.get_docstring(node)))


def _noted(line: str, words: str) -> str:
    return f"{line}  # {words}" if words else line


def _words(text: str | None) -> str:
    return " ".join((text or "").split())
