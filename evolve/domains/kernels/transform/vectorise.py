"""`simd`: OpenMP's word that the iterations of an innermost loop may run in vector lanes."""

from collections.abc import Iterator
from functools import partial

from pycparser import c_ast

from evolve.domains.kernels.transform.expressions import contiguous, references
from evolve.domains.kernels.transform.loops import Loop, Site, loops, put_in_front
from evolve.domains.kernels.transform.reductions import reductions
from evolve.domains.kernels.transform.source import Unit, text_of
from evolve.domains.kernels.transform.trees import root, written


def clause(found: dict[str, str]) -> str:
    """` reduction(+:a, b) reduction(max:m)`, with a leading blank; empty for no reduction."""
    by_operator: dict[str, list[str]] = {}
    for name, operator in sorted(found.items()):
        by_operator.setdefault(operator, []).append(name)
    return "".join(f" reduction({operator}:{', '.join(held)})" for operator, held in by_operator.items())


def carries_memory(loop: Loop) -> bool:
    """Whether an element that one iteration writes is, by its looks, read by another."""
    stored = written(loop.body)
    places: dict[str, set[str]] = {}
    for reference in references(loop.body):
        if root(reference) in stored:
            places.setdefault(root(reference), set()).add(text_of(reference))
    return any(len(spelt) > 1 for spelt in places.values())


def simd(unit: Unit) -> Iterator[Site]:
    found: list[tuple[Loop, dict[str, str]]] = []
    for loop in loops(unit):
        if (
            loop.innermost
            and not loop.has_pragma("simd")
            and not carries_memory(loop)
            and contiguous(loop.body, loop.var)
        ):
            carried = reductions(loop)
            if carried is not None:
                found.append((loop, carried))
    # Without a reduction the compiler needs no word of ours: such loops are marked all at once or not at all.
    for loop, carried in found:
        if carried or len(found) == 1:
            yield Site(f"loop over {loop.var}{clause(carried)}", partial(_mark, loop, carried))
    if len(found) > 1:
        yield Site("every innermost loop", partial(_mark_all, found))


def _mark_all(found: list[tuple[Loop, dict[str, str]]]) -> None:
    for loop, carried in found:
        _mark(loop, carried)


def _mark(loop: Loop, carried: dict[str, str]) -> None:
    """A loop that threads share already has its reductions in that pragma."""
    shared = [pragma for pragma in loop.pragmas if "parallel for" in pragma.string]
    for pragma in shared:
        pragma.string = pragma.string.replace("parallel for", "parallel for simd")
    if not shared:
        put_in_front(loop, [c_ast.Pragma(f"omp simd{clause(carried)}")])
