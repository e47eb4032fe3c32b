"""Moves through the log: what changed between two points, and back to any of them. Nothing is ever lost by it.

Going back writes new lines, so it can itself be undone by going to the point before it. Not covered: events and
receipts, which are facts and stay.
"""

import json
from typing import NamedTuple

from evolve.errors import UsageError
from knowledge import log as subjects
from knowledge.bank import Bank
from knowledge.ledger import Booked, Ledger
from knowledge.log import BASE, Line, parted

SNAPSHOT = "snapshot"
DIGITS = 19
"""No number of a change has as many."""


class Difference(NamedTuple):
    subject: str
    before: str | None
    """State at the earlier point (JSON); None where it was not there."""
    after: str | None


class Timeline:
    """Raises StorageError, and UsageError for a point that is none."""

    def __init__(self, bank: Bank, ledger: Ledger) -> None:
        self._bank = bank
        self._ledger = ledger

    def snapshot(self, name: str) -> int:
        """Give the present point a name."""
        if not name or name.isdecimal():
            raise UsageError(f"a snapshot's name is a word, not {name!r}; numbers are points of the log")
        return self._bank.log.append(BASE, SNAPSHOT, name)

    def snapshots(self) -> dict[str, int]:
        """Name -> number of the point, the oldest first; the latest of those that share a name."""
        rows = self._bank.database.rows(
            "SELECT why, max(seq) FROM log WHERE subject = ? AND what = ? GROUP BY why ORDER BY 2", BASE, SNAPSHOT
        )
        return dict(rows)

    def point(self, name: str) -> int:
        """The number of a point: itself, or that of a snapshot."""
        if name.isdecimal() and len(name) < DIGITS and int(name) <= self._bank.seq:
            return int(name)
        known = self.snapshots()
        if name in known:
            return known[name]
        words = f"; snapshots: {', '.join(list(known)[-8:])}" if known else ""
        raise UsageError(f"there is no point {name!r}; give a number from 0 to {self._bank.seq}{words}")

    def history(self, subject: str = "", limit: int = 50) -> list[Line]:
        """Changes, the newest first; of one subject, or of all without."""
        return self._bank.log.lines(subject or None, limit=limit)

    def diff(self, earlier: int, later: int) -> list[Difference]:
        """Subjects whose state differs between two points, in the order of their first change.

        Where `later` is the earlier one, what going back changes.
        """
        log, first, last = self._bank.log, min(earlier, later), max(earlier, later)
        both = (Difference(name, log.at(name, earlier), log.at(name, later)) for name in log.changed(first, last))
        return [found for found in both if found.before != found.after]

    def rollback(self, seq: int, why: str) -> list[Difference]:
        """Bring every record, link and credit back to what it was after the change `seq`; what that changed.

        So it does the memory architecture in charge and what each one keeps.
        """
        with self._bank.transaction():
            now = self._bank.seq
            if not 0 <= seq <= now:
                raise UsageError(f"there is no point {seq}; give a number from 0 to {now}")
            moved = self.diff(now, seq)
            for difference in moved:
                line = self._bank.log.append(
                    difference.subject, "rollback", f"to {seq}: {why}" if why else f"to {seq}", difference.after
                )
                self.apply(difference.subject, line, difference.after)
            self._settle(moved)
        return moved

    def apply(self, subject: str, seq: int, data: str | None) -> None:
        """Bring the tables to one line of the log."""
        kind, name = parted(subject)
        match kind:
            case subjects.RECORD:
                self._bank.apply(name, seq, data)
            case subjects.LINK:
                self._bank.apply_link(name, data)
            case subjects.CREDIT:
                self._ledger.apply(name, data)
            case subjects.MEMORY:
                self._bank.layer.apply(name, seq)

    def _settle(self, moved: list[Difference]) -> None:
        """Values follow from credits, and from what was merged into what."""
        attempts, items, stages = [], [], []
        for difference in moved:
            kind, name = parted(difference.subject)
            if kind == subjects.CREDIT:
                states = [Booked.model_validate_json(state) for state in difference[1:] if state]
                attempts.append(name)
                items += [state.also for state in states if state.also]
                stages += [state.stage for state in states]
            elif kind == subjects.LINK:
                items.append(json.loads(name)[2])
        self._ledger.recount(attempts, items, stages)
