"""Judges a program by an evaluator in OpenEvolve's format, which the program cannot make say what it likes.

The evaluator runs in a fork of this process, the program as the candidate in confined processes of its own
(broker.py). An evaluator that has to have its program in its own process is `trusting`: both then run as the
candidate, and what is reported can be forged.

Not covered: a referee that is not root has no other user, and a program can then read the evaluator's files.
"""

import contextlib
import hashlib
import os
import resource
import selectors
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from . import apart, command, evaluation, frames, python, spawn
from .broker import Broker, Tail, argv, environment
from .job import Job
from .watch import Place

EVALUATOR_ROOM = 4 * 2**30
"""Bytes of address space that an evaluator may take beyond what this process has."""
MOST_TOLD = 16 * 2**20
"""Bytes of all results of one evaluation."""
KINDS = frozenset({"evaluator", "raised", "program", "memory", "died", "timeout", "too_much"})


def run(job: Job) -> dict[str, Any]:
    """`stages`, `failure`, `output`, `program_output`, `peak_memory_mb`."""
    judged = Evaluation(job)
    (judged.trust if job.request.get("trusting") else judged.keep_apart)()
    judged.supervise(time.monotonic() + float(job.request["seconds"]))
    return judged.reply()


def _lay_out(folder: Path, files: Mapping[str, str], folders: int, others: int) -> None:
    folder.mkdir()
    command.write_files(folder, files)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(folders if path.is_dir() else others)


class Evaluation:
    def __init__(self, job: Job) -> None:
        self._job = job
        _lay_out(job.folder / "program", job.files, 0o755, 0o644)
        self._program = job.folder / "program" / job.request["program"]
        self._trusting = bool(job.request.get("trusting"))
        self._stages: list[dict[str, Any]] = []
        self._failure: dict[str, str] | None = None
        self._over = False
        self._selector = selectors.DefaultSelector()
        self._output = Tail(self._selector, job.limits.output_kb * 1024)
        self._broker = Broker(job, self._program, self._seed("program"), self._selector)
        self._decoder = frames.Decoder()
        self._heard = 0
        self._results, self._telling = os.pipe()
        self._selector.register(self._results, selectors.EVENT_READ, self._hear)
        self._pid = 0
        self._peak = 0.0

    def _seed(self, whose: str) -> int:
        """A program that knows its own does not know its evaluator's."""
        digest = hashlib.sha256(f"{whose} {self._job.request['seed']}".encode()).digest()
        return int.from_bytes(digest[:4], "little")

    # ---- starting

    def keep_apart(self) -> None:
        """The evaluator: a child of ours, in a folder that only our user enters. It sees the program in a place where
        no other file of the candidate lies, of which it might import one.
        """
        folder, shown = self._job.folder / "evaluator", self._job.folder / "shown"
        _lay_out(folder, self._job.trusted, 0o700, 0o600)
        name = self._job.request["program"]
        _lay_out(shown, {name: self._job.files[name]}, 0o755, 0o644)
        place = Place(str(folder), str(shown / name), str(folder / ".broker"), tuple(self._job.trusted))
        apart.prepare(place)
        self._broker.listen(place.broker)
        self._pid = os.fork()
        if self._pid == 0:
            self._become_evaluator(place)
        os.close(self._telling)

    def _become_evaluator(self, place: Place) -> NoReturn:
        try:
            for number in (1, 2):
                os.dup2(self._output.sink, number)
            os.dup2(self._telling, evaluation.CHANNEL, inheritable=False)
            os.closerange(evaluation.CHANNEL + 1, 2**16)
            sys.stdout = open(1, "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115
            _move_to(Path(place.folder))
            apart.begin(place)
            channel = frames.Channel(evaluation.CHANNEL, evaluation.CHANNEL)
            evaluation.conduct(self._job.request["stages"], place.program, self._seed("evaluator"), channel.send)
        except BaseException:  # noqa: BLE001 - the process boundary: a defect of ours
            traceback.print_exc()
        finally:
            os._exit(70)

    def trust(self) -> None:
        """Evaluator and program together, as the candidate."""
        box = self._job.box("candidate")
        command.write_files(box, self._job.trusted)
        limits, stages = self._job.limits, self._job.request["stages"]
        own = {"PATH": self._job.path, "HOME": str(box), "TMPDIR": str(box)}
        libraries = {"PYTHONPATH": str(Path(np.__file__).parents[1])}
        memory = limits.memory_mb * 2**20 + python.ROOM
        surroundings = {**environment(), **own, **libraries}
        confinement = spawn.Confinement(box, self._job.candidate, surroundings, memory, limits.processes)
        told = {"stages": stages, "program": str(self._program), "seed": self._seed("evaluator")}
        streams = {1: self._output.sink, 2: self._output.sink, evaluation.CHANNEL: self._telling}
        self._pid = spawn.start(argv("evaluation", told, self._job.candidate), confinement, streams)
        os.close(self._telling)

    # ---- while it runs

    def supervise(self, deadline: float) -> None:
        """Until it is over, then end all of it."""
        while not (self._over or self._broker.refused):
            left = deadline - time.monotonic()
            if left <= 0:
                seconds = float(self._job.request["seconds"])
                self._fail("timeout", f"the evaluation did not end within {seconds:g} s")
                break
            for key, _ in self._selector.select(left):
                if self._selector.get_map().get(key.fd) == key:  # not closed by what was done just before
                    key.data()
        if self._broker.refused:
            self._fail("embedded", self._broker.refused)
        self._broker.close()
        if self._pid:
            self._peak = spawn.kill(self._pid).peak_memory_mb
        spawn.sweep()

    def _fail(self, kind: str, message: str) -> None:
        if kind == "raised":
            kind = "program" if self._trusting or self._broker.started else "evaluator"
        self._over = True
        self._failure = {"kind": kind, "message": evaluation.readable(message)}

    def _hear(self) -> None:
        data = os.read(self._results, 2**18)
        self._heard += len(data)
        try:
            if self._heard > MOST_TOLD:
                raise ValueError(f"{self._heard} bytes of results are too many")  # noqa: TRY301
            self._decoder.feed(data)
            while self._decoder.messages:
                self._note(self._decoder.messages.popleft())
        except (frames.ProtocolError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            self._fail("too_much" if self._heard > MOST_TOLD else "died", f"the results are nonsense: {error}")
        if not data and not self._over:
            self._part()

    def _note(self, told: Mapping[str, Any]) -> None:
        """What a trusting evaluator tells may be anything."""
        if "stage" in told:
            wanted = self._job.request["stages"][len(self._stages) :]
            found = told["stage"]
            metrics, artifacts = evaluation.sorted_out(found)
            if not wanted or not metrics:
                raise ValueError("a stage that nobody asked for, or without metrics")
            name, seconds = wanted[0]["function"], float(found["seconds"])
            self._stages.append({"function": name, "metrics": metrics, "artifacts": artifacts, "seconds": seconds})
        elif told["failure"] is None:
            self._over = True
        else:
            kind = told["failure"]["kind"]
            self._fail(kind if kind in KINDS else "died", str(told["failure"]["message"])[: evaluation.MOST_TEXT])

    def _part(self) -> None:
        """The evaluator's process is gone before it said that it was done."""
        spawn.wait(self._pid, 1.0)
        end = spawn.kill(self._pid)
        self._pid, self._peak = 0, end.peak_memory_mb
        how = end.signal or f"exit code {end.exit_code}"
        if not self._trusting:
            self._fail("raised", f"the evaluator's process ended before it was done: {how}")
        else:
            self._fail("memory" if end.signal == "SIGKILL" else "died", f"the process ended before it was done: {how}")

    def reply(self) -> dict[str, Any]:
        output = self._output.close()
        os.close(self._results)
        self._selector.close()
        peak = self._peak if self._trusting else self._broker.peak_memory_mb
        said = {"output": output, "program_output": self._broker.output, "peak_memory_mb": peak}
        return {"stages": self._stages, "failure": self._failure, **said}


def _move_to(folder: Path) -> None:
    """Its files are its own alone, and it cannot take all memory."""
    os.umask(0o077)
    os.chdir(folder)
    temporary = folder / ".tmp"
    temporary.mkdir()
    os.environ.update(HOME=str(folder), TMPDIR=str(temporary))
    tempfile.tempdir = None
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (mapped + EVALUATOR_ROOM, mapped + EVALUATOR_ROOM))
