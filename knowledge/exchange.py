"""What the folder of an exported base holds: text that people can review.

One line of JSON for each event, record, link and receipt (with its credit), oldest first, and a page for each insight
that can be found. The same content gives the same bytes. Not in it: the log (history stays with the base), vectors and
values (they follow from the rest), what memory architectures keep (one that is installed elsewhere makes it anew from
the events), and what was rolled back or erased, of which the name alone is told, since events
and receipts may refer to it.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic_core import from_json

from evolve.errors import UsageError
from evolve.types import Experience, Frozen
from knowledge.bank import GONE, STATUSES, Held

FORMAT = 1
MARK = "evolve knowledge base"
BASE, EVENTS, RECORDS, LINKS, RECEIPTS = "base.json", "events.jsonl", "records.jsonl", "links.jsonl", "receipts.jsonl"
PAGES = "insights"
LATEST = 2.0**33
"""Unix seconds, in the year 2242: beyond it a float no longer tells microseconds apart, and those order credits."""
LARGEST_GAIN = 2000.0
"""No ratio of two floats has a logarithm beyond 1,500."""
NAME = r"""[^\s<>"'&\x00-\x1f\x7f]{1,200}"""
"""Names and kinds of records stand in the marks around recalled text."""

Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Label = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,300}$")]
Moment = Annotated[float, Field(ge=0, lt=LATEST)]
Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Reward = Annotated[float, Field(ge=-1, le=1)]


class EventLine(Frozen):
    id: Label
    kind: Label
    task: str
    time: Moment
    data: str | dict[str, Any]
    record: Name | None = None
    parent: str | None = None


class RecordLine(Frozen):
    id: Name
    status: str
    time: Moment = 0.0
    keys: str = ""
    experience: Experience | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.status not in STATUSES:
            raise ValueError(f"a record's status is one of {', '.join(STATUSES)}")
        if (self.experience is None) != (self.status == GONE):
            raise ValueError("a record has an experience, unless it is gone")
        if self.experience is not None and self.experience.id != self.id:
            raise ValueError("the experience has another id")
        if self.experience is not None and not re.fullmatch(NAME, self.experience.kind):
            raise ValueError("the experience's kind is no name")
        numbers = self.experience.metrics if self.experience is not None else {}
        if any(abs(numbers.get(name, 0.0)) > LARGEST_GAIN for name in ("gain", "expected")):
            raise ValueError("the experience's gain is no logarithm")
        if self.experience is not None and not 0 <= (self.experience.expires or 0) < LATEST:
            raise ValueError("the experience expires at no time")
        return self

    @property
    def held(self) -> Held:
        nothing = Experience(id=self.id, kind="", text="")
        return Held(experience=self.experience or nothing, keys=self.keys, status=self.status, time=self.time)


class LinkLine(Frozen):
    rel: Label
    source: Name
    target: Name
    weight: Number


class _Item(Frozen):
    item: Name
    similarity: Number
    value: Number
    why: str | dict[str, Any]


class _Credit(Frozen):
    time: Moment
    stage: Label
    raw: Reward
    credit: Number
    advantage: Number
    also: Name | None = None
    counts: bool = True


class ReceiptLine(Frozen):
    attempt: Label
    time: Moment
    task: str
    stage: Label
    states: Annotated[list[str], Field(max_length=16)]
    items: Annotated[list[_Item], Field(max_length=1000)]
    credit: _Credit | None = None


def check_format(folder: Path) -> None:
    """Raises UsageError when it is no export, or of a newer format."""
    try:
        told = from_json((folder / BASE).read_bytes())
    except (OSError, ValueError):
        told = None
    version = told.get("format") if isinstance(told, dict) and told.get("what") == MARK else None
    if not isinstance(version, int):
        raise UsageError(f"{folder} is no export of a knowledge base; `evolve kb export FOLDER` makes one")
    if version > FORMAT:
        raise UsageError(
            f"{folder} was exported by a newer evolve (format {version}, this one reads {FORMAT}); upgrade evolve"
        )


as_line = partial(json.dumps, ensure_ascii=False, allow_nan=False)
as_pydantic = partial(json.dumps, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
"""How the data of most events was written."""
as_json = partial(json.dumps, allow_nan=False)
"""How the reasons of receipts were written."""


def readable(text: str, written: Callable[[Any], str]) -> object:
    """The JSON object that `text` is, if `written` makes the very same text of it again; else `text`."""
    try:
        told = from_json(text)
        return told if isinstance(told, dict) and written(told) == text else text
    except ValueError:
        return text


def record_text(held: Held) -> str:
    experience = held.experience.model_dump(mode="json", exclude_defaults=True)
    shown = {"experience": experience, "id": held.experience.id, "keys": held.keys, "status": held.status}
    return as_line({**shown, "time": held.time}, sort_keys=True)
