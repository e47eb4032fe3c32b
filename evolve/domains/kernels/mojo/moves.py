"""Source transformations of Mojo kernels: the moves of a search that needs no model.

They read what they and the seeds write (loops.py). Whether a move was legal and worth it is for the judge to say.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from evolve.domains.kernels.mojo.loops import Access, Loop, Statement, accesses, loops, statement, stride, uses

WIDTH = ("from std.sys import simd_width_of", "comptime WIDTH = simd_width_of[DType.float32]()")
TASKS = ("from max.algorithm import parallelize", "comptime TASKS = 16")
LANES = "SIMD[DType.float32, WIDTH]"
FACTORS = (4, 8, 2)
TILES = (64, 256)
_LONGEST = 40_000
"""Characters of a source beyond which it is not grown further."""


class Change(NamedTuple):
    """Lines that take the place of others."""

    detail: str
    start: int
    end: int
    lines: list[str]
    needs: tuple[str, ...] = ()
    """An import and a constant, where the file has them not yet."""


class Technique(NamedTuple):
    changes: Callable[[Sequence[str]], Iterator[Change]]
    prior: float
    """How often it is proposed against the others while nothing is known."""


def mutations(source: str, rng: Random) -> Iterator[tuple[str, str, str]]:
    """Yield (technique, detail, new source), each once, techniques in proportion to their prior."""
    lines = source.splitlines()
    left = {name: list(technique.changes(lines)) for name, technique in TECHNIQUES.items()}
    while any(left.values()):
        names = [name for name, changes in left.items() if changes]
        name = rng.choices(names, [TECHNIQUES[name].prior for name in names])[0]
        change = left[name].pop(rng.randrange(len(left[name])))
        changed = _applied(lines, change)
        if changed != source and len(changed) < _LONGEST:
            yield name, change.detail, changed


def _applied(lines: Sequence[str], change: Change) -> str:
    new = [*lines[: change.start], *change.lines, *lines[change.end :]]
    for line in reversed(change.needs):
        if line not in new:
            first = next((at for at, text in enumerate(new) if text.startswith(("comptime", "@"))), 0)
            new.insert(0 if line.startswith("from") else first, line)
    return "\n".join(new) + "\n"


def _indented(indent: str, lines: Sequence[str]) -> list[str]:
    return [indent + line for line in lines]


def _head(loop: Loop, start: str, stop: str, step: str) -> str:
    bounds = stop if (start, step) == ("0", "1") else f"{start}, {stop}" if step == "1" else f"{start}, {stop}, {step}"
    return f"for {loop.name} in range({bounds}):"


def _after(start: str, stop: str, step: str) -> str:
    """Where what whole steps leave over begins."""
    if start == "0":
        return f"{_bracketed(stop)} // {_bracketed(step)} * {_bracketed(step)}"
    return f"{start} + ({stop} - {_bracketed(start)}) // {_bracketed(step)} * {_bracketed(step)}"


def _bracketed(text: str) -> str:
    return text if re.fullmatch(r"[\w.]+(\(.*\))?", text) else f"({text})"


# ---- vectors


def simd(lines: Sequence[str]) -> Iterator[Change]:
    """A loop over single elements handles a vector of them a step, and what is left over one by one.

    Arrays of integers are left alone.
    """
    if any(re.search(r"Pointer\[U?Int", line) for line in lines):
        return
    for loop in loops(lines):
        if loop.innermost and loop.step == "1":
            vectors = _vectors(loop, [statement(text) for text in loop.body])
            if vectors:
                yield Change(f"line {loop.at + 1}", loop.at, loop.end, _indented(loop.indent, vectors), WIDTH)


def _vectors(loop: Loop, body: Sequence[Statement]) -> list[str]:
    """Empty where some statement has no vector form."""
    sums = [each for each in body if each.kind in {"sum", "max", "min"}]
    if any(uses(each.name, other.text) for each in sums for other in body if other is not each):
        return []
    if len({each.name for each in sums}) < len(sums) or any(each.kind == "other" for each in body):
        return []
    wide: set[str] = set()
    inside = []
    for each in body:
        text = _vector(each, loop.name, wide)
        if not text:
            return []
        inside.append(text)
    before = [f"var {each.name}_lanes = {LANES}({'0' if each.kind == 'sum' else each.name})" for each in sums]
    main = [_head(loop, loop.start, f"{loop.stop} - WIDTH + 1", "WIDTH"), *_indented("    ", inside)]
    after = [_reduced(each) for each in sums]
    rest = [_head(loop, _after(loop.start, loop.stop, "WIDTH"), loop.stop, "1"), *_indented("    ", loop.body)]
    return [*before, *main, *after, *rest]


def _reduced(each: Statement) -> str:
    if each.kind == "sum":
        return f"{each.name} += {each.name}_lanes.reduce_add()"
    return f"{each.name} = {each.kind}({each.name}, {each.name}_lanes.reduce_{each.kind}())"


def _vector(each: Statement, name: str, wide: set[str]) -> str:
    value = _value(each.value, name)
    if value is None:
        return ""
    is_wide = "unsafe_load" in value or any(uses(other, value) for other in wide)
    if each.kind == "local":
        wide |= {each.name} if is_wide else set()
        return f"var {each.name} = {value}"
    if each.kind == "store" and each.target and stride(each.target.place, name) == "one":
        old = f"{_load(each.target)} {each.operator} " if each.operator else ""
        whole = f"{old}({value})" if old else value if is_wide else f"{LANES}({value})"
        return f"{_pointer(each.target)}.unsafe_store({each.target.place}, {whole})"
    if not is_wide or each.kind == "store":
        return ""
    lanes = f"{each.name}_lanes"
    return f"{lanes} += {value}" if each.kind == "sum" else f"{lanes} = {each.kind}({lanes}, {value})"


def _value(text: str, name: str) -> str | None:
    """With a vector for every element that the loop moves along; None where something jumps."""
    parts, position = [], 0
    for access in accesses(text):
        moved = stride(access.place, name)
        if moved == "some" or uses(name, text[position : access.start]):
            return None
        parts += [text[position : access.start], _load(access) if moved == "one" else text[access.start : access.end]]
        position = access.end
    return None if uses(name, text[position:]) else "".join([*parts, text[position:]])


def _load(access: Access) -> str:
    return f"{_pointer(access)}.unsafe_load[width=WIDTH]({access.place})"


def _pointer(access: Access) -> str:
    return f"{access.array}.unsafe_ptr()" if access.listed else access.array


# ---- several steps at once


def unroll(lines: Sequence[str]) -> Iterator[Change]:
    yield from _repeated(lines, apart=False)


def multiple_accumulators(lines: Sequence[str]) -> Iterator[Change]:
    """Sums and maxima are kept apart for each of the steps that are done at once."""
    yield from _repeated(lines, apart=True)


def _repeated(lines: Sequence[str], *, apart: bool) -> Iterator[Change]:
    for loop in loops(lines):
        body = [statement(text) for text in loop.body]
        sums = [each for each in body if each.kind in {"sum", "max", "min"}]
        known = loop.step in {"1", "WIDTH"} and "//" not in loop.start and loop.innermost
        if known and bool(sums) == apart and not any(each.kind == "other" for each in body):
            for factor in FACTORS:
                new = _steps(loop, body, sums, factor)
                yield Change(f"line {loop.at + 1} by {factor}", loop.at, loop.end, _indented(loop.indent, new))


def _steps(loop: Loop, body: Sequence[Statement], sums: Sequence[Statement], factor: int) -> list[str]:
    whole = loop.stop.removesuffix(" - WIDTH + 1") if loop.step == "WIDTH" else loop.stop
    stride_of_all = str(factor) if loop.step == "1" else f"{factor} * {loop.step}"
    inside = [_copy(each.text, loop, body, sums, number) for number in range(factor) for each in body]
    before, after = [], []
    for each in sums:
        others = [f"{each.name}_{number}" for number in range(1, factor)]
        zero = f"type_of({each.name})(0)"
        before += [f"var {other} = {zero if each.kind == 'sum' else each.name}" for other in others]
        combine = "{0} += {1}" if each.kind == "sum" else f"{{0}} = {each.kind}({{0}}, {{1}})"
        after += [combine.format(each.name, other) for other in others]
    main = [_head(loop, loop.start, f"{whole} - {stride_of_all} + 1", stride_of_all), *_indented("    ", inside)]
    rest = [_head(loop, _after(loop.start, whole, stride_of_all), loop.stop, loop.step), *_indented("    ", loop.body)]
    return [*before, *main, *after, *rest]


def _copy(text: str, loop: Loop, body: Sequence[Statement], sums: Sequence[Statement], number: int) -> str:
    if number == 0:
        return text
    step = str(number) if loop.step == "1" else f"{number} * {loop.step}"
    text = re.sub(rf"\b{loop.name}\b", f"({loop.name} + {step})", text)
    for each in [*sums, *(each for each in body if each.kind == "local")]:
        text = re.sub(rf"\b{each.name}\b", f"{each.name}_{number}", text)
    return text


# ---- threads


def parallel(lines: Sequence[str]) -> Iterator[Change]:
    """The iterations of a loop of the kernel itself are dealt out to threads."""
    for loop in loops(lines):
        if len(loop.indent) != 4 or loop.step != "1" or "//" in loop.start:  # noqa: PLR2004 - the body of `kernel`
            continue
        body = [statement(text.strip()) for text in loop.body]
        own = {each.name for each in body if each.kind == "local"}
        shared = {each.name for each in body if each.kind in {"sum", "max", "min"}} - own
        if not shared:
            yield _dealt(lines, loop)
        elif loop.innermost and all(each.kind in {"sum", "max", "min", "local"} for each in body):
            yield _collected(loop, [each for each in body if each.name in shared])


def _share(loop: Loop) -> str:
    count = loop.stop if loop.start == "0" else f"({loop.stop} - {_bracketed(loop.start)})"
    first = "" if loop.start == "0" else f"{loop.start} + "
    count = _bracketed(count)
    return f"for {loop.name} in range({first}task * {count} // TASKS, {first}(task + 1) * {count} // TASKS):"


def _dealt(lines: Sequence[str], loop: Loop) -> Change:
    """A list that only this loop uses as scratch moves along: each task has its own."""
    scratch = [
        at
        for at, text in enumerate(lines[: loop.at])
        if (found := re.match(r"    var (\w+) = List\[", text)) and any(uses(found[1], each) for each in loop.body)
    ]
    inside = [*(lines[at].strip() for at in scratch), _share(loop), *_indented("    ", loop.body)]
    first = min([*scratch, loop.at])
    kept = [lines[at] for at in range(first, loop.at) if at not in scratch]
    name = f"part_{loop.at + 1}"
    new = [f"def {name}(task: Int) {{imm}}:", *_indented("    ", inside), f"parallelize({name}, TASKS)"]
    return Change(f"line {loop.at + 1}", first, loop.end, [*kept, *_indented(loop.indent, new)], TASKS)


def _collected(loop: Loop, sums: Sequence[Statement]) -> Change:
    """Each task has accumulators of its own, which are combined at the end."""
    name = f"part_{loop.at + 1}"
    before = [f"var {each.name}_of = List[Float32](length=TASKS, fill=0)" for each in sums]
    before += [f"var {each.name}_to = {each.name}_of.unsafe_ptr()" for each in sums]
    start = [f"var {each.name}_own = {'Float32(0)' if each.kind == 'sum' else each.name}" for each in sums]
    body = list(loop.body)
    for each in sums:
        body = [re.sub(rf"\b{each.name}\b", f"{each.name}_own", text) for text in body]
    end = [f"{each.name}_to[unsafe_offset=task] = {each.name}_own" for each in sums]
    inside = [*start, _share(loop), *_indented("    ", body), *end]
    after = ["for task in range(TASKS):"]
    for each in sums:
        combine = "{0} += {0}_of[task]" if each.kind == "sum" else f"{{0}} = {each.kind}({{0}}, {{0}}_of[task])"
        after.append("    " + combine.format(each.name))
    new = [
        *before,
        f"def {name}(task: Int) {{imm}}:",
        *_indented("    ", inside),
        f"parallelize({name}, TASKS)",
        *after,
    ]
    return Change(f"line {loop.at + 1}", loop.at, loop.end, _indented(loop.indent, new), TASKS)


# ---- order


def hoisting(lines: Sequence[str]) -> Iterator[Change]:
    """What no iteration changes is loaded, or divided by, once before the loop."""
    for loop in loops(lines):
        body = "\n".join(loop.body)
        if not loop.innermost:
            continue
        stored = {each.name for each in map(statement, loop.body) if each.kind == "store"}
        for access in {(a.array, a.place): a for text in loop.body for a in accesses(text)}.values():
            if stride(access.place, loop.name) == "none" and access.array not in stored:
                element = f"{access.array}[{'' if access.listed else 'unsafe_offset='}{access.place}]"
                yield _held(loop, "held", element, body.replace(element, f"held_{loop.at + 1}"))
        for name in dict.fromkeys(re.findall(r" / (\w+)$", body, re.MULTILINE)):
            if (
                not name.isdecimal()
                and not re.search(rf"\b{name}\b *[-+*/]?= |var {name}\b", body)
                and name != loop.name
            ):
                changed = re.sub(rf" / {name}$", f" * inverse_{loop.at + 1}", body, flags=re.MULTILINE)
                yield _held(loop, "inverse", f"1 / {name}", changed)


def _held(loop: Loop, what: str, value: str, body: str) -> Change:
    head = _head(loop, loop.start, loop.stop, loop.step)
    new = [f"var {what}_{loop.at + 1} = {value}", head, *_indented("    ", body.split("\n"))]
    return Change(f"{value} of line {loop.at + 1}", loop.at, loop.end, _indented(loop.indent, new))


def interchange(lines: Sequence[str]) -> Iterator[Change]:
    """`for j: acc = 0; for p: acc += …; out[j] = acc` becomes `for j: out[j] = 0`, then `for p: for j: out[j] += …`."""
    for loop in loops(lines):
        inner = list(loops(loop.body))
        if len(inner) != 1 or len(loop.body) != 4 or len(inner[0].body) != 1 or inner[0].at != 1:  # noqa: PLR2004 - its four lines
            continue
        start, step, end = (statement(text) for text in (loop.body[0], inner[0].body[0], loop.body[3]))
        if (start.kind, step.kind, end.kind) != ("local", "sum", "store") or end.value != start.name != step.value:
            continue
        element = end.text.partition(" = ")[0]
        new = [
            _head(loop, loop.start, loop.stop, loop.step),
            f"    {element} = {start.value}",
            _head(inner[0], inner[0].start, inner[0].stop, inner[0].step),
            f"    {_head(loop, loop.start, loop.stop, loop.step)}",
            f"        {element} += {step.value}",
        ]
        yield Change(f"lines {loop.at + 1} and {loop.at + 2}", loop.at, loop.end, _indented(loop.indent, new))


def tiling(lines: Sequence[str]) -> Iterator[Change]:
    """Of two loops with nothing between, the inner one is done in stretches that stay in the cache."""
    for loop in loops(lines):
        inner = list(loops(loop.body))
        if not inner or inner[0].at != 0 or inner[0].end != len(loop.body) or inner[0].step != "1":
            continue
        if "_tile" in inner[0].start + inner[0].stop or not inner[0].innermost:
            continue
        for size in TILES:
            tile = f"{inner[0].name}_tile"
            stop = f"min({tile} + {size}, {inner[0].stop})"
            new = [
                f"for {tile} in range({inner[0].start}, {inner[0].stop}, {size}):",
                f"    {_head(loop, loop.start, loop.stop, loop.step)}",
                f"        {_head(inner[0], tile, stop, '1')}",
                *_indented("            ", inner[0].body),
            ]
            yield Change(f"{inner[0].name} by {size}", loop.at, loop.end, _indented(loop.indent, new))


TECHNIQUES = {
    "simd": Technique(simd, 4.0),
    "parallel": Technique(parallel, 4.0),
    "interchange": Technique(interchange, 4.0),
    "multiple_accumulators": Technique(multiple_accumulators, 2.0),
    "tiling": Technique(tiling, 1.0),
    "hoisting": Technique(hoisting, 1.0),
    "unroll": Technique(unroll, 0.7),
}
