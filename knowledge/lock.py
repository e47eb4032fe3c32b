"""One process at a time: a lock file that the operating system releases when its holder dies.

Advisory, between processes and threads of one machine; not for network file systems.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evolve.errors import StorageError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock at `path`, waiting for whoever has it. Not reentrant."""
    try:
        handle = path.open("ab")
    except OSError as e:
        raise StorageError(f"cannot open the lock file {path}: {e.strerror}") from e
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
