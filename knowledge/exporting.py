"""Writes a base as a folder of text, in place of an earlier export."""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from evolve.errors import StorageError, UsageError
from evolve.types import Experience
from knowledge.bank import ACTIVE, GONE, Bank
from knowledge.distil import INSIGHT
from knowledge.exchange import (
    BASE,
    EVENTS,
    FORMAT,
    LINKS,
    MARK,
    PAGES,
    RECEIPTS,
    RECORDS,
    LinkLine,
    as_json,
    as_line,
    as_pydantic,
    check_format,
    readable,
    record_text,
)
from knowledge.ledger import Ledger

PART_CHARACTERS = 80
"""Of each part of a page's name."""
SHOWN = (INSIGHT, ACTIVE)
"""Kind and status of what has a page."""


class Exported(NamedTuple):
    counts: Mapping[str, int]
    """`events`, `records`, `links`, `receipts`, `credits`, `insights` -> how many."""


def export(bank: Bank, folder: Path) -> Exported:
    """Write the base as it is now into `folder`, in place of an earlier export; nobody waits for it.

    A kill leaves the earlier export or the new one. Raises UsageError when `folder` holds anything else.
    """
    with _replacing(folder.resolve()) as part, bank.still() as view:
        try:
            return _written(view, part)
        except ValueError as e:
            raise StorageError(f"{bank.path} holds what cannot be read; `evolve kb doctor` says what") from e


def _written(bank: Bank, folder: Path) -> Exported:
    rows, ledger = bank.database.rows, Ledger(bank)
    told = {"embedding": bank.meta("embedding") or "hash", "format": FORMAT, "what": MARK}
    _write(folder / BASE, [json.dumps(told, indent=2)])
    happened = rows("SELECT id FROM events ORDER BY time, id")
    events = _write(folder / EVENTS, (_event_text(bank, name) for (name,) in happened))
    gone = rows("SELECT id FROM records WHERE status = ? ORDER BY id", GONE)
    there = rows("SELECT id FROM records WHERE status != ? ORDER BY time, id", GONE)
    tombstones = (as_line({"id": name, "status": GONE}) for (name,) in gone)
    kept = (record_text(held) for (name,) in there if (held := bank.held(name)))
    records = _write(folder / RECORDS, chain(tombstones, kept))
    ties = rows("SELECT rel, source, target, weight FROM links ORDER BY source, rel, target")
    links = _write(folder / LINKS, (as_line(dict(zip(LinkLine.model_fields, tie, strict=True))) for tie in ties))
    asked = rows("SELECT attempt FROM receipts ORDER BY time, attempt")
    receipts = _write(folder / RECEIPTS, (_receipt_text(ledger, name) for (name,) in asked))
    insights = bank.many([name for (name,) in rows("SELECT id FROM records WHERE kind = ? AND status = ?", *SHOWN)])
    for insight in insights:
        _write(folder / PAGES / _page_name(insight), _page(insight))
    [(credits_,)] = rows("SELECT count(*) FROM credits JOIN receipts USING (attempt)")
    counts = {"events": events, "records": records, "links": links, "receipts": receipts, "credits": credits_}
    return Exported({**counts, "insights": len(insights)})


def _write(path: Path, lines: Iterable[str]) -> int:
    """How many lines."""
    count = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for line in lines:
            out.write(f"{line}\n")
            count += 1
        out.flush()
        os.fsync(out.fileno())
    return count


def _event_text(bank: Bank, name: str) -> str:
    [(kind, task, moment, data, record, parent)] = bank.database.rows(
        "SELECT kind, task, time, data, record, parent FROM events WHERE id = ?", name
    )
    shown = {"data": readable(data, as_pydantic), "id": name, "kind": kind, "parent": parent, "record": record}
    return as_line({**shown, "task": task, "time": moment})


def _receipt_text(ledger: Ledger, name: str) -> str:
    receipt, booked = ledger.receipt(name), ledger.booked(name)
    assert receipt is not None
    items = [
        {"item": line.item, "similarity": line.similarity, "value": line.value, "why": readable(line.why, as_json)}
        for line in ledger.lines(name)
    ]
    credit = {"credit": dict(sorted(booked.model_dump().items()))} if booked else {}
    shown = {"attempt": name, **credit, "items": items, "stage": receipt.stage, "states": receipt.states}
    return as_line({**shown, "task": receipt.task, "time": receipt.time})


def _page_name(insight: Experience) -> Path:
    own = _part(insight.id)
    if own != insight.id:  # another name may come out the same
        own += f"-{hashlib.sha256(insight.id.encode()).hexdigest()[:8]}"
    return Path(_part(insight.state) or "unknown", f"{_part(insight.technique) or INSIGHT}-{own}.md")


def _part(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-.")[:PART_CHARACTERS]


def _page(insight: Experience) -> list[str]:
    told = {"domain": insight.domain, "bottleneck": insight.state or "unknown", "hardware": insight.hardware or "any"}
    table = [f"| {name} | {_plain(value)} |" for name, value in told.items()]
    table += [f"| {_plain(name)} | {value:.4g} |" for name, value in sorted(insight.metrics.items())]
    sources = [f"- {_plain(source)}" for source in insight.sources] or ["- nothing"]
    heading = f"# {_plain(insight.technique or insight.id)}: {_plain(insight.state or 'bottleneck unknown')}"
    return [heading, "", _plain(insight.text), "", "| | |", "|---|---|", *table, "", "Rests on:", "", *sources]


def _plain(text: str) -> str:
    """One line in which nothing is Markdown."""
    return re.sub(r"([\\`*\[\]<>|#])", r"\\\1", " ".join(text.split()))


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `folder` at the end; one at a time for all of the same parent."""
    _refuse_others(folder)
    part, earlier = (folder.with_name(f".{folder.name}.{which}") for which in ("part", "earlier"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        parent = os.open(folder.parent, os.O_RDONLY)
    except OSError as e:
        raise UsageError(f"cannot write to {folder.parent}: {e.strerror}; name another folder") from e
    try:
        fcntl.flock(parent, fcntl.LOCK_EX)
        if earlier.exists() and not folder.exists():  # a kill came between the two
            earlier.rename(folder)
        for left in (part, earlier):
            if left.exists():
                shutil.rmtree(left)
        part.mkdir()
        yield part
        if folder.exists():
            folder.rename(earlier)
        try:
            part.rename(folder)
        except OSError:
            if earlier.exists():
                earlier.rename(folder)
            raise
        if earlier.exists():
            shutil.rmtree(earlier)
    except OSError as e:
        raise StorageError(f"cannot write {folder}: {e.strerror}; what was there is as it was") from e
    finally:
        shutil.rmtree(part, ignore_errors=True)
        os.close(parent)


def _refuse_others(folder: Path) -> None:
    """Raise UsageError when replacing `folder` would destroy anything but an earlier export."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; an export is a folder")
    ours = {BASE, EVENTS, RECORDS, LINKS, RECEIPTS}
    others = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if not path.is_dir() and str(path.relative_to(folder)) not in ours
    ]
    strange = [path for path in others if path.parts[0] != PAGES or path.suffix != ".md"]
    if strange:
        raise UsageError(
            f"{folder} holds {min(strange)}, which is no export's; name a folder of its own for the export"
        )
    if any(folder.iterdir()):
        check_format(folder)
