"""Merges an exported base into another. Nothing that is read is executed; pages are for people and not looked at."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from evolve.errors import StorageError
from evolve.types import Frozen
from knowledge import log as subjects
from knowledge.bank import ACTIVE, GONE, Bank, Held
from knowledge.exchange import (
    EVENTS,
    LINKS,
    RECEIPTS,
    RECORDS,
    EventLine,
    LinkLine,
    ReceiptLine,
    RecordLine,
    as_json,
    as_line,
    as_pydantic,
    check_format,
    record_text,
)
from knowledge.layer import ITEM
from knowledge.ledger import MERGED, Booked, Ledger, Line, Receipt
from knowledge.log import subject
from knowledge.reasons import Why
from knowledge.timeline import Timeline

CHUNK = 500
"""Lines written in one transaction."""
LINE_BYTES = 1 << 24
"""Of one line; an attempt with all its code has a thousandth of that."""
REASON_CHARACTERS = 200
ADDED, UPDATED, UNCHANGED, DIFFERING = "added", "updated", "unchanged", "differing"
M = TypeVar("M", bound=Frozen)
_WHY = TypeAdapter(Why)


class Imported(NamedTuple):
    """What the lines of a folder did; all are unchanged when it is imported again."""

    added: int
    updated: int
    """Another version was there, and now precedes this one in the log."""
    unchanged: int
    """The very same is there, or a later version."""
    differing: int
    """Another fact is there under this name, and stays: the two bases gave one name to two things."""
    bad: Sequence[str]
    """`FILE:LINE: REASON` of lines that were left out."""


class _LeftOutError(Exception):
    """Why a line cannot go in. Never leaves this module."""


def import_(
    bank: Bank,
    ledger: Ledger,
    timeline: Timeline,
    folder: Path,
    prepare: Callable[[Sequence[str]], None] = lambda _: None,
) -> Imported:
    """Merge an export into a base; what cannot go in is named, and the rest goes in.

    Of two versions of a record the one learnt later stays, and the other is in the log before it; of versions learnt
    at the same time it is the same one whichever base was merged into the other, and a hidden one if only that differs.
    A credit counts once, and stays taken back. Killed on the way, it can be done again. `prepare` is
    given the texts that records are found by before those are there. Raises UsageError when `folder` is no export.
    """
    check_format(folder)
    merge = _Merge(bank, ledger, timeline, f"from {folder.resolve().name}")
    done: Counter[str] = Counter()
    bad: list[str] = []
    for file, add in merge.files:
        if not (folder / file).is_file():
            bad.append(f"{file}: is not there")
            continue
        for lines in _chunks(folder / file):
            if file == RECORDS:
                prepare(_texts(line for _, line in lines))
            with bank.transaction():
                for number, line in lines:
                    try:
                        done[add(line)] += 1
                    except _LeftOutError as e:
                        bad.append(f"{file}:{number}: {e}")
                merge.settle()
    return Imported(done[ADDED], done[UPDATED], done[UNCHANGED], done[DIFFERING], bad)


def _texts(lines: Iterable[bytes]) -> list[str]:
    """What the records of these lines are to be found by."""
    texts = []
    for line in lines:
        with suppress(_LeftOutError):  # told when it is its turn
            record = _parsed(RecordLine, line)
            if record.status == ACTIVE:
                texts.append(record.keys)
    return texts


def _chunks(path: Path) -> Iterator[list[tuple[int, bytes]]]:
    """(number, line) of the lines that are not empty, at most `LINE_BYTES` and one of each."""
    try:
        with path.open("rb") as file:
            numbered = ((number, line) for number, line in enumerate(_lines(file), start=1) if line.strip())
            while chunk := list(islice(numbered, CHUNK)):
                yield chunk
    except OSError as e:
        raise StorageError(f"cannot read {path}: {e.strerror}") from e


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(LINE_BYTES + 1):
        yield line
        while len(line) > LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(LINE_BYTES + 1)


def _parsed(model: type[M], line: bytes) -> M:
    """Raises _LeftOutError."""
    if len(line) > LINE_BYTES:
        raise _LeftOutError(f"it is longer than {LINE_BYTES >> 20} MiB")
    try:
        parsed = model.model_validate_json(line, strict=True)
        as_line(parsed.model_dump(mode="json"))
    except ValidationError as e:
        wrong = e.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])
        raise _LeftOutError(f"{where}: {wrong['msg']}".removeprefix(": ")[:REASON_CHARACTERS]) from e
    except ValueError as e:
        raise _LeftOutError("it holds a number that is not finite") from e
    return parsed


class _Merge:
    """Takes in lines, within transactions of the caller; each says what it did, or raises _LeftOutError."""

    def __init__(self, bank: Bank, ledger: Ledger, timeline: Timeline, why: str) -> None:
        self._bank = bank
        self._ledger = ledger
        self._timeline = timeline
        self._why = why
        self._items: list[str] = []
        self._attempts: list[str] = []
        self._stages: list[str] = []
        self.files = (  # what others refer to comes first
            (RECORDS, self._record),
            (LINKS, self._link),
            (EVENTS, self._event),
            (RECEIPTS, self._receipt),
        )

    def settle(self) -> None:
        """Count again what follows from the credits and links that changed."""
        self._ledger.recount(self._attempts, self._items, self._stages)
        self._items, self._attempts, self._stages = [], [], []

    def _record(self, text: bytes) -> str:
        line = _parsed(RecordLine, text)
        name, theirs, mine = subject(subjects.RECORD, line.id), line.held, self._bank.held(line.id)
        if theirs == mine or (theirs.status == GONE and self._knows(line.id)):
            return UNCHANGED
        if mine is None:
            self._set(name, theirs)
            return ADDED
        if _version_key(theirs) > _version_key(mine):
            self._set(name, theirs)
            return UPDATED
        if theirs not in self._versions(name):
            self._log(name, theirs)
            self._set(name, mine)
        return UNCHANGED

    def _knows(self, record: str) -> bool:
        return self._bank.database.row("SELECT 1 FROM records WHERE id = ?", record) is not None

    def _must_know(self, *records: str | None) -> None:
        for record in records:
            if record is not None and not self._knows(record):
                raise _LeftOutError(f"there is no record {record}")

    def _versions(self, name: str) -> list[Held]:
        rows = self._bank.database.rows("SELECT data FROM log WHERE subject = ? AND data IS NOT NULL", name)
        return [Held.model_validate_json(data) for (data,) in rows]

    def _log(self, name: str, state: Frozen) -> tuple[int, str]:
        data = state.model_dump_json(exclude_defaults=True)
        return self._bank.log.append(name, "import", self._why, data), data

    def _set(self, name: str, state: Frozen) -> None:
        self._timeline.apply(name, *self._log(name, state))

    def _link(self, text: bytes) -> str:
        """Of two weights the larger stays."""
        line = _parsed(LinkLine, text)
        self._must_know(line.source, line.target)
        found = self._bank.database.row(
            "SELECT weight FROM links WHERE source = ? AND rel = ? AND target = ?", line.source, line.rel, line.target
        )
        if found is not None and found[0] >= line.weight:
            return UNCHANGED
        self._bank.link(line.source, line.rel, line.target, weight=line.weight, why=self._why)
        if line.rel == MERGED:
            self._items.append(line.target)
        return UPDATED if found else ADDED

    def _event(self, text: bytes) -> str:
        line = _parsed(EventLine, text)
        self._must_know(line.record)
        told = (line.kind, line.task, _text(line.data, as_pydantic), line.record, line.parent)
        found = self._bank.database.row("SELECT kind, task, data, record, parent FROM events WHERE id = ?", line.id)
        if found is not None:  # two bases may be told the same at two times
            return UNCHANGED if found == told else DIFFERING
        kind, task, data, record, parent = told
        self._bank.add_event(line.id, kind=kind, task=task, data=data, record=record, parent=parent, at=line.time)
        return ADDED

    def _receipt(self, text: bytes) -> str:
        line = _parsed(ReceiptLine, text)
        also = line.credit.also if line.credit else None
        self._must_know(*(item.item for item in line.items if not item.item.startswith(ITEM)), also)
        receipt = Receipt(line.attempt, line.time, line.task, line.stage, tuple(line.states))
        items = [Line(item.item, item.similarity, item.value, _reason(item.why)) for item in line.items]
        known = self._ledger.receipt(line.attempt)
        if known is None:
            self._ledger.issue(
                line.attempt, task=line.task, stage=line.stage, states=line.states, lines=items, at=line.time
            )
        elif (known, self._ledger.lines(line.attempt)) != (receipt, items):
            return DIFFERING
        judged = line.credit is not None and self._credit(line.attempt, Booked(**line.credit.model_dump()))
        return ADDED if known is None else UPDATED if judged else UNCHANGED

    def _credit(self, attempt: str, theirs: Booked) -> bool:
        """Whether it is another than was there."""
        mine = self._ledger.booked(attempt)
        if mine is not None and _credit_key(mine) >= _credit_key(theirs):
            return False
        self._set(subject(subjects.CREDIT, attempt), theirs)
        self._attempts.append(attempt)
        if mine is not None:
            self._stages.append(mine.stage)
            self._items += [mine.also] if mine.also else []
        return True


def _version_key(held: Held) -> tuple[float, str]:
    """The later of two versions has the larger one. The names of statuses are in luck: `active` is the smallest."""
    return held.time, record_text(held)


def _credit_key(booked: Booked) -> tuple[float, bool, str]:
    return booked.time, not booked.counts, booked.model_dump_json()


def _text(told: str | dict[str, Any], written: Callable[[Any], str]) -> str:
    return told if isinstance(told, str) else written(told)


def _reason(told: str | dict[str, Any]) -> str:
    text = _text(told, as_json)
    try:
        _WHY.validate_json(text, strict=True)
    except ValidationError as e:
        raise _LeftOutError("items.why: it is no reason for a choice") from e
    return text
