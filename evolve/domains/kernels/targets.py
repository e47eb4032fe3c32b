"""The languages that kernels are written in: for each the file, the compiler's flags and the rules.

How a target is built and run lies with the referee (sandboxes/referee/targets.py), under the same name.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from evolve.domains.kernels import cuda, mojo, triton
from evolve.domains.kernels.rules import violations
from evolve.domains.kernels.vocabulary import FLAGS, GIVEN
from evolve.errors import NotFoundError

FOLDER = Path(__file__).with_name("tasks")

_JUDGED = """\
It must be right for every size of at least 1 (remainders of vector and tile sizes included), for values of either
sign and over many decades, integers exactly, floats to about single precision; sums may be reordered. It is judged by
its speed at sizes such as {timed}, on fresh data, as a ratio over the plain kernels below.
Sizes to try: {visible}.
"""
"""For every target."""

_C = """\
Rules: one C file (gnu17), which defines `kernel` and may define functions of its own. The output array is yours to
write whole; inputs are read-only; arrays may be of any alignment and never overlap. Headers: math, stdint, string,
stdlib, stdbool, stddef, float, limits, omp, immintrin. No other library, no files, no clocks, no threads but OpenMP;
inline assembly only as extended asm of plain computing instructions. It is built by gcc -O3 -march=native -fopenmp;
a first line `// flags: ...` may add some of {flags}.
"""
_CUDA = """\
Rules: one file of CUDA C++ (C++17), which exports `extern "C" void kernel(...)` with the arguments above and may define
functions and __global__ kernels of its own. All pointers are to device memory, aligned to 64 bytes; `kernel` runs on
the host and launches on the default stream; it need not synchronise. The output array is yours to write whole; inputs
are read-only; arrays never overlap. Headers: {headers}.
No library, no streams, graphs, events, host or managed memory, files or clocks. It is built by nvcc {given};
a first line `// flags: ...` may add some of {flags}.
"""
_TRITON = """\
Rules: one Python file, which defines `def {signature}:` and launches @triton.jit functions of its own, as in
name[grid](...). Arrays are contiguous torch tensors of the shapes described, sizes are integers; `out` is yours to
write whole, inputs are read-only, what is returned does not count. Imports: {headers}.
Outside of @triton.jit functions nothing computes on tensors: torch gives types and scratch memory (torch.empty) only;
no torch operators, no autotune, no try, no classes. Choose block sizes yourself, powers of two.
"""
_MOJO = """\
Rules: one file of Mojo 1.2, which exports the kernel as below and may define functions and structs of its own. It has
the arguments above: `const float *` is ImmPointer[Float32, ImmUntrackedOrigin], `float *` is MutPointer[Float32,
MutUntrackedOrigin] (other types likewise: Int32, UInt8, Int8), int64_t is Int. `out` is a keyword: call that one `y`.
    @export("kernel")
    def kernel(x: ImmPointer[Float32, ImmUntrackedOrigin], …, N: Int) abi("C"):
The output array is yours to write whole; inputs are read-only; arrays are aligned to 64 bytes at least and never
overlap. Elements are p[unsafe_offset=i], vectors p.unsafe_load[width=W](i) and p.unsafe_store(i, vector). Imports, only
as `from MODULE import NAMES`: {headers}. Threads: `from max.algorithm import parallelize`, then parallelize(f, count)
for a nested `def f(item: Int) {{imm}}:`. No printing, no files, no clocks, no C functions, no MLIR, LLVM or assembly.
It is built by mojo build {given} for this CPU, with a*b + c fused.
"""


class Target(NamedTuple):
    name: str
    source: str
    """Name of a candidate's only file."""
    seeds: str
    """Where a task's seed lies below the tasks, by its `name`."""
    rules: str
    """For the prompt; what stands in braces is filled in by the task."""
    violations: Callable[[str], list[str]]
    """One sentence for each thing that a source may not contain."""
    given: tuple[str, ...] = ()
    """The flags that seed and candidate are always built with."""
    flags: tuple[str, ...] = ()
    """What a candidate may ask for in its first line, `// flags: …`; the seed is then built with the same."""
    headers: tuple[str, ...] = ()
    """What may be included or imported."""
    sizes: Mapping[str, Mapping[str, int]] = {}
    """What is timed instead of a task's own choice, by task."""
    device: bool = False
    """It is timed on a GPU alone."""
    compiler: bool = False
    """Nothing of it can be said without nvcc."""
    lore: Path | None = None
    """What is known about it, a section for each `## ` of Markdown."""

    @property
    def baseline(self) -> str:
        """The name of the seed as the referee gets it."""
        return f"baseline{Path(self.source).suffix}"

    def timed(self, task: str, own: Mapping[str, int]) -> Mapping[str, int]:
        return self.sizes.get(task, own)

    def seed(self, task: str) -> str | None:
        """None where nobody has written one."""
        return _text(FOLDER / self.seeds.format(name=task))


@cache
def _text(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


SIZES: Mapping[str, Mapping[str, int]] = {
    "relu": {"N": 2**23},
    "saxpy": {"N": 2**23},
    "silu_mul": {"N": 2**22},
    "gelu": {"N": 2**20},
    "sum": {"N": 2**23},
    "dot": {"N": 2**23},
    "transpose": {"M": 4096, "N": 2048},
    "gemv": {"M": 4096, "K": 4096},
    "matmul": {"M": 1024, "N": 1024, "K": 1024},
    "softmax": {"M": 4096, "N": 1024},
    "layernorm": {"M": 4096, "N": 1024},
    "rmsnorm": {"M": 4096, "N": 1024},
    "attention": {"N": 1024, "D": 64},
}
"""Large enough for a GPU to be more than launched."""
C = Target(
    "c", "kernel.c", "{name}.c", _C + _JUDGED, violations, GIVEN, FLAGS, lore=Path(__file__).with_name("lore.md")
)
CUDA = Target(
    "cuda",
    "kernel.cu",
    "{name}.cu",
    _CUDA + _JUDGED,
    cuda.violations,
    cuda.GIVEN,
    cuda.FLAGS,
    tuple(sorted(cuda.HEADERS)),
    SIZES,
    device=True,
    compiler=True,
)
TRITON = Target(
    "triton",
    "kernel.py",
    "{name}.triton",
    _TRITON + _JUDGED,
    triton.violations,
    headers=tuple(sorted(triton.MODULES)),
    sizes=SIZES,
    device=True,
)
MOJO = Target(
    "mojo",
    "kernel.mojo",
    "{name}.mojo",
    _MOJO + _JUDGED,
    mojo.violations,
    mojo.GIVEN,
    headers=tuple(sorted(mojo.MODULES)),
    lore=mojo.LORE,
)
TARGETS = {target.name: target for target in (C, CUDA, MOJO, TRITON)}


def named(name: str) -> Target:
    """Raises NotFoundError for a target that there is not."""
    if name not in TARGETS:
        raise NotFoundError.among("target", name, list(TARGETS))
    return TARGETS[name]


def missing(target: Target) -> str:
    """What keeps candidates from being timed on this machine; empty when nothing is seen to."""
    from sandboxes.referee import gpu
    from sandboxes.referee import mojo as building

    if target is MOJO and building.home() is None:
        return building.NO_MOJO
    if target.compiler and gpu.home() is None:
        return gpu.NO_NVCC
    if target.device and not gpu.seen():
        return f"{gpu.NO_GPU}, and its kernels are timed on one alone; `evolve judge` does what can be done without"
    return ""
