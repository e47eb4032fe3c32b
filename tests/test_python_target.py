"""Candidates in Python against the judge, in every sandbox."""

import os
from typing import Any

import pytest

from evolve.types import Job, Limits, Sandbox
from tests.test_referee import NUMERICS, TASK, request

BASELINE = """
import numpy as np

def kernel(a, b, out, n):
    np.add(a, b, out=out)
"""
TIMED = {"dims": {"n": 4000}, "sessions": 3, "samples": 2, "seconds": 1.0, "min_sample_us": 50}
HONEST = "    np.add(a, b, out=out)\n"


def judge(sandbox: Sandbox, code: str, **changes: Any) -> dict[str, Any]:
    files = {"kernel.py": code, **changes.pop("files", {})}
    job = Job(
        program="measure",
        files=files,
        trusted={"task.py": TASK, "numerics.py": NUMERICS, "baseline.py": BASELINE},
        request=request(**({"timed": None} | changes)) | {"target": "python"},
        limits=Limits(seconds=8, memory_mb=512),
    )
    return dict(sandbox.run(job).reply)


def kernel(body: str, before: str = "") -> str:
    """A file whose function has this body (lines)."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"import numpy as np\n{before}\n\ndef kernel(a, b, out, n):\n{lines}\n"


def failure(sandbox: Sandbox, code: str, **changes: Any) -> tuple[str, str, str]:
    reply = judge(sandbox, code, **changes)
    assert reply.get("failure"), reply
    return reply["failure"]["gate"], reply["failure"]["reason"], reply["failure"]["message"]


# ---- honest


def test_an_honest_kernel_passes_and_is_timed_against_the_baseline(sandbox: Sandbox) -> None:
    reply = judge(sandbox, BASELINE, timed=TIMED)
    assert reply["failure"] is None
    assert reply["cases_passed"] == 8
    assert reply["timing"]
    assert reply["peak_memory_mb"] > 0


def test_a_library_may_ask_for_the_home_of_its_user(process: Sandbox) -> None:
    body = "assert os.path.expanduser('~') == '/nonexistent'\n" + HONEST.strip()
    assert judge(process, kernel(body, "import os"))["failure"] is None


def test_inputs_outputs_and_sizes_come_as_they_were_promised(sandbox: Sandbox) -> None:
    body = (
        "assert type(n) is int and a.shape == b.shape == out.shape == (n,)\n"
        "assert a.dtype == out.dtype == np.float32\n"
        "assert not a.flags.writeable and a.ctypes.data % 64 == out.ctypes.data % 64 == 0\n"
        "out[:] = a + b"
    )
    assert judge(sandbox, kernel(body))["failure"] is None


def test_scratch_memory_threads_and_modules_loaded_late_are_fine(sandbox: Sandbox) -> None:
    body = (
        "import colorsys, fractions, statistics\n"
        "scratch = cache.setdefault(n, np.empty(n, np.float32))\n"
        "thread = threading.Thread(target=np.add, args=(a, b), kwargs={'out': scratch})\n"
        "thread.start(); thread.join()\n"
        "gc.collect(); print('computed', n)\n"
        "out[:] = scratch"
    )
    assert judge(sandbox, kernel(body, "import gc, threading\ncache = {}"))["failure"] is None


def test_linear_algebra_with_its_own_threads_is_fine(sandbox: Sandbox) -> None:
    body = "m = np.ones((300, 300), np.float32)\nassert (m @ m)[0, 0] == 300\nnp.linalg.svd(m[:50])\nout[:] = a + b"
    assert judge(sandbox, kernel(body))["failure"] is None


def test_other_files_of_the_candidate_can_be_imported(sandbox: Sandbox) -> None:
    files = {"sums.py": "def add(a, b):\n    return a + b\n"}
    assert judge(sandbox, kernel("out[:] = add(a, b)", "from sums import add"), files=files)["failure"] is None


# ---- honest mistakes


def test_a_syntax_error_comes_with_its_line(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, "\n\ndef kernel(:\n    pass\n")
    assert (gate, reason) == ("builds", "compile_error")
    assert "kernel.py:3" in message


@pytest.mark.parametrize("code", ["\0", "(" * 5000, "x = " + "-" * 200_000 + "1", "# coding: nonsense\n"])
def test_what_upsets_the_parser_is_the_candidates_fault(sandbox: Sandbox, code: str) -> None:
    gate, _, _ = failure(sandbox, code)
    assert gate in {"builds", "correct"}


def test_a_missing_function_or_file_is_named(sandbox: Sandbox) -> None:
    assert failure(sandbox, "kernel = 3")[:2] == ("builds", "symbol")
    job = Job(
        program="measure",
        files={"other.py": ""},
        trusted={"task.py": TASK, "numerics.py": NUMERICS, "baseline.py": BASELINE},
        request=request(timed=None) | {"target": "python"},
    )
    assert dict(sandbox.run(job).reply)["failure"]["reason"] == "no_source"


def test_an_exception_is_told_with_its_place(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, kernel("out[:] = a + b\nif n > 5:\n    a.nonsense()"))
    assert (gate, reason) == ("correct", "exception")
    assert "AttributeError" in message
    assert "a.nonsense()" in message
    assert "n=7" in message


def test_an_exception_while_loading_is_no_build(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, kernel("pass", "import torchvision_of_the_gods"))
    assert (gate, reason) == ("builds", "exception")
    assert "torchvision_of_the_gods" in message


def test_a_wrong_result_is_shown(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, kernel("out[:] = a + b\nif n > 5: out[5] = 1"))
    assert (gate, reason) == ("correct", "mismatch")
    assert "element 5: got 1.0" in message


def test_a_new_array_that_is_returned_is_no_answer(sandbox: Sandbox) -> None:
    gate, reason, message = failure(sandbox, kernel("return a + b"))
    assert (gate, reason) == ("correct", "mismatch")
    assert "never written" in message


def test_too_much_memory_is_refused(sandbox: Sandbox) -> None:
    gate, reason, _ = failure(sandbox, kernel("np.ones(4 * 2**30, np.uint8)"))
    assert (gate, reason) == ("correct", "exception")


def test_an_endless_loop_is_ended(sandbox: Sandbox) -> None:
    job = Job(
        program="measure",
        files={"kernel.py": kernel("while True: pass")},
        trusted={"task.py": TASK, "numerics.py": NUMERICS, "baseline.py": BASELINE},
        request=request(timed=None) | {"target": "python"},
        limits=Limits(seconds=2),
    )
    assert dict(sandbox.run(job).reply)["failure"]["reason"] == "timeout"


# ---- cheats


@pytest.mark.parametrize("body", ["a[0] = 1", "a.setflags(write=True)\na[:] = 0\nout[:] = b"])
def test_inputs_cannot_be_written_to(sandbox: Sandbox, body: str) -> None:
    gate, reason, _ = failure(sandbox, kernel(body))
    assert (gate, reason) in {("correct", "exception"), ("correct", "crash")}


def test_a_write_beside_the_output_is_seen(sandbox: Sandbox) -> None:
    body = "out[:] = a + b\nctypes.c_float.from_address(out.ctypes.data - 4).value = 1"
    assert failure(sandbox, kernel(body, "import ctypes"))[:2] == ("correct", "bounds")


@pytest.mark.parametrize("end", ["sys.exit(0)", "os._exit(0)", "raise SystemExit"])
def test_ending_its_own_process_is_refused(sandbox: Sandbox, end: str) -> None:
    gate, reason, _ = failure(sandbox, kernel(f"out[:] = a + b\n{end}", "import os, sys"))
    assert (gate, reason) == ("authentic", "ended_itself")


def test_a_forged_answer_gains_nothing(sandbox: Sandbox) -> None:
    forged = "import os, struct, time\nDONE = struct.pack('=6i', 0, 0, 0, 0, 0, 0)"
    gate, reason, _ = failure(sandbox, kernel("os.write(6, DONE)\ntime.sleep(0.2)\nout[:] = a + b", forged))
    assert (gate, reason) == ("correct", "mismatch")
    gate, reason, _ = failure(sandbox, kernel("os.write(6, b'x' * 24)\nout[:] = a + b", "import os"))
    assert (gate, reason) == ("authentic", "forged_answer")


def test_a_thread_that_finishes_later_is_too_late(sandbox: Sandbox) -> None:
    before = "import threading, time\ndef later(a, b, out):\n    time.sleep(0.05)\n    out[:] = a + b"
    gate, reason, _ = failure(sandbox, kernel("threading.Thread(target=later, args=(a, b, out)).start()", before))
    assert (gate, reason) == ("correct", "mismatch")


@pytest.mark.parametrize("key", ["id(a)", "a.ctypes.data", "n", "a.shape"])
def test_an_answer_remembered_by_anything_but_the_values_is_stale(sandbox: Sandbox, key: str) -> None:
    body = f"if {key} not in seen: seen[{key}] = a + b\nout[:] = seen[{key}]"
    assert failure(sandbox, kernel(body, "seen = {}"))[:2] == ("correct", "mismatch")


@pytest.mark.parametrize(
    "act",
    [
        "os.fork()",
        "subprocess.run(['true'])",
        "os.execv('/bin/true', ['true'])",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "socket.socket()",
        "multiprocessing.Process(target=print).start()",
        "os.kill(os.getppid(), 9)",
        "os.memfd_create('x')",
    ],
)
def test_processes_sockets_and_signals_are_forbidden(sandbox: Sandbox, act: str) -> None:
    gate, reason, message = failure(sandbox, kernel(act, "import multiprocessing, os, socket, subprocess"))
    assert (gate, reason) == ("authentic", "forbidden_call")
    assert "system call" in message


@pytest.mark.parametrize(
    "act",
    [
        "open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
        "os.listdir(f'/proc/{os.getppid()}/fd')",
        "os.open('/proc/self/fd/3', os.O_RDWR)",
        "open('left_behind.txt', 'w')",
        "open('/tmp/left_behind.txt', 'w')",
    ],
)
def test_files_and_other_processes_are_out_of_reach(sandbox: Sandbox, act: str) -> None:
    gate, reason, message = failure(sandbox, kernel(f"out[:] = a + b\n{act}", "import os"))
    assert (gate, reason) == ("correct", "exception")
    assert "Error" in message


def test_patched_clocks_protocol_and_numpy_change_no_verdict(sandbox: Sandbox) -> None:
    before = (
        "import gc, sys, time\n"
        "time.perf_counter = time.perf_counter_ns = time.monotonic = lambda: 0\n"
        "np.testing.assert_allclose = np.allclose = np.isclose = lambda *a, **k: True\n"
        "holder = sys.modules['referee.holder']\n"
        "holder._say = lambda kind, text='': __import__('os').write(6, holder.ANSWER.pack(0, 0, 0, 0, 0, 0))"
    )
    assert failure(sandbox, kernel("pass", before))[:2] == ("correct", "mismatch")
    slow = kernel("time.sleep(0.002)\nout[:] = a + b", before)
    sessions = judge(sandbox, slow, timed=TIMED)["timing"]["sessions"]
    assert min(min(session["candidate_ns"]) for session in sessions) > 1e6


def test_work_put_off_to_exit_collection_or_a_trace_is_not_done(sandbox: Sandbox) -> None:
    before = (
        "import atexit, gc, sys, weakref\n"
        "class Later:\n"
        "    def __init__(self, work): self.work = work\n"
        "    def __del__(self): self.work()\n"
        "kept = []"
    )
    body = "def work(): out[:] = a + b\natexit.register(work)\nkept.append(Later(work))"
    assert failure(sandbox, kernel(body, before))[:2] == ("correct", "mismatch")


def test_a_candidate_never_sees_the_reference_or_the_seed(sandbox: Sandbox) -> None:
    body = (
        "out[:] = a + b\n"
        "seen = ' '.join([*sys.argv, *os.environ.values()])\n"
        "assert 'secret' not in seen and 'task' not in sys.modules, seen\n"
        "for top, folders, files in os.walk(os.path.dirname(os.path.abspath('.'))):\n"
        "    assert 'task.py' not in files, top"
    )
    assert judge(sandbox, kernel(body, "import os, sys"))["failure"] is None


def test_the_host_environment_stays_out(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOLVE_SECRET", "of the host")
    own = os.environ["HOME"]
    body = (
        f"out[:] = a + b\nassert 'EVOLVE_SECRET' not in os.environ and os.environ['HOME'] != {own!r}, dict(os.environ)"
    )
    assert judge(sandbox, kernel(body, "import os"))["failure"] is None
