"""The referee: serves jobs from the host, each in a forked process of its own that is gone when it answers.

Frames in: a job. Frames out: first a greeting, then for each job any number of `{"turn": true}` (answered by an
empty frame when no other job of the machine measures), then one of `{"execution": …}`, `{"error": sentence}` (our
own defect), `{"lost": sentence}` (the job brought its sandbox down) and `{"late": true}`.
When the host goes away, so does everything here.
"""

import argparse
import contextlib
import gc
import os
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from . import command, converse, evaluate, frames, machine, measure, peaks, peers, profile, runner, spawn, targets
from .job import Job, Place

PROGRAMS = {
    "converse": converse.run,
    "evaluate": evaluate.run,
    "measure": measure.run,
    "peaks": peaks.run,
    "peers": peers.run,
    "profile": profile.run,
}
LEFTOVERS = tuple(map(Path, ("/tmp", "/dev/shm", "/var/tmp", "/dev/mqueue")))  # noqa: S108 - an isolated candidate can write there


class HostGoneError(Exception):
    pass


class Worker(NamedTuple):
    """The process of one job."""

    pid: int
    channel: frames.Channel

    def end(self) -> spawn.End:
        self.channel.close()
        return spawn.kill(self.pid)


class Server:
    def __init__(self, channel: frames.Channel, place: Place, *, isolated: bool) -> None:
        self._channel = channel
        self._place = place
        self._isolated = isolated
        self._count = 0
        self._spare: Worker | None = None
        """Ready for the next job."""

    def serve(self) -> None:
        while (message := self._channel.receive()) is not None:
            self._count += 1
            folder = self._place.work / f"job{self._count}"
            folder.mkdir(mode=0o711)
            try:
                answer = self._run(message, folder)
            finally:
                clean = self._clean(folder)
            if not clean:
                answer = {"lost": "processes or files of the job could not be removed"}
            self._channel.send(answer)
            self._spare = self._fork()

    def _run(self, message: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        if targets.preload(message):
            self._dismiss()
        worker = self._spare or self._fork()
        self._spare = None
        worker.channel.send({**message, "folder": str(folder)})
        try:
            answer = self._supervise(worker.channel, message["allowance"])
        finally:
            end = worker.end()
        return answer or {"lost": f"the job's own process ended: {end.signal or end.exit_code}"}

    def _fork(self) -> "Worker":
        """A process that waits for one job. Forked while nobody waits for it: it copies pages for milliseconds."""
        answers, answering = os.pipe()
        turns, turning = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(answers)
            os.close(turning)
            _perform(self._place, frames.Channel(turns, answering))
        os.close(answering)
        os.close(turns)
        return Worker(pid, frames.Channel(answers, turning))

    def _dismiss(self) -> None:
        if self._spare:
            self._spare.end()
        self._spare = None

    def _supervise(self, job: frames.Channel, allowance: float) -> dict[str, Any] | None:
        """The answer of the job's process; None when it died."""
        deadline = time.monotonic() + allowance
        poller = select.poll()
        poller.register(job.source, select.POLLIN)
        poller.register(self._channel.source, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            ready = [descriptor for descriptor, _ in poller.poll(left * 1000)]
            if self._channel.source in ready:
                raise HostGoneError
            if job.source not in ready:
                continue
            message = job.receive()
            if message is None or "turn" not in message:
                return message
            deadline += self._wait_for_turn(job)
        return {"late": True}

    def _wait_for_turn(self, job: frames.Channel) -> float:
        """How long the host made us wait, in seconds: no fault of the job."""
        started = time.monotonic()
        self._channel.send({"turn": True})
        if self._channel.receive() is None:
            raise HostGoneError
        job.send({})
        return time.monotonic() - started

    def _clean(self, folder: Path) -> bool:
        gone = spawn.sweep()
        removed = self._remove(folder)
        if self._isolated:
            for place in LEFTOVERS:
                removed = self._empty(place) and removed
        return gone and removed

    def _remove(self, folder: Path) -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            for box in folder.iterdir():
                self._as_candidate(box)
            shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    def _empty(self, place: Path) -> bool:
        try:
            leftovers = list(os.scandir(place))
        except OSError:
            return True
        if leftovers:
            self._as_candidate(place)
        return not any(entry.stat(follow_symlinks=False).st_uid == self._owner for entry in os.scandir(place))

    @property
    def _owner(self) -> int:
        return self._place.candidate or os.getuid()

    def _as_candidate(self, folder: Path) -> None:
        """Remove what only the users of candidate and baseline may: a referee without capabilities is no stronger."""
        users = (self._place.candidate, self._place.candidate + 1) if self._place.candidate else (0,)
        for user in users:
            pid = os.fork()
            if pid == 0:
                with contextlib.suppress(OSError):
                    if user:
                        os.setresuid(user, user, user)
                    _erase_below(folder)
                os._exit(0)
            os.waitpid(pid, 0)


def _erase_below(folder: Path) -> None:
    for top, folders, _ in os.walk(folder):
        for name in folders:
            with contextlib.suppress(OSError):
                Path(top, name).chmod(0o777)
    for top, folders, names in os.walk(folder, topdown=False):
        for name in names:
            with contextlib.suppress(OSError):
                Path(top, name).unlink()
        for name in folders:
            with contextlib.suppress(OSError):
                Path(top, name).rmdir()


def _perform(place: Place, channel: frames.Channel) -> None:
    """Wait for a job, run it and answer; never returns. The boundary at which a defect of ours becomes an answer."""

    def turn() -> None:
        channel.send({"turn": True})
        if channel.receive() is None:
            os._exit(1)

    try:
        spawn.harden()
        message = channel.receive()
        if message is None:
            os._exit(0)
        job = Job.of(message, Path(message["folder"]), place, turn)
        if job.program:
            started = time.monotonic()
            reply = PROGRAMS[job.program](job)
            execution = {"exit_code": 0, "reply": reply, "seconds": time.monotonic() - started}
        else:
            execution = command.run(job)
        channel.send({"execution": execution})
    except Exception as error:  # noqa: BLE001 - the process boundary
        summary = traceback.format_exception_only(error)[-1].strip()
        where = traceback.extract_tb(error.__traceback__)[-1]
        channel.send({"error": f"{summary} ({Path(where.filename).name}:{where.lineno})"})
    finally:
        os._exit(0)


def _private_channel() -> frames.Channel:
    """Move the host's pipes off 0 and 1, where a child would inherit them."""
    channel = frames.Channel(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    return channel


def _use_vectors() -> None:
    """Start anew where numpy was loaded in an environment in which it is slow."""
    wanted = machine.linear_algebra()
    if not wanted.items() <= os.environ.items():
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **wanted})  # noqa: S606


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True, help="folder for jobs, where programs may be executed")
    parser.add_argument("--candidate", type=int, default=0, help="user of candidates; the next one runs baselines")
    parser.add_argument("--isolated", action="store_true", help="the folders for temporary files are ours alone")
    parser.add_argument("--path", default=command.PATH)
    options = parser.parse_args()
    _use_vectors()
    channel = _private_channel()
    spawn.harden()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o022)
    place = Place(options.work, options.candidate, options.path)
    place.cache.mkdir(exist_ok=True)
    if machine.compiler():
        spawn.prepare(place.cache)
        runner.clock(place.cache)
    greeting = {"compiler": machine.compiler(), "cpu": machine.cpu(), "cores": len(machine.cores())}
    channel.send({**greeting, "python": sys.version.split()[0]})
    gc.collect()
    gc.freeze()  # a collection in a forked job would copy every page that it looks at
    with contextlib.suppress(HostGoneError):
        Server(channel, place, isolated=options.isolated).serve()
    spawn.sweep()
    shutil.rmtree(options.work, ignore_errors=True)  # the host may be gone without having cleaned up
