"""What holds a Mojo kernel back: the same rules as for C, over its loops and what the compiler made of them."""

import re

from evolve.domains.kernels import bottleneck
from evolve.domains.kernels.bottleneck import Evidence
from evolve.domains.kernels.features import Features
from evolve.domains.kernels.features import Loop as Seen
from evolve.domains.kernels.measured import Loop as Compiled
from evolve.domains.kernels.measured import Mix, Parts
from evolve.domains.kernels.mojo.loops import Loop, accesses, loops, statement, stride
from evolve.types import Profile

_REMARK = re.compile(r"^kernel\.mojo:(?P<line>\d+): (?P<count>\d+) instructions a step: (?P<classes>.*)$", re.MULTILINE)
_IN_MOJO = {
    "as C demands; several accumulators or a simd reduction": "as written; several accumulators or the lanes of a SIMD",
    "`#pragma omp parallel for`": "parallelize of max.algorithm",
}


def profile(evidence: Evidence) -> Profile:
    state = bottleneck.profile(evidence)
    words = state.evidence
    for theirs, ours in _IN_MOJO.items():
        words = words.replace(theirs, ours)
    return state.model_copy(update={"evidence": words})


def features(source: str) -> Features:
    lines = source.splitlines()
    found = list(loops(lines))
    seen = [_seen(loop, sum(1 for other in found if other.at < loop.at < other.end)) for loop in found]
    return Features(tuple(seen), "parallelize(" in source, "unsafe_load[" in source or "vectorize" in source)


def _seen(loop: Loop, depth: int) -> Seen:
    body = [statement(text) for text in loop.body]
    waiting = {each.name for each in body if each.kind in {"sum", "max", "min"}} if loop.step == "1" else set()
    jumps = any(stride(access.place, loop.name) == "some" for text in loop.body for access in accesses(text))
    return Seen(
        line=loop.at + 1,
        last=loop.end,
        variable=loop.name,
        depth=depth,
        innermost=loop.innermost,
        fixed=loop.stop.isdecimal(),
        remainder="//" in loop.start,
        reassociated=loop.step != "1",
        calls=frozenset(),
        accumulators=frozenset(waiting),
        strided=loop.innermost and jumps,
    )


def parts(remarks: str) -> Parts:
    """The innermost loops as the referee's disassembly shows them."""
    return Parts(mix=Mix(loops=tuple(_compiled(found) for found in _REMARK.finditer(remarks)))) if remarks else Parts()


def _compiled(found: "re.Match[str]") -> Compiled:
    counts = {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", found["classes"])}
    calls = dict.fromkeys(re.findall(r"calls ([\w.]+)", found["classes"]), 1)
    return Compiled.model_validate(
        {"line": int(found["line"]), "instructions": int(found["count"]), **counts, "calls": calls}
    )
