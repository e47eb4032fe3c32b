"""What a task folder's `config.yaml` (OpenEvolve's) and `evolve.toml` (ours) say. Each error is one sentence."""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from evolve.errors import UsageError

SECONDS = 60.0
"""For all stages of one evaluation, where nothing is said."""
THRESHOLDS = (0.5, 0.75, 0.9)
"""OpenEvolve's, where its cascade is on and nothing is said."""


class Own(BaseModel):
    """`evolve.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    score: str = ""
    """The metric that is the score; `combined_score` without."""
    trusting: bool | None = None
    """Whether evaluator and program share a process; a look at the evaluator decides without."""
    cascade: list[float] | None = None
    """What the score must reach at each stage but the last; empty: `evaluate` alone."""
    seconds: float | None = None
    """Wall clock for all stages of one evaluation."""
    memory_mb: int = 2048
    processes: int = 64
    prompt: str = ""
    """What a writer is told of the task, in place of the system message in config.yaml."""


class Theirs(BaseModel):
    """The parts of `config.yaml` that mean something here."""

    model_config = ConfigDict(frozen=True)

    seconds: float = SECONDS
    cascade: tuple[float, ...] = THRESHOLDS
    message: str = ""
    longest: int | None = None
    """Characters of a program."""


def own(folder: Path) -> Own:
    file = folder / "evolve.toml"
    if not file.is_file():
        return Own()
    try:
        said = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    for key in said:
        if key not in Own.model_fields:
            near = get_close_matches(key, Own.model_fields, n=1)
            known = f"did you mean {near[0]}?" if near else f"there are {', '.join(Own.model_fields)}"
            raise UsageError(f"{file} has an unknown key {key!r}; {known}")
    try:
        return Own.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{file}: {first['loc'][0]}: {first['msg']}") from error


def theirs(folder: Path) -> Theirs:
    """Of `config.yaml`, else of the first file called config*.yaml."""
    named = [folder / "config.yaml", folder / "config.yml", *sorted(folder.glob("config*.y*ml"))]
    file = next((file for file in named if file.is_file()), None)
    if file is None:
        return Theirs()
    import yaml

    try:
        said = yaml.safe_load(file.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        words = " ".join(str(error).split())
        raise UsageError(f"{file} is no YAML: {words}") from error
    if not isinstance(said, Mapping):
        raise UsageError(f"{file} holds no settings, but a {type(said).__name__}")
    evaluator, prompt = _part(said, "evaluator"), _part(said, "prompt")
    found = {
        "seconds": evaluator.get("timeout"),
        "cascade": evaluator.get("cascade_thresholds") if evaluator.get("cascade_evaluation", True) else (),
        "message": prompt.get("system_message"),
        "longest": said.get("max_code_length"),
    }
    try:
        return Theirs.model_validate({name: value for name, value in found.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        keys = {"seconds": "evaluator.timeout", "cascade": "evaluator.cascade_thresholds", "longest": "max_code_length"}
        name = str(first["loc"][0])
        raise UsageError(f"{file}: {keys.get(name, 'prompt.system_message')}: {first['msg']}") from error


def _part(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = said.get(name)
    return part if isinstance(part, Mapping) else {}
