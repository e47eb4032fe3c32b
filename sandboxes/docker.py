"""The sandbox in Docker containers: one warm container serves many jobs through the referee inside it."""

import contextlib
import hashlib
import io
import logging
import os
import socket
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from evolve.errors import SandboxError
from evolve.types import Execution, Job

from .connection import Connection
from .locks import Lease, lease_users
from .pool import Pool, RefereeLostError, RefereeSlowError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
BASE_VARIABLE = "EVOLVE_SANDBOX_BASE"
DEFAULT_BASE = "debian:bookworm-slim"
UNIX = "unix://"
DEFAULT_HOST = "unix:///var/run/docker.sock"
LABEL = "evolve"
NVIDIA = "nvidia"
"""The runtime that shows GPUs to containers."""
NO_NVIDIA = (
    "the Docker engine cannot show GPUs to containers; install nvidia-container-toolkit, or use --sandbox process"
)
TRITON_VARIABLE = "EVOLVE_SANDBOX_TRITON"
"""Set, it asks for torch and Triton in the image for GPUs."""
GPU_BASE = "nvidia/cuda:13.0.1-devel-ubuntu24.04"
MOJO = "/opt/mojo"
"""Where containers see the installation of Mojo that this machine has: no image holds it."""
WORK = "/work"
BOOT = "import sys; sys.path.insert(0, '/opt/evolve'); from referee.server import main; main()"
GREETING_SECONDS = 60.0
MEMORY = 6 * 2**30
"""Bytes for one container: candidate, referee, its reference data and the tmpfs together."""
PROCESSES = 512
HOW_TO_GET = "start Docker (or join its group, or set DOCKER_HOST), or use --sandbox process"


@contextlib.contextmanager
def _engine_errors(doing: str) -> Iterator[None]:
    """The boundary to the engine: whatever its client raises becomes one sentence."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException, OSError) as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise SandboxError(f"the Docker engine failed while {doing}: {words[-1][:300]}; {HOW_TO_GET}") from error


def connect(seconds: int = 120) -> "DockerClient":
    """Raises SandboxError when no engine answers."""
    import docker

    with _engine_errors("connecting"):
        _knock(seconds)
        client = docker.from_env(timeout=seconds)
        try:
            client.ping()
        except BaseException:
            client.close()
            raise
    return client


def _knock(seconds: float) -> None:
    """See whether anybody listens, before docker-py, which leaks the sockets that it fails to connect."""
    address = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    if address.startswith(UNIX):
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(seconds)
            line.connect(address.removeprefix(UNIX))


def engine_answers(*, gpu: bool = False) -> bool:
    """`gpu`: and that it can show containers the GPUs."""
    try:
        with contextlib.closing(connect(seconds=2)) as client:
            return not gpu or shows_gpus(client)
    except SandboxError:
        return False


def shows_gpus(client: "DockerClient") -> bool:
    """Whether the engine has NVIDIA's runtime."""
    with _engine_errors("asking what it is"):
        return NVIDIA in client.info().get("Runtimes", {})


# ---- the image


def _context(dockerfile: str = "Dockerfile") -> bytes:
    """What the image is built from, the same bytes for the same content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in [HERE / "images" / dockerfile, *sorted((HERE / "referee").glob("*.[pchm]*"))]:
            if path.is_file():
                name = "Dockerfile" if path.name == dockerfile else f"referee/{path.name}"
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = path.stat().st_size, 0o644
                archive.addfile(entry, io.BytesIO(path.read_bytes()))
    return buffer.getvalue()


def image(client: "DockerClient", *, needs: frozenset[str] = frozenset()) -> str:
    """The tag of the image for this version of the referee, built if need be."""
    gpu, torch = "gpu" in needs, "torch" in needs
    if gpu and not shows_gpus(client):
        raise SandboxError(NO_NVIDIA)
    from docker.errors import ImageNotFound

    base = os.environ.get(BASE_VARIABLE, GPU_BASE if gpu else DEFAULT_BASE)
    context = _context("gpu.Dockerfile" if gpu else "Dockerfile")
    triton = os.environ.get(TRITON_VARIABLE, "1" if torch else "")
    arguments = {"BASE": base} | ({"TRITON": triton} if gpu else {"TORCH": "1"} if torch else {})
    tag = f"evolve-sandbox:{hashlib.sha256(''.join(arguments.values()).encode() + context).hexdigest()[:16]}"
    with _engine_errors(f"building the sandbox image from {base}"):
        try:
            client.images.get(tag)
        except ImageNotFound:
            log.warning(
                "building the sandbox image %s from %s, once; %s", tag, base, "minutes" if torch else "a minute"
            )
            client.images.build(
                fileobj=io.BytesIO(context),
                custom_context=True,
                tag=tag,
                buildargs=arguments,
                labels={LABEL: "image"},
                rm=True,
                forcerm=True,
            )
    return tag


# ---- containers and whose they are


def _home() -> str:
    """Where process ids mean what they mean here: this boot of this machine, this namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"


def _started(pid: int) -> str:
    """When a process started, so that a reused id is not mistaken for it; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _labels() -> dict[str, str]:
    pid = os.getpid()
    return {LABEL: "sandbox", "evolve.home": _home(), "evolve.pid": str(pid), "evolve.started": _started(pid)}


def orphans(client: "DockerClient") -> "list[Container]":
    """Containers of ours whose owner, a process of this machine, is gone."""
    with _engine_errors("listing containers"):
        ours = client.containers.list(
            all=True, filters={"label": [f"{LABEL}=sandbox", f"evolve.home={_home()}"]}, ignore_removed=True
        )
    return [one for one in ours if _started(int(one.labels["evolve.pid"])) != one.labels["evolve.started"]]


def _remove(container: "Container") -> None:
    """Kill and remove, and wait until it is gone; gone already is fine."""
    from docker.errors import APIError, NotFound

    with contextlib.suppress(NotFound):
        with contextlib.suppress(APIError):  # its own removal is under way
            container.remove(force=True, v=True)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            container.reload()
            time.sleep(0.02)


def _settings(client: "DockerClient", lease: Lease, needs: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Everything that keeps a candidate inside, for `containers.create`."""
    from docker.types import DeviceRequest

    shown: dict[str, Any] = {}
    if "gpu" in needs:
        shown["device_requests"] = [DeviceRequest(count=-1, capabilities=[["gpu"]])]
    if "mojo" in needs:
        shown["volumes"] = _installed()
    machine = client.info()
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    memory = min(MEMORY, int(machine["MemTotal"]))
    return {
        "command": ["python3", "-I", "-c", BOOT, "--work", WORK, "--candidate", str(lease.user), "--isolated"],
        "environment": {"LANG": "C.UTF-8", "HOME": "/nonexistent", "EVOLVE_MOJO": MOJO, **threads},
        "network_mode": "none",
        "read_only": True,
        "tmpfs": {
            WORK: "rw,exec,nosuid,nodev,size=1g,mode=755",
            "/tmp": "rw,noexec,nosuid,nodev,size=256m,mode=1777",  # noqa: S108 - inside
        },
        "cap_drop": ["ALL"],
        "cap_add": ["SETUID", "SETGID", "KILL"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": PROCESSES,
        "mem_limit": memory,
        "memswap_limit": memory,
        "nano_cpus": int(machine["NCPU"]) * 10**9,
        "ipc_mode": "private",
        "init": True,
        "log_config": {"Type": "none"},
        "stdin_open": True,
        "auto_remove": True,
        "labels": _labels(),
        **shown,
    }


def _installed() -> dict[str, Any]:
    """The machine's own Mojo, for reading; nothing where it has none: then the referee says what is missing."""
    from .referee import mojo

    place = mojo.home()
    return {str(place): {"bind": MOJO, "mode": "ro"}} if place else {}


class Contained:
    """A referee in a container of its own. When this process dies, its input ends and the container with it."""

    def __init__(self, client: "DockerClient", tag: str, needs: frozenset[str] = frozenset()) -> None:
        self._lease: Lease | None = lease_users()
        try:
            with _engine_errors("starting a container"):
                self._container = client.containers.create(tag, **_settings(client, self._lease, needs))
        except SandboxError:
            self._lease.release()
            raise
        try:
            self._begin(client)
        except BaseException:
            self.close()
            raise

    def _begin(self, client: "DockerClient") -> None:
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        self._connection: Connection | None = None
        with _engine_errors("starting a container"):
            self._attached = client.api.attach_socket(str(self._container.id), params=streams)
            self._connection = Connection(getattr(self._attached, "_sock", self._attached), multiplexed=True)
            self._container.start()
        try:
            self.receive(GREETING_SECONDS)
        except (RefereeLostError, RefereeSlowError) as error:
            words = str(error) or f"no answer in {GREETING_SECONDS:.0f} s"
            raise SandboxError(f"the referee did not start in its container: {words}") from error

    def send(self, message: dict[str, Any]) -> None:
        assert self._connection is not None
        self._connection.send(message)

    def receive(self, seconds: float) -> dict[str, Any]:
        assert self._connection is not None
        return self._connection.receive(seconds)

    def close(self) -> None:
        with contextlib.suppress(SandboxError), _engine_errors("removing a container"):
            _remove(self._container)
        if self._connection:
            self._attached.close()
            self._connection.close()
        if self._lease:
            self._lease.release()
            self._lease = None


class DockerSandbox:
    """Raises SandboxError on opening when no engine answers or the image cannot be built.

    Containers that a killed run left behind are removed first.
    """

    name = "docker"
    warning = "candidates share the kernel of the machine that Docker runs on"

    def __init__(self, *, parallel: int = 2, needs: frozenset[str] = frozenset()) -> None:
        self._client = connect()
        try:
            for orphan in orphans(self._client):
                with _engine_errors("removing an orphaned container"):
                    _remove(orphan)
            tag = image(self._client, needs=needs)
        except SandboxError:
            self._client.close()
            raise
        self._pool = Pool(lambda: Contained(self._client, tag, needs), parallel)

    def run(self, job: Job) -> Execution:
        return self._pool.run(job)

    def close(self) -> None:
        self._pool.close()
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
