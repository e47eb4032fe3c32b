"""A knowledge base as it was at an earlier change of its log, in a copy: for whoever wants to see a run happen again.

Records, credits and values go back by the log; what happened since is taken out of the events and receipts, too, which
no other rollback does. Not covered: what was erased since is gone here as well, and among more vectors than `EXACT` an
index may find others than it did.
"""

import sqlite3
from pathlib import Path
from typing import NamedTuple

from evolve.errors import StorageError
from knowledge.charge import OpenDesign, shipped
from knowledge.database import Database
from knowledge.library import BANK, EMBEDDING
from knowledge.log import BASE, CREDIT, LAYER, RECORD, parted
from knowledge.upkeep import Upkeep

PROVIDED = "litellm:"
"""How the name of an embedding begins that asks a provider."""


class Past(NamedTuple):
    embedding: str
    """By which the base is found now; empty where it was never asked anything."""
    doubts: tuple[str, ...]
    """Why the copy may be other than the base was, in sentences; none where nothing speaks for that."""

    @property
    def asks_a_provider(self) -> bool:
        return self.embedding.startswith(PROVIDED)


def as_it_was(folder: Path, into: Path, change: int, run: str, *, open_design: OpenDesign = shipped) -> Past:
    """Make, in `into`, the base of `folder` as it was after a change, before `run` began.

    A base that is gone, or that never came to that change, gives an empty one and says so. Raises StorageError.
    """
    into.mkdir(parents=True)
    if not (folder / BANK).is_file():
        return Past("", (f"the knowledge base in {folder} is gone: an empty one stands in for it",))
    _copy(folder / BANK, into / BANK)
    with Upkeep.open(into, open_design=open_design) as copy:
        last = copy.stats().changes
    if change > last:
        (into / BANK).unlink()
        there = f"the knowledge base in {folder} was made anew since: it has seen {last} changes"
        return Past("", (f"{there}, and {change} when the run began; an empty one stands in for it",))
    past = _looked_at(into / BANK, change, run)
    if last > change and not past.asks_a_provider:
        with Upkeep.open(into, open_design=open_design) as copy:
            copy.rollback(str(change), f"before {run}")
        _forget_what_happened(into / BANK, change, run)
    return past


def _copy(bank: Path, to: Path) -> None:
    """Whole, whoever writes to it meanwhile."""
    try:
        source = sqlite3.connect(f"{bank.resolve().as_uri()}?mode=ro", uri=True)
        target = sqlite3.connect(to)
        with target:
            source.backup(target)
        target.close()
        source.close()
    except sqlite3.Error as error:
        raise StorageError(f"the knowledge base {bank} cannot be copied: {error}") from error


def _looked_at(bank: Path, change: int, run: str) -> Past:
    database = Database(bank)
    lines = database.rows("SELECT seq, subject, what, why FROM log WHERE seq > ? ORDER BY seq", change)
    named = database.row("SELECT value FROM meta WHERE key = ?", EMBEDDING)
    known = database.row("SELECT 1 FROM receipts WHERE attempt GLOB ? LIMIT 1", f"{run}/*")
    database.close()
    own = [seq for seq, subject, _, why in lines if _is_of(run, subject, why)]
    others = [
        seq
        for seq, subject, _, why in lines
        if seq < max(own, default=0) and parted(subject)[0] in {RECORD, CREDIT} and not _is_of(run, subject, why)
    ]
    erased = {subject for _, subject, what, _ in lines if what == "erase"}
    rebuilt = [why for _, subject, what, why in lines if subject == BASE and what == "rebuild"]
    doubts = {
        "the knowledge base knows nothing of the run: another one has its place": not known,
        f"the knowledge base was changed by others while the run was going on ({len(others)} changes)": bool(others),
        f"{len(erased)} experiences were erased from the knowledge base since": bool(erased),
        f"the knowledge base was indexed anew since ({', '.join(rebuilt[-1:])})": bool(rebuilt),
    }
    return Past(str(named[0]) if named else "", tuple(words for words, holds in doubts.items() if holds))


def _is_of(run: str, subject: str, why: str) -> bool:
    kind, name = parted(subject)
    return kind in {BASE, *LAYER} or name.startswith(f"{run}/") or run in why


def _forget_what_happened(bank: Path, change: int, run: str) -> None:
    """Events and receipts from after a change, and whatever is left of the run."""
    database = Database(bank)
    with database.transaction():
        row = database.row("SELECT time FROM log WHERE seq <= ? ORDER BY seq DESC LIMIT 1", change)
        since, own = row[0] if row else 0.0, f"{run}/*"
        for table in ("receipt_items", "receipts"):
            database.run(
                f"DELETE FROM {table} WHERE attempt IN"  # noqa: S608  one of two constants
                " (SELECT attempt FROM receipts WHERE time > ? OR attempt GLOB ?)",
                since,
                own,
            )
        database.run("DELETE FROM events WHERE time > ? OR id GLOB ?", since, own)
    database.close()
