"""Folders of what was begun, such as runs of `evolve meta` and comparisons: found by name, worked on by one process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evolve.errors import StorageError, UsageError
from knowledge.lock import locked


def begun(parent: Path, marker: str, name: str, *, several: str, none: str) -> Path:
    """The folder below `parent`, among those that hold the file `marker`, of this name or whose name begins so.

    Raises UsageError where that is not one: it `several`, or it `none`; and names the latest.
    """
    known = sorted(path.parent.name for path in parent.glob(f"*/{marker}"))
    matches = [each for each in known if each == name] or [each for each in known if each.startswith(name)]
    if len(matches) != 1:
        which = several if matches else none
        raise UsageError(f"{name!r} {which}; there are: {', '.join((matches or known)[-8:]) or 'none yet'}")
    return parent / matches[0]


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Raises UsageError while another process works on it; `what` it is, in words."""
    try:
        with locked(folder / ".lock", seconds=0.0):
            yield
    except StorageError as error:
        if "was held" not in str(error):
            raise
        raise UsageError(f"{what} is being worked on by another process") from error
