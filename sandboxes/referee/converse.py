"""Talks with one program of the candidate: a line of JSON to it, a line back, the next one only then.

The program is a Python module of the job's files whose `main(library)` says one line when it is ready to be asked.
What it answers is passed on as it is; that it answers in time, in turn and in bounds, and when, is found here.
"""

import contextlib
import json
import os
import select
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import command, machine, python, spawn, tools
from .job import Job

BOOT = (
    "import sys; from importlib import import_module; library, module, own, others = sys.argv[1:]; "
    "sys.path = [own, *sys.path, others]; import_module(module).main(library)"
)
START_SECONDS = 30.0
"""Until the program is ready: nothing of the candidate's own runs before that."""
TAIL = 2000
"""Bytes of what came on stderr that are kept."""
ROOM = 256 * 2**20
"""Bytes of address space for the interpreter and numpy, on top of the limit."""


class SilencedError(Exception):
    """The conversation ended before its end. `kind`: `timeout`, `died`, `too_much` or `unasked`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Bounds(NamedTuple):
    line: int
    """Bytes of one answer."""
    whole: int
    """Bytes of all answers."""


def run(job: Job) -> dict[str, Any]:
    """`replies` as text and the `seconds` of each; `failure`: empty, or how the message after the last reply ended.

    Raises OSError for a program that is never ready: nothing of the candidate's has run by then.
    """
    messages = [json.dumps(message).encode() + b"\n" for message in job.request["messages"]]
    partner = _ready(job)
    bounds = Bounds(int(job.request["line_bytes"]), int(job.request["whole_bytes"]))
    replies: list[str] = []
    seconds: list[float] = []
    failure = ""
    try:
        ending = time.monotonic() + float(job.request["seconds"])
        for message in messages:
            begun = time.monotonic()
            line = partner.ask(message, min(begun + job.limits.seconds, ending), bounds.line)
            seconds.append(time.monotonic() - begun)
            replies.append(line.decode(errors="replace"))
            if partner.heard > bounds.whole:
                raise SilencedError("too_much")  # noqa: TRY301 - one way out of the conversation
    except SilencedError as silence:
        failure = silence.kind
    end = partner.end(died=failure == "died")
    how = end.signal or f"exit code {end.exit_code}"
    said = {"failure": failure, "end": how, "stderr": partner.complaints.decode(errors="replace")}
    return {"replies": replies, "seconds": seconds, "peak_memory_mb": end.peak_memory_mb, **said}


class Partner:
    """The program's process and the three pipes to it."""

    def __init__(self, pid: int, talking: int, listening: int, complaining: int) -> None:
        self._pid = pid
        self._talking, self._listening, self._complaining = talking, listening, complaining
        for descriptor in (talking, listening, complaining):
            os.set_blocking(descriptor, False)
        self._poller = select.poll()
        self._poller.register(listening, select.POLLIN)
        self._poller.register(complaining, select.POLLIN)
        self._buffer = bytearray()
        self.heard = 0
        """Bytes."""
        self.complaints = b""

    def ask(self, message: bytes, deadline: float, most: int) -> bytes:
        """Raises SilencedError; so does `listen`."""
        if self._read(self._listening):
            raise SilencedError("unasked")
        left = memoryview(message)
        self._poller.register(self._talking, select.POLLOUT)
        try:
            while left:
                if self._talking in self._ready(deadline):
                    left = left[self._write(left) :]
                elif self._buffer:
                    raise SilencedError("unasked")
        finally:
            self._poller.unregister(self._talking)
        return self.listen(deadline, most)

    def listen(self, deadline: float, most: int) -> bytes:
        """The next line."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > most:
                raise SilencedError("too_much")
            self._ready(deadline)
        line = bytes(self._buffer[:end])
        if end > most:
            raise SilencedError("too_much")
        if len(self._buffer) > end + 1:
            raise SilencedError("unasked")
        self._buffer.clear()
        return line

    def _ready(self, deadline: float) -> list[int]:
        """Wait until something can be done; what came is taken in."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise SilencedError("timeout")
        ready = [descriptor for descriptor, _ in self._poller.poll(left * 1000)]
        if self._complaining in ready:
            self._hear_complaints()
        if self._listening in ready and not self._read(self._listening):
            raise SilencedError("died")
        return ready

    def _read(self, descriptor: int) -> bool:
        """Whether anything came; False at the end of the stream too."""
        try:
            data = os.read(descriptor, 2**18)
        except BlockingIOError:
            return False
        self._buffer += data
        self.heard += len(data)
        return bool(data)

    def _hear_complaints(self) -> None:
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._complaining, 2**18)
            if not data:
                self._poller.unregister(self._complaining)
        self.complaints = (self.complaints + data)[-TAIL:]

    def _write(self, data: memoryview) -> int:
        try:
            return os.write(self._talking, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError as error:
            raise SilencedError("died") from error

    def end(self, *, died: bool) -> spawn.End:
        if died:
            spawn.wait(self._pid, 1.0)  # it hung up, and is about to say how it ended
        end = spawn.kill(self._pid)
        with contextlib.suppress(KeyError):
            self._poller.unregister(self._complaining)
        self._poller.register(self._complaining, select.POLLIN)
        if self._poller.poll(0):
            self._hear_complaints()
        for descriptor in (self._talking, self._listening, self._complaining):
            os.close(descriptor)
        return end


def _ready(job: Job) -> Partner:
    partner = _start(job)
    try:
        partner.listen(time.monotonic() + START_SECONDS, TAIL)
    except SilencedError as silence:
        partner.end(died=silence.kind == "died")
        words = partner.complaints.decode(errors="replace").strip()[-300:]
        raise OSError(f"the program {job.request['module']} is not ready: {silence.kind} {words}") from silence
    return partner


def _start(job: Job) -> Partner:
    own = job.folder / "program"
    own.mkdir(mode=0o755)
    _write_files(own, job)
    environment = {"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **machine.linear_algebra()}
    memory = ROOM + job.limits.memory_mb * 2**20
    confinement = spawn.Confinement(job.box("candidate"), job.candidate, environment, memory, job.limits.processes)
    theirs_in, talking = os.pipe()
    listening, theirs_out = os.pipe()
    complaining, theirs_err = os.pipe()
    try:
        pid = spawn.start(_argv(job, own), confinement, {0: theirs_in, 1: theirs_out, 2: theirs_err})
    finally:
        for descriptor in (theirs_in, theirs_out, theirs_err):
            os.close(descriptor)
    return Partner(pid, talking, listening, complaining)


def _argv(job: Job, own: Path) -> Sequence[str]:
    library = str(tools.tool("confine", job.cache))
    others = str(Path(np.__file__).parents[1])
    boot = (python.interpreter(job.candidate), "-I", "-S", "-B", "-c", BOOT)
    return (*boot, library, job.request["module"], str(own), others)


def _write_files(own: Path, job: Job) -> None:
    """The candidate can read them and change none."""
    command.write_files(own, job.files)
    for path in own.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
