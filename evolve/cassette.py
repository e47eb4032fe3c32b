"""Recorded calls of a model, played back: the same prompt gets the same reply, any other is told apart.

As text a cassette is JSON lines, one call each: `prompt` and `completion`.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from evolve.budget import LOST, UNANSWERED, Unanswered
from evolve.errors import ModelError, ReplayError, UsageError
from evolve.journal import Journal
from evolve.types import Completion, Frozen, Prompt

DIFFERENT_LINES = 24
"""Of a difference between two prompts, so many lines are shown."""


class Call(Frozen):
    prompt: Prompt
    completion: Completion


class Cassette:
    """A model that answers from what was recorded, by the prompt's key; safe to call from several threads.

    Raises ReplayError for a key that was not recorded and, where it is `strict`, for another prompt under a recorded
    key; ModelError for a call that had failed when it was recorded (`unanswered`, by key), whatever its prompt.
    """

    def __init__(
        self,
        calls: Iterable[Call],
        *,
        unanswered: Mapping[str, Unanswered] | None = None,
        name: str = "cassette",
        strict: bool = True,
    ) -> None:
        self._calls = {call.prompt.key: call for call in calls}
        self._unanswered = unanswered or {}
        self._name = name
        self._strict = strict
        self.answered: set[str] = set()
        """Keys of the recorded calls that were made again, with the same prompts where it is strict."""

    @classmethod
    def of_run(cls, journal: Journal, *, name: str = "cassette") -> Self:
        """Everything that a run asked; its journal must not be written meanwhile."""
        calls = [
            Call(prompt=prompt, completion=completion)
            for prompt, completion in journal.all_calls()
            if LOST not in prompt.key
        ]
        noted = journal.facts(UNANSWERED).items()
        failed = {key.removeprefix(UNANSWERED): Unanswered.model_validate_json(told) for key, told in noted}
        return cls(calls, unanswered=failed, name=name)

    @classmethod
    def read(cls, path: Path, *, strict: bool = True) -> Self:
        """Raises UsageError for a file that is none of ours."""
        return cls(read_calls(path), name=path.stem, strict=strict)

    @property
    def name(self) -> str:
        return self._name

    @property
    def keys(self) -> tuple[str, ...]:
        """Of the calls that were answered, in the order in which they were recorded."""
        return tuple(self._calls)

    def knows(self, key: str) -> bool:
        return key in self._calls or key in self._unanswered

    def complete(self, prompt: Prompt) -> Completion:
        call = self._calls.get(prompt.key)
        if call is None and (failure := self._unanswered.get(prompt.key)):
            raise ModelError(failure.why, fatal=failure.fatal)
        if call is None:
            raise ReplayError(f"no call {prompt.key} was recorded; there are: {_near(prompt.key, self._calls)}")
        if self._strict and (found := difference(call.prompt, prompt)):
            raise ReplayError(f"call {prompt.key}: {found}")
        self.answered.add(prompt.key)
        return call.completion


def difference(recorded: Prompt, asked: Prompt) -> str:
    """What is other in the second prompt, the first such thing; empty where they are the same.

    Of a message the text is shown as a unified diff, cut short.
    """
    for number, (old, new) in enumerate(zip(recorded.messages, asked.messages, strict=False), start=1):
        if old != new:
            role = old.role if old.role == new.role else f"{old.role}, now {new.role}"
            return f"message {number} ({role}) differs\n{text_difference(old.content, new.content)}"
    if len(recorded.messages) != len(asked.messages):
        return f"{len(recorded.messages)} messages were recorded, {len(asked.messages)} are asked"
    for field in ("max_tokens", "temperature", "shape"):
        old_value, new_value = getattr(recorded, field), getattr(asked, field)
        if old_value != new_value:
            return f"{field} was {old_value}, now {new_value}"
    return ""


def text_difference(recorded: str, asked: str) -> str:
    """A unified diff, cut short."""
    lines = list(
        difflib.unified_diff(recorded.splitlines(), asked.splitlines(), "recorded", "replayed", lineterm="", n=1)
    )
    more = len(lines) - DIFFERENT_LINES
    shown = [*lines[:DIFFERENT_LINES], f"… {more} more lines"] if more > 0 else lines
    return "\n".join(shown) or f"only in how lines end: {recorded[-40:]!r}, now {asked[-40:]!r}"


def _near(key: str, known: Iterable[str]) -> str:
    names = list(known)
    return ", ".join(difflib.get_close_matches(key, names, n=3, cutoff=0) or ["none"])


def read_calls(path: Path) -> list[Call]:
    """Raises UsageError for a file that is none of ours."""
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the cassette {path} cannot be read: {error}") from error
    calls = []
    for number, line in enumerate(lines, start=1):
        try:
            calls.append(Call.model_validate_json(line))
        except ValidationError as error:
            found = error.errors()[0]["msg"]
            raise UsageError(f"{path} is no cassette: line {number} holds no call ({found})") from error
    return calls


def write_calls(path: Path, calls: Sequence[Call]) -> None:
    path.write_text("".join(f"{call.model_dump_json()}\n" for call in calls), encoding="utf-8")
