"""Starting and ending the candidate's processes: another user, resource limits, nothing inherited."""

import contextlib
import ctypes
import os
import resource
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 4, 36, 38
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


def _limit(confinement: Confinement, already: int) -> None:
    limits = {
        resource.RLIMIT_AS: confinement.memory_bytes,
        resource.RLIMIT_NPROC: already + confinement.processes,
        resource.RLIMIT_FSIZE: confinement.file_bytes,
        resource.RLIMIT_NOFILE: 1024,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))
    stack = 64 * 2**20
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (stack if hard == resource.RLIM_INFINITY else min(stack, hard), hard))


def _become(confinement: Confinement, descriptors: Mapping[int, int], already: int) -> None:
    os.setsid()
    os.chdir(confinement.folder)
    if confinement.cores:
        os.sched_setaffinity(0, confinement.cores)
    with contextlib.suppress(PermissionError):  # the candidate is what the kernel kills first, if root says so
        Path("/proc/self/oom_score_adj").write_text("1000")
    _limit(confinement, already)
    if confinement.uid:
        os.setgroups([])
        os.setresgid(confinement.uid, confinement.uid, confinement.uid)
        os.setresuid(confinement.uid, confinement.uid, confinement.uid)
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o022)
    high = {target: _duplicate(source) for target, source in descriptors.items()}
    for target, source in high.items():
        os.dup2(source, target)
    for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _duplicate(descriptor: int) -> int:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 200)


def start(argv: Sequence[str], confinement: Confinement, descriptors: Mapping[int, int]) -> int:
    """Start `argv` with exactly these descriptors (number there: number here); 0, 1 and 2 default to /dev/null.

    Returns the process id. Raises OSError when the program cannot be started.
    """
    already = 0 if confinement.uid else _tasks_of_this_user()
    null = os.open(os.devnull, os.O_RDWR)
    failed, failing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _become(confinement, {0: null, 1: null, 2: null, **descriptors}, already)
            os.execvpe(argv[0], list(argv), dict(confinement.environment))  # noqa: S606 - no shell is the point
        except OSError as error:
            os.write(failing, str(error.errno).encode())
        finally:
            os._exit(127)
    for descriptor in (null, failing):
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
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return reap(pid)


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
