"""What was in front of the writers of a run, what followed, and what the knowledge base says of it now.

The base is read as a file, without its lock: a run may be writing to it, and a report waits for nobody.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from evolve.types import Task
from knowledge.bank import Held
from knowledge.library import BANK
from knowledge.schema import APPLICATION, VERSION
from knowledge.values import OVERALL

if TYPE_CHECKING:
    from evolve.report.facts import Entry


class Worth(NamedTuple):
    """An item's learnt value at a stage, as it is now."""

    value: float
    credited: int
    """Times."""


class Item(NamedTuple):
    kind: str
    text: str
    task: str
    status: str
    worth: Mapping[str, Worth]
    """By stage."""


class Base(NamedTuple):
    """What the knowledge base says now."""

    why_not: str = ""
    """Why it says nothing; empty where it does."""
    changes: int = 0
    """So far."""
    items: Mapping[str, Item] = {}
    tasks: Mapping[str, Task] = {}
    """As runs told it."""


class Use(NamedTuple):
    """How the attempts of one stage went that had an item in front of them."""

    item: str
    stage: str
    attempts: tuple[int, ...]
    reward: float | None
    """The mean over those that were learnt from."""
    usual: float | None
    """The mean over all of the run's attempts at this stage."""

    @property
    def beyond(self) -> float | None:
        """What those with the item fared better than usual by."""
        return None if self.reward is None or self.usual is None else self.reward - self.usual


def uses(entries: Sequence["Entry"]) -> tuple[Use, ...]:
    """Those first that brought most beyond the usual in all; chance has its part in that."""
    had: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    stages: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        stage = entry.attempt.candidate.stage
        stages[stage].append(entry)
        for item in dict.fromkeys(entry.attempt.candidate.recalled):
            had[item, stage].append(entry)
    usual = {stage: _mean(group) for stage, group in stages.items()}
    found = [
        Use(item, stage, tuple(entry.number for entry in group), _mean(group), usual[stage])
        for (item, stage), group in had.items()
    ]
    return tuple(sorted(found, key=lambda use: (-len(use.attempts) * (use.beyond or 0.0), use.item, use.stage)))


def _mean(entries: Sequence["Entry"]) -> float | None:
    rewards = [entry.reward for entry in entries if entry.reward is not None]
    return sum(rewards) / len(rewards) if rewards else None


def base_of(folder: Path, run: str, items: Collection[str]) -> Base:
    """Never fails: a base that is gone, that another has the place of, or that cannot be read says so."""
    path = folder / BANK
    if not path.is_file():
        return Base(why_not=f"there is no knowledge base in {folder} any more")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=2)) as bank:
            return _read(bank, folder, run, items)
    except (sqlite3.Error, ValidationError, ValueError) as error:
        return Base(why_not=f"the knowledge base in {folder} cannot be read: {str(error).splitlines()[0]}")


def _read(bank: sqlite3.Connection, folder: Path, run: str, items: Collection[str]) -> Base:
    (application,), (version,) = (
        bank.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
    )
    if (application, version) != (APPLICATION, VERSION):
        return Base(why_not=f"the knowledge base in {folder} has another format than this version reads")
    bank.execute("BEGIN")
    if bank.execute("SELECT 1 FROM receipts WHERE attempt GLOB ? LIMIT 1", (f"{run}/*",)).fetchone() is None:
        return Base(why_not=f"the knowledge base in {folder} knows nothing of the run")
    (changes,) = bank.execute("SELECT COALESCE(MAX(seq), 0) FROM log").fetchone()
    return Base("", changes, _items(bank, items), _tasks(bank))


def _items(bank: sqlite3.Connection, items: Collection[str]) -> dict[str, Item]:
    names = json.dumps(sorted(items))
    worth: dict[str, dict[str, Worth]] = defaultdict(dict)
    rows = bank.execute(
        "SELECT item, stage, q, n FROM item_values WHERE state = ? AND item IN (SELECT value FROM json_each(?))",
        (OVERALL, names),
    )
    for item, stage, value, times in rows:
        worth[item][stage] = Worth(value, times)
    records = bank.execute(
        "SELECT r.id, r.status, l.data FROM records r JOIN log l ON l.seq = r.seq"
        " WHERE r.id IN (SELECT value FROM json_each(?)) AND l.data IS NOT NULL",
        (names,),
    )
    found = {}
    for name, status, data in records:
        held = Held.model_validate_json(data).experience
        found[name] = Item(held.kind, held.text, held.task, status, worth[name])
    return found


def _tasks(bank: sqlite3.Connection) -> dict[str, Task]:
    """The newest telling of each counts."""
    rows = bank.execute("SELECT data FROM events WHERE kind = 'task' ORDER BY time")
    told = (Task.model_validate_json(data) for (data,) in rows)
    return {task.id: task for task in told}
