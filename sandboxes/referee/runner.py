"""A candidate's process as the referee holds it: stopped, except while the referee's clock runs."""

import contextlib
import os
import select
import signal
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from . import spawn
from .arena import Arena
from .job import Job
from .verdict import RejectedError

MAX_ARGUMENTS = 16
OVERHEAD = 160 * 2**20
"""Bytes of address space for libraries, guards and the main stack."""
THREAD = 24 * 2**20
"""Bytes of address space for the stack of one thread."""
LAYOUT, CALL = 1, 2
DONE, UNLOADABLE, NO_SYMBOL, FAULT, UNMAPPABLE = range(5)
COMMAND = struct.Struct("=4I16Q16q")
ANSWER = struct.Struct("=6i")
PLACES = ("", "just before the start of {}", "just past the end of {}", "inside {}", "at a null pointer")
MISFORTUNES = {
    "SIGSEGV": "read or wrote out of bounds",
    "SIGBUS": "accessed memory that is not there",
    "SIGFPE": "divided an integer by zero",
    "SIGILL": "executed an illegal instruction (one that this CPU lacks?)",
    "SIGABRT": "aborted itself",
    "SIGSYS": "made a system call that a kernel may not make (starting processes, sockets, signalling or reading "
    "other processes)",
}


class Fault(NamedTuple):
    """What the runner said of its own end: for the message only."""

    kind: int
    signal: int
    place: int
    buffer: int
    allocation_refused: bool
    text: str


NOTHING = Fault(DONE, 0, 0, 0, allocation_refused=False, text="")


class Setup(NamedTuple):
    """What the runners of one comparison have in common."""

    program: Path
    """The compiled runner.c."""
    symbol: str
    threads: int
    inputs: Arena
    shared_bytes: int
    """The most that inputs and outputs together will take; on top of the candidate's memory limit."""


class Runner:
    """Loads a library in a process of its own. Every method raises RejectedError when that process fails."""

    def __init__(self, job: Job, library: Path, setup: Setup, *, uid: int) -> None:
        self._job = job
        self._symbol = setup.symbol
        self.outputs = Arena("outputs", inputs=False)
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        confinement = spawn.Confinement(
            folder=library.parent,
            uid=uid,
            environment=_environment(setup.threads),
            memory_bytes=job.limits.memory_mb * 2**20 + setup.shared_bytes + OVERHEAD + setup.threads * THREAD,
            processes=job.limits.processes + setup.threads,
            file_bytes=0,
            cores=frozenset(cores_for(setup.threads)),
        )
        descriptors = {3: setup.inputs.shared, 4: self.outputs.shared, 5: commands, 6: answers}
        self._pid = spawn.start([str(setup.program), str(library), setup.symbol], confinement, descriptors)
        os.close(commands)
        os.close(answers)
        self._poller = select.poll()
        self._poller.register(self._answers, select.POLLIN)
        self.peak_memory_mb = 0.0
        self._alive = True
        self._expect(self._listen("loading the library"))
        self._stop("loading the library")

    def arrange(self, inputs: Sequence[int], output: int, dims: Sequence[int], sets: int) -> None:
        """Map `sets` times these buffers (bytes); the inputs' arena is laid out by whoever fills it."""
        self.outputs.arrange([output], sets)
        sizes = [*inputs, output]
        packed = COMMAND.pack(LAYOUT, sets, len(inputs), len(dims), *_padded(sizes), *_padded(dims))
        self._exchange(packed, "mapping its buffers")

    def call(self, sets: int, doing: str) -> int:
        """Call the kernel once on each of the first `sets` sets; nanoseconds from start to standstill.

        The clock starts before the process may run and stops when all of its threads stand still: nothing that it
        does lies outside.
        """
        return self._exchange(COMMAND.pack(CALL, sets, *[0] * 34), doing)

    def _exchange(self, packed: bytes, doing: str) -> int:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._commands, packed)
        started = time.perf_counter_ns()
        os.kill(self._pid, signal.SIGCONT)
        fault = self._listen(doing)
        self._stop(doing, fault)
        elapsed = time.perf_counter_ns() - started
        self._expect(fault)
        return elapsed

    def _listen(self, doing: str) -> Fault:
        if not self._poller.poll(self._job.limits.seconds * 1000):
            self.close()
            message = f"took longer than the limit of {self._job.limits.seconds:g} s while {doing}"
            raise RejectedError("correct", "timeout", message)
        data = os.read(self._answers, ANSWER.size + 600)
        if len(data) < ANSWER.size:
            raise self._death(NOTHING, doing)
        kind, number, place, buffer, refused, length = ANSWER.unpack_from(data)
        text = data[ANSWER.size :][: max(0, length)].decode(errors="replace")
        fault = Fault(kind, number, place, buffer, bool(refused), text)
        if kind == FAULT:
            raise self._death(fault, doing)
        return fault

    def _stop(self, doing: str, fault: Fault = NOTHING) -> None:
        os.kill(self._pid, signal.SIGSTOP)
        while True:
            info = os.waitid(os.P_PID, self._pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if info is None or info.si_code != os.CLD_STOPPED:
                raise self._death(fault, doing)
            os.waitid(os.P_PID, self._pid, os.WSTOPPED)
            return

    def _expect(self, fault: Fault) -> None:
        if fault.kind == DONE:
            return
        self.close()
        if fault.kind == NO_SYMBOL:
            message = f"no function named `{self._symbol}` is exported; define `void {self._symbol}(…)`"
            raise RejectedError("builds", "symbol", message)
        if fault.kind == UNLOADABLE:
            reason = "memory" if "allocate memory" in fault.text else "symbol"
            raise RejectedError("builds", reason, f"the library cannot be loaded: {fault.text}")
        if fault.kind == UNMAPPABLE:
            raise RejectedError("correct", "memory", "left no room in its address space for the buffers")
        raise RejectedError("authentic", "forged_answer", "wrote to the channel between the runner and the referee")

    def _death(self, fault: Fault, doing: str) -> RejectedError:
        """The process is ending or has: why, for the writer."""
        if not spawn.wait(self._pid, 1.0):
            os.kill(self._pid, signal.SIGKILL)
        end = spawn.reap(self._pid)
        self._alive = False
        self.peak_memory_mb = end.peak_memory_mb
        if end.exit_code is not None:
            message = f"ended its own process (exit code {end.exit_code}) while {doing}"
            return RejectedError("authentic", "ended_itself", message)
        return self._explain(end.signal, fault, doing)

    def _explain(self, ended_by: str, fault: Fault, doing: str) -> RejectedError:
        what = MISFORTUNES.get(ended_by, "was killed")
        limit = f"the limit is {self._job.limits.memory_mb} MB"
        if ended_by == "SIGSYS":
            return RejectedError("authentic", "forbidden_call", f"{what} while {doing}")
        if ended_by == "SIGKILL" or (fault.allocation_refused and fault.place in {0, 4}):
            return RejectedError("correct", "memory", f"ran out of memory ({limit}) while {doing}: {ended_by}")
        if fault.kind == FAULT and fault.place == PLACES.index("inside {}"):
            message = f"wrote to {self._name(fault.buffer)}, but inputs are read-only (while {doing}): {ended_by}"
            return RejectedError("correct", "inputs_modified", message)
        where = PLACES[fault.place].format(self._name(fault.buffer)) if 0 < fault.place < len(PLACES) else ""
        if where and fault.place != PLACES.index("at a null pointer"):
            return RejectedError("correct", "bounds", f"{what} {where} (while {doing}): {ended_by}")
        return RejectedError("correct", "crash", f"{what} {where}".strip() + f" (while {doing}): {ended_by}")

    def _name(self, buffer: int) -> str:
        return f"argument {buffer}"

    def close(self) -> None:
        """End the process; its outputs stay readable."""
        if self._alive:
            self._alive = False
            self.peak_memory_mb = spawn.kill(self._pid).peak_memory_mb


def _padded(numbers: Sequence[int]) -> list[int]:
    return [*numbers, *[0] * (MAX_ARGUMENTS - len(numbers))]


def cores_for(threads: int) -> list[int]:
    """The cores of a runner. The first is that of its main thread, and of the referee while it times: the one wakes
    the other without waking another core, which takes some 100 µs on a virtual machine.
    """
    return sorted(os.sched_getaffinity(0), reverse=True)[:threads]


def _environment(threads: int) -> Mapping[str, str]:
    places = ",".join(f"{{{core}}}" for core in cores_for(threads))
    openmp = {"OMP_NUM_THREADS": str(threads), "OMP_PLACES": places, "OMP_PROC_BIND": "true"}
    return {"PATH": "/nonexistent", "LANG": "C", "MALLOC_ARENA_MAX": "2", "OMP_STACKSIZE": "16M", **openmp}
