"""Memory architectures as the command line names them: one that is shipped, or a file with a module."""

from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from evolve.errors import NotFoundError, UsageError
from knowledge.design import Design, seeds
from knowledge.genome import Genome


class Named(NamedTuple):
    word: str
    """As it was asked for."""
    design: Design
    genome: Genome | None = None
    """What it is composed of, where that is known."""


class Evolved(BaseModel):
    """What `evolve meta` writes beside a module, as far as it matters here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    params: dict[str, float]
    genome: Genome


def named(word: str) -> Named:
    """A module goes with what `evolve meta` wrote beside it: `winner.json` beside `winner.py`. Raises UsageError."""
    if not (word.endswith(".py") or "/" in word):
        if word not in seeds():
            raise NotFoundError.among("architecture", word, list(seeds()))
        return Named(word, seeds()[word])
    file = Path(word)
    source, beside = _text(file), file.with_suffix(".json")
    if not beside.is_file():
        return Named(word, Design(file.stem, source))
    try:
        evolved = Evolved.model_validate_json(_text(beside))
    except ValidationError as error:
        raise UsageError(f"{beside} is not what `evolve meta` writes beside a module; move it away") from error
    return Named(word, Design(evolved.id, source, evolved.params), evolved.genome)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no text file (byte {error.start} is not UTF-8)") from error
