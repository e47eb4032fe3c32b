"""A run of meta-evolution: a folder that can be started, killed and taken up again.

meta.json           what was asked for
journal.db          everything that happened
winner.py           the best architecture's module, once the run has ended
winner.json         its name and parameters, and what it is made of
"""

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from evolve.domains.memory.exam import Exam
from evolve.errors import StorageError, UsageError
from evolve.folders import alone, begun
from evolve.home import home
from evolve.types import Frozen

SETTINGS = "meta.json"
JOURNAL = "journal.db"


class Settings(Frozen):
    """What was asked for; enough to take the run up again."""

    run: str
    data: str
    """File of the conversations; made up where it is empty."""
    exams: str
    """A digest of them."""
    model: str
    seed: int
    children: int | None
    minutes: float | None
    tokens: int | None = None
    usd: float | None = None
    sandbox: str


class Run:
    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """Raises StorageError where there can be no folder."""
        folder = runs_folder() / settings.run
        try:
            folder.mkdir(parents=True)
            (folder / SETTINGS).write_text(settings.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise StorageError(f"the run folder {folder} cannot be written: {error.strerror}") from error
        return cls(folder, settings)

    @classmethod
    def open(cls, name: str) -> Self:
        """By id or by a prefix of it that is unique. Raises UsageError."""
        folder = begun(runs_folder(), SETTINGS, name, several="fits several runs", none="is no run of `evolve meta`")
        try:
            return cls(folder, Settings.model_validate_json((folder / SETTINGS).read_text()))
        except (OSError, ValidationError) as error:
            raise UsageError(f"{folder / SETTINGS} is damaged; start another run") from error

    def locked(self) -> AbstractContextManager[None]:
        """Raises UsageError while another process works on the run."""
        return alone(self.folder, f"run {self.settings.run}")


def runs_folder() -> Path:
    return home() / "meta"


def digest(exams: Sequence[Exam]) -> str:
    """Changes when what is examined does."""
    told = hashlib.sha256()
    for exam in sorted(exams, key=lambda exam: exam.name):
        told.update(repr((exam.name, exam.events)).encode(errors="replace"))
        told.update(repr([(each.query, sorted(each.gold)) for each in exam.questions]).encode(errors="replace"))
    return told.hexdigest()[:16]
