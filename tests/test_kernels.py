import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

from evolve.domains import measuring
from evolve.domains.kernels import Kernels, catalogue
from evolve.domains.kernels.catalogue import SOURCE
from evolve.domains.kernels.machine import Bandwidth, peaks
from evolve.domains.kernels.numerics import DISTRIBUTIONS
from evolve.domains.kernels.rules import declared_flags, violations
from evolve.domains.timing import Session, speedup
from evolve.errors import NotFoundError, PluginError, SandboxError
from evolve.types import Candidate, Evaluation, Execution, Job, Sandbox, Task

JUDGED = ("relu", "histogram", "transpose", "matmul", "softmax", "spmv")
"""Tasks of all tiers whose seeds are timed here; test_tasks.py checks every one."""
MACHINE: dict[str, Any] = {
    "flops_1t": 100.0,
    "flops": 190.0,
    "bandwidth": [{"mib": mib, "gbs_1t": gbs, "gbs": 2 * gbs} for mib, gbs in ((0.4, 100), (6, 30), (192, 10))],
}


class Scripted:
    """A sandbox that replies what it was told to, to the judge's parts that need no machine."""

    name = "scripted"

    def __init__(self, *replies: Mapping[str, Any] | Execution, machine: Mapping[str, Any] = MACHINE) -> None:
        self.replies = list(replies)
        self.machine = machine
        self.jobs: list[Job] = []

    def run(self, job: Job) -> Execution:
        self.jobs.append(job)
        if job.program == "peaks":
            return Execution(exit_code=0, reply=self.machine)
        reply = self.replies.pop(0)
        return reply if isinstance(reply, Execution) else Execution(exit_code=0, reply=reply)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def timed(baseline: list[float], candidate: list[float]) -> dict[str, Any]:
    parts = [{"baseline_ns": [one], "candidate_ns": [other]} for one, other in zip(baseline, candidate, strict=True)]
    timing = {"sessions": parts, "calls": 1, "empty_ns": 3000}
    return {"threads": 2, "failure": None, "cases_passed": 30, "build_seconds": 0.1, "timing": timing}


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Peaks of a scripted machine must not outlive the test."""
    monkeypatch.setenv("EVOLVE_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def measured_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def judge(process: Sandbox, measured_home: Path, monkeypatch: pytest.MonkeyPatch) -> "Judge":
    monkeypatch.setenv("EVOLVE_HOME", str(measured_home))
    return Judge(process)


class Judge:
    """The real judge with little patience."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.domain = Kernels(sessions=3, seconds=0.5)

    def __call__(self, name: str, source: str) -> Evaluation:
        return self.domain.evaluate(task(name), Candidate(files={SOURCE: source}), self.sandbox)


def task(name: str) -> Task:
    return catalogue.entries()[name].task("kernels")


def seed(name: str) -> str:
    return catalogue.entries()[name].seed


# The domain


def test_importing_the_domain_does_not_load_numpy() -> None:
    code = "import sys, evolve.domains.kernels; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "False"


def test_lore_is_a_handful_of_documents() -> None:
    documents = Kernels().lore()
    assert len(documents) >= 5
    assert all(len(document) > 100 for document in documents)


# Static rules


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ('#include "/etc/passwd"', "#include"),
        ("#include </etc/passwd>", "#include"),
        ("#include <stdio.h>", "#include"),
        ('%:include "x"', "#include"),
        ('#embed "x"', "#embed"),
        ('#if __has_include("/etc/shadow")\n#endif', "__has_include"),
        ('__asm__(".incbin \\"x\\"");', "__asm__"),
        ('as\\\nm("nop");', "asm"),
        ('void f(void) { asm volatile(".byte 0x0f, 0x05" ::: "memory"); }', ".byte"),
        ('void f(void) { asm("nop; sysca" "ll" :); }', "syscall enters the operating system"),
        ('void f(void) { asm("lock; int $0x80" :); }', "int enters the operating system"),
        ('void f(int x) { asm("rdtsc" : "=a"(x)); }', "rdtsc reads a clock"),
        ('void f(int x) { asm("ldmxcsr %0" :: "m"(x)); }', "floating-point environment"),
        ('void f(int x) { asm("jmp *%0" :: "r"(x)); }', "jmp *%0 leaves"),
        ('void f(int x) { asm("1: jmp 1b+3" :); }', "jmp 1b+3 leaves"),
        ('void f(int x) { asm("%c0" :: "i"(&x)); }', "%c0 is not an instruction"),
        ('void f(void) { asm("\\x2e" "byte 5" :); }', "has no place in a template"),
        ('void f(void) { asm("{nop|syscall}" :); }', "has no place in a template"),
        ('void f(void) { asm goto("jmp %l0" :::: away); away:; }', "without goto"),
        ('float g(float) __asm__("system");', "names a symbol"),
        ('#define A __asm__\nvoid f(void) { A("syscall" :); }', "in one piece"),
        ("#define S(x) #x\nvoid f(void) { asm(S(syscall) :); }", "not macros"),
        ('void f(void) { asm("nop"\n#if 0\n:);\n#else\n"syscall" :);\n#endif\n}', "in one piece"),
        ("#define NOTHING(x)\nNOTHING(getpid)\nvoid f(void) { getpid(); }", "getpid() is neither"),
        ("#define CALL(a) sys##a", "##"),
        ("int system(const char *);", "system"),
        ("#define run /* two\nlines */ system", "system"),
        ("void f(void) { fork(); }", "fork"),
        ("void f(void) { read(0, 0, 0); }", "read"),
        ('void *p = dlopen("x", 1);', "dlopen"),
        ("char *s = strdup(0);", "strdup"),
        ("__attribute__((constructor)) void f(void) {}", "constructor"),
        ("[[gnu::constructor]] void f(void) {}", "[["),
        ('#pragma GCC optimize("Ofast")', "#pragma"),
        ('_Pragma("GCC optimize(3)")', "_Pragma"),
        ("long t = __rdtsc();", "clock"),
        ("double t = omp_get_wtime();", "clock"),
        ("void f(void) { _mm_setcsr(0x8040); }", "floating-point environment"),
        ("// flags: -Ofast\nvoid kernel(void) {}", "-Ofast"),
        ("char x[] = {" + "1," * 40_000 + "};", "characters"),
    ],
)
def test_what_no_kernel_needs_is_refused_in_a_sentence(source: str, word: str) -> None:
    found = violations(source)
    assert found
    assert word in found[0]


@pytest.mark.parametrize(
    "source",
    [
        '// fork() in a comment\n/* system("x") */ void kernel(float *signal) { signal[0] = 1; }',
        "// flags: -funroll-loops -ffast-math\nvoid kernel(float *o) { o[0] = 1; }",
        "#define MIN(a, b) ((a) < (b) ? (a) : (b))\nvoid kernel(float *o) { o[0] = MIN(1, 2); }",
        "static float sq(float x) { return x * x; }\nvoid kernel(float *o) { o[0] = sq(2); }",
        "#include <immintrin.h>\nvoid kernel(float *o) { _mm512_storeu_ps(o, _mm512_setzero_ps()); }",
        "typedef float v8 __attribute__((vector_size(32), aligned(4)));\nvoid kernel(float *o) { *(v8 *)o = (v8){0}; }",
        '#define UNROLL _Pragma("GCC unroll 8")\nvoid kernel(float *o) { UNROLL while (o[0]) o[0]--; }',
        "void kernel(float *o) {\n#pragma omp parallel for simd\nfor (int i = 0; i < 8; i++) o[i] = expf(i); }",
        'void kernel(float *o) { __asm__ volatile("" ::: "memory"); asm("addss %1, %0" : "+x"(*o) : "x"(o[1])); }',
        'void kernel(long n) { asm("1:\\n\\tvaddps %%zmm0, %%zmm0, %%zmm0%{%%k1%}\\n\\tdec %0; jnz 1b" : "+r"(n)); }',
        '#define AHEAD(p) asm volatile("prefetcht0 %0" :: "m"(*(p)))\nvoid kernel(float *o) { AHEAD(o); }',
        "typedef float (*op)(float);\nstatic float twice(op f, float (*g)(float), float x) { return f(g(x)); }",
        "#define MAKE(f, sign) static float f(float x) { return sign x; }\nMAKE(neg, -)\nvoid kernel(void) { neg(1); }",
        "void kernel(float *o, int n) { switch (n) { case (1): o[0] = 1; } }",
    ],
)
def test_honest_kernels_are_not_refused(source: str) -> None:
    assert violations(source) == []


def test_a_refusal_names_the_line() -> None:
    assert violations("\n\nint x;\nvoid f(void) { fork(); }")[0].startswith("line 4: fork")


def test_flags_are_read_from_the_first_line_only() -> None:
    assert declared_flags("// flags: -O2 -funroll-loops\nx") == ("-O2", "-funroll-loops")
    assert declared_flags("int x;\n// flags: -O2") == ()


# Statistics


def sessions(baseline: list[float], candidate: list[float]) -> list[Session]:
    """Three samples make a session."""
    cut = range(0, len(baseline), 3)
    return [Session(tuple(baseline[at : at + 3]), tuple(candidate[at : at + 3])) for at in cut]


def test_the_score_is_the_ratio_within_its_interval() -> None:
    rng = np.random.default_rng(0)
    found = speedup(sessions(list(rng.normal(2000, 40, 15)), list(rng.normal(500, 10, 15))))
    assert found.ratio == pytest.approx(4, rel=0.05)
    assert found.interval[0] <= found.ratio <= found.interval[1]
    assert found.interval[1] / found.interval[0] < 1.1
    assert not found.noisy


def test_identical_kernels_are_rarely_called_different() -> None:
    """Processes differ by 3 %, samples by 2 % and every tenth one by much: whoever takes all samples for independent is
    far too sure.
    """
    rng = np.random.default_rng(0)
    better = 0
    for _ in range(2000):
        process = rng.normal(0, 0.03, (6, 1)) + rng.normal(0, 0.02, (6, 2)) + 0.3 * (rng.random((6, 2)) < 0.1)
        found = speedup([Session((1.0, 1.0), tuple(np.exp(-row))) for row in process - 0.03])
        better += found.interval[0] > 1
    assert better <= 0.025 * 2000


def test_one_disturbed_sample_makes_a_measurement_inconclusive() -> None:
    found = speedup(sessions([2000.0] * 15, [500.0] * 14 + [9000.0]))
    assert found.candidate_ns == 500
    assert found.noisy


def test_two_measurements_are_pooled_and_a_failure_stays_one() -> None:
    calm = timed([2000.0] * 9, [500.0] * 9)
    first, second = (measuring.Measured(reply, speedup(reply.timing.sessions)) for reply in map(reply_of, (calm, calm)))
    both = measuring.pooled(first, second)
    assert isinstance(both, measuring.Measured)
    assert both.speedup.samples == 18
    failed = Evaluation(feedback="wrong")
    assert measuring.pooled(first, failed) is failed


def reply_of(reply: Mapping[str, Any]) -> Any:
    return measuring.Reply.model_validate(reply)


def test_too_few_sessions_are_no_measurement() -> None:
    with pytest.raises(ValueError, match="sessions"):
        speedup([Session((1.0,), (1.0,))] * 2)


@pytest.mark.parametrize("bad", [[0.0, 1.0], [-1.0, 1.0], [float("nan"), 1.0], [1.0], []])
def test_impossible_samples_are_no_measurement(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="sample"):
        speedup([Session((1.0, 1.0), tuple(bad))] * 3)


# Peaks of the machine


def test_peaks_are_measured_once_and_kept() -> None:
    sandbox = Scripted()
    first, second = peaks(sandbox), peaks(sandbox)
    assert first == second
    assert len(sandbox.jobs) == 1
    assert first.bandwidth[0] == Bandwidth(mib=0.4, gbs_1t=100, gbs=200)


def test_measuring_peaks_again_keeps_the_higher_ones() -> None:
    peaks(Scripted())
    slower = {**MACHINE, "flops": 150.0}
    assert peaks(Scripted(machine=slower), again=True).flops == 190


def test_peaks_that_make_no_sense_are_the_sandboxes_fault() -> None:
    with pytest.raises(SandboxError):
        peaks(Scripted(machine={"flops": "many"}))


# What the referee's replies become


def test_a_faster_candidate_scores_its_speed_up_with_words_for_the_writer() -> None:
    sandbox = Scripted(timed([4e6, 4.1e6, 3.9e6] * 5, [2e6, 2.01e6, 1.99e6] * 5))
    found = Kernels().evaluate(task("matmul"), Candidate(files={SOURCE: seed("matmul")}), sandbox)
    assert found.score == pytest.approx(2.0, rel=1e-3)
    assert found.interval is not None
    assert found.feedback.startswith("2x over the seed (")
    assert "strided_access" in found.feedback
    assert found.metrics["baseline_ms"] == pytest.approx(4)
    assert found.metrics["best_ms"] == pytest.approx(2)
    assert 0 < found.metrics["roofline"] <= 1


def test_the_judge_asks_for_every_shape_on_every_distribution_with_a_new_secret() -> None:
    sandbox = Scripted(*[timed([4e6] * 5, [2e6] * 5)] * 2)
    for _ in range(2):
        Kernels().evaluate(task("relu"), Candidate(files={SOURCE: seed("relu")}), sandbox, fresh=True)
    first, second = sandbox.jobs[-2:]
    spec = catalogue.entries()["relu"].spec
    assert len(first.request["cases"]) == len(DISTRIBUTIONS) * (len(spec.VISIBLE) + len(spec.HIDDEN))
    assert first.request["secret"] != second.request["secret"]
    assert first.fresh
    assert set(first.files) == {SOURCE}
    assert set(first.trusted) == {"task.py", "numerics.py", "baseline.c"}


def test_declared_flags_go_to_the_compiler() -> None:
    sandbox = Scripted(timed([4e6] * 5, [2e6] * 5))
    source = "// flags: -ffast-math\n" + seed("sum")
    found = Kernels().evaluate(task("sum"), Candidate(files={SOURCE: source}), sandbox)
    assert sandbox.jobs[-1].request["flags"][-1] == "-ffast-math"
    assert found.metrics["fast_math"] == 1


def test_a_noisy_measurement_is_repeated_once_without_the_checks_and_then_inconclusive() -> None:
    noisy = timed([4e6] * 5, [1e6, 9e6, 1e6, 9e6, 5e6])
    sandbox = Scripted(noisy, timed([4e6] * 5, [2e6] * 5))
    found = Kernels().evaluate(task("matmul"), Candidate(files={SOURCE: seed("matmul")}), sandbox)
    assert sandbox.jobs[-1].request["cases"] == []
    assert found.metrics["samples"] == 10
    assert found.metrics["inconclusive"] == 1
    assert found.feedback.startswith("inconclusive")


def test_faster_than_the_machine_can_is_an_alarm_and_not_a_record() -> None:
    sandbox = Scripted(timed([4e6] * 5, [1e3] * 5))
    found = Kernels().evaluate(task("matmul"), Candidate(files={SOURCE: seed("matmul")}), sandbox)
    assert found.score is None
    assert found.gates.authentic is False
    assert "faster than the machine can" in found.feedback


@pytest.mark.parametrize(
    ("gate", "gates"),
    [("authentic", (False, None, None)), ("builds", (True, False, None)), ("correct", (True, True, False))],
)
def test_a_failure_closes_its_gate_and_speaks_to_the_writer(gate: str, gates: tuple[bool | None, ...]) -> None:
    reply = {**timed([], []), "timing": None, "failure": {"gate": gate, "reason": "x", "message": "line 3: no"}}
    found = Kernels().evaluate(task("relu"), Candidate(files={SOURCE: seed("relu")}), Scripted(reply))
    assert found.score is None
    assert (found.gates.authentic, found.gates.builds, found.gates.correct) == gates
    assert "line 3: no" in found.feedback


def test_a_broken_task_is_the_plugins_fault_unless_the_candidates_flags_broke_it() -> None:
    broken = {"broken_task": "the baseline fails"}
    with pytest.raises(PluginError, match="kernels/relu"):
        Kernels().evaluate(task("relu"), Candidate(files={SOURCE: seed("relu")}), Scripted(broken))
    flagged = Candidate(files={SOURCE: "// flags: -ffast-math\n" + seed("relu")})
    found = Kernels().evaluate(task("relu"), flagged, Scripted(broken))
    assert found.gates.correct is False
    assert "-ffast-math" in found.feedback


def test_a_referee_without_a_reply_is_the_sandboxes_fault_unless_a_limit_was_hit() -> None:
    candidate = Candidate(files={SOURCE: seed("relu")})
    with pytest.raises(SandboxError, match="no reply"):
        Kernels().evaluate(task("relu"), candidate, Scripted(Execution(exit_code=1, stderr="boom")))
    found = Kernels().evaluate(task("relu"), candidate, Scripted(Execution(timed_out=True)))
    assert found.gates.correct is False


def test_a_candidate_without_code_is_refused_before_anything_runs() -> None:
    sandbox = Scripted()
    found = Kernels().evaluate(task("relu"), Candidate(files={"other.c": "x"}), sandbox)
    assert found.gates.authentic is False
    assert SOURCE in found.feedback
    assert sandbox.jobs == []


def test_an_unknown_task_names_the_near_ones() -> None:
    unknown = Task(id="kernels/mathmul", domain="kernels", prompt="")
    with pytest.raises(NotFoundError, match="kernels/matmul"):
        Kernels().evaluate(unknown, Candidate(files={SOURCE: "x"}), Scripted())


# The real judge


@pytest.mark.parametrize("name", JUDGED)
def test_a_seed_is_right_at_all_shapes_and_about_as_fast_as_itself(name: str, judge: Judge) -> None:
    found = judge(name, seed(name))
    assert found.feasible, found.feedback
    assert found.interval is not None
    assert found.interval[0] < 2
    assert found.interval[1] > 0.5
    assert found.profile.bottleneck


def relu(body: str, *, before: str = "") -> str:
    return f"#include <stdint.h>\n{before}\nvoid kernel(const float *x, float *out, int64_t N)\n{{\n{body}\n}}\n"


KEPT = """if (known && size == N) { memcpy(out, kept, 4 * N); return; }
for (int64_t i = 0; i < N; i++) out[i] = x[i] > 0 ? x[i] : 0;
memcpy(kept, out, 4 * N); size = N; known = 1;"""


@pytest.mark.parametrize(
    ("body", "before"),
    [
        ("for (int64_t i = 0; i < N; i++) out[i] = 0.0f;", ""),
        ("for (int64_t i = 0; i < N; i++) out[i] = x[i];", ""),
        ("(void)x; (void)out; (void)N;", ""),
        ("for (int64_t i = 0; i < N / 8 * 8; i++) out[i] = x[i] > 0 ? x[i] : 0;", ""),
        ("for (int64_t i = 0; i < N; i++) out[i] = x[i] > 0 ? (float)(_Float16)x[i] : 0;", ""),
        ("for (int64_t i = 0; i < N; i++) out[i] = x[i] > 0 ? x[i] : 0.0f / 0.0f;", ""),
        (
            KEPT,
            "#include <string.h>\nstatic float kept[4000000]; static int known; static int64_t size;",
        ),
    ],
    ids=["zeros", "input", "nothing", "no remainder", "half precision", "nan", "kept answer"],
)
def test_a_cheat_is_not_correct(body: str, before: str, judge: Judge) -> None:
    found = judge("relu", relu(body, before=before))
    assert found.score is None
    assert found.gates.correct is False
    assert found.feedback


def test_a_compiler_error_reaches_the_writer(judge: Judge) -> None:
    found = judge("relu", relu("out[0] = undeclared;"))
    assert found.gates.builds is False
    assert "undeclared" in found.feedback


def test_a_reduction_in_parallel_lanes_is_accepted(judge: Judge) -> None:
    source = seed("dot").replace("    for", "#pragma omp simd reduction(+:acc)\n    for")
    found = judge("dot", source)
    assert found.feasible, found.feedback
    assert found.profile.bottleneck != "dependency_chain"


def test_asking_for_the_flags_that_are_given_anyway_is_no_offence() -> None:
    source = "// flags: -O3 -march=native -fopenmp -funroll-loops\nvoid kernel(void) {}\n"
    assert declared_flags(source) == ("-funroll-loops",)
    assert not violations(source)
