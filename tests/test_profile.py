"""Profiles and peers: what the tools print, what follows from it, and what a writer is told."""

import os
from pathlib import Path

import pytest

from evolve.cli import judging
from evolve.domains.kernels import catalogue, peers, profiling
from evolve.domains.kernels.bottleneck import RULES, Evidence, Roofline, findings, profile
from evolve.domains.kernels.features import features
from evolve.domains.kernels.machine import Bandwidth, Peaks
from evolve.domains.kernels.measured import Parts, Report
from evolve.errors import UsageError
from evolve.types import Evaluation, Limits, Sandbox
from sandboxes.referee import assembly, cachegrind, spawn
from sandboxes.referee import job as referee_job
from sandboxes.referee import profile as referee
from tests.command import evolve, last_json
from tests.conftest import KINDS, open_kind
from tests.toy import Toy

LEVELS = tuple(Bandwidth(mib=mib, gbs_1t=gbs, gbs=2 * gbs) for mib, gbs in ((0.4, 100), (6, 30), (192, 10)))
MACHINE = Peaks(flops_1t=100, flops=190, bandwidth=LEVELS)


def seed(name: str) -> str:
    return catalogue.entries()[name].seed


# Roofline and bottlenecks


def test_the_roofline_takes_the_bandwidth_of_the_working_set() -> None:
    assert MACHINE.roofline(0, 2**20).memory_ms == pytest.approx(2**20 / 200e6)
    assert MACHINE.roofline(0, 2**24).memory_ms == pytest.approx(2**24 / 60e6)
    assert MACHINE.roofline(190_000_000, 0).compute_ms == pytest.approx(1.0)


def test_no_kernel_at_the_roofline_trips_the_alarm() -> None:
    for size in (2**16, 2**20, 2**24, 2**28):
        assert MACHINE.least_ms(size, size, threads=2) <= MACHINE.roofline(size, size).best_ms


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


# Measured evidence


def measured(state: Evidence, **parts: object) -> Evidence:
    return state._replace(parts=Parts.model_validate(parts), simulated_bytes=64_000)


def missing(rate: float, *, d1: int = 0, l2: int = 0, line: int = 1) -> dict[str, object]:
    """Simulated caches whose hottest line misses the first one in this share of 100,000 accesses."""
    counts = {"instructions": 300_000, "accesses": 100_000, "d1_misses": d1 or round(rate * 100_000), "l2_misses": l2}
    lines = [{"function": "kernel", "line": line, **counts}]
    return {**counts, "lines": lines, "d1_kib": 48, "l2_kib": 2048, "dims": {"N": 8000}}


def loop(**classes: object) -> dict[str, object]:
    return {"loops": [{"function": "kernel", "line": 1, "instructions": 20, **classes}]}


COPY = evidence(LOOP.format("", "out[i] = x[i];"))
SHARED = evidence(LOOP.format("\n#pragma omp parallel for\n", "out[i] = x[i];"))


@pytest.mark.parametrize(
    ("case", "state", "words"),
    [
        (
            measured(COPY, cachegrind=missing(0.8)),
            "strided_access",
            "80% of its accesses miss the first cache (48 KiB)",
        ),
        (measured(COPY, cachegrind=missing(0.4)), "cache_capacity", "gets each line of the data 40 times"),
        (measured(COPY, cachegrind=missing(0.05, l2=5000)), "cache_capacity", "the second cache (2048 KiB)"),
        (measured(COPY, mix=loop(scalar=9, calls={"tanhf": 1})), "scalar_libm_calls", "calls tanhf once per element"),
        (measured(COPY, mix=loop(scalar=9)), "not_vectorized", "9 instructions of its loop handle one number"),
        (measured(COPY, mix=loop(zmm=12, stack=6)), "register_spills", "6 of the 20 instructions"),
        (measured(COPY, mix=loop(branches=7)), "branchy", "6 of the 20 instructions"),
        (measured(COPY, perf={"counters": {"branches": 1e6, "branch-misses": 9e4}}), "branchy", "9.0% of its branches"),
        (measured(SHARED, usage={"least_ms": 3.0, "alone_ms": 2.0}), "false_sharing", "3 ms where one takes 2"),
    ],
)
def test_what_was_measured_names_the_state_with_numbers(case: Evidence, state: str, words: str) -> None:
    found = profile(case)
    assert found.bottleneck == state
    assert words in found.evidence


def test_wide_vectors_that_stream_are_not_called_strided() -> None:
    streaming = measured(COPY, cachegrind=missing(0.5, d1=1000))
    assert not {"strided_access", "cache_capacity"} & findings(streaming).keys()


def test_measured_caches_overrule_what_the_source_looks_like() -> None:
    assert "strided_access" in findings(evidence(seed("transpose")))
    assert "strided_access" not in findings(measured(evidence(seed("transpose")), cachegrind=missing(0.05)))


def test_a_part_that_could_not_be_had_is_no_evidence() -> None:
    parts = Parts.model_validate({"mix": {"problem": "no objdump"}, "usage": {"wall_ms": 1}})
    assert parts.had().mix is None
    assert parts.had().usage is not None


# Reading what the tools print


def test_cache_sizes_are_rounded_down_to_what_valgrind_takes() -> None:
    assert cachegrind.rounded(49152, 12, 64) == (49152, 12, 64)
    assert cachegrind.rounded(272_629_760, 20, 64) == (167_772_160, 20, 64)
    assert min(map(min, cachegrind.levels())) > 0


def test_cachegrinds_output_is_added_up_by_function_and_line_of_the_source() -> None:
    text = """events: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw
fl=/tmp/kernel.c
fn=kernel
7 100 0 0 40 10 1 20 5 2
7 10 0 0 4 1 0 2 0 0
fl=/usr/lib/avxintrin.h
fn=kernel
1 30 0 0 0 0 0 0 0 0
fl=???
fn=expf
0 900 0 0 0 0 0 0 0 0
fl=/tmp/kernel.c
nonsense
9 1 2
8 x 0 0 0 0 0 0 0 0
"""
    found = cachegrind.summarise(text, frozenset({"kernel.c"}))
    assert (found["instructions"], found["accesses"], found["d1_misses"], found["l2_misses"]) == (140, 66, 16, 3)
    assert found["elsewhere"] == {"expf": 900}
    assert [line["line"] for line in found["lines"]] == [7]


LISTING = """
0000000000001110 <kernel>:
kernel():
/tmp/x/kernel.c:3
    1110:\ttest   %rdx,%rdx
    1113:\tjle    1170 <kernel+0x60>
/tmp/x/kernel.c:4 (discriminator 3)
    1130:\tvmovaps (%rdi,%rbx,4),%zmm1
    1136:\tvfmadd132ps 0xeac(%rip),%zmm0,%zmm1
    113a:\tvmovaps %zmm1,0xc(%rsp)
    1140:\tcall   1030 <expf@plt>
    1145:\tvdivss 0xc(%rax),%xmm1,%xmm1
    1148:\tvpgatherdd (%rax,%ymm1,4),%ymm2{%k1}
    1162:\tjne    1130 <kernel+0x20>
    1170:\tret
"""


def test_a_disassembly_is_counted_by_innermost_loop_and_class() -> None:
    found = assembly.summarise(LISTING, frozenset({"kernel.c"}))
    (inner,) = found["loops"]
    expected = {"line": 4, "zmm": 3, "ymm": 1, "scalar": 1, "fma": 1, "divisions": 1, "gathers": 1, "branches": 1}
    assert {name: inner[name] for name in expected} == expected
    assert inner["stack"] == 1
    assert inner["calls"] == found["calls"] == {"expf": 1}
    assert assembly.summarise("nothing", frozenset()) == {"loops": [], "whole": assembly.contents([]), "calls": {}}


def test_counters_that_the_machine_lacks_are_left_out() -> None:
    text = "1200,,instructions:u,100,100.00,,\n<not supported>,,cycles:u,0,100.00,,\n"
    assert referee.counters(text) == {"instructions": 1200.0}


def test_sizes_are_halved_from_the_largest_so_that_small_ones_keep_their_meaning() -> None:
    found = profiling.sizes({"M": 64, "N": 40, "K": 3})
    assert found[:3] == [{"M": 64, "N": 40, "K": 3}, {"M": 32, "N": 40, "K": 3}, {"M": 32, "N": 20, "K": 3}]
    assert max(found[-1].values()) < 32
    assert all(size["K"] == 3 for size in found)


# Real profiles


def profiled(sandbox: Sandbox, name: str, source: str = "", *parts: str) -> Report:
    entry = catalogue.entries()[name]
    job = profiling.job(entry, source or entry.seed, Limits(), parts)
    return profiling.read(sandbox.run(job))


TILED = """void kernel(const float *x, float *out, int64_t M, int64_t N) {
    for (int64_t ii = 0; ii < M; ii += 16)
        for (int64_t jj = 0; jj < N; jj += 16)
            for (int64_t i = ii; i < M && i < ii + 16; i++)
                for (int64_t j = jj; j < N && j < jj + 16; j++) out[j * M + i] = x[i * N + j];
}
"""


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
def test_a_strided_kernel_misses_more_than_a_tiled_one(kind: str) -> None:
    with open_kind(kind) as sandbox:
        strided = profiled(sandbox, "transpose", "", "cachegrind").parts.cachegrind
        tiled = profiled(sandbox, "transpose", f"#include <stdint.h>\n{TILED}", "cachegrind").parts.cachegrind
    assert strided is not None
    assert tiled is not None
    assert not strided.problem
    assert strided.dims == tiled.dims
    assert strided.rate > 3 * tiled.rate > 0
    assert strided.missed is not None
    assert "out[" in seed("transpose").splitlines()[strided.missed.line - 1]


def test_a_size_that_would_take_too_long_is_reduced_and_said_to_be(process: Sandbox) -> None:
    entry = catalogue.entries()["matmul"]
    asked = profiling.job(entry, entry.seed, Limits(), ["cachegrind"])
    hasty = asked.model_copy(update={"request": {**asked.request, "seconds": 0.01}})
    report = profiling.read(process.run(hasty))
    assert report.parts.cachegrind is not None
    assert max(report.parts.cachegrind.dims.values()) < max(entry.spec.TIMED.values())
    known = profiling.evidence(entry, entry.seed, Evaluation(metrics={"best_ms": 1.0}), report, MACHINE)
    assert "at the reduced size M=" in profiling.section(entry, report, known).text


@pytest.mark.skipif("avx2" not in Path("/proc/cpuinfo").read_text(), reason="vectors are narrower here")
def test_the_mix_shows_the_vectors_of_a_vectorised_loop_and_the_calls_of_another(process: Sandbox) -> None:
    relu = profiled(process, "relu", "", "mix").parts.mix
    gelu = profiled(process, "gelu", "", "mix").parts.mix
    assert relu is not None
    assert gelu is not None
    assert max(found.ymm + found.zmm for found in relu.loops) > 0
    assert "erff" in gelu.calls
    assert any("erff" in found.calls for found in gelu.loops)


def test_every_part_says_what_it_cost_and_either_something_or_why_not(process: Sandbox) -> None:
    report = profiled(process, "sum")
    assert report.seconds > 0
    for name, part in report.parts:
        assert part is not None, name
        assert part.seconds > 0
    usage = report.parts.usage
    assert usage is not None
    assert usage.calls >= 1
    assert min(usage.wall_ms, usage.cpu_ms, usage.least_ms, usage.alone_ms) > 0
    assert report.parts.perf is not None
    assert report.parts.perf.counters or len(report.parts.perf.problem) > 20


WIDE = """#include <stdint.h>
#include <immintrin.h>
__attribute__((target("avx512f"))) void kernel(const float *x, float *out, int64_t N) {
    __m512 s = _mm512_set1_ps(x[0]);
    _mm512_storeu_ps(out, s);
}
"""
CRASHING = """#include <stdint.h>
void kernel(const float *x, float *out, int64_t N) { *(volatile float *)(N & 8) = x[0]; }
"""


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (WIDE, "valgrind could not run it: it has an instruction that valgrind does not know"),
        (CRASHING, "valgrind could not run it: SIGSEGV"),
        ("void kernel(void) { return 1 +; }", "no profile"),
    ],
)
def test_what_cannot_be_simulated_is_a_sentence(process: Sandbox, source: str, words: str) -> None:
    report = profiled(process, "relu", source, "cachegrind")
    if report.parts.cachegrind is None:
        assert "does not build" in report.problem
    else:
        assert words in report.parts.cachegrind.problem


@pytest.fixture
def bare(tmp_path: Path) -> referee_job.Job:
    """A job of a referee that finds no tools."""
    place = referee_job.Place(tmp_path, 0, "/nonexistent")
    place.cache.mkdir()
    spawn.prepare(place.cache)
    folder = tmp_path / "job"
    folder.mkdir()
    asked = profiling.job(catalogue.entries()["relu"], seed("relu"), Limits())
    message = asked.model_dump(exclude={"fresh"})
    return referee_job.Job.of(message, folder, place, lambda: None)


@pytest.mark.skipif(os.getuid() != 0, reason="as another user the build is limited by that user's own processes")
def test_missing_tools_are_sentences_and_cost_the_other_parts_nothing(bare: referee_job.Job) -> None:
    report = Report.model_validate(referee.run(bare))
    for part, tool in (
        (report.parts.mix, "objdump"),
        (report.parts.perf, "perf"),
        (report.parts.cachegrind, "valgrind"),
    ):
        assert part is not None
        assert part.problem.startswith(f"{tool} is not installed in the sandbox (Debian package ")
    assert report.parts.usage is not None
    assert not report.parts.usage.problem


def test_a_result_that_the_candidate_replaced_by_a_link_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("fn=kernel")
    (tmp_path / "cachegrind.out").symlink_to(secret)
    with pytest.raises(referee.UnavailableError):
        referee._text(tmp_path / "cachegrind.out")


def test_an_unknown_part_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no part 'heat'; there are: mix, usage, perf, cachegrind"):
        profiling.job(catalogue.entries()["relu"], seed("relu"), Limits(), ["heat"])


# Peers


def test_peers_are_timed_in_one_session_and_the_missing_are_named(sandbox: Sandbox) -> None:
    entry = catalogue.entries()["sum"]
    reply = peers.read(sandbox.run(peers.job(entry, entry.seed, Limits())))
    assert set(reply.rows) == {"baseline", "candidate", "numpy", "torch"}
    for name in ("baseline", "candidate", "numpy"):
        assert not reply.rows[name].problem
        assert reply.rows[name].ns > 0
        assert reply.rows[name].samples >= 3
    text = peers.section(entry, reply, MACHINE).text
    assert "1.00×" in text
    if reply.rows["torch"].problem:
        assert "not measured: " in text


def test_a_peer_that_fails_leaves_the_others_in_the_table(process: Sandbox) -> None:
    entry = catalogue.entries()["sum"]
    rows = peers.read(process.run(peers.job(entry, CRASHING, Limits()))).rows
    assert "read or wrote out of bounds" in rows["candidate"].problem
    assert rows["numpy"].ns > 0


# The command


def test_judge_prints_the_profile_and_the_peers(tmp_path: Path) -> None:
    file = tmp_path / "kernel.c"
    file.write_text(seed("relu"))
    words = ("judge", str(file), "--task", "relu", "--sandbox", "process", "--profile", "--peers", "--json")
    result = evolve(tmp_path, *words)
    assert result.returncode == 0, result.stderr
    found = last_json(result)
    assert set(found["profile"]["parts"]) == {"mix", "usage", "perf", "cachegrind"}
    assert set(found["profile"]["seconds"]) == {"build", "mix", "usage", "perf", "cachegrind"}
    assert found["profile"]["bottleneck"]
    assert found["peers"]["rows"]["baseline"]["ratio"] == 1.0


def test_a_profile_is_readable() -> None:
    entry = catalogue.entries()["relu"]
    report = Report.model_validate(
        {"parts": {"mix": loop(ymm=9), "cachegrind": missing(0.8), "perf": {"problem": "none"}}}
    )
    verdict = Evaluation(score=1.0, metrics={"best_ms": 1.0})
    known = profiling.evidence(entry, entry.seed, verdict, report, MACHINE)
    text = profiling.section(entry, report, known).text
    assert "the reduced size N=8000" in text
    assert "hardware counters (0.00 s): none" in text
    assert "line 1 (kernel): 20 instructions: ymm 9" in text


def test_a_domain_without_a_profiler_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="the domain toy has no profiler"):
        judging._explaining(Toy(), "")
    with pytest.raises(UsageError, match="the domain toy knows no peers"):
        judging._comparing(Toy())
