"""The sandbox without Docker: the referee as a child process, in bubblewrap where that works."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evolve.errors import SandboxError
from evolve.types import Execution, Job

from .connection import Connection
from .locks import Lease, lease_users
from .pool import Pool, RefereeLostError, RefereeSlowError

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/alternatives", "/etc/ld.so.cache")
BOOT = "import sys; sys.path = [sys.argv.pop(1), *sys.path, sys.argv.pop(1)]; from referee.server import main; main()"
WORK = "/run/evolve"
"""Where jobs live, inside bubblewrap."""
WORKING, TEMPORARY = 2**30, 2**28
"""Bytes of memory that jobs may fill with files, and with temporary ones."""
CUDA_VARIABLE = "CUDA_HOME"
MOJO_VARIABLE = "EVOLVE_MOJO"
GREETING_SECONDS = 30.0
NO_COMPILER = "no C compiler: install gcc (apt-get install gcc), or use --sandbox docker"
UNPROTECTED = (
    "candidates run as plain processes of this machine (no bubblewrap, no container): they are not kept from the "
    "network, from reading files that everyone may read, or from filling the disk"
)
SAME_USER = ", nor from your own files and processes, because they run as your user"
WITH_BUBBLEWRAP = (
    "candidates are kept from this machine's network, files and processes by bubblewrap, but share its kernel and "
    "have no limit on memory as a whole"
)

BESIDE_REFEREE = ", and can slow the referee down, because it runs as the candidates' user"


def bubblewrap() -> str:
    """Why bubblewrap cannot be used; empty when it can."""
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed (apt-get install bubblewrap)"
    probe = [*_wrapping(), "true"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not run here: {error}"
    if done.returncode != 0:
        return f"bubblewrap does not work here: {done.stderr.strip()[:200]}"
    return ""


def _wrapping(*, gpu: bool = False) -> list[str]:
    """The command line up to the program: new namespaces, the system read-only, empty places to write in."""
    own = (sys.prefix, sys.base_prefix, _site_of_numpy(), str(Path(__file__).parent / "referee"))
    shown = [*SYSTEM, *sorted(set(map(os.path.abspath, own)))]
    bound = [word for path in shown if Path(path).exists() for word in _showing(Path(path))]
    if os.getuid() == 0:
        rights = ["--cap-drop", "ALL"]
        for name in ("CAP_SETUID", "CAP_SETGID", "CAP_KILL"):
            rights += ["--cap-add", name]
    else:
        rights = ["--unshare-user"]
    kept_apart = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    empty = ["--proc", "/proc", "--dev", "/dev"]
    for place, rights_there, size in (("/tmp", "1777", TEMPORARY), (WORK, "0755", WORKING)):  # noqa: S108 - inside
        empty += ["--perms", rights_there, "--size", str(size), "--tmpfs", place]
    seen = [*_named(MOJO_VARIABLE), *(_devices() if gpu else [])]
    return ["bwrap", *rights, *kept_apart, "--die-with-parent", "--new-session", *empty, *bound, *seen, "--chdir", "/"]


def _devices() -> list[str]:
    """What the driver of an NVIDIA GPU needs, and the CUDA toolkit that was named."""
    nodes = [*sorted(Path("/dev").glob("nvidia*")), Path("/dev/dxg")]
    shown = [word for node in nodes for word in ("--dev-bind-try", str(node), str(node))]
    return [*shown, "--ro-bind-try", "/sys", "/sys", *_named(CUDA_VARIABLE)]


def _named(variable: str) -> list[str]:
    """The installation that a variable names, where it lies outside of what is shown anyway."""
    place = os.environ.get(variable)
    return _showing(Path(place)) if place and not place.startswith(SYSTEM) and Path(place).is_dir() else []


def _interpreter() -> str:
    """Links are kept, which virtual environments are made of; `..` is not: it would lead through what is not shown."""
    return os.path.abspath(sys.executable)  # noqa: PTH100 - pathlib keeps `..`


def _site_of_numpy() -> str:
    """The folder that the referee imports numpy from, wherever the installation keeps it."""
    found = importlib.util.find_spec("numpy")
    if found is None or found.origin is None:
        raise SandboxError("the referee needs numpy; install it beside evolve")
    return str(Path(found.origin).parents[1])


def _showing(path: Path) -> list[str]:
    """Bind one path; the folders above it are new and empty, and the candidate may pass through them."""
    above = [word for parent in reversed(path.parents) for word in ("--perms", "0755", "--dir", str(parent))]
    return [*above[4:], "--ro-bind", str(path), str(path)]


class _Child:
    """A referee in a child process."""

    def __init__(self, *, wrapped: bool, gpu: bool = False) -> None:
        self._gpu = gpu
        self._lease: Lease | None = lease_users() if os.getuid() == 0 else None
        self._folder = None if wrapped else tempfile.mkdtemp(prefix="evolve-work-")
        if self._folder:
            Path(self._folder).chmod(0o711)
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                self._command(wrapped=wrapped),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._complaints,
                env=_environment(),
                start_new_session=True,
            )
        self._connection = Connection(ours)
        self._greet()

    def _command(self, *, wrapped: bool) -> list[str]:
        options = ["--work", self._folder or WORK, "--path", _environment()["PATH"]]
        if self._lease:
            options += ["--candidate", str(self._lease.user)]
        server = [_interpreter(), "-I", "-c", BOOT, str(Path(__file__).parent), _site_of_numpy(), *options]
        return [*_wrapping(gpu=self._gpu), *server, "--isolated"] if wrapped else server

    def _greet(self) -> None:
        try:
            greeting = self.receive(GREETING_SECONDS)
        except (RefereeLostError, RefereeSlowError) as error:
            words = self._words() or str(error) or f"no answer in {GREETING_SECONDS:.0f} s"
            self.close()
            raise SandboxError(f"the referee did not start: {words}") from error
        if not greeting.get("compiler"):
            self.close()
            raise SandboxError(NO_COMPILER)

    def _words(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read()[-500:].decode(errors="replace").strip()

    def send(self, message: dict[str, Any]) -> None:
        self._connection.send(message)

    def receive(self, seconds: float) -> dict[str, Any]:
        return self._connection.receive(seconds)

    def close(self) -> None:
        """Hanging up makes the referee end its job and itself; what does not obey is killed."""
        self._connection.close()
        try:
            self._process.wait(8)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._lease:
            self._lease.release()
            self._lease = None


def _environment() -> dict[str, str]:
    """Nothing of ours: no keys, no proxies, no preloads. numpy is kept to one thread."""
    path = f"{Path(_interpreter()).parent}:/usr/local/bin:/usr/bin:/bin"
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    toolkit = {name: os.environ[name] for name in (CUDA_VARIABLE, MOJO_VARIABLE) if name in os.environ}
    return {"PATH": path, "HOME": "/nonexistent", "LANG": "C.UTF-8", **toolkit, **threads}


class ProcessSandbox:
    """Raises SandboxError on opening when there is no compiler. Bubblewrap is used when it works.

    `instead_of`: why a stronger sandbox could not be had, for the warning. `gpu`: candidates are shown the GPUs.
    """

    def __init__(
        self, *, parallel: int = 2, wrapped: bool | None = None, instead_of: str = "", gpu: bool = False
    ) -> None:
        if not shutil.which("gcc"):
            raise SandboxError(NO_COMPILER)
        self._wrapped = not bubblewrap() if wrapped is None else wrapped
        self._instead_of = instead_of
        self._pool = Pool(lambda: _Child(wrapped=self._wrapped, gpu=gpu), parallel)

    @property
    def name(self) -> str:
        return "process+bwrap" if self._wrapped else "process"

    @property
    def warning(self) -> str:
        """What this sandbox does not protect from, in one sentence."""
        plain = UNPROTECTED + (SAME_USER if os.getuid() else "")
        wrapped = WITH_BUBBLEWRAP + (BESIDE_REFEREE if os.getuid() else "")
        fallen_back = (
            f" (the stronger Docker sandbox was not to be had: {self._instead_of})" if self._instead_of else ""
        )
        return (wrapped if self._wrapped else plain) + fallen_back

    def run(self, job: Job) -> Execution:
        return self._pool.run(job)

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
