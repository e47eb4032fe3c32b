"""Runs one command as the candidate and reports what was seen of it."""

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from . import spawn
from .job import Job

PATH = "/usr/local/bin:/usr/bin:/bin"
MEMORY_WORDS = ("MemoryError", "std::bad_alloc", "Cannot allocate memory", "out of memory")


class Outcome(NamedTuple):
    end: spawn.End
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool

    @property
    def out_of_memory(self) -> bool:
        """By its own words, or killed by a signal that nobody here sent."""
        if self.timed_out or self.end.exit_code == 0:
            return False
        return self.end.signal == "SIGKILL" or any(word in self.stderr[-4000:] for word in MEMORY_WORDS)


def execute(
    argv: Sequence[str],
    confinement: spawn.Confinement,
    *,
    seconds: float,
    output_bytes: int = 64 * 1024,
    stdin: str = "",
) -> Outcome:
    """Run to the end or to the deadline, keeping the first `output_bytes` of stdout and of stderr.

    Raises OSError when the program cannot be started.
    """
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    given = os.memfd_create("stdin")
    os.write(given, stdin.encode())
    os.lseek(given, 0, os.SEEK_SET)
    started = time.monotonic()
    try:
        pid = spawn.start(argv, confinement, {0: given, 1: out_end, 2: err_end})
    except OSError:
        os.close(out)
        os.close(err)
        raise
    finally:
        for descriptor in (given, out_end, err_end):
            os.close(descriptor)
    streams = {out: bytearray(), err: bytearray()}
    in_time = _collect(pid, streams, started + seconds, output_bytes)
    end = _end_group(pid)
    _collect_rest(streams, output_bytes)
    texts = [bytes(data).decode(errors="replace") for data in streams.values()]
    return Outcome(end, texts[0], texts[1], time.monotonic() - started, not in_time)


def _collect(pid: int, streams: Mapping[int, bytearray], deadline: float, most: int) -> bool:
    """Read until the process has ended; False when the deadline came first."""
    ended = os.pidfd_open(pid)
    with selectors.DefaultSelector() as selector:
        selector.register(ended, selectors.EVENT_READ)
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        try:
            while (left := deadline - time.monotonic()) > 0:
                ready = [key.fd for key, _ in selector.select(left)]
                for stream in ready:
                    if stream != ended and not _read(stream, streams[stream], most):
                        selector.unregister(stream)
                if ended in ready:
                    return True
            return False
        finally:
            os.close(ended)


def _read(stream: int, kept: bytearray, most: int) -> bool:
    data = os.read(stream, 65536)
    kept += data[: max(0, most - len(kept))]
    return bool(data)


def _collect_rest(streams: Mapping[int, bytearray], most: int) -> None:
    """What is left in the pipes, which processes that live on may still hold open."""
    for stream, kept in streams.items():
        os.set_blocking(stream, False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                if not _read(stream, kept, most):
                    break
        os.close(stream)


def _end_group(pid: int) -> spawn.End:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    return spawn.reap(pid)


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Lay out `files`, writable for the candidate. Raises ValueError for a name that leaves the folder."""
    for name, content in files.items():
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"file name {name!r} leaves the folder of its job")
        for parent in reversed(path.relative_to(folder).parents[:-1]):
            (folder / parent).mkdir(exist_ok=True)
            (folder / parent).chmod(0o777)
        path.write_text(content)


def run(job: Job) -> dict[str, Any]:
    """An argv job: the fields of an Execution."""
    box = job.box("candidate")
    write_files(box, job.files)
    environment = {"PATH": job.path, "HOME": str(box), "TMPDIR": str(box), "LANG": "C.UTF-8"}
    confinement = spawn.Confinement(box, job.candidate, environment, job.limits.memory_mb * 2**20, job.limits.processes)
    try:
        outcome = execute(
            job.argv,
            confinement,
            seconds=job.limits.seconds,
            output_bytes=job.limits.output_kb * 1024,
            stdin=job.stdin,
        )
    except OSError as error:
        return {"exit_code": 127, "stderr": f"{job.argv[0]}: {error.strerror}"}
    return {
        "exit_code": outcome.end.exit_code,
        "killed": outcome.end.signal,
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
        "seconds": outcome.seconds,
        "peak_memory_mb": outcome.end.peak_memory_mb,
        "timed_out": outcome.timed_out,
        "out_of_memory": outcome.out_of_memory,
    }
