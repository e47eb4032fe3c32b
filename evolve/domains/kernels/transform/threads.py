"""`parallel`: OpenMP threads over an outer loop, with reductions and private counters where it needs them."""

from collections.abc import Iterator
from functools import partial

from pycparser import c_ast

from evolve.domains.kernels.transform.expressions import references, substitute, types
from evolve.domains.kernels.transform.loops import Loop, Site, fresh, loops, only_loop, replace
from evolve.domains.kernels.transform.reductions import counters, reductions
from evolve.domains.kernels.transform.source import Unit, block_text, duplicate, statements
from evolve.domains.kernels.transform.trees import Node, declared, names, root, walk, written
from evolve.domains.kernels.transform.vectorise import clause

_CHUNKS = (4096, 16384)
_DEEPEST = 1


def parallel(unit: Unit) -> Iterator[Site]:
    """The outermost loops that threads may share: a team for every iteration around them costs more than it gives."""
    shareable = [(loop, carried) for loop in loops(unit) if (carried := _shareable(loop)) is not None]
    heads = {id(loop.node) for loop, _ in shareable}
    found = [pair for pair in shareable if not any(id(around.node) in heads for around in pair[0].outer)]
    for loop, carried in found:
        where = f"loop over {loop.var}"
        yield Site(where, partial(_share, loop, carried, ""))
        guard = f" if(({loop.trips}) > 8)"
        yield Site(f"{where},{guard}", partial(_share, loop, carried, guard))
        if _collapsible(loop) and not carried:
            yield Site(f"{where}, collapse(2)", partial(_share, loop, {}, " collapse(2)"))
        if (carried or loop.innermost) and loop.step == 1 and loop.own:
            for size in _CHUNKS:
                yield Site(
                    f"{where}, chunks of {size}",
                    partial(_chunk, unit, loop, carried, size),
                )
    outermost = [(loop, carried) for loop, carried in found if not loop.outer]
    if len(outermost) > 1:
        yield Site("every outermost loop", partial(_share_all, outermost))


def _share_all(found: list[tuple[Loop, dict[str, str]]]) -> None:
    for loop, carried in found:
        _share(loop, carried, "")


def _shareable(loop: Loop) -> dict[str, str] | None:
    """The reductions of a loop that threads may share; None where they would race."""
    inside = any("parallel" in node.string for node in walk(loop.node) if isinstance(node, c_ast.Pragma))
    if inside or loop.short or loop.parallel or loop.pragmas or len(loop.outer) > _DEEPEST or _races(loop):
        return None
    return reductions(loop)


def _races(loop: Loop) -> bool:
    """Whether iterations write the same element of an array that they share."""
    local, stored, follows = declared(loop.body), written(loop.body), _following(loop)
    return any(
        root(reference) in stored - local and not names(reference.subscript) & follows
        for reference in references(loop.body)
    )


def _following(loop: Loop) -> set[str]:
    """The counter and the variables that are computed from it."""
    follows, before = {loop.var}, set[str]()
    nodes = [node for item in loop.body for node in walk(item)]
    while follows != before:
        before = set(follows)
        for node in nodes:
            if isinstance(node, c_ast.Decl) and names(node.init) & follows:
                follows.add(node.name)
            elif isinstance(node, c_ast.Assignment) and names(node.rvalue) & follows:
                follows.add(root(node.lvalue))
    return follows


def _collapsible(loop: Loop) -> bool:
    inner = only_loop(loop)
    return inner is not None and loop.var not in inner.bounds and not inner.pragmas and inner.own


def _share(loop: Loop, carried: dict[str, str], extra: str) -> None:
    outside = sorted(counters(loop.body) - declared(loop.body))
    private = f" private({', '.join(outside)})" if outside else ""
    items = loop.block.block_items
    text = f"omp parallel for{extra}{clause(carried)}{private} schedule(static)"
    items.insert(items.index(loop.node), c_ast.Pragma(text))


def _chunk(unit: Unit, loop: Loop, carried: dict[str, str], size: int) -> None:
    """Threads share chunks; each chunk reduces into locals of its own, which are then combined."""
    kinds = types(loop.function)
    start, count = fresh(unit, f"{loop.var}_chunk"), fresh(unit, "count")
    parts = {name: fresh(unit, f"{name}_part") for name in carried}
    opening = "".join(
        f"{kinds.get(name, 'float')} {part} = {'0' if carried[name] == '+' else name};" for name, part in parts.items()
    )
    body = substitute(duplicate(loop.body), {loop.var: f"{start} + {loop.var}", **parts})
    signs = {"max": ">", "min": "<"}
    closing = "".join(
        f"{name} += {part};"
        if carried[name] == "+"
        else f"{name} = {part} {signs[carried[name]]} {name} ? {part} : {name};"
        for name, part in parts.items()
    )
    outer = statements(
        f"for (int64_t {start} = {loop.low}; {start} < {loop.high}; {start} += {size}) {{"
        f"const int64_t {count} = {loop.high} - {start} < {size} ? {loop.high} - {start} : {size};"
        f"{opening} for (int64_t {loop.var} = 0; {loop.var} < {count}; {loop.var}++) {block_text(body)} {closing} }}"
    )
    pragma: Node = c_ast.Pragma(f"omp parallel for{clause(carried)} schedule(static)")
    replace(loop, [pragma, *outer])
