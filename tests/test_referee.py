"""The judge against honest kernels and against cheats, in every sandbox."""

import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.types import Execution, Job, Limits, Sandbox
from sandboxes.referee import frames
from sandboxes.referee.arena import CANARY, PAGE, Arena

TASK = """
def inputs(draw, dims):
    return draw(dims["n"]), draw(dims["n"])

def reference(a, b, n):
    return a + b
"""

NUMERICS = """
import numpy as np

DISTRIBUTIONS = {
    "normal": lambda rng, shape: rng.standard_normal(shape, dtype=np.float32),
    "wide": lambda rng, shape: (rng.standard_normal(shape) * 1000).astype(np.float32),
}

def mismatch(output, truth, single):
    wrong = np.flatnonzero(~np.isclose(output, truth, rtol=1e-5, atol=1e-6))
    if not wrong.size:
        return None
    first = wrong[0]
    return f"element {first}: got {output[first]}, expected {truth[first]}; {wrong.size} are wrong"
"""

HEAD = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
static void add(const float *a, const float *b, float *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}
"""
SIGNATURE = "void kernel(const float *a, const float *b, float *out, int64_t n)"
BASELINE = HEAD + SIGNATURE + "{ add(a, b, out, n); }"


def request(**changes: Any) -> dict[str, Any]:
    cases = [{"dims": {"n": n}, "distribution": kind} for n in (1, 7, 1000, 1024) for kind in ("normal", "wide")]
    return {
        "symbol": "kernel",
        "dims": ["n"],
        "flags": ["-O2", "-march=native", "-fopenmp"],
        "secret": random.Random(5).getrandbits(60),
        "cases": cases,
        "timed": {"dims": {"n": 4000}, "sessions": 3, "samples": 2, "seconds": 1.0, "min_sample_us": 50},
        "threads": 0,
        "report": False,
        **changes,
    }


def judge(sandbox: Sandbox, code: str, *, seconds: float = 1.0, **changes: Any) -> dict[str, Any]:
    job = Job(
        program="measure",
        files={"kernel.c": code},
        trusted={"task.py": TASK, "numerics.py": NUMERICS, "baseline.c": BASELINE},
        request=request(**changes),
        limits=Limits(seconds=seconds, memory_mb=512),
    )
    execution: Execution = sandbox.run(job)
    return dict(execution.reply)


def failure(sandbox: Sandbox, code: str, **changes: Any) -> tuple[str, str, str]:
    reply = judge(sandbox, HEAD + code, **changes)
    assert reply.get("failure"), reply
    return reply["failure"]["gate"], reply["failure"]["reason"], reply["failure"]["message"]


# ---- parts


@given(st.lists(st.dictionaries(st.text(), st.integers())), st.integers(1, 50))
def test_frames_survive_any_cut(messages: list[dict[str, int]], step: int) -> None:
    stream = b"".join(frames.encode(message) for message in messages)
    decoder = frames.Decoder()
    for at in range(0, len(stream), step):
        decoder.feed(stream[at : at + step])
    assert list(decoder.messages) == messages


def test_a_stream_that_is_no_frame_is_refused() -> None:
    with pytest.raises(frames.ProtocolError):
        frames.Decoder().feed(b"Hello, this is not a frame")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 9000), min_size=1, max_size=4))
def test_buffers_are_aligned_apart_and_as_near_to_their_guard_as_can_be(sizes: list[int]) -> None:
    arena = Arena("test", inputs=False)
    arena.arrange(sizes)
    for number, size in enumerate(sizes):
        buffer = arena.bytes(number)
        assert buffer.nbytes == size
        assert (buffer == CANARY).all()
        assert buffer.ctypes.data % 64 == 0
        buffer[:] = 1
        assert arena.trespass(number) == ""
        assert -(buffer.ctypes.data + size) % PAGE < 64
    arena.close()


# ---- honest kernels


def test_an_honest_kernel_passes_and_is_timed_in_pairs(sandbox: Sandbox) -> None:
    reply = judge(sandbox, BASELINE, report=True)
    assert reply["failure"] is None
    assert reply["cases_passed"] == 8
    timing = reply["timing"]
    assert len(timing["sessions"]) == 3
    for session in timing["sessions"]:
        assert len(session["baseline_ns"]) == len(session["candidate_ns"]) == 2
        assert min(*session["baseline_ns"], *session["candidate_ns"]) > 0
    assert timing["calls"] >= 1
    assert timing["empty_ns"] > 0
    assert "kernel.c:" in reply["vectorisation"]
    assert reply["compiler"].startswith("gcc")
    assert reply["cpu"]


def test_a_kernel_that_only_waits_is_seen_to_have_waited(sandbox: Sandbox) -> None:
    code = SIGNATURE + "{ add(a, b, out, n); struct timespec t = {0, 3000000}; nanosleep(&t, 0); }"
    timing = judge(sandbox, "#include <time.h>\n" + HEAD + code)["timing"]
    assert min(min(session["candidate_ns"]) for session in timing["sessions"]) > 3e6


def test_an_openmp_kernel_is_accepted(sandbox: Sandbox) -> None:
    code = SIGNATURE + "{\n#pragma omp parallel for\n for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i]; }"
    assert judge(sandbox, HEAD + code)["failure"] is None


def test_a_kernel_with_scratch_memory_and_threads_of_its_own_is_accepted(sandbox: Sandbox) -> None:
    code = (
        "static void *nothing(void *x) { return x; }\n"
        + SIGNATURE
        + "{ pthread_t t; if (pthread_create(&t, 0, nothing, 0)) return; pthread_join(t, 0);"
        + " float *copy = malloc(4 * n); memcpy(copy, a, 4 * n); add(copy, b, out, n); free(copy); }"
    )
    assert judge(sandbox, HEAD + code)["failure"] is None


def test_without_a_timed_part_only_correctness_is_judged(sandbox: Sandbox) -> None:
    reply = judge(sandbox, BASELINE, timed=None)
    assert reply["timing"] is None
    assert reply["cases_passed"] == 8


# ---- honest mistakes


def test_a_compile_error_comes_with_its_line(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, SIGNATURE + "{ oops }")
    assert (gate, reason) == ("builds", "compile_error")
    assert "kernel.c:" in message
    assert "oops" in message


def test_a_missing_function_is_named(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, "void other(void) {}")
    assert (gate, reason) == ("builds", "symbol")
    assert "`kernel`" in message


def test_a_wrong_result_is_shown_with_index_and_values(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, SIGNATURE + "{ add(a, b, out, n); if (n > 5) out[5] = 1; }")
    assert (gate, reason) == ("correct", "mismatch")
    assert "n=7" in message
    assert "element 5: got 1.0" in message


@pytest.mark.parametrize("at", ["out[n] = 1", "out[-1] = 1"])
def test_a_write_beside_the_output_is_out_of_bounds(sandbox: Sandbox, at: str) -> None:
    gate, reason, message = failure(sandbox, SIGNATURE + "{ add(a, b, out, n); " + at + "; }")
    assert (gate, reason) == ("correct", "bounds")
    assert "out of bounds" in message


def test_a_read_past_an_input_is_out_of_bounds(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, SIGNATURE + "{ add(a, b, out, n); out[0] += 0 * b[n + 16]; }")
    assert (gate, reason) == ("correct", "bounds")
    assert "past the end of argument 1" in message


def test_inputs_cannot_be_modified(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, SIGNATURE + "{ ((float *)b)[0] = 0; add(a, b, out, n); }")
    assert (gate, reason) == ("correct", "inputs_modified")
    assert "argument 1" in message


def test_inputs_cannot_be_made_writable(sandbox: Sandbox) -> None:
    code = SIGNATURE + (
        "{ char *page = (char *)((uintptr_t)b & ~4095ul); mprotect(page, 4096, PROT_READ | PROT_WRITE);"
        " mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, 3, 0); ((float *)b)[0] = 0;"
        " add(a, b, out, n); }"
    )
    assert failure(sandbox, code)[1] in {"inputs_modified", "crash"}


def test_a_segfault_is_a_crash(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, SIGNATURE + "{ *(volatile int *)8 = 1; }")
    assert (gate, reason) == ("correct", "crash")
    assert "SIGSEGV" in message
    assert "null pointer" in message


def test_an_allocation_beyond_the_limit_is_named_memory(sandbox: Sandbox) -> None:
    code = SIGNATURE + "{ volatile char *p = malloc(4ul << 30); p[n] = 1; add(a, b, out, n); }"
    gate, reason, message = failure(sandbox, code)
    assert (gate, reason) == ("correct", "memory")
    assert "512 MB" in message


def test_an_infinite_loop_costs_its_limit_and_the_next_job_runs(sandbox: Sandbox) -> None:
    started = time.monotonic()
    gate, reason, message = failure(sandbox, SIGNATURE + '{ for (;;) __asm__ volatile(""); }', seconds=0.5)
    assert (gate, reason) == ("correct", "timeout")
    assert "0.5 s" in message
    assert time.monotonic() - started < 8
    assert judge(sandbox, BASELINE, timed=None)["failure"] is None


# ---- cheats


def test_doing_nothing_leaves_canaries(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, SIGNATURE + "{}")
    assert (gate, reason) == ("correct", "mismatch")
    assert "1 of 1 elements were never written" in message


def test_a_forged_verdict_from_a_constructor_is_worth_nothing(sandbox: Sandbox) -> None:
    forged = '{\\"execution\\": {\\"exit_code\\": 0, \\"reply\\": {\\"failure\\": null}}}'
    code = (
        "__attribute__((constructor)) static void forge(void) {"
        f' const char *text = "{forged}"; for (int fd = 0; fd < 20; fd++) write(fd, text, strlen(text)); _exit(0); }}\n'
    )
    gate, reason, message = failure(sandbox, code + SIGNATURE + "{}")
    assert (gate, reason) == ("authentic", "forged_answer")
    assert message


def test_leaving_with_exit_code_zero_is_no_pass(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, SIGNATURE + "{ _exit(0); }")
    assert (gate, reason) == ("authentic", "ended_itself")
    assert "exit code 0" in message


def test_an_early_answer_is_worth_nothing(sandbox: Sandbox) -> None:
    code = SIGNATURE + "{ int done[6] = {0}; write(6, done, sizeof done); usleep(20000); add(a, b, out, n); }"
    assert failure(sandbox, code)[:2] == ("correct", "mismatch")


def test_a_thread_that_finishes_later_is_too_late(sandbox: Sandbox) -> None:
    code = (
        "static const float *A, *B; static float *O; static int64_t N;\n"
        "static void *later(void *x) { usleep(2000); add(A, B, O, N); return x; }\n"
        + SIGNATURE
        + "{ A = a, B = b, O = out, N = n; pthread_t t; pthread_create(&t, 0, later, 0); pthread_detach(t); }"
    )
    assert failure(sandbox, code)[:2] == ("correct", "mismatch")


def test_remembering_results_by_pointer_gives_wrong_results(sandbox: Sandbox) -> None:
    code = (
        "static float cache[1 << 16]; static const float *seen; static int64_t size;\n"
        + SIGNATURE
        + "{ if (seen != a || size != n) { add(a, b, cache, n); seen = a; size = n; } memcpy(out, cache, 4 * n); }"
    )
    gate, reason, message = failure(sandbox, code)
    assert (gate, reason) == ("correct", "mismatch")
    assert message


def test_cheating_only_while_timed_is_seen(sandbox: Sandbox) -> None:
    code = "static int calls;\n" + SIGNATURE + "{ if (++calls > 1 && n > 2000) return; add(a, b, out, n); }"
    reply = judge(sandbox, HEAD + code)
    assert reply["cases_passed"] == 8
    assert reply["failure"]["reason"] == "mismatch"


STEAL = """
static int leaks(const char *path) {
    int fd = open(path, O_RDONLY);
    char byte;
    return fd >= 0 && read(fd, &byte, 1) == 1;
}
"""


@pytest.mark.parametrize("file", ["mem", "environ", "maps", "fd/0"])
def test_the_referee_cannot_be_read(sandbox: Sandbox, file: str) -> None:
    code = (
        STEAL
        + SIGNATURE
        + f'{{ char path[64]; sprintf(path, "/proc/%d/{file}", getppid()); if (leaks(path)) add(a, b, out, n); }}'
    )
    assert failure(sandbox, code)[:2] == ("correct", "mismatch")


@pytest.mark.parametrize(
    "call",
    [
        "socket(AF_INET, SOCK_STREAM, 0)",
        "fork()",
        'system("true")',
        'execl("/bin/true", "true", (char *)0)',
        "kill(getppid(), SIGKILL)",
        "kill(getpid(), SIGCONT)",
        'memfd_create("x", 0)',
        "setuid(0)",
    ],
)
def test_calls_that_no_kernel_needs_end_it(sandbox: Sandbox, call: str) -> None:
    gate, reason, message = failure(sandbox, f"volatile int sink;\n{SIGNATURE}{{ sink = {call}; add(a, b, out, n); }}")
    assert (gate, reason) == ("authentic", "forbidden_call")
    assert "system call" in message


def test_a_kernel_can_write_no_file(sandbox: Sandbox) -> None:
    code = SIGNATURE + (
        '{ int fd = open("memo", O_CREAT | O_RDWR, 0666); if (fd < 0) fd = open("/tmp/memo", O_CREAT | O_RDWR, 0666);'
        " if (fd >= 0) add(a, b, out, n); }"
    )
    assert failure(sandbox, code)[:2] == ("correct", "mismatch")


def test_fast_math_does_not_reach_the_baseline_or_the_referee(sandbox: Sandbox) -> None:
    reply = judge(sandbox, BASELINE, flags=["-O2", "-ffast-math"])
    assert reply["failure"] is None


# ---- the task's own faults


def test_a_broken_baseline_is_the_tasks_fault(sandbox: Sandbox) -> None:
    trusted = {"task.py": TASK, "numerics.py": NUMERICS, "baseline.c": HEAD + SIGNATURE + "{}"}
    job = Job(
        program="measure", files={"kernel.c": BASELINE}, trusted=trusted, request=request(), limits=Limits(seconds=1)
    )
    assert "baseline" in sandbox.run(job).reply["broken_task"]


def test_a_reference_that_raises_is_the_tasks_fault(sandbox: Sandbox) -> None:
    task = TASK.replace("return a + b", "raise KeyError('gone')")
    trusted = {"task.py": task, "numerics.py": NUMERICS, "baseline.c": BASELINE}
    job = Job(
        program="measure", files={"kernel.c": BASELINE}, trusted=trusted, request=request(), limits=Limits(seconds=1)
    )
    assert "KeyError" in sandbox.run(job).reply["broken_task"]


def test_peaks_are_positive_and_name_the_machine(sandbox: Sandbox) -> None:
    reply = sandbox.run(Job(program="peaks", request={"seconds": 0.2, "threads": 0})).reply
    assert reply["flops"] > 0
    assert reply["flops_1t"] > 0
    assert all(row["gbs"] > 0 and row["gbs_1t"] > 0 and row["mib"] > 0 for row in reply["bandwidth"])
    assert reply["fingerprint"]
