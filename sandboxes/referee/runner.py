"""A candidate's process as the referee holds it: stopped, except while the referee's clock runs."""

import contextlib
import ctypes
import os
import signal
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from . import fingerprint, spawn, tools
from .arena import Arena
from .job import Job
from .verdict import RejectedError

MAX_ARGUMENTS = 16
OVERHEAD = 160 * 2**20
"""Bytes of address space for libraries, guards and the main stack."""
THREAD = 24 * 2**20
"""Bytes of address space for the stack of one thread."""
LAYOUT, CALL, LOAD, COLLECT = 1, 2, 3, 4
DONE, UNLOADABLE, NO_SYMBOL, FAULT, UNMAPPABLE, ENVIRONMENT, MALFORMED, RAISED = range(8)
LATE = -1
"""What `exchange` of handshake.c returns."""
COMMAND = struct.Struct("=4I16Q16q")
ANSWER = struct.Struct("=6i")
LENGTH = struct.Struct("=I")
LOADING = "loading the library"
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


NOTHING = Fault(FAULT, 0, 0, 0, allocation_refused=False, text="")


class Program(NamedTuple):
    """What is started to hold a candidate: it speaks the protocol of runner.c on descriptors 3 to 6."""

    argv: tuple[str, ...]
    folder: Path
    remarks: str = ""
    """What the compiler said of vectorisation, when asked."""
    room: int = 0
    """Bytes of address space that it takes itself, beyond a compiled runner's."""
    file_bytes: int = 0
    """The largest file it may write."""
    library: Path | None = None
    """To be inspected before it is timed (library.py)."""
    described: bool = False
    """It is told what its buffers hold, as JSON behind each layout (holder.py)."""
    device: Mapping[str, Any] = {}
    """What the device is whose memory it works in (gpu.py): buffers are copied there before a call, and back after."""
    alone: tuple[str, ...] = ()
    """What runs it without a referee, for a profiler (device.c); empty where nothing does."""
    not_run: str = ""
    """Why it is built but cannot be run here."""
    not_timed: str = ""
    """Why it can be run here, but its time would say nothing."""


class Setup(NamedTuple):
    """What the runners of one comparison have in common."""

    threads: int
    inputs: Arena
    shared_bytes: int
    """The most that inputs and outputs together will take; on top of the candidate's memory limit."""


class Runner:
    """Loads a library in a process of its own. Every method raises RejectedError when that process fails."""

    def __init__(self, job: Job, program: Program, setup: Setup, *, uid: int) -> None:
        self._job = job
        self._described = program.described
        self._device = bool(program.device)
        self._inputs = setup.inputs
        self._said = ""
        self.device_ns: list[float] = []
        """Of each call, what the device's own clock says: for the reply, never for the score."""
        self.outputs = Arena("outputs", inputs=False)
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        overhead = OVERHEAD + program.room
        confinement = spawn.Confinement(
            folder=program.folder,
            uid=uid,
            environment=_environment(setup.threads),
            memory_bytes=job.limits.memory_mb * 2**20 + setup.shared_bytes + overhead + setup.threads * THREAD,
            processes=job.limits.processes + setup.threads,
            file_bytes=program.file_bytes,
            cores=frozenset(cores_for(setup.threads)),
        )
        descriptors = {3: setup.inputs.shared, 4: self.outputs.shared, 5: commands, 6: answers}
        self._pid = spawn.start(program.argv, confinement, descriptors)
        os.close(commands)
        os.close(answers)
        self._clock = clock(job.cache)
        self._answer = ctypes.create_string_buffer(ANSWER.size + 600)
        self.peak_memory_mb = 0.0
        self._alive = True
        self._exchange(b"", LOADING)

    def arrange(self, inputs: Sequence[int], output: int, dims: Sequence[int], description: bytes = b"") -> None:
        """Map buffers of these sizes (bytes); the inputs' arena is laid out by whoever fills it.

        `description`: types and shapes of inputs and output, for a program that is told them.
        """
        self.outputs.arrange([output])
        sizes = [*inputs, output]
        packed = COMMAND.pack(LAYOUT, 0, len(inputs), len(dims), *_padded(sizes), *_padded(dims))
        if self._described:
            packed += LENGTH.pack(len(description)) + description
        self._exchange(packed, "mapping its buffers")

    def call(self, doing: str) -> int:
        """Call the kernel once; nanoseconds from start to standstill.

        The clock starts before the process may run and stops when all of its threads stand still: nothing that it
        does lies outside.
        """
        return self._call_on_device(doing) if self._device else self._command(CALL, doing)

    def idle(self) -> int:
        """What `call` takes beside the kernel, in nanoseconds."""
        return self._command(CALL, "doing nothing", times=0)

    def _call_on_device(self, doing: str) -> int:
        """Copies lie outside of the clock; what they bring back must be what was there when it stopped."""
        self._command(LOAD, "copying the inputs to the device")
        elapsed = self._command(CALL, doing)
        device_ns, _, returned = self._said.partition(" ")
        self._command(COLLECT, "copying the output from the device")
        fingerprint.compare(returned, self._said, self._inputs, self.outputs, doing)
        self.device_ns.append(float(device_ns) if device_ns.isdecimal() else 0.0)
        return elapsed

    def _command(self, kind: int, doing: str, times: int = 1) -> int:
        return self._exchange(COMMAND.pack(kind, times, *[0] * 34), doing)

    def _exchange(self, packed: bytes, doing: str) -> int:
        """Send a command (none: it runs already), wait for the answer, stop the process; nanoseconds."""
        elapsed, ended, patience = ctypes.c_int64(), ctypes.c_int(), ctypes.c_double(self._job.limits.seconds)
        sent, room = ctypes.c_int64(len(packed)), ctypes.c_int64(len(self._answer))
        length = self._clock.exchange(
            self._pid,
            self._commands,
            packed,
            sent,
            self._answers,
            self._answer,
            room,
            patience,
            ctypes.byref(elapsed),
            ctypes.byref(ended),
        )
        if length == LATE:
            self.end()
            message = f"took longer than the limit of {self._job.limits.seconds:g} s while {doing}"
            raise RejectedError("correct", "timeout", message)
        fault = _understood(self._answer.raw[:length])
        if fault.kind not in range(RAISED + 1):
            self.end()
            message = "wrote to the channel between the runner and the referee"
            raise RejectedError("authentic", "forged_answer", message)
        if ended or fault.kind == FAULT:
            raise self._death(fault, doing)
        self._expect(fault, doing)
        self._said = fault.text
        return elapsed.value

    def _expect(self, fault: Fault, doing: str) -> None:
        if fault.kind == DONE:
            return
        self.end()
        if fault.kind == NO_SYMBOL:
            symbol = self._job.request["symbol"]
            message = f"no function named `{symbol}` is exported; define `void {symbol}(…)`"
            raise RejectedError("builds", "symbol", fault.text or message)
        if fault.kind == MALFORMED:
            raise RejectedError("builds", "compile_error", fault.text)
        if fault.kind == RAISED:
            reason = "memory" if fault.text.startswith("MemoryError") else "exception"
            gate = "builds" if doing == LOADING else "correct"
            raise RejectedError(gate, reason, f"raised {fault.text} while {doing}")
        if fault.kind == UNLOADABLE:
            reason = "memory" if "allocate memory" in fault.text else "symbol"
            raise RejectedError("builds", reason, f"the library cannot be loaded: {fault.text}")
        if fault.kind == UNMAPPABLE:
            raise RejectedError("correct", "memory", "left no room in its address space for the buffers")
        message = "left the floating-point environment changed (rounding, flushing of denormals, traps)"
        raise RejectedError("authentic", "environment", message)

    def _death(self, fault: Fault, doing: str) -> RejectedError:
        """The process is ending or has: why, for the writer."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGCONT)
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
        argument = f"argument {fault.buffer}"
        what = MISFORTUNES.get(ended_by, "was killed")
        limit = f"the limit is {self._job.limits.memory_mb} MB"
        if ended_by == "SIGSYS":
            return RejectedError("authentic", "forbidden_call", f"{what} while {doing}")
        if ended_by == "SIGKILL" or (fault.allocation_refused and fault.place in {0, 4}):
            return RejectedError("correct", "memory", f"ran out of memory ({limit}) while {doing}: {ended_by}")
        if fault.kind == FAULT and fault.place == PLACES.index("inside {}"):
            message = f"wrote to {argument}, but inputs are read-only (while {doing}): {ended_by}"
            return RejectedError("correct", "inputs_modified", message)
        where = PLACES[fault.place].format(argument) if 0 < fault.place < len(PLACES) else ""
        if where and fault.place != PLACES.index("at a null pointer"):
            return RejectedError("correct", "bounds", f"{what} {where} (while {doing}): {ended_by}")
        return RejectedError("correct", "crash", f"{what} {where}".strip() + f" (while {doing}): {ended_by}")

    def end(self) -> None:
        """End the process; its outputs stay readable."""
        if self._alive:
            self._alive = False
            self.peak_memory_mb = spawn.kill(self._pid).peak_memory_mb

    def close(self) -> None:
        self.end()
        self.outputs.close()
        for descriptor in (self._commands, self._answers):
            os.close(descriptor)


def _understood(answer: bytes) -> Fault:
    """A process that ended before it answered says nothing."""
    if len(answer) < ANSWER.size:
        return NOTHING
    kind, number, place, buffer, refused, length = ANSWER.unpack_from(answer)
    text = answer[ANSWER.size :][: max(0, length)].decode(errors="replace")
    return Fault(kind, number, place, buffer, bool(refused), text)


@cache
def clock(folder: Path) -> ctypes.CDLL:
    """handshake.c, from the folder where it is built."""
    library = ctypes.CDLL(str(tools.tool("handshake", folder)))
    library.exchange.restype = ctypes.c_int64
    return library


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
