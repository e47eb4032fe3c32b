"""Does the judge's tolerance refuse an honest kernel, and does it let a careless one through?

Many draws of each task's inputs, judged in this process: no sandbox, no clock. Honest are the seed under several flags,
numpy, and the seed after each of the transformations that a search applies. Careless are kernels that round their
inputs, skip some or err by a constant share. A careless one is accepted only if it passes every shape on every
distribution and every timed call, of which there are at least four; one that is careless at the timed shape alone
has but those to pass.

    python benchmarks/numerics.py --draws 400 --timed 20 --task sum --task matmul
"""

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from evolve.domains.kernels import catalogue, numerics
from evolve.domains.kernels.transform import mutations
from evolve.domains.kernels.vocabulary import GIVEN
from sandboxes.referee.workload import Instance, Workload

Array = NDArray[Any]
Kernel = Callable[[Sequence[Array]], Array]
Case = tuple[Mapping[str, int], str]
TIMED_CALLS = 4
FLAGS = {"seed": GIVEN, "seed -O2": ("-O2", "-ffp-contract=off"), "seed -ffast-math": (*GIVEN, "-ffast-math")}
DECLARED = "seed -ffast-math"
"""May be refused: who asks for it answers for it."""
SAME = 1e-3
"""Share of the seed's output by which a transformation may change it: whether one is legal is not asked before."""


class Tally(NamedTuple):
    """Of one kernel on one case."""

    passed: int
    drawn: int
    share: float
    """The largest part of its tolerance that an element took up."""
    words: str
    """Of the first refusal."""


class Subject:
    """A task with everything that is tried on it."""

    def __init__(self, entry: catalogue.Entry, folder: Path) -> None:
        self.spec = entry.spec
        trusted = {"task.py": entry.module, "numerics.py": catalogue.numerics()}
        self.workload = Workload(trusted, entry.spec.DIMS)
        self.libraries = {name: build(folder, entry.seed, flags) for name, flags in FLAGS.items()}
        dims = entry.spec.VISIBLE[0]
        sample = self.workload.draw([0], "normal", dims)
        right = self.call(self.libraries["seed"], sample.inputs, sample, dims).astype(np.float64)
        for technique, source in variants(entry.seed).items():
            library = build(folder, source, GIVEN)
            off = self.call(library, sample.inputs, sample, dims) - right
            if np.linalg.norm(off) <= SAME * np.linalg.norm(right):
                self.libraries[technique] = library

    def honest(self, instance: Instance, dims: Mapping[str, int]) -> Iterator[tuple[str, Array]]:
        with np.errstate(all="ignore"):
            single = np.asarray(self.spec.reference(*instance.inputs, **dims))
        yield "numpy", single.astype(self.workload.dtype)
        for name, library in self.libraries.items():
            yield name, self.call(library, instance.inputs, instance, dims)

    def careless(self, instance: Instance, dims: Mapping[str, int]) -> Iterator[tuple[str, Array]]:
        seed, inputs = self.libraries["seed"], instance.inputs
        right = self.call(seed, inputs, instance, dims)
        if any(array.dtype.kind == "f" for array in inputs):
            yield "half inputs", self.call(seed, [rounded(array, half) for array in inputs], instance, dims)
            yield "bfloat16 inputs", self.call(seed, [rounded(array, bfloat16) for array in inputs], instance, dims)
            yield "16-bit inputs", self.call(seed, [rounded(array, sixteen) for array in inputs], instance, dims)
        yield "1 % skipped", self.call(seed, [*inputs[:-1], without_some(inputs[-1])], instance, dims)
        yield "a hair off", right + 1 if right.dtype.kind in "iu" else right * np.float32(1 + 1e-4)

    def call(self, library: Any, inputs: Sequence[Array], instance: Instance, dims: Mapping[str, int]) -> Array:
        arrays = [aligned(array) for array in (*inputs, np.full(instance.truth.shape, 0x5A, self.workload.dtype))]
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
        library.kernel(*pointers, *map(ctypes.c_int64, self.workload.arguments(dims)))
        return arrays[-1]


def build(folder: Path, source: str, flags: Sequence[str]) -> Any:
    """Linked without its flags: -ffast-math would make this whole process flush denormal numbers to zero."""
    stem = folder / str(len(list(folder.iterdir())))
    parts = [str(stem.with_suffix(suffix)) for suffix in (".c", ".o", ".so")]
    Path(parts[0]).write_text(source)
    subprocess.run(["gcc", *flags, "-fPIC", "-c", "-o", parts[1], parts[0]], check=True)
    subprocess.run(["gcc", "-shared", "-fopenmp", "-o", parts[2], parts[1], "-lm"], check=True)
    return ctypes.CDLL(parts[2])


def variants(seed: str) -> dict[str, str]:
    """The first change that each technique makes to the seed."""
    found: dict[str, str] = {}
    for technique, _, source in mutations(seed, Random(1)):
        found.setdefault(technique, source)
    return found


def aligned(array: Array) -> Array:
    """A copy at a multiple of 64, where the referee lays its arrays too."""
    room = np.empty(array.nbytes + 64, dtype=np.uint8)
    start = -room.ctypes.data % 64
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def rounded(array: Array, to: Callable[[Array], Array]) -> Array:
    return to(array) if array.dtype.kind == "f" else array


def half(array: Array) -> Array:
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float32)


def bfloat16(array: Array) -> Array:
    bits = np.ascontiguousarray(array).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def sixteen(array: Array) -> Array:
    """Two numbers of bfloat16 for each."""
    first = bfloat16(array)
    return first + bfloat16(array - first)


def without_some(array: Array) -> Array:
    """A hundredth of it, in the middle, is zero."""
    changed, middle = array.copy(), array.size // 2
    changed.reshape(-1)[middle : middle + max(1, array.size // 100)] = 0
    return changed


def tallies(
    subject: Subject, cases: Sequence[Case], draws: int, seed: int
) -> tuple[dict[tuple[str, int], Tally], dict[tuple[str, int], Tally]]:
    """For honest and for careless kernels, by name and number of the case."""
    honest: dict[tuple[str, int], Tally] = {}
    careless: dict[tuple[str, int], Tally] = {}
    for number, (dims, distribution) in enumerate(cases):
        for draw in range(draws):
            instance = subject.workload.draw([seed, number, draw], distribution, dims)
            allowed = tolerance(instance)
            for kernels, tally in ((subject.honest, honest), (subject.careless, careless)):
                for name, output in kernels(instance, dims):
                    before = tally.get((name, number), Tally(0, 0, 0.0, ""))
                    problem = subject.workload.mismatch(output, instance)
                    share = float(np.max(np.abs(output - instance.truth) / allowed))
                    words = before.words or (f"for {instance.label}: {problem}" if problem else "")
                    passed = before.passed + (problem is None)
                    tally[name, number] = Tally(passed, before.drawn + 1, max(before.share, share), words)
    return honest, careless


def tolerance(instance: Instance) -> Array:
    """Infinite where there is none."""
    if instance.truth.dtype.kind != "f" or not np.isfinite(instance.truth).all():
        return np.full(1, np.inf)
    return numerics.tolerance(instance.truth, instance.error)


def merged(found: Mapping[tuple[str, int], Tally]) -> dict[str, Tally]:
    """By name, over all cases."""
    total: dict[str, Tally] = {}
    for (name, _), each in found.items():
        old = total.get(name, Tally(0, 0, 0.0, ""))
        worst = max(old.share, each.share)
        total[name] = Tally(old.passed + each.passed, old.drawn + each.drawn, worst, old.words or each.words)
    return total


def all_cases(found: Mapping[tuple[str, int], Tally], name: str) -> float:
    """The probability of passing each of the cases once."""
    return float(np.prod([each.passed / each.drawn for (of, _), each in found.items() if of == name]))


def report(name: str, where: str, honest: Mapping[tuple[str, int], Tally]) -> int:
    total = merged(honest)
    refused = sum(each.drawn - each.passed for kernel, each in total.items() if kernel != DECLARED)
    drawn = max(each.drawn for each in total.values())
    worst = max(total, key=lambda kernel: total[kernel].share)
    seed = total["seed"]
    print(
        f"{name:12} {where:6} {drawn:6} {seed.drawn - seed.passed:8} {seed.share:6.2f} "
        f"{refused:5} of {len(total):2} kernels {total[worst].share:6.2f} ({worst})",
        flush=True,
    )
    for kernel, each in total.items():
        if each.words:
            print(f"    {kernel}: refused {each.drawn - each.passed} of {each.drawn}, first {each.words}")
    return refused


def judge(name: str, asked: argparse.Namespace, folder: Path) -> tuple[int, list[str]]:
    """Refusals of honest kernels, and what became of the careless ones, a line each."""
    subject = Subject(catalogue.entries()[name], folder)
    spec = subject.spec
    small: list[Case] = [(dims, each) for dims in (*spec.VISIBLE, *spec.HIDDEN) for each in numerics.DISTRIBUTIONS]
    timed: list[Case] = [(spec.TIMED, each) for each in subject.workload.distributions]
    shapes = len(spec.VISIBLE) + len(spec.HIDDEN)
    honest, careless = tallies(subject, small, -(-asked.draws // shapes), asked.seed)
    refused = report(name, "small", honest)
    honest_timed, careless_timed = tallies(subject, timed, asked.timed, asked.seed + 1) if asked.timed else ({}, {})
    refused += report(name, "timed", honest_timed) if honest_timed else 0
    lines = []
    for cheat, case in merged(careless).items():
        call = merged(careless_timed).get(cheat)
        rate = call.passed / call.drawn if call else 1.0
        whole = all_cases(careless, cheat)
        lines.append(
            f"{name:12} {cheat:16} {case.passed / case.drawn:9.1%} {whole:10.1e} {rate:11.1%} "
            f"{rate**TIMED_CALLS:10.1e} {whole * rate**TIMED_CALLS:10.1e}"
        )
    return refused, lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", action="append", help="all of them without")
    parser.add_argument("--draws", type=int, default=200, help="of each distribution, over all small shapes")
    parser.add_argument("--timed", type=int, default=4, help="of each distribution at the timed shape")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print("honest: refusals, and the largest share of its tolerance that an element took up")
    print("task         shape   draws  of seed  share refused, all together     share (of)")
    refused, lines = 0, []
    for name in asked.task or catalogue.entries():
        with tempfile.TemporaryDirectory() as folder:
            more, found = judge(name, asked, Path(folder))
        refused += more
        lines += found
    print("\ncareless: share accepted")
    print("task         kernel            one case  all cases  timed call   4 of them      whole")
    print("\n".join(lines))
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
