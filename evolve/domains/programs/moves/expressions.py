"""Changes of expressions: operators, comparisons, terms, functions, variables."""

import ast
import builtins
import re
from collections.abc import Iterator, Mapping
from random import Random

from evolve.domains.programs.moves.source import Change, Source

OPERATORS: Mapping[type[ast.operator], tuple[str, tuple[str, ...]]] = {
    ast.Add: ("+", ("-", "*")),
    ast.Sub: ("-", ("+",)),
    ast.Mult: ("*", ("/", "+")),
    ast.Div: ("/", ("*",)),
    ast.FloorDiv: ("//", ("/",)),
    ast.Pow: ("**", ("*",)),
    ast.Mod: ("%", ("//",)),
    ast.BitAnd: ("&", ("|",)),
    ast.BitOr: ("|", ("&",)),
}
COMPARISONS: Mapping[type[ast.cmpop], tuple[str, str, str]] = {
    ast.Lt: ("<", "<=", ">"),
    ast.LtE: ("<=", "<", ">="),
    ast.Gt: (">", ">=", "<"),
    ast.GtE: (">=", ">", "<="),
    ast.Eq: ("==", ">=", "!="),
    ast.NotEq: ("!=", "<", "=="),
}
"""As it is, moved by a step, turned round."""
SIBLINGS = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("argmin", "argmax"),
    ("sin", "cos", "tanh"),
    ("sqrt", "cbrt", "log1p", "abs"),
    ("exp", "expm1", "square"),
    ("log", "log1p", "sqrt"),
    ("mean", "median"),
    ("nanmean", "nanmedian"),
    ("sum", "prod"),
    ("floor", "ceil", "rint"),
    ("uniform", "normal", "triangular"),
    ("uniform", "gauss", "triangular", "normalvariate"),
    ("gauss", "normalvariate", "lognormvariate"),
    ("random", "standard_normal"),
    ("linspace", "geomspace"),
    ("zeros", "ones"),
    ("hanning", "hamming", "blackman", "bartlett"),
)
WORD = re.compile(r"[A-Za-z][\w-]{0,40}")
QUOTED = re.compile(r"['\"]([A-Za-z][\w-]{0,40})['\"]")
SEVERAL = 3
FACTORS = ("0.5", "0.9", "1.1", "2.0")
BUILT_IN = frozenset(dir(builtins))
ATOMS = ast.Name | ast.Constant | ast.Call | ast.Attribute | ast.Subscript | ast.List | ast.Tuple
LOOSE = ast.BinOp | ast.UnaryOp | ast.Compare | ast.BoolOp | ast.Name | ast.Attribute | ast.Call | ast.Subscript
"""Expressions that may be a number."""


def changes(source: Source, rng: Random) -> Iterator[Change]:
    for node in source.nodes:
        match node:
            case ast.BinOp():
                yield from _operation(source, node)
            case ast.Compare(ops=[op], left=left, comparators=[right]) if type(op) in COMPARISONS:
                yield from _comparison(source, op, left, right)
            case ast.BoolOp(values=values):
                other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
                yield _between("swap_operator", source, values[0], values[1], other)
                yield from (_instead("drop_term", source, node, value) for value in values[:2])
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                yield from _siblings(source, node, name)
            case ast.Constant(value=str() as text) if WORD.fullmatch(text) and not _is_key(source, node):
                yield from _options(source, node, text)
            case ast.IfExp(body=body, orelse=orelse):
                yield from (_instead("drop_term", source, node, value) for value in (body, orelse))
            case ast.If(test=test) | ast.While(test=test) if source.may_change(test):
                text = source.text(test)
                yield Change("negate_condition", f"line {node.lineno}: {text}", (source.put(test, f"not ({text})"),))
            case ast.Assign(value=value) | ast.AugAssign(value=value) | ast.Return(value=ast.expr() as value):
                yield from _scaled(source, value, rng)
    yield from _variables(source, rng)


def _operation(source: Source, node: ast.BinOp) -> Iterator[Change]:
    was, others = OPERATORS.get(type(node.op), ("", ()))
    for other in others:
        yield _between("swap_operator", source, node.left, node.right, (was, other))
    if not isinstance(node.left, ast.List) and was not in {"", "%"}:
        yield _instead("drop_term", source, node, node.left)
        yield _instead("drop_term", source, node, node.right)
    if isinstance(node.op, ast.Add | ast.Sub | ast.Mult) and isinstance(node.right, ATOMS):
        text, doubled = source.text(node.right), f" {was} {source.text(node.right)}"
        edit = source.put(node.right, text + doubled)
        yield Change("duplicate_term", f"line {node.lineno}:{doubled}", (edit,))


def _comparison(source: Source, op: ast.cmpop, left: ast.expr, right: ast.expr) -> Iterator[Change]:
    was, near, turned = COMPARISONS[type(op)]
    yield _between("relax_comparison", source, left, right, (was, near))
    yield _between("reverse_comparison", source, left, right, (was, turned))


def _siblings(source: Source, node: ast.Call, name: str) -> Iterator[Change]:
    start, end = source.span(node.func)
    text = source.text(node.func)
    for family in SIBLINGS:
        for other in family if name in family else ():
            if other != name and (isinstance(node.func, ast.Attribute) or other in BUILT_IN):
                edit = source.put(node.func, text[: len(text) - len(name)] + other)
                technique = "swap_extremum" if family[0].startswith(("min", "argmin")) else "substitute_function"
                yield Change(
                    technique, f"line {node.lineno}: {name} -> {other}", (edit._replace(start=start, end=end),)
                )
    if name == "sorted" and not node.keywords and node.args:
        last = source.put(node.args[-1], f"{source.text(node.args[-1])}, reverse=True")
        yield Change("reverse_order", f"line {node.lineno}: {source.text(node)[:60]}", (last,))


def _is_key(source: Source, node: ast.Constant) -> bool:
    parent = source.parents[node]
    return (isinstance(parent, ast.Dict) and node in parent.keys) or isinstance(parent, ast.Subscript)


def _options(source: Source, node: ast.Constant, text: str) -> Iterator[Change]:
    """Another word of a line, a comment mostly, that lists several with this one among them."""
    listed = [QUOTED.findall(line) for line in source.lines]
    others = {word for words in listed if text in words and len(words) >= SEVERAL for word in words}
    for other in sorted(others - {text}):
        yield Change("choose_option", f"line {node.lineno}: {text} -> {other}", (source.put(node, repr(other)),))


def _scaled(source: Source, value: ast.expr, rng: Random) -> Iterator[Change]:
    """A new factor: a parameter that was not there."""
    if isinstance(value, LOOSE) and source.may_change(value):
        factor, text = rng.choice(FACTORS), source.text(value)
        yield Change("scale_term", f"line {value.lineno}: by {factor}", (source.put(value, f"{factor} * ({text})"),))


def _variables(source: Source, rng: Random) -> Iterator[Change]:
    """A variable in another's place, both of the same function."""
    placed = set(source.nodes)
    for scope in source.nodes:
        if not isinstance(scope, ast.FunctionDef):
            continue
        names = [node for node in ast.walk(scope) if isinstance(node, ast.Name)]
        bound = {node.id: None for node in names if isinstance(node.ctx, ast.Store)}
        bound |= dict.fromkeys(argument.arg for argument in scope.args.args)
        for node in names:
            others = [name for name in bound if name != node.id]
            if node in placed and isinstance(node.ctx, ast.Load) and node.id in bound and others:
                other = rng.choice(others)
                yield Change(
                    "substitute_variable", f"line {node.lineno}: {node.id} -> {other}", (source.put(node, other),)
                )


def _between(technique: str, source: Source, left: ast.expr, right: ast.expr, change: tuple[str, str]) -> Change:
    edit = source.between(left, right)
    return Change(
        technique,
        f"line {left.lineno}: {change[0]} -> {change[1]}",
        (edit._replace(text=edit.text.replace(*change, 1)),),
    )


def _instead(technique: str, source: Source, node: ast.expr, kept: ast.expr) -> Change:
    text = source.text(kept)
    shown = text if isinstance(kept, ATOMS) else f"({text})"
    return Change(technique, f"line {node.lineno}: only {text[:60]}", (source.put(node, shown),))
