"""Changes of structure: statements, loops, and what is done around a whole function."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from random import Random

from evolve.domains.programs.moves.source import Change, Source

RESTARTS = 4
APART = 1000
"""What lies between the seeds of two restarts."""
AROUND = """


_{name}_once = {name}


def {name}({parameters}):
    results = [_{name}_once({arguments}) for number in range({count})]
    return {best}(results, key=lambda result: result[-1])"""
SMALLEST = 2
"""Elements of a tuple whose last one may be a value to compare by."""
SIMPLE = ast.Assign | ast.AugAssign | ast.Expr
LOOPS = ast.For | ast.While


def changes(source: Source, rng: Random) -> Iterator[Change]:
    for node in source.nodes:
        if isinstance(node, ast.stmt) and not _is_elif(source, node):
            yield from _statement(source, node)
        if isinstance(node, ast.FunctionDef):
            yield from _restarts(source, node)
            yield from _local(source, node, rng)
    for body in _bodies(source.tree):
        for one, other in pairwise(body):
            if all(source.may_change(each) and not _fixed(each) for each in (one, other)):
                edits = (source.put(one, source.text(other)), source.put(other, source.text(one)))
                yield Change("reorder_statements", f"lines {one.lineno} and {other.lineno}", edits)


def _statement(source: Source, node: ast.stmt) -> Iterator[Change]:
    at, text = f"line {node.lineno}", source.text(node)
    if isinstance(node, SIMPLE | ast.If | LOOPS) and not _is_docstring(node):
        yield Change("delete_statement", f"{at}: {text.splitlines()[0][:60]}", (source.put(node, "pass"),))
    if isinstance(node, ast.Break | ast.Continue | ast.Return) and isinstance(source.parents.get(node), ast.If):
        yield Change("remove_early_exit", f"{at}: {text[:60]}", (source.put(node, "pass"),))
    if isinstance(node, ast.AugAssign | LOOPS) and not (indent := source.indent(node)).strip():
        technique = "repeat_loop" if isinstance(node, LOOPS) else "repeat_statement"
        yield Change(technique, at, (source.put(node, f"{text}\n{indent}{text}"),))
    if isinstance(node, ast.If) and node.orelse:
        yield from _branch(source, node)


def _branch(source: Source, node: ast.If) -> Iterator[Change]:
    """Both branches changed for one another, where each is one simple statement."""
    match node:
        case ast.If(body=[ast.Assign() as one], orelse=[ast.Assign() as other]):
            edits = (source.put(one, source.text(other)), source.put(other, source.text(one)))
            yield Change("swap_branches", f"line {node.lineno}", edits)


def _restarts(source: Source, node: ast.FunctionDef) -> Iterator[Change]:
    """The function several times over, and of its results the one whose last element is the least or the greatest."""
    returned = [each.value for each in ast.walk(node) if isinstance(each, ast.Return)]
    tuples = [value for value in returned if isinstance(value, ast.Tuple) and len(value.elts) >= SMALLEST]
    again = any(f"_{node.name}_once" in line for line in source.lines)
    if not tuples or len(tuples) != len(returned) or source.indent(node) or node.decorator_list or again:
        return
    for best in ("min", "max"):
        wrapped = AROUND.format(name=node.name, best=best, count=RESTARTS, **_called(node))
        edit = source.put(node, source.text(node) + wrapped)
        yield Change("random_restarts", f"{node.name}: the {best} of {RESTARTS}", (edit,))


def _called(node: ast.FunctionDef) -> Mapping[str, str]:
    """Parameters and arguments of a function around it; a parameter called `seed` is another one each time."""
    names = [argument.arg for argument in node.args.args]
    if "seed" not in names or node.args.vararg or node.args.kwarg or node.args.kwonlyargs:
        return {"parameters": "*args, **kwargs", "arguments": "*args, **kwargs"}
    given = [f"{name} + {APART} * number" if name == "seed" else name for name in names]
    return {"parameters": ast.unparse(node.args), "arguments": ", ".join(given)}


def _local(source: Source, node: ast.FunctionDef, rng: Random) -> Iterator[Change]:
    """A random draw near the best so far, for one from anywhere: `x = draw(a, b)` where there is a `best_x` too."""
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    for each in ast.walk(node):
        match each:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) if source.may_change(each):
                near = [other for other in sorted(names) if other != name and name in other.split("_")]
                drawn = source.text(call)
                if near and "." in drawn and call.args:
                    best, share = near[0], rng.choice(("0.5", "0.2", "0.05"))
                    text = f"{best} + {share} * ({drawn} - {best})"
                    yield Change("local_search", f"line {each.lineno}: near {best}", (source.put(call, text),))


def _bodies(tree: ast.AST) -> Iterator[Sequence[ast.stmt]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                yield body


def _fixed(node: ast.stmt) -> bool:
    """Statements whose place means more than their order."""
    kinds = ast.Return | ast.Break | ast.Continue | ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
    return isinstance(node, kinds) or _is_docstring(node)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_elif(source: Source, node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and source.text(node).startswith("elif")
