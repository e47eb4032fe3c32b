"""Starts processes of the program for an evaluator, passes on the line to each, and says how it ended.

An evaluator, or a process that it started, connects and sends one request (JSON): `load` gets a descriptor of the
line, `script` hands its own three streams over, `refuse` ends the evaluation. When either side goes, the other does.
"""

import contextlib
import json
import os
import selectors
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import machine, python, spawn, tools
from .job import Job

BOOT = "import sys; sys.path += sys.argv[2:]; from referee.{module} import main; sys.path.pop(); main()"
MOST_ALIVE = 16
"""Processes of the program at a time."""
MOST_STARTED = 2000
FILE_BYTES = 64 * 2**20
"""The largest file that a program may make of its output, where an evaluator gave it one to write to."""

Watch = Callable[[int, Callable[[], None]], None]


class Tail:
    """The last of what comes over a pipe."""

    def __init__(self, selector: selectors.BaseSelector, most: int) -> None:
        self._selector = selector
        self._most = most
        self._kept = b""
        self._source, self.sink = os.pipe()
        os.set_blocking(self._source, False)
        selector.register(self._source, selectors.EVENT_READ, self.read)

    def read(self) -> bool:
        """Whether there was anything."""
        try:
            data = os.read(self._source, 2**18)
        except BlockingIOError:
            return False
        self._kept = (self._kept + data)[-self._most :]
        return bool(data)

    def close(self) -> str:
        """All that was kept; what comes later is lost."""
        for _ in range(64):
            if not self.read():
                break
        self._selector.unregister(self._source)
        os.close(self._source)
        os.close(self.sink)
        return self._kept.decode(errors="replace")


class Partner(NamedTuple):
    """A process of the program."""

    pid: int
    ended: int
    """A descriptor that says so."""


class Broker:
    def __init__(self, job: Job, program: Path, seed: int, selector: selectors.BaseSelector) -> None:
        self._job = job
        self._program = program
        self._seed = seed
        self._selector = selector
        self._listening: socket.socket | None = None
        self._partners: dict[socket.socket, Partner | None] = {}
        self.started = 0
        """Processes of the program."""
        self._output = Tail(selector, job.limits.output_kb * 1024)
        self.output = ""
        """What the program printed, once this is closed."""
        self.peak_memory_mb = 0.0
        self.refused = ""
        """What the evaluator may not do, and did."""

    def listen(self, path: str) -> None:
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.bind(path)
        self._listening.listen(MOST_ALIVE)
        self._selector.register(self._listening, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        assert self._listening is not None
        control, _ = self._listening.accept()
        self._partners[control] = None
        self._selector.register(control, selectors.EVENT_READ, lambda: self._hear(control))

    def _hear(self, control: socket.socket) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(control, 2**18, 3)
        except ConnectionError:
            data, descriptors = b"", []
        try:
            if not data:
                self._drop(control)
            elif self._partners[control] is None:
                self._serve(control, json.loads(data), descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _serve(self, control: socket.socket, request: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        if request["do"] == "refuse":
            self.refused = self.refused or str(request["message"])
            return
        alive = sum(partner is not None for partner in self._partners.values())
        self.started += 1
        if alive >= MOST_ALIVE or self.started > MOST_STARTED:
            refused = f"{alive} processes of the program at a time, or {self.started} altogether, are too many"
            control.send(json.dumps({"refused": refused}).encode())
        elif request["do"] == "load":
            self._load(control, request["name"])
        else:
            streams = dict(enumerate(descriptors))
            self._start(control, {"name": "__main__", "script": True, "arguments": request["arguments"]}, streams)
            control.send(b"{}")

    def _load(self, control: socket.socket, name: str) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            streams = {1: self._output.sink, 2: self._output.sink, 3: theirs.fileno()}
            self._start(control, {"name": name, "script": False, "arguments": []}, streams)
            socket.send_fds(control, [b"{}"], [ours.fileno()])

    def _start(self, control: socket.socket, given: Mapping[str, Any], streams: Mapping[int, int]) -> None:
        job = self._job
        library = str(tools.tool("confine", job.cache))
        told = {**given, "file": str(self._program), "seed": self._seed, "confine": library}
        memory = job.limits.memory_mb * 2**20 + python.ROOM
        confinement = spawn.Confinement(
            self._program.parent,
            job.candidate,
            {"PATH": "/nonexistent", "HOME": "/nonexistent", **environment()},
            memory,
            job.limits.processes + MOST_ALIVE,
            FILE_BYTES,
        )
        pid = spawn.start(argv("program", told, job.candidate), confinement, streams)
        partner = self._partners[control] = Partner(pid, os.pidfd_open(pid))
        self._selector.register(partner.ended, selectors.EVENT_READ, lambda: self._tell_end(control, partner))

    def _tell_end(self, control: socket.socket, partner: Partner) -> None:
        self._forget(partner)
        end = spawn.reap(partner.pid)
        self.peak_memory_mb = max(self.peak_memory_mb, end.peak_memory_mb)
        with contextlib.suppress(ConnectionError):
            control.send(json.dumps({"exit_code": end.exit_code, "signal": end.signal}).encode())
        self._partners[control] = None
        self._drop(control)

    def _drop(self, control: socket.socket) -> None:
        """Its side hung up, or has been told all."""
        partner = self._partners.pop(control)
        if partner:
            self._forget(partner)
            self.peak_memory_mb = max(self.peak_memory_mb, spawn.kill(partner.pid).peak_memory_mb)
        self._selector.unregister(control)
        control.close()

    def _forget(self, partner: Partner) -> None:
        self._selector.unregister(partner.ended)
        os.close(partner.ended)

    def close(self) -> None:
        for control in list(self._partners):
            self._drop(control)
        if self._listening:
            self._selector.unregister(self._listening)
            self._listening.close()
        self.output = self._output.close()


def environment() -> dict[str, str]:
    """For an interpreter that is to do the same every time."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"LANG": "C.UTF-8", "PYTHONHASHSEED": "0", **threads, **machine.linear_algebra()}


def argv(module: str, told: Mapping[str, Any], user: int) -> tuple[str, ...]:
    """An interpreter for a module of the referee, as this user; it looks for packages where the referee does."""
    own = str(Path(__file__).parents[1])
    places = [*(path for path in sys.path if path and path != own), str(Path(np.__file__).parents[1]), own]
    started = (python.interpreter(user), "-S", "-s", "-P", "-B", "-c", BOOT.format(module=module))
    return (*started, json.dumps(told), *places)
