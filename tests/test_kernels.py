import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

from evolve.domains.kernels import Kernels, catalogue
from evolve.domains.kernels.bottleneck import RULES, Evidence, Roofline, profile
from evolve.domains.kernels.catalogue import SOURCE
from evolve.domains.kernels.features import features
from evolve.domains.kernels.lint import lint
from evolve.domains.kernels.machine import Bandwidth, Peaks, peaks
from evolve.domains.kernels.rules import declared_flags, violations
from evolve.domains.kernels.timing import calmer, speedup
from evolve.errors import NotFoundError, PluginError, SandboxError
from evolve.types import Candidate, Evaluation, Execution, Job, Sandbox, Task

NAMES = sorted(catalogue.entries())
EXPECTED = (
    "relu gelu sum dot transpose stencil gemv matmul conv2d softmax layernorm attention saxpy rmsnorm silu_mul max"
)
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
    timing = {"baseline_ns": baseline, "candidate_ns": candidate, "calls": 1, "empty_ns": 3000}
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
        self.domain = Kernels(samples=5, seconds=0.5)

    def __call__(self, name: str, source: str) -> Evaluation:
        return self.domain.evaluate(task(name), Candidate(files={SOURCE: source}), self.sandbox)


def task(name: str) -> Task:
    return catalogue.entries()[name].task("kernels")


def seed(name: str) -> str:
    return catalogue.entries()[name].seed


# Tasks


def test_the_tasks_of_all_four_tiers_are_there_and_lint_clean() -> None:
    tasks = Kernels().tasks()
    assert {task.id for task in tasks} >= {f"kernels/{name}" for name in EXPECTED.split()}
    assert [task.tier for task in tasks] == sorted(task.tier for task in tasks)
    assert {task.tier for task in tasks} == {1, 2, 3, 4}


@pytest.mark.parametrize("name", NAMES)
def test_a_task_says_what_its_module_must(name: str) -> None:
    spec = catalogue.entries()[name].spec
    assert "void kernel(const float *" in spec.PROMPT
    for dims in (*spec.VISIBLE, *spec.HIDDEN, spec.TIMED):
        assert tuple(dims) == spec.DIMS
    assert any(set(dims.values()) == {1} for dims in spec.HIDDEN)
    assert spec.bytes_moved(**spec.TIMED) > 0
    assert spec.flops(**spec.TIMED) >= 0


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_is_plain_c_that_keeps_the_rules(name: str) -> None:
    assert violations(seed(name)) == []
    assert seed(name).count("void kernel(") == 1
    assert "#define" not in seed(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_can_be_transformed(name: str) -> None:
    found = next(iter(Kernels().mutations(task(name), {SOURCE: seed(name)}, Random(1))))
    assert found.technique
    assert found.files[SOURCE] != seed(name)


def test_a_task_that_zeros_would_pass_is_refused() -> None:
    entry = catalogue.entries()["relu"]

    class Hollow:
        VISIBLE = ({"N": 64},)

        def inputs(self, draw: Any, dims: Mapping[str, int]) -> tuple[Any, ...]:
            return (-np.abs(draw(dims["N"])),)

        def reference(self, x: Any, **_dims: int) -> Any:
            return np.maximum(x, 0)

    hollow: Any = Hollow()
    with pytest.raises(PluginError, match=r"kernels/relu: an array of zeros passes"):
        lint(entry._replace(spec=hollow))


def test_a_task_that_returns_its_input_is_refused() -> None:
    class Identity:
        VISIBLE = ({"N": 64},)

        def inputs(self, draw: Any, dims: Mapping[str, int]) -> tuple[Any, ...]:
            return (np.abs(draw(dims["N"])),)

        def reference(self, x: Any, **_dims: int) -> Any:
            return np.maximum(x, 0)

    identity: Any = Identity()
    with pytest.raises(PluginError, match="input 0 unchanged"):
        lint(catalogue.entries()["relu"]._replace(spec=identity))


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


def test_the_score_is_the_ratio_of_medians_within_its_interval() -> None:
    rng = np.random.default_rng(0)
    base = list(rng.normal(2000, 40, 15))
    cand = list(rng.normal(500, 10, 15))
    found = speedup(base, cand, np.random.default_rng(1))
    assert found.ratio == pytest.approx(4, rel=0.05)
    assert found.interval[0] <= found.ratio <= found.interval[1]
    assert found.interval[1] / found.interval[0] < 1.1
    assert not found.noisy


def test_one_disturbed_sample_hardly_moves_the_score() -> None:
    found = speedup([2000.0] * 15, [500.0] * 14 + [9000.0], np.random.default_rng(1))
    assert found.ratio == 4
    assert found.noisy


def test_of_two_measurements_the_narrower_counts() -> None:
    calm = speedup([2000.0] * 9, [500.0] * 9, np.random.default_rng(1))
    wild = speedup([2000.0, 4000, 9000], [500.0, 100, 900], np.random.default_rng(1))
    assert calmer(wild, calm) is calm
    assert calmer(calm, wild) is calm


@pytest.mark.parametrize("bad", [[0.0, 1.0], [-1.0, 1.0], [float("nan"), 1.0], [1.0], []])
def test_impossible_samples_are_no_measurement(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="sample"):
        speedup([1.0, 1.0], bad, np.random.default_rng(1))


# Roofline and bottlenecks


def test_the_roofline_takes_the_bandwidth_of_the_working_set() -> None:
    machine = Peaks.model_validate(MACHINE)
    assert machine.roofline(0, 2**20).memory_ms == pytest.approx(2**20 / 200e6)
    assert machine.roofline(0, 2**24).memory_ms == pytest.approx(2**24 / 60e6)
    assert machine.roofline(190_000_000, 0).compute_ms == pytest.approx(1.0)


def test_no_kernel_at_the_roofline_trips_the_alarm() -> None:
    machine = Peaks.model_validate(MACHINE)
    for size in (2**16, 2**20, 2**24, 2**28):
        assert machine.least_ms(size, size, threads=2) <= machine.roofline(size, size).best_ms


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


def evidence(source: str, *, compute: float = 1.0, memory: float = 0.1, took: float = 10.0) -> Evidence:
    return Evidence(features(source), "", Roofline(compute, memory), took, threads=2, fast_math=False)


LOOP = "void kernel(float *x, float *out, int64_t N) {{ {0} for (int64_t i = 0; i < N; i++) {{ {1} }} }}"


@pytest.mark.parametrize(
    ("case", "state"),
    [
        (evidence(seed("relu"), compute=0.01, memory=9.0), "memory_bandwidth_saturated"),
        (evidence(seed("matmul"), compute=9.0), "compute_saturated"),
        (evidence(seed("relu"), compute=0.001, memory=0.001, took=0.005), "call_overhead"),
        (evidence(seed("gelu")), "scalar_libm_calls"),
        (evidence(seed("softmax")), "scalar_libm_calls"),
        (evidence(seed("transpose")), "strided_access"),
        (evidence(seed("matmul")), "strided_access"),
        (evidence(seed("sum")), "dependency_chain"),
        (evidence(seed("max")), "dependency_chain"),
        (evidence(seed("relu")), "single_threaded"),
        (evidence(LOOP.format("\n#pragma omp parallel for\n", "out[i] = x[i];"), memory=2.0), "memory_latency_bound"),
        (evidence(LOOP.format("\n#pragma omp parallel for\n", "out[i] = x[i];")), "low_register_reuse"),
        (
            evidence(LOOP.format("", "out[i] = x[i];"))._replace(
                remarks="kernel.c:1: couldn't vectorize loop\nkernel.c:1: not vectorized: control flow in loop."
            ),
            "not_vectorized",
        ),
    ],
)
def test_a_bottleneck_has_a_name_and_evidence(case: Evidence, state: str) -> None:
    found = profile(case)
    assert found.bottleneck == state
    assert found.bottleneck in RULES
    assert len(found.evidence) > 20
    assert found.roofline is not None
    assert 0 <= found.roofline <= 1


def test_a_vectorised_call_and_a_simd_reduction_are_no_bottleneck() -> None:
    gelu = evidence(seed("gelu"))._replace(remarks="kernel.c:6: loop vectorized using 64 byte vectors")
    assert profile(gelu).bottleneck != "scalar_libm_calls"
    reduced = seed("sum").replace("    for", "#pragma omp simd reduction(+:acc)\n    for")
    assert profile(evidence(reduced)).bottleneck == "single_threaded"


def test_remainders_and_the_combining_of_lanes_are_not_what_holds_a_kernel_back() -> None:
    lanes = """void kernel(const float *x, float *out, int64_t N) {
    float lanes[16] = {0}, acc = 0;
    int64_t end = N / 16 * 16;
    for (int64_t i = 0; i < end; i += 16)
        for (int64_t l = 0; l < 16; l++) lanes[l] += x[i + l];
    for (int64_t l = 0; l < 16; l++) acc += lanes[l];
    for (int64_t i = end; i < N; i++) acc += x[i];
    out[0] = acc;
}"""
    assert [loop.line for loop in features(lanes).inner] == [5]
    assert profile(evidence(lanes)).bottleneck == "single_threaded"
    branches = (
        "void kernel(float *o, int64_t N) { if (N > 9) { o[0] = 1; } else { for (int i = 0; i < N; i++) o[i] = 0; } }"
    )
    assert features(branches).inner == []


# What the referee's replies become


def test_a_faster_candidate_scores_its_speed_up_with_words_for_the_writer() -> None:
    sandbox = Scripted(timed([4e6, 4.1e6, 3.9e6] * 5, [2e6, 2.01e6, 1.99e6] * 5))
    found = Kernels().evaluate(task("matmul"), Candidate(files={SOURCE: seed("matmul")}), sandbox)
    assert found.score == pytest.approx(2.0)
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
    assert len(first.request["cases"]) == 5 * (len(spec.VISIBLE) + len(spec.HIDDEN))
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


def test_a_noisy_measurement_is_repeated_once_without_the_checks() -> None:
    noisy = timed([4e6] * 5, [1e6, 9e6, 1e6, 9e6, 5e6])
    sandbox = Scripted(noisy, timed([4e6] * 5, [2e6] * 5))
    found = Kernels().evaluate(task("matmul"), Candidate(files={SOURCE: seed("matmul")}), sandbox)
    assert found.score == pytest.approx(2.0)
    assert sandbox.jobs[-1].request["cases"] == []


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
        Kernels().evaluate(task("relu"), Candidate(files={SOURCE: seed("relu")}), Scripted(broken, broken))
    flagged = Candidate(files={SOURCE: "// flags: -ffast-math\n" + seed("relu")})
    found = Kernels().evaluate(task("relu"), flagged, Scripted(broken, broken))
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


@pytest.mark.parametrize("name", NAMES)
def test_every_seed_is_right_at_all_shapes_and_about_as_fast_as_itself(name: str, judge: Judge) -> None:
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
