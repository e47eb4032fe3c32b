"""How each technique fared, per (domain, bottleneck state, technique, hardware): the statistics of KernelBlaster.

Gains are averaged as logarithms, and failures count. A chain of techniques is one observation of each member, with
weight 1/length and an equal share of the chain's logarithmic gain: who contributed what is not known. Kept task by
task, so that it can be said what rests on which task.
"""

import json
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from knowledge.database import Database
from knowledge.distil import FAILURE, TRACE, steps

CAUTION = 2
"""As many observations of no gain are assumed before the first."""
TRUSTED = ("active", "superseded", "expired")
"""Statuses of records that still count as observations of their technique."""
OBSERVED = f"kind IN ('{TRACE}', '{FAILURE}') AND status IN {TRUSTED}"
SUMS = "tries, failures, n, weight, failed, gained, total, squares"


class Group(NamedTuple):
    domain: str
    state: str
    """Bottleneck that the technique met; empty when unknown."""
    technique: str
    hardware: str


class Statistics(NamedTuple):
    """Sums over the attempts that used a technique."""

    tries: int = 0
    failures: int = 0
    n: int = 0
    """Tries with a known gain."""
    weight: float = 0.0
    """Of all tries."""
    failed: float = 0.0
    """Of those that failed."""
    gained: float = 0.0
    """Of those with a known gain."""
    total: float = 0.0
    """Of weight times this technique's share of the gain (natural logarithm)."""
    squares: float = 0.0
    """Of weight times that share squared."""

    @property
    def gain(self) -> float:
        """Mean logarithmic gain; 0 where none is known."""
        return self.total / self.gained if self.n else 0.0

    @property
    def variance(self) -> float:
        return max(0.0, self.squares / self.gained - self.gain**2) if self.n else 0.0

    @property
    def failure_share(self) -> float:
        return self.failed / self.weight if self.weight else 0.0

    @property
    def expected(self) -> float:
        """What another try should bring, pulled towards nothing by few observations and by failures."""
        return self.gain * self.n / (self.n + CAUTION) * (1 - self.failure_share)

    def seen(self, *, feasible: bool, gain: float | None, members: int) -> "Statistics":
        """With one more attempt, whose chain had so many members."""
        weight = 1 / members
        known = gain is not None
        share = (gain or 0.0) * weight
        return Statistics(
            tries=self.tries + 1,
            failures=self.failures + (not feasible),
            n=self.n + known,
            weight=self.weight + weight,
            failed=self.failed + (0.0 if feasible else weight),
            gained=self.gained + (weight if known else 0.0),
            total=self.total + weight * share,
            squares=self.squares + weight * share * share,
        )


class Techniques:
    """Kept in step by the bank. Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.stale: set[tuple[str, str, str, str, str]] = set()
        """(domain, state, hardware, task, chain) of records that changed: to be counted again by `settle`."""

    def add(self, record: str, seq: int) -> None:
        """Count a new record; one that is no attempt counts nothing."""
        found = self._database.row(
            "SELECT domain, state, technique, hardware, task, kind, gain FROM records WHERE id = ?", record
        )
        if found is None or found[5] not in {TRACE, FAILURE}:
            return
        domain, state, technique, hardware, task, kind, gain = found
        members = dict.fromkeys(steps(technique))
        for member in members:
            group = Group(domain, state, member, hardware)
            row = self._database.row(
                f"SELECT {SUMS} FROM techniques WHERE domain = ? AND state = ? AND technique = ? AND hardware = ?"  # noqa: S608
                " AND task = ?",
                *group, task,
            )  # fmt: skip
            before = Statistics(*row) if row else Statistics()
            self._save(group, task, before.seen(feasible=kind == TRACE, gain=gain, members=len(members)), seq)

    def settle(self, seq: int) -> None:
        """Count again, from the records, every technique of the stale chains; each once, however many changed."""
        chains: dict[tuple[str, str, str, str], dict[str, None]] = {}
        for *place, chain in sorted(self.stale):
            chains.setdefault((place[0], place[1], place[2], place[3]), {}).update(dict.fromkeys(steps(chain)))
        for (domain, state, hardware, task), members in chains.items():
            for member, counted in self.counted(domain, state, hardware, task).items():
                members.pop(member, None)
                self._save(Group(domain, state, member, hardware), task, counted, seq)
            for member in members:
                self._save(Group(domain, state, member, hardware), task, Statistics(), seq)
        self.stale.clear()

    def counted(self, domain: str, state: str, hardware: str, task: str) -> dict[str, Statistics]:
        """Technique -> what the records say."""
        rows = self._database.rows(
            f"SELECT technique, kind, gain FROM records WHERE {OBSERVED}"  # noqa: S608  a constant
            " AND domain = ? AND state = ? AND hardware = ? AND task = ? ORDER BY n",
            domain, state, hardware, task,
        )  # fmt: skip
        found: dict[str, Statistics] = {}
        for chain, kind, gain in rows:
            members = dict.fromkeys(steps(chain))
            for member in members:
                before = found.get(member, Statistics())
                found[member] = before.seen(feasible=kind == TRACE, gain=gain, members=len(members))
        return found

    def _save(self, group: Group, task: str, counted: Statistics, seq: int) -> None:
        """Nothing left is a row of zeros, so that the change is seen."""
        self._database.run(
            "INSERT OR REPLACE INTO techniques VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *group, task, *counted, seq,
        )  # fmt: skip

    def changed(self, after: int) -> list[tuple[Group, Statistics]]:
        """Groups that were counted anew after a change, each over all of its tasks."""
        sums = ", ".join(f"sum(t.{name})" for name in SUMS.split(", "))
        rows = self._database.rows(
            f"SELECT t.domain, t.state, t.technique, t.hardware, {sums} FROM"  # noqa: S608
            " (SELECT DISTINCT domain, state, technique, hardware FROM techniques INDEXED BY techniques_changed"
            " WHERE changed > ?) CROSS JOIN techniques t USING (domain, state, technique, hardware)"
            " GROUP BY t.domain, t.state, t.technique, t.hardware ORDER BY 1, 2, 3, 4",
            after,
        )
        return [(Group(*row[:4]), Statistics(*row[4:])) for row in rows]

    def of(
        self, domain: str, state: str, hardware: str, hold_out: frozenset[str] = frozenset()
    ) -> dict[str, Statistics]:
        """Technique -> how it fared in this state on this hardware, anywhere where it was never tried on it.

        What was seen on tasks in `hold_out` is not counted.
        """
        held_out = json.dumps(sorted(hold_out))
        for place in dict.fromkeys((hardware, "")):
            rows = self._database.rows(
                f"SELECT technique, {', '.join(f'sum({name})' for name in SUMS.split(', '))} FROM techniques"  # noqa: S608
                " WHERE domain = :domain AND state = :state AND hardware = coalesce(nullif(:place, ''), hardware)"
                " AND tries > 0 AND task NOT IN (SELECT value FROM json_each(:held_out))"
                " GROUP BY technique ORDER BY technique",
                domain=domain, state=state, place=place, held_out=held_out,
            )  # fmt: skip
            if rows:
                return {name: Statistics(*sums) for name, *sums in rows}
        return {}

    def names(self, domain: str, hold_out: frozenset[str] = frozenset()) -> list[str]:
        """Of all that were ever tried in a domain, on other tasks than those in `hold_out`."""
        rows = self._database.rows(
            "SELECT DISTINCT technique FROM techniques WHERE domain = ? AND tries > 0"
            " AND task NOT IN (SELECT value FROM json_each(?)) ORDER BY 1",
            domain, json.dumps(sorted(hold_out)),
        )  # fmt: skip
        return [name for (name,) in rows]

    def states(self, domain: str) -> dict[str, int]:
        """Bottleneck state -> uses of techniques that were seen in it."""
        rows = self._database.rows(
            "SELECT state, sum(tries) FROM techniques WHERE domain = ? AND state != '' AND tries > 0"
            " GROUP BY state ORDER BY state",
            domain,
        )
        return dict(rows)

    def tried_on(self, tasks: Iterable[str]) -> list[Group]:
        """Groups that rest on at least one of these tasks."""
        found: dict[Group, None] = {}
        for task in tasks:
            rows = self._database.rows(
                "SELECT domain, state, technique, hardware FROM techniques WHERE task = ? AND tries > 0", task
            )
            found.update((Group(*row), None) for row in rows)
        return list(found)

    def sources(self, group: Group, limit: int) -> list[str]:
        """The latest attempts that a group rests on, oldest first."""
        rows = self._database.rows(
            f"SELECT source, technique FROM records WHERE {OBSERVED}"  # noqa: S608  a constant
            " AND domain = ? AND state = ? AND hardware = ? AND instr(technique, ?) ORDER BY n DESC",
            group.domain, group.state, group.hardware, group.technique,
        )  # fmt: skip
        latest = (source for source, chain in rows if group.technique in steps(chain))
        return list(islice(latest, limit))[::-1]

    def all(self) -> list[tuple[Group, str, Statistics]]:
        """(group, task, sums) of every row that counts something."""
        rows = self._database.rows(
            f"SELECT domain, state, technique, hardware, task, {SUMS} FROM techniques WHERE tries > 0"  # noqa: S608
            " ORDER BY 1, 2, 3, 4, 5"
        )
        return [(Group(*row[:4]), row[4], Statistics(*row[5:])) for row in rows]
