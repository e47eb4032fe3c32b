"""What all sandboxes of one machine share: the turn to measure, and user ids for candidates."""

import fcntl
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Self

from evolve.errors import SandboxError

FIRST_USER, LAST_USER = 60706, 61182
"""Ids that no Linux distribution gives to anyone (see systemd's UIDS-GIDS document); each lease takes two."""


def _folder() -> Path:
    """One for each user: what another user left in a shared folder is not trusted."""
    folder = Path(tempfile.gettempdir()) / f"evolve-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise SandboxError(f"{folder} belongs to someone else; remove it or set TMPDIR to a folder of your own")
    return folder


class Turn:
    """Held shared while something compiles or computes, alone while something is timed.

    Covers the sandboxes of one user on one machine, whatever their kind and process; not other users, and not a
    remote Docker engine that several machines use.
    """

    def __init__(self) -> None:
        self._descriptor = os.open(_folder() / "turn.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def share(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def take(self) -> None:
        """Wait until nobody else holds it. What is held shared is given up first, so nobody waits in a circle."""
        self.give_up()
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def give_up(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


class Lease(NamedTuple):
    """Two user ids, `user` and the next, that no other sandbox of this machine uses."""

    user: int
    descriptor: int

    def release(self) -> None:
        os.close(self.descriptor)


def lease_users(patience: float = 10.0) -> Lease:
    """Raises SandboxError when all are taken."""
    deadline = time.monotonic() + patience
    while True:
        for user in range(FIRST_USER, LAST_USER, 2):
            descriptor = os.open(_folder() / f"user-{user}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                return Lease(user, descriptor)
        if time.monotonic() > deadline:
            raise SandboxError("every user id for candidates is in use; end other runs on this machine")
        time.sleep(0.1)
