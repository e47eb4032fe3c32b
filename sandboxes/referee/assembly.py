"""What a disassembly says of a kernel: the innermost loops of each function and what they are made of."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

MOST_LOOPS = 12
NOT_OURS = re.compile(r"_init|_fini|_start|(de)?register_tm_clones|__do_global_dtors_aux|frame_dummy|.*@plt")
_FUNCTION = re.compile(r"^[0-9a-f]+ <(?P<name>[^>]+)>:$")
_INSTRUCTION = re.compile(r"^ +(?P<at>[0-9a-f]+):\t(?P<op>[\w.]+)(?P<rest>.*)$")
_LINE = re.compile(r"^(?P<file>/?[^:]+):(?P<line>\d+)( \(discriminator \d+\))?$")
_PREFIXES = frozenset({"rep", "repz", "repnz", "lock", "notrack", "bnd", "data16"})


class Instruction(NamedTuple):
    at: int
    op: str
    operands: str
    line: int
    """Of the candidate's source; 0 where the compiler does not say."""

    @property
    def target(self) -> int | None:
        """Where a jump goes."""
        found = re.match(r"\s*([0-9a-f]+) <", self.operands) if self.op.startswith("j") else None
        return int(found[1], 16) if found else None

    @property
    def called(self) -> str:
        """The function that it calls, without its version; `a pointer` for an unnamed one."""
        if not self.op.startswith("call"):
            return ""
        found = re.search(r"<([^@>+]+)", self.operands)
        return found[1] if found else "a pointer"


class Function(NamedTuple):
    name: str
    instructions: list[Instruction]


def summarise(listing: str, sources: frozenset[str]) -> dict[str, Any]:
    """Of `objdump -dl`: innermost loops, the largest first, and what is called from anywhere."""
    functions = [function for function in _functions(listing, sources) if not NOT_OURS.fullmatch(function.name)]
    found = [(function, loop) for function in functions for loop in innermost(function)]
    found.sort(key=lambda pair: -len(pair[1]))
    called = Counter(i.called for function in functions for i in function.instructions if i.called)
    everything = [instruction for function in functions for instruction in function.instructions]
    return {
        "loops": [{"function": function.name, **contents(loop)} for function, loop in found[:MOST_LOOPS]],
        "whole": contents(everything),
        "calls": dict(called.most_common(20)),
    }


def _functions(listing: str, sources: frozenset[str]) -> list[Function]:
    functions: list[Function] = []
    line = 0
    for row in listing.splitlines():
        if header := _FUNCTION.match(row):
            functions.append(Function(header["name"], []))
            line = 0
        elif (found := _INSTRUCTION.match(row)) and functions:
            functions[-1].instructions.append(_instruction(found, line))
        elif (place := _LINE.match(row)) and Path(place["file"]).name in sources:
            line = int(place["line"])
    return functions


def _instruction(found: "re.Match[str]", line: int) -> Instruction:
    op, rest = found["op"], found["rest"].strip()
    if op in _PREFIXES and rest:
        op, _, rest = rest.partition(" ")
    return Instruction(int(found["at"], 16), op, rest, line)


def innermost(function: Function) -> list[list[Instruction]]:
    """The stretches between a backward jump and its target that hold no other such stretch."""
    spans = {(i.target, i.at) for i in function.instructions if i.target is not None and i.target <= i.at}
    first = function.instructions[0].at if function.instructions else 0
    spans = {(start, end) for start, end in spans if start >= first}
    inner = [a for a in spans if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in spans)]
    return [[i for i in function.instructions if start <= i.at <= end] for start, end in sorted(inner)]


def contents(loop: Sequence[Instruction]) -> dict[str, Any]:
    """How many instructions there are of each class, and the line that most of them come from."""
    counted = Counter(kind for instruction in loop for kind in kinds(instruction))
    lines = Counter(instruction.line for instruction in loop if instruction.line)
    return {
        "line": lines.most_common(1)[0][0] if lines else 0,
        "instructions": len(loop),
        "calls": dict(Counter(i.called for i in loop if i.called)),
        **{kind: counted[kind] for kind in KINDS},
    }


KINDS = ("zmm", "ymm", "xmm", "scalar", "fma", "divisions", "gathers", "branches", "stack")
_SCALAR = re.compile(r"v?[a-z0-9]+s[sd]|v?cvt\w*2s[sd]l?")


def kinds(instruction: Instruction) -> Iterator[str]:
    """Its classes: `xmm` is packed, `scalar` one floating-point number, `stack` a vector register to or from memory."""
    op, operands = instruction.op, instruction.operands
    width = next((name for name in ("zmm", "ymm", "xmm") if f"%{name}" in operands), "")
    if width:
        yield "scalar" if width == "xmm" and _SCALAR.fullmatch(op) else width
        if re.search(r"\(%r[sb]p[,)]", operands):
            yield "stack"
    if re.match(r"vf(n?m(add|sub)|maddsub|msubadd)", op):
        yield "fma"
    if re.match(r"v?(div|sqrt)[ps][sd]|i?div", op):
        yield "divisions"
    if re.match(r"vp?gather", op):
        yield "gathers"
    if op.startswith("j") and op != "jmp":
        yield "branches"
