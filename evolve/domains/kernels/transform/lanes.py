"""`multiple_accumulators`: a reduction carried by an array of lanes, so that no addition waits for the one before."""

from collections.abc import Iterator
from functools import partial

from evolve.domains.kernels.transform.expressions import contiguous, substitute, types
from evolve.domains.kernels.transform.loops import Loop, NotApplicableError, Site, fresh, loops, replace
from evolve.domains.kernels.transform.reductions import reductions, update
from evolve.domains.kernels.transform.source import Unit, block_text, duplicate, statements
from evolve.domains.kernels.transform.trees import Node, declared

_WIDTHS = (16, 32, 64)


def multiple_accumulators(unit: Unit) -> Iterator[Site]:
    found = []
    for loop in loops(unit):
        if (
            loop.innermost
            and not loop.short
            and loop.step == 1
            and loop.own
            and not loop.has_pragma("parallel")
            and contiguous(loop.body, loop.var)
        ):
            carried = reductions(loop)
            if carried:
                found.append((loop, carried))
    for loop, carried in found:
        for width in _WIDTHS:
            yield Site(
                f"{', '.join(sorted(carried))} over {loop.var}, {width} lanes",
                partial(_expand, unit, loop, carried, width),
            )
    if len(found) > 1:
        for width in _WIDTHS:
            yield Site(f"every reduction, {width} lanes", partial(_expand_all, unit, found, width))


def _expand_all(unit: Unit, found: list[tuple[Loop, dict[str, str]]], width: int) -> None:
    for loop, carried in found:
        _expand(unit, loop, carried, width)


def _expand(unit: Unit, loop: Loop, carried: dict[str, str], width: int) -> None:
    """Source: reassociation as in Allen & Kennedy, Optimizing Compilers for Modern Architectures, 5.3."""
    kinds, var = types(loop.function), loop.var
    lane, end = fresh(unit, "lane"), fresh(unit, f"{var}_end")
    arrays = {name: fresh(unit, f"{name}_lanes") for name in carried}
    opening = "".join(f"{kinds.get(name, 'float')} {array}[{width}];" for name, array in arrays.items())
    identity = "".join(f"{array}[{lane}] = {'0' if carried[name] == '+' else name};" for name, array in arrays.items())
    body = _in_lanes(loop.body, arrays, lane)
    body = substitute(body, {var: f"{var} + {lane}"})
    each_lane = f"for (int64_t {lane} = 0; {lane} < {width}; {lane}++)"
    closing = "".join(_combined(name, f"{array}[{lane}]", carried[name]) for name, array in arrays.items())
    code = (
        f"{{ {opening} {each_lane} {{ {identity} }}"
        f"const int64_t {end} = {loop.low} + ({loop.trips}) / {width} * {width};"
        f"for (int64_t {var} = {loop.low}; {var} < {end}; {var} += {width}) {{ {each_lane} {block_text(body)} }}"
        f"{each_lane} {{ {closing} }}"
        f"for (int64_t {var} = {end}; {var} < {loop.high}; {var}++) {block_text(loop.body)} }}"
    )
    replace(loop, statements(code))


def _in_lanes(items: list[Node], arrays: dict[str, str], lane: str) -> list[Node]:
    """The body with each update applied to its lane."""
    if declared(items) & set(arrays):
        raise NotApplicableError("a local shadows the accumulator")
    changed = []
    for item in duplicate(items):
        found = update(item)
        if found and found.name in arrays:
            changed.append(found.statement(f"{arrays[found.name]}[{lane}]"))
        else:
            changed.append(item)
    places = {name: f"{array}[{lane}]" for name, array in arrays.items()}
    return substitute(changed, places)


def _combined(name: str, lane: str, operator: str) -> str:
    if operator == "+":
        return f"{name} += {lane};"
    return f"{name} = {lane} {'>' if operator == 'max' else '<'} {name} ? {lane} : {name};"
