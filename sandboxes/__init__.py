"""Where untrusted programs run: `open_sandbox` picks one, `doctor` says what there is."""

from typing import NamedTuple, Protocol

from evolve.errors import SandboxError, UsageError
from evolve.types import Sandbox

KINDS = ("auto", "docker", "process")


class Isolation(Sandbox, Protocol):
    """A sandbox that says what it does not protect from."""

    @property
    def warning(self) -> str:
        """One sentence."""
        ...


class Finding(NamedTuple):
    name: str
    ok: bool
    sentence: str


def open_sandbox(kind: str = "auto", *, parallel: int = 2, needs: frozenset[str] = frozenset()) -> Isolation:
    """`auto` is Docker when an engine answers, else processes; the sandbox's `name` says which.

    `needs`: of `gpu`, where candidates are shown the machine's GPUs, and `torch`; `auto` is then Docker only where its
    engine can show GPUs, and an image with torch can be built.
    Raises UsageError for an unknown kind, SandboxError when the kind cannot work here.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown sandbox {kind!r}; there are: {', '.join(KINDS)}")
    from . import docker, process

    gpu = "gpu" in needs
    if kind == "docker" or (kind == "auto" and docker.engine_answers(gpu=gpu)):
        try:
            return docker.DockerSandbox(parallel=parallel, needs=needs)
        except SandboxError as error:
            if kind == "docker":
                raise
            return process.ProcessSandbox(parallel=parallel, instead_of=str(error), gpu=gpu)
    return process.ProcessSandbox(parallel=parallel, gpu=gpu)


def doctor() -> list[Finding]:
    """What each sandbox needs, and whether it is there. Starts nothing, builds nothing."""
    import shutil

    from . import process

    found = shutil.which("gcc")
    missing = process.bubblewrap()
    return [
        Finding("gcc", bool(found), found or process.NO_COMPILER),
        Finding("bubblewrap", not missing, missing or "isolates the process sandbox"),
        *_engine(),
    ]


def _engine() -> list[Finding]:
    from . import docker

    try:
        client = docker.connect(seconds=2)
    except SandboxError as error:
        return [Finding("docker", False, str(error))]
    try:
        left = [container.name or "" for container in docker.orphans(client)]
        version = client.version()["Version"]
    finally:
        client.close()
    orphans = (
        f"{', '.join(left)}: left by a killed run, removed when Docker is next used" if left else "none left behind"
    )
    return [Finding("docker", True, f"engine {version} answers"), Finding("containers", not left, orphans)]
