"""Reads LoCoMo (Maharana et al., 2024): long conversations, and questions with the turns that hold the answers.

The file is the user's (`locomo10.json` of snap-research/LoCoMo, CC BY-NC 4.0). Questions whose evidence is no turn of
the conversation are left out, and so are the adversarial ones (category 5): nothing said answers those.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from evolve.domains.memory.exam import Exam, Question
from evolve.domains.memory.making import handle, question
from evolve.errors import UsageError
from knowledge.architecture import Event

ADVERSARIAL = 5
DATE = "%I:%M %p on %d %B, %Y"
TURN_SECONDS = 30.0
"""Turns have no times of their own."""
_TURN = re.compile(r"D:?(\d+):0*(\d+)")
"""A turn in evidence; some of it is written `D:11:26`, `D30:05` or `D8:6; D9:17`."""
_SESSION = re.compile(r"session_(\d+)")


class _Turn(BaseModel):
    model_config = ConfigDict(frozen=True)

    speaker: str
    dia_id: str = Field(pattern=_TURN)
    text: str
    blip_caption: str | None = None


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True)

    question: str
    category: int = Field(ge=1, le=ADVERSARIAL)
    evidence: list[str]
    answer: str | int | float = ""


class _Sample(BaseModel):
    model_config = ConfigDict(frozen=True)

    sample_id: str
    conversation: dict[str, Any]
    qa: list[_Asked]


class _Session(NamedTuple):
    began: float
    turns: Sequence[_Turn]


def read(path: Path, *, seed: int = 0) -> list[Exam]:
    """One exam for each conversation; the same handles for the same seed.

    Raises UsageError, naming the line or the key, for a file that is no LoCoMo.
    """
    samples = _checked(TypeAdapter(list[_Sample]), _json(path), path, ())
    if not samples:
        raise UsageError(f"{path} holds no conversation")
    return [
        _exam(sample, list(_sessions(sample, path, number)), Random(f"{seed}/{sample.sample_id}"))
        for number, sample in enumerate(samples)
    ]


def _json(path: Path) -> object:
    try:
        found: object = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text file (byte {error.start} is not UTF-8)") from error
    except json.JSONDecodeError as error:
        raise UsageError(f"{path} line {error.lineno} is no JSON: {error.msg}") from error
    return found


def _checked(shape: TypeAdapter[Any], told: object, path: Path, where: tuple[str | int, ...]) -> Any:
    try:
        return shape.validate_python(told)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = _key((*where, *first["loc"]))
        raise UsageError(f"{path} is no LoCoMo: {key or 'all of it'}: {first['msg']}") from error


def _key(where: Sequence[str | int]) -> str:
    """As in `[3].conversation.session_2[5].dia_id`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")


def _sessions(sample: _Sample, path: Path, number: int) -> Iterator[_Session]:
    """In the order of their numbers."""
    names = sorted((int(found[1]), name) for name in sample.conversation if (found := _SESSION.fullmatch(name)))
    where = (number, "conversation")
    if not names:
        raise UsageError(f"{path} is no LoCoMo: {_key(where)}: there is no session_1")
    for _, name in names:
        turns = _checked(TypeAdapter(list[_Turn]), sample.conversation[name], path, (*where, name))
        when = f"{name}_date_time"
        try:
            began = datetime.strptime(str(sample.conversation.get(when, "")), DATE).replace(tzinfo=UTC)
        except ValueError as error:
            said = f"{_key((*where, when))}: a date such as 1:56 pm on 8 May, 2023 is needed"
            raise UsageError(f"{path} is no LoCoMo: {said}") from error
        yield _Session(began.timestamp(), turns)


def _exam(sample: _Sample, sessions: Sequence[_Session], rng: Random) -> Exam:
    ids: dict[tuple[int, int], str] = {}
    events = []
    for session in sessions:
        scope = handle(rng)
        for place, turn in enumerate(session.turns):
            name = handle(rng)
            ids.setdefault(_turns(turn.dia_id)[0], name)
            time = session.began + place * TURN_SECONDS
            events.append(Event(name, "message", _text(turn), time, actor=turn.speaker, scope=scope))
    now = max((event.time for event in events), default=0.0) + TURN_SECONDS
    return Exam(sample.sample_id, tuple(events), tuple(_questions(sample.qa, ids, now)))


def _text(turn: _Turn) -> str:
    return f"{turn.speaker}: {turn.text}" + (f" [shares {turn.blip_caption}]" if turn.blip_caption else "")


def _questions(asked: Sequence[_Asked], ids: Mapping[tuple[int, int], str], now: float) -> Iterator[Question]:
    for one in asked:
        gold = frozenset(ids[turn] for text in one.evidence for turn in _turns(text) if turn in ids)
        if gold and one.category != ADVERSARIAL:
            yield question(one.question, gold, now, category=str(one.category), answer=str(one.answer))


def _turns(text: str) -> list[tuple[int, int]]:
    return [(int(session), int(turn)) for session, turn in _TURN.findall(text)]
