"""Runs `evolve` as its users do: a process of its own, with a home of its own and no keys.

What a run imports takes seconds, the same for every process. So these are forks of one that has imported it and done
nothing else (`tests.starter`), each with its own environment, folder, streams and end. What an import costs, and what a
killed process leaves, is for tests that start `python -m evolve` themselves.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SECONDS = 240

Completed = subprocess.CompletedProcess[str]


def evolve(home: Path, *words: str, environment: dict[str, str] | None = None) -> Completed:
    asked = inherited() | {"EVOLVE_HOME": str(home)} | (environment or {})
    if any(name.startswith("PYTHON") for name in environment or {}):  # which only a new Python reads
        command = [sys.executable, "-m", "evolve", *words]
        return subprocess.run(
            command, env=asked, cwd=home, text=True, capture_output=True, timeout=SECONDS, check=False
        )
    return _forked(words, asked, home)


def last_json(result: Completed) -> Any:
    return json.loads(result.stdout.splitlines()[-1])


def inherited() -> dict[str, str]:
    """This process's environment without keys and addresses of providers."""
    return {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_API_BASE"))}


def _forked(words: Sequence[str], environment: Mapping[str, str], folder: Path) -> Completed:
    with open(os.devnull) as nothing, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:  # noqa: PTH123
        streams = [nothing.fileno(), out.fileno(), err.fileno()]
        code = exit_code(starter(), words, environment, folder, streams)
        for stream in (out, err):
            stream.seek(0)
        return subprocess.CompletedProcess(["evolve", *words], code, out.read(), err.read())


def exit_code(
    through: socket.socket, words: Sequence[str], environment: Mapping[str, str], folder: Path, streams: Sequence[int]
) -> int:
    """Of `evolve WORDS` in `folder`, with `streams` as its standard input, output and errors."""
    command = {"words": list(words), "environment": dict(environment), "folder": str(folder)}
    reading, writing = os.pipe()
    with open(reading, buffering=1) as answer:  # noqa: PTH123 - a descriptor
        socket.send_fds(through, [json.dumps(command).encode()], [*streams, writing])
        os.close(writing)
        process = answer.readline()
        assert process, "the process that starts others has ended: its last words are above"
        if not select.select([answer], [], [], SECONDS)[0]:
            os.kill(int(process), signal.SIGKILL)
            raise subprocess.TimeoutExpired(["evolve", *words], SECONDS)
        return int(answer.readline())


def packages(environment: Path) -> Path:
    return environment / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"


@cache
def starter() -> socket.socket:
    """The way to the process that forks, which ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.starter", str(theirs.fileno())],
            env=inherited(), cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    atexit.register(process.wait, 10)
    atexit.register(ours.close)
    return ours
