"""Sandboxes that tests share: one of each kind for the whole session."""

import os
import shutil
from collections.abc import Iterator

import pytest

from evolve.errors import SandboxError
from evolve.types import Sandbox
from sandboxes.docker import DockerSandbox, connect
from sandboxes.process import ProcessSandbox, bubblewrap

KINDS = ["process", "process+bwrap", pytest.param("docker", marks=pytest.mark.docker)]


def require_docker() -> None:
    """Skip without an engine; fail where one is required."""
    try:
        connect(seconds=2).close()
    except SandboxError as error:
        if os.environ.get("EVOLVE_REQUIRE_DOCKER") == "1":
            pytest.fail(f"EVOLVE_REQUIRE_DOCKER=1, but {error}")
        pytest.skip(f"{error}: install docker.io and start dockerd, or set DOCKER_HOST")


def require_browser() -> None:
    """Skip without chromium; fail where it is required."""
    if shutil.which("chromium") is None:
        if os.environ.get("EVOLVE_REQUIRE_BROWSER") == "1":
            pytest.fail("EVOLVE_REQUIRE_BROWSER=1, but there is no chromium")
        pytest.skip("there is no chromium: install it to open reports in it")


def open_kind(kind: str) -> DockerSandbox | ProcessSandbox:
    if kind == "docker":
        require_docker()
        return DockerSandbox()
    if kind == "process+bwrap" and (missing := bubblewrap()):
        pytest.skip(missing)
    return ProcessSandbox(wrapped=kind == "process+bwrap")


@pytest.fixture(scope="session", params=KINDS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Every kind of sandbox in turn, warm: for what must hold in each of them."""
    with open_kind(request.param) as opened:
        yield opened


@pytest.fixture(scope="session")
def process() -> Iterator[Sandbox]:
    """The weakest sandbox, which runs everywhere: for tests that are about something else."""
    with ProcessSandbox(wrapped=False) as opened:
        yield opened
