"""Starting and ending the candidate's processes: another user, resource limits, nothing inherited."""

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from . import tools

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
FAILURE = 199
"""The descriptor on which the launcher says why it failed (launch.c)."""
_libc = ctypes.CDLL(None, use_errno=True)


class Confinement(NamedTuple):
    """What one process of the candidate is given."""

    folder: Path
    uid: int
    """0: the referee's own user, because the referee is not root."""
    environment: Mapping[str, str]
    memory_bytes: int
    """Of address space, for each process."""
    processes: int
    """Processes and threads of the user."""
    file_bytes: int = 256 * 2**20
    """The largest file it may write."""
    cores: frozenset[int] = frozenset()
    """Empty: all that the referee has."""
    counters: bool = False
    """It may open hardware counters."""


class End(NamedTuple):
    """How a process ended."""

    exit_code: int | None
    signal: str
    peak_memory_mb: float
    """Resident, as the kernel counted it."""


def harden() -> None:
    """Make the calling process unreadable to its own user, and the parent of every orphan below it."""
    _libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _tasks_of_this_user() -> int:
    """Threads that already count against our own user's limit."""
    count = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            if int(fields["Uid"].split()[0]) == os.getuid():
                count += int(fields["Threads"])
    return count


_launcher: list[Path] = []


def prepare(cache: Path) -> None:
    """Once, before anything is started. Raises OSError when the launcher cannot be built."""
    _launcher[:] = [tools.tool("launch", cache)]


def _command(argv: Sequence[str], confinement: Confinement) -> list[str]:
    already = 0 if confinement.uid else _tasks_of_this_user()
    cores = ",".join(map(str, sorted(confinement.cores))) or "-"
    numbers = (confinement.memory_bytes, already + confinement.processes, confinement.file_bytes)
    own = [str(_launcher[0]), str(confinement.uid), str(confinement.folder), *map(str, numbers), cores]
    return [*own, str(int(confinement.counters)), *argv]


def start(argv: Sequence[str], confinement: Confinement, descriptors: Mapping[int, int]) -> int:
    """Start `argv` with exactly these descriptors (number there: number here); 0, 1 and 2 default to /dev/null.

    Returns the process id. Raises OSError when the program cannot be started.
    """
    null = os.open(os.devnull, os.O_RDWR)
    failed, failing = os.pipe()
    wanted = {0: null, 1: null, 2: null, **descriptors, FAILURE: failing}
    high = {target: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, FAILURE + 1) for target, source in wanted.items()}
    try:
        command = _command(argv, confinement)
        actions = [(os.POSIX_SPAWN_DUP2, source, target) for target, source in high.items()]
        pid = os.posix_spawn(command[0], command, dict(confinement.environment), file_actions=actions)
    finally:
        for descriptor in (null, failing, *high.values()):
            os.close(descriptor)
    problem = os.read(failed, 16)
    os.close(failed)
    if problem:
        os.waitpid(pid, 0)
        raise OSError(int(problem), os.strerror(int(problem)), argv[0])
    return pid


def wait(pid: int, seconds: float) -> bool:
    """Whether the process ended in time; it is left unreaped."""
    descriptor = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(max(0.0, seconds) * 1000))
    finally:
        os.close(descriptor)


def reap(pid: int) -> End:
    """Collect an ended (or just killed) process."""
    _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss / 1024
    if code >= 0:
        return End(code, "", peak)
    return End(None, signal_name(-code), peak)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def kill(pid: int) -> End:
    peak = _peak(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    end = reap(pid)
    return end._replace(peak_memory_mb=peak or end.peak_memory_mb)


def _peak(pid: int) -> float:
    """Of its own program: what the kernel counts to the end includes our own size, at the start. 0 once it ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _children(pid: int) -> list[int]:
    try:
        listings = [(task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []
    return [int(child) for listing in listings for child in listing.split()]


def descendants(pid: int) -> list[int]:
    found = _children(pid)
    for child in found:
        found.extend(_children(child))
    return found


def sweep(seconds: float = 5.0) -> bool:
    """Kill and reap every process below this one; False when some would not die.

    Stopped first, so that what multiplies cannot outrun the killing.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        frozen: set[int] = set()
        while fresh := [pid for pid in descendants(os.getpid()) if pid not in frozen]:
            frozen.update(fresh)
            _signal_all(fresh, signal.SIGSTOP)
        if not frozen:
            return True
        _signal_all(frozen, signal.SIGKILL)
        _reap_some()
    return False


def _signal_all(pids: Sequence[int] | set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _reap_some() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    time.sleep(0.0005)
