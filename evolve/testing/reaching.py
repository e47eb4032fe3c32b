"""Where the text of a memory architecture reaches beyond its arguments; a lint, no boundary."""

import ast
import re
from collections.abc import Iterator

BARRED = frozenset(
    """breakpoint compile delattr eval exec exit getattr globals input locals open print quit setattr vars""".split()  # noqa: SIM905
)
"""Names that lead to files, or past a module's own text."""
BARRED_PARTS = BARRED - {"compile"} | frozenset(
    """builtins codecs ctypeslib dump fromfile genfromtxt importlib inspect io load loadtxt memmap os save savetxt savez
    sys tofile""".split()  # noqa: SIM905
)
"""Parts of the modules that may be imported which do so."""
CLOCKS = frozenset({"now", "today", "utcnow"})
DUNDER = re.compile(r"__\w+__")


def reaches(source: str) -> Iterator[str]:
    from knowledge.architecture import IMPORTS

    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (f"import {each.name}" for each in names if each.name not in IMPORTS)
            case ast.ImportFrom(module=module, names=names, level=level):
                wanted = {module, *(f"{module}.{each.name}" for each in names)}
                if level or not IMPORTS & wanted or {each.name for each in names} & BARRED_PARTS:
                    yield f"from {module} import {', '.join(each.name for each in names)}"
            case ast.Name(id=name) if name in BARRED or DUNDER.search(name):
                yield name
            case ast.Attribute(value=owner, attr=name) if _private(owner, name) or name in BARRED_PARTS:
                yield f".{name}"
            case _:
                yield from _odd(node)


def _private(owner: ast.expr, name: str) -> bool:
    own = isinstance(owner, ast.Name) and owner.id in {"self", "cls", "other"} and not DUNDER.search(name)
    return name.startswith("_") and not own and name not in {"__init__", "_replace", "_asdict", "_fields"}


def _odd(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCKS:
            yield f".{name}()"
        case ast.Constant(value=str() as text) if DUNDER.fullmatch(text):
            yield repr(text)
        case ast.Global(names=shared):
            yield f"global {', '.join(shared)}"
