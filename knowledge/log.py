"""The append-only record of every change: what a subject was at any point follows from it."""

import time
from typing import NamedTuple

from knowledge.database import Database

BASE = "base"
"""Subject of lines that tell something and change no state."""
RECORD, CREDIT, LINK = "record", "credit", "link"
"""Kinds of subjects that have a state."""
ARCHITECTURE = "architecture"
"""Kind of the one subject that says which memory architecture is in charge."""
MEMORY, STATE, TOLD = "memory", "memory-state", "memory-told"
"""Kinds of what an architecture keeps: its records, its private state, what it was told."""
LAYER = (MEMORY, STATE, TOLD)


class Line(NamedTuple):
    seq: int
    """Orders all changes; gaps mean nothing."""
    time: float
    subject: str
    """`KIND NAME`, or `base`."""
    what: str
    why: str
    data: str | None
    """The subject's state from here on (JSON); None where it is gone, or has none."""


def subject(kind: str, name: str) -> str:
    return f"{kind} {name}"


def parted(subject: str) -> tuple[str, str]:
    """(kind, name)."""
    kind, _, name = subject.partition(" ")
    return kind, name


class Log:
    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def seq(self) -> int:
        """Of the newest line; 0 when there is none."""
        found = self._database.row("SELECT max(seq) FROM log")
        return int(found[0] or 0) if found else 0

    def append(self, subject: str, what: str, why: str, data: str | None = None) -> int:
        return self._database.run(
            "INSERT INTO log (time, subject, what, why, data) VALUES (?, ?, ?, ?, ?)",
            time.time(), subject, what, why, data,
        )  # fmt: skip

    def at(self, subject: str, seq: int) -> str | None:
        """The state of a subject right after the change `seq`; None where it was not there."""
        found = self._database.row(
            "SELECT data FROM log WHERE subject = ? AND seq <= ? ORDER BY seq DESC LIMIT 1", subject, seq
        )
        return found[0] if found else None

    def changed(self, after: int, until: int | None = None) -> list[str]:
        """Subjects with a state that have lines after `after`, up to `until`; in the order of their first."""
        rows = self._database.rows(
            "SELECT subject FROM log WHERE seq > ? AND seq <= coalesce(?, seq) AND +subject != ?"
            " GROUP BY +subject ORDER BY min(seq)",  # +: by the numbers, not by the index of subjects
            after, until, BASE,
        )  # fmt: skip
        return [name for (name,) in rows]

    def lines(self, subject: str | None = None, *, limit: int = 50, before: int | None = None) -> list[Line]:
        """Newest first."""
        which = "subject = ?" if subject else "? IS NULL"
        rows = self._database.rows(
            "SELECT seq, time, subject, what, why, data FROM log"  # noqa: S608  one of two constants
            f" WHERE {which} AND seq < ? ORDER BY seq DESC LIMIT ?",
            subject, self.seq + 1 if before is None else before, limit,
        )  # fmt: skip
        return [Line(*row) for row in rows]
