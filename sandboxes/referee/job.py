"""One job as the referee sees it: what to run, within which limits, where and as whom."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Limits(NamedTuple):
    seconds: float
    """Wall-clock seconds for one call or command."""
    memory_mb: int
    processes: int
    output_kb: int


class Place(NamedTuple):
    """What stays the same for all jobs of one referee."""

    work: Path
    candidate: int
    """User of the candidate; 0 when the referee is not root and everything is one user."""
    path: str
    """PATH of the candidate's commands."""

    @property
    def cache(self) -> Path:
        """Kept from job to job; the referee alone writes there."""
        return self.work / "cache"


@dataclass(frozen=True)
class Job:
    folder: Path
    """Its own, empty at the start and removed at the end."""
    place: Place
    files: Mapping[str, str]
    argv: tuple[str, ...]
    stdin: str
    program: str
    trusted: Mapping[str, str]
    request: Mapping[str, Any]
    limits: Limits
    turn: Callable[[], None]
    """Waits until no other job on this machine measures or compiles; held until the job ends."""

    @classmethod
    def of(cls, message: Mapping[str, Any], folder: Path, place: Place, turn: Callable[[], None]) -> "Job":
        return cls(
            folder=folder,
            place=place,
            files=message["files"],
            argv=tuple(message["argv"]),
            stdin=message["stdin"],
            program=message["program"],
            trusted=message["trusted"],
            request=message["request"],
            limits=Limits(**message["limits"]),
            turn=turn,
        )

    @property
    def candidate(self) -> int:
        return self.place.candidate

    @property
    def baseline(self) -> int:
        """A user of its own for the baseline, so that a candidate cannot touch what it is compared with."""
        return self.place.candidate and self.place.candidate + 1

    @property
    def path(self) -> str:
        return self.place.path

    @property
    def cache(self) -> Path:
        return self.place.cache

    def box(self, name: str) -> Path:
        """A folder that the candidate may write in."""
        box = self.folder / name
        box.mkdir()
        box.chmod(0o777)
        return box
