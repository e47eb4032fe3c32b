"""A process that has imported what `evolve` imports, and forks one for each command that `tests.command` sends.

A fork shares with its siblings what real processes do not: the hash of a string, and what an import read from the
environment. And it ends without taking its modules apart, which takes longer than most commands.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import site
import socket
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from evolve.provider import quiet_litellm
from tests.command import packages

PARTS = (
    "evolve.cli", "evolve.config", "evolve.meta", "evolve.domains.kernels", "evolve.domains.memory", "langgraph.graph",
    "langgraph.checkpoint.sqlite", "chromadb", "docker", "jinja2", "mcp.server", "rich.live", "rich.table",
)  # fmt: skip
NOTHING = 1 << 16


def main(descriptor: int) -> None:
    quiet_litellm()
    for part in PARTS:
        import_module(part)
    gc.collect()
    gc.freeze()
    sys.argv[1:] = _next(socket.socket(fileno=descriptor))
    code = 0
    try:
        runpy.run_module("evolve", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            raise
        code = end.code or 0
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _next(commands: socket.socket) -> list[str]:
    """Returns in a process of its own for each command; the words of that command."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(commands, NOTHING, 4)
        while _reaped():
            pass
        if not message:
            os._exit(0)
        if os.fork() == 0:
            commands.close()
            return _begun(json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _reaped() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] > 0
    except ChildProcessError:
        return False


def _begun(command: dict[str, Any], descriptors: list[int]) -> list[str]:
    *streams, answer = descriptors
    if (process := os.fork()) != 0:
        _tell_the_end_of(process, streams, answer)
    os.close(answer)
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["folder"])
    sys.path[0] = command["folder"]
    if "DOCS_SITE" in os.environ:  # what `pip` of `tests.shell` installed, if anything
        site.addsitedir(str(packages(Path(os.environ["DOCS_SITE"]))))
    words: list[str] = command["words"]
    return words


def _tell_the_end_of(process: int, streams: list[int], answer: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in streams:
        os.close(stream)
    os.write(answer, f"{process}\n".encode())
    _, status = os.waitpid(process, 0)
    os.write(answer, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
