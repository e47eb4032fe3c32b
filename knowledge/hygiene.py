"""Keeps a base clean: revokes what rests on a fraud, lets go what is old, folds what is there twice.

Nothing here erases but `erase`: a record that is no longer found stays in the log and can be brought back.
"""

import json
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from evolve.errors import UsageError
from evolve.types import Experience
from knowledge import log as subjects
from knowledge.bank import ACTIVE, EXPIRED, FORGOTTEN, QUARANTINED, SUPERSEDED, Bank, Held, keyed
from knowledge.distil import GUIDE, INSIGHT
from knowledge.ledger import MERGED, Ledger
from knowledge.log import subject

ALARM_AFTER = 20
"""Attempts without anything stored that are too many."""


class Revoked(NamedTuple):
    attempts: Sequence[str]
    """The fraud and whatever was refined from it."""
    records: Sequence[str]
    """Quarantined."""
    credits: int
    """Taken back."""


class Hygiene:
    """Raises StorageError."""

    def __init__(self, bank: Bank, ledger: Ledger) -> None:
        self._bank = bank
        self._ledger = ledger

    def revoke(self, attempt: str, why: str) -> Revoked:
        """Quarantine what was learnt from an attempt and from all that were refined from it; take back their credit.

        A record that another attempt was first to earn stays. Guides and curated insights that name one of them go
        too; insights that follow from statistics are to be distilled again without them.
        """
        with self._bank.transaction():
            known = self._bank.happened(attempt) or self._ledger.receipt(attempt) is not None
            attempts = self._bank.descendants(attempt) if known else []
            learnt = dict.fromkeys(record for name in attempts if (record := self._bank.learnt_from(name)))
            own = [name for name in learnt if self._rests_on(name, attempts)]
            derived = self._bank.resting_on(attempts=attempts)
            records = [name for name in own + derived if self._set(name, QUARANTINED, "quarantine", why)]
            taken = self._ledger.take_back(attempts, why)
        return Revoked(attempts, records, taken)

    def _rests_on(self, record: str, attempts: Sequence[str]) -> bool:
        held = self._bank.held(record)
        return held is not None and bool(set(held.experience.sources[:1]) & set(attempts))

    def tainted(self, event: str | None) -> bool:
        """Whether what was learnt from an event is in quarantine."""
        record = self._bank.learnt_from(event) if event else None
        return record is not None and self._is(record, QUARANTINED)

    def _is(self, record: str, status: str) -> bool:
        held = self._bank.held(record)
        return held is not None and held.status == status

    def forget(self, records: Iterable[str], why: str) -> list[str]:
        """Let records no longer be found, and their technique no longer be counted; those of which that was not so."""
        with self._bank.transaction():
            left = [name for name in records if not self._is(name, QUARANTINED)]
            return [name for name in left if self._set(name, FORGOTTEN, "forget", why)]

    def restore(self, records: Iterable[str], why: str) -> list[str]:
        """Let records be found again, expired ones for good; what was merged stands for itself again."""
        with self._bank.transaction():
            restored = [name for name in records if self._restore(name, why)]
            for name in restored:
                for rel, target in self._bank.links_of(name):
                    if rel == MERGED:
                        self._bank.link(name, MERGED, target, why=why, weight=None)
                        self._ledger.recount_items([target])
        return restored

    def _restore(self, record: str, why: str) -> bool:
        held = self._bank.held(record)
        if held is None:
            return False
        over = self._over(held)
        if held.status == ACTIVE and not over:
            return False
        experience = held.experience.model_copy(update={"expires": None}) if over else held.experience
        self._bank.put(held.model_copy(update={"status": ACTIVE, "experience": experience}), what="restore", why=why)
        return True

    def supersede(self, old: str, new: str, why: str) -> bool:
        """A newer fact hides an older one, which stays in its history. Raises UsageError where `new` is hidden."""
        with self._bank.transaction():
            self._must_be_found(new)
            if old == new or not self._hide([old], "supersede", f"by {new}: {why}"):
                return False
            self._bank.link(new, "supersedes", old, why=why)
        return True

    def merge(self, keep: str, others: Iterable[str], why: str) -> list[str]:
        """Let `keep` stand for its duplicates: they are hidden, and what they were taught counts for it.

        Raises UsageError where `keep` is hidden itself, or not there.
        """
        with self._bank.transaction():
            self._must_be_found(keep)
            merged = self._hide((name for name in others if name != keep), "merge", f"into {keep}: {why}")
            for name in merged:
                self._bank.link(name, MERGED, keep, why=why)
            self._ledger.recount_items([keep])
        return merged

    def _hide(self, records: Iterable[str], what: str, why: str) -> list[str]:
        """Those that were active."""
        found = [name for name in records if (held := self._bank.held(name)) and held.status == ACTIVE]
        return [name for name in found if self._set(name, SUPERSEDED, what, why)]

    def _must_be_found(self, record: str) -> None:
        held = self._bank.held(record)
        status = EXPIRED if held and self._over(held) else held.status if held else "not there"
        if status != ACTIVE:
            first = f"or `evolve kb restore {record}` first"
            raise UsageError(f"{record} is {status}; name a record that is active, {first}")

    def _over(self, held: Held) -> bool:
        return held.experience.expires is not None and held.experience.expires <= time.time()

    def expire(self, records: Iterable[str], at: float, why: str) -> list[str]:
        """Let records no longer be found from a time on (Unix seconds)."""
        with self._bank.transaction():
            done = []
            for name in records:
                held = self._bank.held(name)
                if held is not None and held.experience.expires != at:
                    experience = held.experience.model_copy(update={"expires": at})
                    self._bank.put(held.model_copy(update={"experience": experience}), what="expire", why=why)
                    done.append(name)
        return done

    def expire_due(self) -> list[str]:
        """Mark what has reached its time; it is not found any more either way."""
        with self._bank.transaction():
            rows = self._bank.database.rows(
                "SELECT id FROM records WHERE status = 'active' AND expires <= ? ORDER BY n", time.time()
            )
            return [name for (name,) in rows if self._set(name, EXPIRED, "expire", "its time has come")]

    def unsupported(self, insights: Iterable[str], why: str) -> list[str]:
        """Quarantine insights that nothing is left of to rest on."""
        with self._bank.transaction():
            there = [name for name in insights if self._is(name, ACTIVE)]
            return [name for name in there if self._set(name, QUARANTINED, "quarantine", why)]

    def erase(self, records: Iterable[str], why: str) -> list[str]:
        """Remove texts and code of records for good, from the log and from the events they were learnt from.

        Guides and insights in which a model tells of those attempts go with them. Returns those of the records asked
        for of which there was something.
        """
        with self._bank.transaction():
            erased = [record for record in records if self._erase(record, why)]
        if erased:
            self._bank.database.scrub()
        return erased

    def _erase(self, record: str, why: str) -> bool:
        name = subject(subjects.RECORD, record)
        rows = self._bank.database.rows
        texts = rows("SELECT DISTINCT data ->> '$.keys' FROM log WHERE subject = ? AND data IS NOT NULL", name)
        if not texts:
            return False
        stub = self._stub(record)
        rows("UPDATE log SET data = NULL WHERE subject = ?", name)
        self._bank.apply(record, self._bank.log.append(name, "erase", why, stub), stub)
        rows("UPDATE events SET data = '{}' WHERE record = ?", record)
        attempts = [name for (name,) in rows("SELECT id FROM events WHERE record = ? AND kind = 'attempt'", record)]
        self._bank.layer.erase(attempts, why)
        for quoting in self._bank.resting_on(attempts=attempts):
            self._erase(quoting, why)
        if stub is None:
            rows("UPDATE records SET keyed = '' WHERE id = ?", record)
        for (text,) in texts:
            rows("DELETE FROM vectors WHERE keyed = ?1 AND ?1 NOT IN (SELECT keyed FROM records)", keyed(text))
        return True

    def _stub(self, record: str) -> str | None:
        """What stays of a record in quarantine: what is refined from it later must know."""
        held = self._bank.held(record)
        if held is None or held.status != QUARANTINED:
            return None
        bare = Experience(id=record, kind=held.experience.kind, text="", sources=held.experience.sources)
        return held.model_copy(update={"experience": bare, "keys": ""}).model_dump_json(exclude_defaults=True)

    def _set(self, record: str, status: str, what: str, why: str) -> bool:
        return self._bank.set_status(record, status, what=what, why=why)

    # -- looking

    def same(self) -> list[list[str]]:
        """Groups of active records with the same code or, without code, the same words; the oldest first."""
        rows = self._bank.database.rows(
            "SELECT json_group_array(id) FROM (SELECT id, kind, task, content, keyed FROM records"
            " WHERE status = 'active' AND kind NOT IN (?, ?) AND (expires IS NULL OR expires > ?) ORDER BY time, id)"
            " GROUP BY kind, task, coalesce(nullif(content, ''), keyed) HAVING count(*) > 1 ORDER BY 1",
            INSIGHT,
            GUIDE,
            time.time(),
        )
        return [json.loads(group) for (group,) in rows]

    def rings(self) -> list[list[str]]:
        """Records that were merged into each other, so that none of them is found; the oldest first.

        That happens where two bases merge the same records in opposite ways and are then united.
        """
        rows = self._bank.database.rows("SELECT DISTINCT source FROM links WHERE rel = ? ORDER BY source", MERGED)
        found: dict[str, list[str]] = {}
        for (name,) in rows:
            group = self._bank.towards(name, MERGED)
            if not any(self._is(each, ACTIVE) for each in group):
                ring = [each for each in group if name in self._bank.towards(each, MERGED)]
                cards = sorted((held.time, each) for each in ring if (held := self._bank.held(each)))
                if len(cards) > 1:
                    found[cards[0][1]] = [each for _, each in cards]
        return list(found.values())

    def break_rings(self, why: str) -> list[str]:
        """Let the oldest of each ring stand for the others."""
        return self.restore([ring[0] for ring in self.rings()], why)

    @property
    def alarm(self) -> str:
        """A sentence where the last attempts left nothing; empty where all is well."""
        rows = self._bank.database.rows(
            "SELECT r.source IS e.id FROM events e LEFT JOIN records r ON r.id = e.record"
            " WHERE e.kind = 'attempt' ORDER BY e.rowid DESC LIMIT ?",
            ALARM_AFTER,
        )
        if len(rows) < ALARM_AFTER or any(stored for (stored,) in rows):
            return ""
        return f"the last {ALARM_AFTER} attempts left nothing in the knowledge base: all were known already"
