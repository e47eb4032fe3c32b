"""The target Mojo: what needs no compiler, and what needs the one of `pip install evolve-foundry[mojo]`.

The cheats here go past the static rules where their name says so; each is also refused by a rule.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from evolve.domains import measuring
from evolve.domains.kernels import Kernels, catalogue, judge
from evolve.domains.kernels.mojo import LORE, moves, state
from evolve.domains.kernels.mojo.loops import accesses, loops, statement, stride
from evolve.domains.kernels.targets import FOLDER, MOJO
from evolve.types import Evaluation, Limits, Sandbox
from sandboxes.process import ProcessSandbox
from sandboxes.referee import mojo as building

needs_mojo = pytest.mark.skipif(building.home() is None, reason=building.NO_MOJO)
SEEDS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.mojo"))}
LORES = re.findall(r"```mojo\n(.*?)```", LORE.read_text(), re.DOTALL)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOLVE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with ProcessSandbox() as opened:
        yield opened


def kernel(body: str, head: str = "") -> str:
    """A kernel for the task `relu`."""
    inside = "\n".join(f"    {line}" for line in body.splitlines())
    return (
        f'{head}\n@export("kernel")\ndef kernel(x: ImmPointer[Float32, ImmUntrackedOrigin], '
        f'y: MutPointer[Float32, MutUntrackedOrigin], N: Int) abi("C"):\n{inside}\n'
    )


FFI = "from std.ffi import external_call"
ENDLESS = "def endless() -> Int:\n    var n = 0\n    while n >= 0:\n        n = (n + 1) % 7\n    return n\n"
RELU = "for i in range(N):\n    y[unsafe_offset=i] = max(x[unsafe_offset=i], 0)"


def verdict(sandbox: Sandbox, source: str, name: str = "relu") -> Evaluation | None:
    """What the referee says against it, past the rules; None when it is right. Nothing is timed."""
    entry = catalogue.entries()[name]
    effort = measuring.Effort(sessions=3, samples=2, seconds=0.3)
    whole = judge.job(entry, source, effort, Limits(seconds=10, memory_mb=1024), fresh=False, target=MOJO)
    request = {**whole.request, "timed": None, "cases": whole.request["cases"][:8], "report": False}
    reply = measuring.reply_of(sandbox.run(whole.model_copy(update={"request": request})))
    if isinstance(reply, Evaluation):
        return reply
    return measuring.failed(reply, reply.failure) if reply.failure else None


# The rules


def test_the_seeds_pass_the_rules_and_make_tasks() -> None:
    known = {task.id.removeprefix("kernels/"): task for task in Kernels(target="mojo").tasks()}
    assert set(known) == set(SEEDS)
    assert set(SEEDS) >= {"sum", "gelu", "softmax", "matmul", "layernorm", "attention"}
    for name, source in SEEDS.items():
        assert MOJO.violations(source) == []
        assert known[name].files == {"kernel.mojo": source}
        assert "max.algorithm" in known[name].prompt


CHEATS = {
    "calls_a_c_function": (kernel('external_call["system", NoneType]()', FFI), "std.ffi"),
    "opens_a_file": (kernel('var f = open("/etc/passwd", "r")'), "open reads"),
    "prints": (kernel("print(N)"), "print reads or writes"),
    "imports_everything": (kernel(RELU, "from std.math import *"), r"import \*"),
    "imports_the_library": (kernel("std.ffi.external_call()", "import std.math"), "opens the whole library"),
    "imports_in_a_function": (kernel("from std.os import getenv"), "std.os"),
    "renames_an_import": (kernel(RELU, "from std.sys import argv as size_of"), "argv"),
    "imports_what_is_private": (kernel(RELU, "from std.math import _exp"), "not for kernels"),
    "hides_a_name": (kernel("`external_call`()"), "backticks"),
    "writes_assembly": (kernel('inlined_assembly["rdtsc", UInt64]()'), "inlined_assembly"),
    "writes_mlir": (kernel("__mlir_op.`pop.external_call`()"), "belongs to the compiler"),
    "runs_a_template": (kernel('var s = t"{N}"'), "template"),
    "reads_a_clock": (kernel("var t = perf_counter_ns()", "from std.time import perf_counter_ns"), "clock"),
    "speaks_python": (kernel(RELU, "from std.python import Python"), "std.python"),
    "exports_more": (kernel(RELU, '@export("memcpy")\ndef other() abi("C"):\n    pass'), "only the kernel"),
    "exports_nothing": ("def kernel(N: Int):\n    pass\n", "nothing is exported"),
    "continues_a_line": (kernel("var a = \\x"), "has no place"),
    "is_endless": ("#" * 70000, "more than"),
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_refused_by_a_rule(name: str) -> None:
    source, words = CHEATS[name]
    assert re.search(words, "\n".join(MOJO.violations(source)))


def test_words_in_comments_and_strings_are_no_violations() -> None:
    source = kernel(f'"""Opens: print, open, std.ffi."""\n# external_call, import os\n{RELU}')
    assert MOJO.violations(source) == []


def test_an_argument_may_have_an_everyday_name() -> None:
    assert MOJO.violations(kernel(RELU.replace("x[", "input[")).replace("x:", "input:")) == []
    assert "input reads" in MOJO.violations(kernel("var s = input()"))[0]


# Reading and moving


def test_loops_and_statements_are_read_as_the_seeds_write_them() -> None:
    lines = SEEDS["matmul"].splitlines()
    outer, middle, inner = loops(lines)
    assert [loop.name for loop in (outer, middle, inner)] == ["i", "j", "p"]
    assert (inner.start, inner.stop, inner.step, inner.innermost) == ("0", "K", "1", True)
    assert statement(inner.body[0]).kind == "sum"
    assert [access.array for access in accesses(inner.body[0])] == ["a", "b"]
    assert [stride("p * N + j", name) for name in "jpi"] == ["one", "some", "none"]


@pytest.mark.parametrize(
    ("name", "techniques"),
    [
        ("relu", {"simd", "parallel", "unroll"}),
        ("sum", {"simd", "parallel", "multiple_accumulators"}),
        ("softmax", {"simd", "parallel", "multiple_accumulators", "hoisting", "unroll"}),
        ("matmul", {"interchange", "parallel", "multiple_accumulators"}),
        ("transpose", {"tiling", "parallel", "unroll"}),
    ],
)
def test_a_seed_offers_its_techniques_and_every_move_passes_the_rules(name: str, techniques: set[str]) -> None:
    found = list(moves.mutations(SEEDS[name], Random(1)))
    assert {technique for technique, _, _ in found} == techniques
    for _, _, source in found:
        assert source != SEEDS[name]
        assert MOJO.violations(source) == []


def test_moves_build_on_each_other() -> None:
    source = SEEDS["matmul"]
    for wanted in ("interchange", "simd", "parallel"):
        source = next(new for technique, _, new in moves.mutations(source, Random(1)) if technique == wanted)
    assert "unsafe_store(i * N + j" in source
    assert "parallelize(" in source


def test_a_sum_whose_parts_are_wanted_is_not_reordered() -> None:
    assert "simd" not in {technique for technique, _, _ in moves.mutations(SEEDS["prefix_sum"], Random(1))}


def test_what_is_not_read_is_left_alone() -> None:
    assert list(moves.mutations("def kernel():\n    while True:\n        pass\n", Random(1))) == []


def test_a_slow_loop_is_explained_in_the_words_of_mojo() -> None:
    seen = state.features(SEEDS["sum"])
    assert seen.inner[0].accumulators == {"acc"}
    parts = state.parts("kernel.mojo:9: 12 instructions a step: scalar 4, fma 2, calls expf")
    assert parts.mix
    assert (parts.mix.loops[0].scalar, dict(parts.mix.loops[0].calls)) == (4, {"expf": 1})


def test_without_mojo_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    building.home.cache_clear()
    monkeypatch.setattr(building, "NEEDED", ("bin/nowhere",))
    try:
        assert "pip install 'evolve-foundry[mojo]'" in Kernels(target="mojo").missing()
    finally:
        building.home.cache_clear()


def test_the_lore_has_sections_with_a_title() -> None:
    sections = Kernels(target="mojo").lore()
    assert len(sections) >= 15
    assert any(section.startswith("Threads: parallelize") for section in sections)


# With the compiler


@needs_mojo
@pytest.mark.parametrize("name", ["relu", "softmax"])
def test_a_seed_is_right(sandbox: Sandbox, name: str) -> None:
    assert verdict(sandbox, SEEDS[name], name) is None


@needs_mojo
def test_threads_and_vectors_are_right(sandbox: Sandbox) -> None:
    source = SEEDS["softmax"]
    for wanted in ("simd", "parallel"):
        source = next(new for technique, _, new in moves.mutations(source, Random(3)) if technique == wanted)
    assert verdict(sandbox, source, "softmax") is None


@needs_mojo
@pytest.mark.parametrize(
    ("source", "words"),
    [
        (kernel("for i in range(N):\n    y[unsafe_offset=i] = x[unsafe_offset=i]"), "wrong: for "),
        (kernel("for i in range(N):\n    y[unsafe_offset=i] = nothing"), r"kernel.mojo:\d+:\d+: error: .*'nothing'"),
        (kernel(RELU).replace('@export("kernel")', '@export("other")'), "no function named `kernel`"),
        (kernel("y[unsafe_offset=N + 100000] = 1"), "out of bounds"),
        (kernel('_ = external_call["fork", Int32]()', FFI), "system call that a kernel may not make"),
    ],
    ids=["wrong", "compile_error", "not_exported", "out_of_bounds", "forks"],
)
def test_past_the_rules_the_referee_refuses(sandbox: Sandbox, source: str, words: str) -> None:
    found = verdict(sandbox, source)
    assert found is not None
    assert re.search(words, found.feedback), found.feedback


@needs_mojo
@pytest.mark.slow
def test_a_compilation_without_end_is_ended(sandbox: Sandbox) -> None:
    found = verdict(sandbox, kernel("comptime V = endless()\ny[unsafe_offset=0] = Float32(V)", ENDLESS))
    assert found is not None
    assert "the compiler took longer than 30 s" in found.feedback


def test_parts_of_the_runtime_that_kernels_go_without_are_named() -> None:
    said = "kernel.mojo:(.text+0x5): undefined reference to `KGEN_CompilerRT_AsyncRT_Execute'\ncollect2: error"
    assert building.missing_symbols(said).startswith("needs KGEN_CompilerRT_AsyncRT_Execute of Mojo's runtime")


def compiles(folder: Path, source: str) -> str:
    """What Mojo says against it."""
    home = building.home()
    assert home
    modules = folder / "max"
    modules.mkdir(exist_ok=True)
    (modules / "__init__.mojo").write_text("")
    (modules / "algorithm.mojo").write_text(Path(building.__file__).with_name("parallel.mojo").read_text())
    (folder / "kernel.mojo").write_text(source)
    environment = {
        "HOME": str(folder),
        "PATH": "/usr/bin:/bin",
        "MODULAR_MOJO_MAX_PACKAGE_ROOT": str(home),
        "MODULAR_MOJO_MAX_IMPORT_PATH": str(home / "lib" / "mojo"),
    }
    argv = [str(home / "bin" / "mojo"), "build", "--emit", "object", "-I", ".", "-o", "kernel.o", "kernel.mojo"]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


@needs_mojo
def test_the_code_in_the_lore_compiles(tmp_path: Path) -> None:
    """All blocks as one file each would take a second a block; as one file they take two."""
    imports = {line for block in LORES for line in block.splitlines() if line.startswith("from ")}
    constants = {line for block in LORES for line in block.splitlines() if line.startswith("comptime ")}
    functions = [
        "\n".join(line for line in block.splitlines() if not line.startswith(("from ", "comptime "))) for block in LORES
    ]
    merged = "\n".join([*sorted(imports), *sorted(constants), *functions])
    exported = re.sub(
        r'(?<!\n@export\("kernel"\)\n)(?m:^)def (?!kernel|silu)(\w+)\(', r'@export("\1")\ndef \1(', merged
    )
    assert compiles(tmp_path, exported) == ""


@needs_mojo
def test_most_moves_compile(tmp_path: Path) -> None:
    rng = Random(5)
    drawn = [next(moves.mutations(SEEDS[name], rng)) for name in ("dot", "softmax", "matmul")]
    refused = [f"{technique}: {words}" for technique, _, source in drawn if (words := compiles(tmp_path, source))]
    assert refused == []
