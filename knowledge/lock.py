"""One process at a time: a lock file that the operating system releases when its holder dies.

Advisory, between processes and threads of one machine; not for network file systems.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from evolve.errors import StorageError

PATIENCE = 120.0
"""Seconds."""
FIRST_PAUSE, LONGEST_PAUSE = 0.0005, 0.02


@contextmanager
def locked(path: Path, seconds: float = PATIENCE) -> Iterator[None]:
    """Hold the lock at `path`, waiting for whoever has it. Not reentrant.

    Raises StorageError after so many seconds.
    """
    try:
        handle = path.open("ab")
    except OSError as e:
        raise StorageError(f"cannot open the lock file {path}: {e.strerror}") from e
    with handle:
        _wait(handle, path, seconds)
        yield


def _wait(handle: IO[bytes], path: Path, seconds: float) -> None:
    until, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            if time.monotonic() > until:
                raise StorageError(
                    f"{path} was held by another process for {seconds:.0f} s; end it, then try again"
                ) from e
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)
        else:
            return
