"""Times what a candidate may be compared with, in one session: the plain loops, the candidate, numpy, torch.

Each has a process of its own and they take turns, all on the same fresh inputs; those whose turn it is not are
stopped. numpy and torch keep their own time, for what they run is ours.
"""

import contextlib
import dataclasses
import os
import select
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from . import frames, machine, spawn, targets
from .arena import ALIGNMENT, room
from .job import Job
from .runner import Program, Runner, Setup, cores_for
from .stage import Stage, footprint
from .verdict import BrokenTaskError, RejectedError
from .workload import Instance, Workload

SEED = 5
"""Distinguishes this data from that of the judgement."""
FEWEST = 3
MEMORY = 32 * 2**30
"""Bytes of address space for a library of ours, which reserves more than it uses."""
PATIENCE = 60.0
"""Seconds for a library to be loaded or to answer once."""
BOOT = "import sys; sys.path[:] = sys.argv.pop(1).split(':'); from referee.peer import main; main()"


class SilentError(Exception):
    """Why a contender has no time, in one sentence."""


class Kernel:
    """A compiled contender."""

    def __init__(self, runner: Runner, stage: Stage, instance: Instance, dims: Mapping[str, int]) -> None:
        self._runner = runner
        self._stage = stage
        stage.arrange(instance, dims, [runner])
        self._empty = statistics.median(runner.idle() for _ in range(9))

    def time(self, instance: Instance, dims: Mapping[str, int]) -> float:
        """Nanoseconds for one call, whose output is checked."""
        del dims
        self._runner.outputs.clear()
        elapsed = self._runner.call(f"computing {instance.label}")
        self._stage.verify(self._runner, instance)
        return max(elapsed - self._empty, elapsed / 10)

    def close(self) -> None:
        self._runner.close()


class Library:
    """numpy or torch, in an interpreter of its own (peer.py)."""

    def __init__(self, job: Job, kind: str, stage: Stage, threads: int) -> None:
        commands, ours = os.pipe()
        answers, theirs = os.pipe()
        self._channel = frames.Channel(answers, ours)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {
            "PATH": job.path,
            "LANG": "C.UTF-8",
            "HOME": "/nonexistent",
            **dict.fromkeys(names, str(threads)),
            **machine.linear_algebra(),
        }
        confinement = spawn.Confinement(job.folder, 0, environment, MEMORY, 512, cores=frozenset(cores_for(threads)))
        argv = [sys.executable, "-I", "-c", BOOT, ":".join(sys.path)]
        self._pid = spawn.start(argv, confinement, {3: stage.inputs.shared, 5: commands, 6: theirs})
        os.close(commands)
        os.close(theirs)
        self._channel.send({"task": job.trusted["task.py"], "numerics": job.trusted["numerics.py"], "kind": kind})
        self.version = str(self._answer()["version"])
        os.kill(self._pid, signal.SIGSTOP)

    def time(self, instance: Instance, dims: Mapping[str, int]) -> float:
        """Nanoseconds for one call."""
        arrays, start = [], 0
        for array in instance.inputs:
            start += room(array.nbytes)
            at = start - -(-array.nbytes // ALIGNMENT) * ALIGNMENT
            arrays.append([at, array.dtype.str, list(array.shape)])
        self._channel.send({"arrays": arrays, "dims": dict(dims)})
        os.kill(self._pid, signal.SIGCONT)
        elapsed = float(self._answer()["ns"])
        os.kill(self._pid, signal.SIGSTOP)
        return elapsed

    def _answer(self) -> dict[str, Any]:
        answer = self._channel.receive() if _readable(self._channel.source) else None
        if answer is None:
            raise SilentError("its process ended or took too long")
        if "problem" in answer:
            raise SilentError(answer["problem"])
        return answer

    def close(self) -> None:
        spawn.kill(self._pid)


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], PATIENCE)[0])


def run(job: Job) -> dict[str, Any]:
    """Median nanoseconds for each contender, or why there are none: `{"rows": {name: {"ns": …} | {"problem": …}}}`."""
    try:
        return _compare(job)
    except BrokenTaskError as error:
        return {"broken_task": str(error)}


def _compare(job: Job) -> dict[str, Any]:
    cores = len(machine.cores())
    threads = min(int(job.request.get("threads", 0)) or cores, cores)
    started = time.monotonic()
    workload = Workload(job.trusted, job.request["dims"])
    rng = np.random.Generator(np.random.PCG64([int(job.request["secret"]), SEED]))
    match = Match(job, workload, threads, rng)
    try:
        match.enter()
        waiting = time.monotonic()
        job.turn()
        started += time.monotonic() - waiting
        match.play(time.monotonic() + float(job.request["seconds"]))
    finally:
        match.close()
    return {"threads": threads, "rows": match.rows(), "seconds": time.monotonic() - started}


class Match:
    def __init__(self, job: Job, workload: Workload, threads: int, rng: np.random.Generator) -> None:
        self._job = job
        self._workload = workload
        self._threads = threads
        self._rng = rng
        self._dims: Mapping[str, int] = job.request["timed"]["dims"]
        self._stage = Stage(workload)
        self._first = self._draw(0)
        self._contenders: dict[str, Kernel | Library] = {}
        self._times: dict[str, list[float]] = {}
        self._problems: dict[str, str] = {}

    def enter(self) -> None:
        """Whoever cannot take part is left out, with the reason."""
        job = self._job
        plain = dataclasses.replace(job, request={**job.request, "flags": job.request["plain_flags"]})
        target = targets.of(job)
        ways: Mapping[str, Callable[[], Kernel | Library]] = {
            "baseline": lambda: self._kernel(target.baseline(plain), job.baseline),
            "candidate": lambda: self._kernel(target.candidate(job, remarks=False), job.candidate),
            "numpy": lambda: Library(job, "numpy", self._stage, self._threads),
            "torch": lambda: Library(job, "torch", self._stage, self._threads),
        }
        for name, way in ways.items():
            with self._leaving_out(name):
                self._contenders[name] = way()
        os.sched_setaffinity(0, cores_for(self._threads)[:1])

    def _kernel(self, program: Program, uid: int) -> Kernel:
        shared = 2 * footprint(self._first, self._workload) + 2**21
        runner = Runner(self._job, program, Setup(self._threads, self._stage.inputs, shared), uid=uid)
        return Kernel(runner, self._stage, self._first, self._dims)

    def play(self, deadline: float) -> None:
        """Rounds until the time is up, each in another order; the first one, in which all warm up, does not count."""
        for number in range(int(self._job.request["timed"]["samples"]) + 1):
            if number > FEWEST and time.monotonic() > deadline:
                break
            instance = self._draw(number)
            for name in _turned(list(self._contenders), number):
                self._stage.load(instance)
                with self._leaving_out(name):
                    elapsed = self._contenders[name].time(instance, self._dims)
                    self._times.setdefault(name, []).extend([elapsed] if number else [])

    def rows(self) -> dict[str, dict[str, Any]]:
        found = {
            name: {"ns": statistics.median(times), "samples": len(times), "version": self._version(name)}
            for name, times in self._times.items()
            if times and name not in self._problems
        }
        return {**found, **{name: {"problem": problem} for name, problem in self._problems.items()}}

    def close(self) -> None:
        for contender in self._contenders.values():
            contender.close()

    def _version(self, name: str) -> str:
        contender = self._contenders[name]
        return contender.version if isinstance(contender, Library) else machine.compiler()

    def _draw(self, number: int) -> Instance:
        distribution = str(self._rng.choice(self._workload.distributions))
        return self._workload.draw([int(self._job.request["secret"]), SEED, number], distribution, self._dims)

    @contextlib.contextmanager
    def _leaving_out(self, name: str) -> Iterator[None]:
        try:
            yield
        except (RejectedError, SilentError, BrokenTaskError, OSError) as error:
            self._problems[name] = str(error)
            contender = self._contenders.pop(name, None)
            if contender:
                contender.close()


def _turned(names: list[str], by: int) -> list[str]:
    at = by % max(1, len(names))
    return names[at:] + names[:at]
