"""Who had what in front of them and how it went: receipts of recalls, credits for them, values that follow from both.

Receipts are never changed. A credit is a subject of the log: it can be taken back, and then the values of what it had
taught are counted again from the credits that are left.
"""

import json
import math
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from evolve.errors import UsageError
from evolve.types import REFINE, Frozen
from knowledge import log as subjects
from knowledge.bank import Bank
from knowledge.log import subject
from knowledge.reasons import Credit, Why
from knowledge.values import INFEASIBLE, OVERALL, Known, Norm, Value, backed_off, normalised

MERGED = "merged into"
"""Link from a duplicate to the record that stands for it: its uses count for that one."""
TICK = 1e-6
"""Seconds between two credits at least: their order is that of their times."""


class Line(NamedTuple):
    """One recalled item, as it was shown."""

    item: str
    similarity: float
    value: float
    why: str
    """A `Why` as JSON."""

    @property
    def reason(self) -> Why:
        return Why(**json.loads(self.why))


class Receipt(NamedTuple):
    attempt: str
    time: float
    task: str
    stage: str
    states: tuple[str, ...]
    """Signatures that a reward is learnt in."""


class Booked(Frozen):
    """A credit's state, as the log holds it."""

    time: float
    stage: str
    raw: float
    credit: float
    advantage: float
    also: str | None = None
    counts: bool = True


class Ledger:
    """Every write is idempotent by attempt id. Raises StorageError."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._database = bank.database

    # -- receipts

    def receipt(self, attempt: str) -> Receipt | None:
        """None when nothing was asked for the attempt yet."""
        found = self._database.row("SELECT * FROM receipts WHERE attempt = ?", attempt)
        if found is None:
            return None
        name, moment, task, stage, states = found
        return Receipt(name, moment, task, stage, tuple(json.loads(states)))

    def newest(self, limit: int) -> list[str]:
        """Attempts that recalled last."""
        rows = self._database.rows("SELECT attempt FROM receipts ORDER BY rowid DESC LIMIT ?", limit)
        return [name for (name,) in rows]

    def lines(self, attempt: str) -> list[Line]:
        """What was recalled, in the order shown."""
        rows = self._database.rows(
            "SELECT item, similarity, value, why FROM receipt_items WHERE attempt = ? ORDER BY rank", attempt
        )
        return [Line(*row) for row in rows]

    def issue(
        self,
        attempt: str,
        *,
        task: str,
        stage: str,
        states: Sequence[str],
        lines: Sequence[Line],
        at: float | None = None,
    ) -> list[Line]:
        """Write the receipt; the earlier one when another thread or process was faster."""
        with self._bank.transaction():
            if self.receipt(attempt) is not None:
                return self.lines(attempt)
            self._database.run(
                "INSERT INTO receipts VALUES (?, ?, ?, ?, ?)",
                attempt, time.time() if at is None else at, task, stage, json.dumps(list(states)),
            )  # fmt: skip
            for rank, line in enumerate(lines, start=1):
                self._database.run("INSERT INTO receipt_items VALUES (?, ?, ?, ?, ?, ?)", attempt, rank, *line)
        return list(lines)

    # -- credits

    def credit(self, attempt: str, *, stage: str, raw: float, also: str | None = None, counts: bool = True) -> int:
        """Teach every item of the receipt, and `also`, the reward; only the first call for an attempt counts.

        How many items were taught. `counts`: False notes a reward that teaches nothing. Raises UsageError for a reward
        that is no number.
        """
        if not math.isfinite(raw):
            raise UsageError(f"the reward of {attempt} is {raw}; a reward is a finite number")
        with self._bank.transaction():
            receipt = self.receipt(attempt)
            if receipt is None or self.booked(attempt) is not None:
                return 0
            credit = self._credited(stage, raw)
            usual = self._norm(stage, "credit").mean
            booked = Booked(
                time=self._next(stage), stage=stage, raw=raw, credit=credit, advantage=credit - usual,
                also=also, counts=counts,
            )  # fmt: skip
            self._book(attempt, booked, "credit", f"{stage} reward {raw:+.3f}")
            items = self._items(attempt, also) if counts else []
            if counts:
                self._learn_norms(booked)
            for item in items:
                self._teach(item, receipt.states, booked)
            return len(items)

    def take_back(self, attempts: Iterable[str], why: str) -> int:
        """Let these attempts' rewards teach nothing any more; how many did."""
        with self._bank.transaction():
            taken = []
            for attempt in attempts:
                booked = self.booked(attempt)
                if booked is not None and booked.counts:
                    self._book(attempt, booked.model_copy(update={"counts": False}), "take back", why)
                    taken.append(attempt)
            self.recount(taken)
        return len(taken)

    def _book(self, attempt: str, booked: Booked, what: str, why: str) -> None:
        data = booked.model_dump_json(exclude_defaults=True)
        self._bank.log.append(subject(subjects.CREDIT, attempt), what, why, data)
        self.apply(attempt, data)

    def apply(self, attempt: str, data: str | None) -> None:
        """Bring the table to a state out of the log; `recount` then brings the values in step."""
        if data is None:
            self._database.run("DELETE FROM credits WHERE attempt = ?", attempt)
            return
        new = Booked.model_validate_json(data)
        self._database.run(
            "INSERT OR REPLACE INTO credits VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            attempt, new.time, new.stage, new.raw, new.credit, new.advantage, new.also, new.counts,
        )  # fmt: skip

    def booked(self, attempt: str) -> Booked | None:
        row = self._database.row(
            "SELECT time, stage, raw, credit, advantage, also, counts FROM credits WHERE attempt = ?", attempt
        )
        if row is None:
            return None
        moment, stage, raw, credit, advantage, also, counts = row
        return Booked(
            time=moment, stage=stage, raw=raw, credit=credit, advantage=advantage, also=also, counts=bool(counts)
        )

    def _next(self, stage: str) -> float:
        """A time after that of every credit of the stage: clocks may be set back."""
        found = self._database.row("SELECT max(time) FROM credits WHERE stage = ?", stage)
        return max(time.time(), found[0] + TICK if found and found[0] is not None else 0.0)

    def _items(self, attempt: str, also: str | None) -> list[str]:
        """What an attempt's reward teaches; a duplicate's place is taken by the record it was merged into."""
        return self._with_stand_ins([*(line.item for line in self.lines(attempt)), *([also] if also else [])])

    def _with_stand_ins(self, items: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(name for item in items for name in self._bank.towards(item, MERGED)))

    # -- what follows from credits

    def _credited(self, stage: str, raw: float) -> float:
        """Refining gains shrink as a run goes on, so they are measured by those before; -1 means -1."""
        if stage != REFINE or raw <= INFEASIBLE:
            return raw
        return normalised(self._norm(stage, "reward"), raw)[1]

    def _learn_norms(self, booked: Booked) -> None:
        self._save_norm(booked.stage, "credit", self._norm(booked.stage, "credit").seen(booked.credit))
        if booked.raw > INFEASIBLE:
            self._save_norm(booked.stage, "reward", self._norm(booked.stage, "reward").seen(booked.raw))

    def _norm(self, stage: str, what: str) -> Norm:
        found = self._database.row("SELECT mean, m2, n FROM norms WHERE stage = ? AND what = ?", stage, what)
        return Norm(*found) if found else Norm()

    def _save_norm(self, stage: str, what: str, norm: Norm) -> None:
        self._database.run("INSERT OR REPLACE INTO norms VALUES (?, ?, ?, ?, ?)", stage, what, *norm)

    def _teach(self, item: str, states: Sequence[str], booked: Booked) -> None:
        for state in states:
            key = (item, booked.stage, state)
            found = self._database.row(
                "SELECT q, total, n FROM item_values WHERE item = ? AND stage = ? AND state = ?", *key
            )
            value = (Value(*found) if found else Value()).learnt(booked.credit, booked.advantage)
            self._database.run("INSERT OR REPLACE INTO item_values VALUES (?, ?, ?, ?, ?, ?)", *key, *value)

    def recount(self, attempts: Iterable[str], also: Iterable[str] = (), stages: Iterable[str] = ()) -> None:
        """Count again whatever follows from the credits of these attempts, be they there, changed or gone.

        `also`, `stages`: of what they were before, where that may differ.
        """
        items, known = dict.fromkeys(also), dict.fromkeys(stages)
        for attempt in attempts:
            booked = self.booked(attempt)
            items.update(dict.fromkeys(self._items(attempt, booked.also if booked else None)))
            if booked is not None:
                known[booked.stage] = None
        self.recount_items(items)
        for stage in known:
            self.recount_norms(stage)

    def recount_items(self, items: Iterable[str]) -> None:
        """And what stands for them."""
        for item in self._with_stand_ins(items):
            self._database.run("DELETE FROM item_values WHERE item = ?", item)
            for key, value in self.counted(item).items():
                self._database.run("INSERT INTO item_values VALUES (?, ?, ?, ?, ?, ?)", item, *key, *value)

    def counted(self, item: str) -> dict[tuple[str, str], Value]:
        """(stage, state) -> value, from the credits."""
        same = json.dumps(self._bank.from_where(item, MERGED))
        rows = self._database.rows(
            "SELECT c.stage, r.states, c.credit, c.advantage FROM credits c JOIN receipts r USING (attempt)"
            " WHERE c.counts AND c.attempt IN ("
            " SELECT attempt FROM receipt_items WHERE item IN (SELECT value FROM json_each(:same))"
            " UNION SELECT attempt FROM credits WHERE also IN (SELECT value FROM json_each(:same)))"
            " ORDER BY c.time, c.attempt",
            same=same,
        )
        values: dict[tuple[str, str], Value] = {}
        for stage, states, credit, advantage in rows:
            for state in json.loads(states):
                values[stage, state] = values.get((stage, state), Value()).learnt(credit, advantage)
        return values

    def recount_norms(self, stage: str) -> None:
        for what, norm in self.counted_norms(stage).items():
            self._save_norm(stage, what, norm)

    def counted_norms(self, stage: str) -> dict[str, Norm]:
        """`reward` and `credit`, from the credits."""
        norms = {"reward": Norm(), "credit": Norm()}
        rows = self._database.rows(
            "SELECT raw, credit FROM credits WHERE stage = ? AND counts ORDER BY time, attempt", stage
        )
        for raw, credit in rows:
            norms["credit"] = norms["credit"].seen(credit)
            if raw > INFEASIBLE:
                norms["reward"] = norms["reward"].seen(raw)
        return norms

    # -- looking

    def seen(self, stage: str) -> int:
        """Credits of a stage that count."""
        return self._norm(stage, "credit").n

    def values(self, items: Sequence[str], stage: str, states: Sequence[str]) -> dict[str, Known]:
        """Of the items that were ever credited at this stage. `states`: signatures, the narrowest first."""
        rows = self._database.rows(
            "SELECT item, state, q, total, n FROM item_values WHERE item IN (SELECT value FROM json_each(?))"
            " AND stage = ? AND state IN (SELECT value FROM json_each(?))",
            json.dumps(list(items)), stage, json.dumps(list(states)),
        )  # fmt: skip
        known: dict[str, dict[str, Value]] = {}
        for item, state, *numbers in rows:
            known.setdefault(item, {})[state] = Value(*numbers)
        return {
            item: backed_off([(state, there[state]) for state in states if state in there])
            for item, there in known.items()
        }

    def by_stage(self, items: Sequence[str]) -> dict[str, dict[str, Value]]:
        """Item -> stage -> value over all states."""
        rows = self._database.rows(
            "SELECT item, stage, q, total, n FROM item_values"
            " WHERE state = ? AND item IN (SELECT value FROM json_each(?))",
            OVERALL, json.dumps(list(items)),
        )  # fmt: skip
        found: dict[str, dict[str, Value]] = {}
        for item, stage, *numbers in rows:
            found.setdefault(item, {})[stage] = Value(*numbers)
        return found

    def worth(self, item: str) -> list[tuple[str, str, Value]]:
        """(stage, state, value), everything that is known of an item."""
        rows = self._database.rows(
            "SELECT stage, state, q, total, n FROM item_values WHERE item = ? ORDER BY stage, state", item
        )
        return [(stage, state, Value(*numbers)) for stage, state, *numbers in rows]

    def uses(self, items: Sequence[str]) -> dict[str, int]:
        """How often each item was in front of somebody."""
        return dict(
            self._database.rows(
                "SELECT item, count(*) FROM receipt_items WHERE item IN (SELECT value FROM json_each(?)) GROUP BY item",
                json.dumps(list(items)),
            )
        )

    def outcomes(self, item: str, limit: int) -> list[Credit]:
        """The latest judged attempts that had an item, or a duplicate of it, in front of them; newest first."""
        rows = self._database.rows(
            "SELECT attempt, stage, raw, credit, counts FROM credits WHERE attempt IN"
            " (SELECT attempt FROM receipt_items WHERE item IN (SELECT value FROM json_each(:same)))"
            " OR also IN (SELECT value FROM json_each(:same)) ORDER BY time DESC LIMIT :limit",
            same=json.dumps(self._bank.from_where(item, MERGED)), limit=limit,
        )  # fmt: skip
        return [
            Credit(attempt=attempt, stage=stage, reward=raw, credit=credit, counts=bool(counts))
            for attempt, stage, raw, credit, counts in rows
        ]
