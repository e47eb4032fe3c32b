"""`restrict` and `alignment`: promises about pointers that let the compiler drop its checks."""

from collections.abc import Iterator

from pycparser import c_ast

from evolve.domains.kernels.transform.loops import Site
from evolve.domains.kernels.transform.source import Unit, functions, statements, text_of
from evolve.domains.kernels.transform.trees import Node


def _pointers(function: Node) -> list[Node]:
    parameters = function.decl.type.args
    held = parameters.params if parameters is not None else []
    return [item for item in held if isinstance(getattr(item, "type", None), c_ast.PtrDecl) and item.name]


def restrict(unit: Unit) -> Iterator[Site]:
    for function in functions(unit):
        plain = [item for item in _pointers(function) if "restrict" not in item.type.quals]
        if plain:

            def apply(plain: list[Node] = plain) -> None:
                for item in plain:
                    item.type.quals = [*item.type.quals, "restrict"]

            yield Site(f"every pointer of {function.decl.name}", apply)


def alignment(unit: Unit) -> Iterator[Site]:
    for function in functions(unit):
        names = [item.name for item in _pointers(function) if "const" not in item.type.quals]
        if names and "__builtin_assume_aligned" not in text_of(function.body):

            def apply(function: Node = function, names: list[str] = names) -> None:
                code = "".join(f"{name} = __builtin_assume_aligned({name}, 64);" for name in names)
                function.body.block_items[:0] = statements(code)

            yield Site(f"64 bytes, {', '.join(names)}", apply)
