"""`unroll` of innermost loops and `unroll_and_jam` of outer ones (register blocking)."""

import re
from collections.abc import Iterator, Mapping
from functools import partial

from pycparser import c_ast

from evolve.domains.kernels.transform.expressions import rename, substitute
from evolve.domains.kernels.transform.loops import Loop, Site, fresh, loops, replace
from evolve.domains.kernels.transform.reductions import reductions
from evolve.domains.kernels.transform.source import Unit, block_text, duplicate, statements
from evolve.domains.kernels.transform.trees import Node, declared, names, written

_FACTORS = (2, 4, 8)
_JAMMED = (2, 3, 4, 6, 8)


def unroll(unit: Unit) -> Iterator[Site]:
    for loop in loops(unit):
        if loop.innermost and not loop.short and loop.step == 1 and loop.own and not loop.pragmas:
            for factor in _FACTORS:
                yield Site(f"{loop.var} by {factor}", partial(_unroll, unit, loop, factor))


def unroll_and_jam(unit: Unit) -> Iterator[Site]:
    for loop in loops(unit):
        if not loop.innermost and loop.own and loop.step <= 1 and not _carried(loop):
            for factor in _JAMMED:
                yield Site(f"{loop.var} by {factor}", partial(_unroll, unit, loop, factor))


def _carried(loop: Loop) -> bool:
    found = reductions(loop)
    return found is None or bool(found)


def _unroll(unit: Unit, loop: Loop, factor: int) -> None:
    """The main loop takes `factor` iterations at once; what is left over goes to the loop as it was."""
    var, end = loop.var, fresh(unit, f"{loop.var}_end")
    changing = _changing(loop)
    local = changing & declared(_blocks(loop.body))
    taken: list[str] = [end]
    copies: list[dict[str, str]] = [{}]
    for _ in range(1, factor):
        new = {}
        for name in sorted(local):
            new[name] = fresh(unit, name, taken)
            taken.append(new[name])
        copies.append(new)
    body = _jammed(duplicate(loop.body), var, copies, changing)
    code = (
        f"const int64_t {end} = {loop.low} + ({loop.trips}) / {factor} * {factor};"
        f"for (int64_t {var} = {loop.low}; {var} < {end}; {var} += {factor}) {block_text(body)}"
        f"for (int64_t {var} = {end}; {var} < {loop.high}; {var}++) {block_text(loop.body)}"
    )
    replace(loop, statements(code))


def _changing(loop: Loop) -> set[str]:
    """Names whose value differs between neighbouring iterations; locals that do not depend on them are shared."""
    stored = written(loop.body)
    changing = {loop.var} | (stored - declared(loop.body))
    local = _blocks(loop.body)
    for _ in local:
        for item in local:
            if item.init is None or item.name in stored or names(item.init) & changing:
                changing.add(item.name)
    return changing


def _blocks(items: list[Node]) -> list[Node]:
    """Declarations of the body, but for those in the headers of its loops."""
    found: list[Node] = []
    for item in items:
        if isinstance(item, c_ast.Decl):
            found.append(item)
        elif isinstance(item, c_ast.For):
            found += _blocks(item.stmt.block_items)
        elif isinstance(item, c_ast.If):
            found += _blocks(item.iftrue.block_items)
            found += _blocks(item.iffalse.block_items) if item.iffalse is not None else []
        elif isinstance(item, c_ast.Compound):
            found += _blocks(item.block_items)
    return found


def _jammed(items: list[Node], var: str, copies: list[dict[str, str]], changing: set[str]) -> list[Node]:
    """Every statement once per copy, side by side within the loops and branches that do not depend on the copy."""
    done: list[Node] = []
    for item in items:
        if isinstance(item, c_ast.Pragma):
            done.append(item if len(copies) == 1 else c_ast.Pragma(_widened(item.string, copies)))
        elif isinstance(item, c_ast.For) and not names(item.init, item.cond, item.next) & changing:
            body = c_ast.Compound(_jammed(item.stmt.block_items, var, copies, changing))
            done.append(c_ast.For(item.init, item.cond, item.next, body))
        elif isinstance(item, c_ast.If) and not names(item.cond) & changing:
            branches = [_branch(branch, var, copies, changing) for branch in (item.iftrue, item.iffalse)]
            done.append(c_ast.If(item.cond, *branches))
        elif isinstance(item, c_ast.Compound):
            done += [c_ast.Compound(_jammed(item.block_items, var, copies, changing))]
        elif isinstance(item, c_ast.Decl) and item.name not in changing:
            done.append(item)
        else:
            done += [_copy(item, var, number, copy) for number, copy in enumerate(copies)]
    return done


def _branch(branch: Node, var: str, copies: list[dict[str, str]], changing: set[str]) -> Node:
    return None if branch is None else c_ast.Compound(_jammed(branch.block_items, var, copies, changing))


def _copy(item: Node, var: str, number: int, new: Mapping[str, str]) -> Node:
    fork = duplicate([item])
    if number:
        fork = substitute(rename(fork, new), {var: f"{var} + {number}"})
    return fork[0]


def _widened(pragma: str, copies: list[dict[str, str]]) -> str:
    """The pragma with every renamed variable listed next to its copies."""
    for name in copies[-1]:
        listed = ", ".join([name, *(copy[name] for copy in copies[1:])])
        pragma = _replace_word(pragma, name, listed)
    return pragma


def _replace_word(pragma: str, name: str, listed: str) -> str:
    return re.sub(rf"(?<=[:,( ]){name}(?=[,) ])", listed, pragma)
