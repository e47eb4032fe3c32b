"""Who had what in front of them and how it went: receipts of recalls, and the values learnt from them."""

import json
import time
from collections.abc import Sequence
from typing import NamedTuple

from evolve.types import REFINE
from knowledge.bank import Bank
from knowledge.values import INFEASIBLE, Norm, Value, backed_off, learnt, normalised

OVERALL = "*"
"""Stands for the value over all bottleneck states."""


class Line(NamedTuple):
    """One recalled item, as it was shown."""

    item: str
    similarity: float
    value: float
    why: str


class Ledger:
    """Every write is idempotent by attempt id. Raises StorageError."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._database = bank.database

    def receipt(self, attempt: str) -> list[Line] | None:
        """What was recalled for an attempt; None when nothing was asked yet."""
        if self._database.row("SELECT 1 FROM receipts WHERE attempt = ?", attempt) is None:
            return None
        rows = self._database.rows(
            "SELECT item, similarity, value, why FROM receipt_items WHERE attempt = ? ORDER BY rank", attempt
        )
        return [Line(*row) for row in rows]

    def issue(self, attempt: str, *, task: str, stage: str, state: str, lines: Sequence[Line]) -> list[Line]:
        """Write the receipt; the earlier one when another thread or process was faster."""
        with self._bank.transaction():
            earlier = self.receipt(attempt)
            if earlier is not None:
                return earlier
            self._database.run(
                "INSERT INTO receipts (attempt, time, task, stage, state) VALUES (?, ?, ?, ?, ?)",
                attempt, time.time(), task, stage, state,
            )  # fmt: skip
            for rank, line in enumerate(lines, start=1):
                self._database.run("INSERT INTO receipt_items VALUES (?, ?, ?, ?, ?, ?)", attempt, rank, *line)
        return list(lines)

    def credit(self, attempt: str, *, stage: str, raw: float, also: str | None = None) -> None:
        """Teach every item of the receipt, and `also`, the reward; only the first call for an attempt counts."""
        with self._bank.transaction():
            found = self._database.row("SELECT state, credited FROM receipts WHERE attempt = ?", attempt)
            if found is None or found[1]:
                return
            credit = self._normalised(stage, raw)
            items = [line.item for line in self.receipt(attempt) or ()]
            if also is not None and also not in items:
                items.append(also)
            for item in items:
                for state in {found[0], OVERALL}:
                    self._teach(item, stage, state, credit)
            self._database.run("UPDATE receipts SET credited = 1, reward = ? WHERE attempt = ?", raw, attempt)
            if items:
                self._bank.log(f"credit {attempt}", f"{stage} reward {raw:+.3f} ({credit:+.3f}) to {len(items)} items")

    def _normalised(self, stage: str, raw: float) -> float:
        """Refining gains shrink as a run goes on, so they are measured by those before; -1 means -1."""
        if stage != REFINE or raw <= INFEASIBLE:
            return raw
        found = self._database.row("SELECT mean, m2, n FROM norms WHERE stage = ?", stage)
        norm, credit = normalised(Norm(*found) if found else Norm(), raw)
        self._database.run("INSERT OR REPLACE INTO norms VALUES (?, ?, ?, ?)", stage, *norm)
        return credit

    def _teach(self, item: str, stage: str, state: str, credit: float) -> None:
        key = (item, stage, state)
        found = self._database.row("SELECT q, n FROM item_values WHERE item = ? AND stage = ? AND state = ?", *key)
        value = learnt(Value(*found) if found else Value(), credit)
        self._database.run("INSERT OR REPLACE INTO item_values VALUES (?, ?, ?, ?, ?)", *key, *value)

    def values(self, items: Sequence[str], stage: str, state: str) -> dict[str, Value]:
        """Of the items that were ever credited at this stage; in this state where that is known well."""
        rows = self._database.rows(
            "SELECT item, state, q, n FROM item_values WHERE item IN (SELECT value FROM json_each(?))"
            " AND stage = ? AND state IN (?, ?)",
            json.dumps(items), stage, state, OVERALL,
        )  # fmt: skip
        known = {(item, where): Value(q, n) for item, where, q, n in rows}
        return {
            item: backed_off(known.get((item, state), Value()), overall)
            for (item, where), overall in known.items()
            if where == OVERALL
        }

    def by_stage(self, items: Sequence[str]) -> dict[str, dict[str, float]]:
        """Item -> stage -> value over all states."""
        rows = self._database.rows(
            "SELECT item, stage, q FROM item_values WHERE state = ? AND item IN (SELECT value FROM json_each(?))",
            OVERALL, json.dumps(items),
        )  # fmt: skip
        found: dict[str, dict[str, float]] = {}
        for item, stage, q in rows:
            found.setdefault(item, {})[stage] = q
        return found

    def uses(self, items: Sequence[str]) -> dict[str, int]:
        """How often each item was in front of a writer."""
        return dict(
            self._database.rows(
                "SELECT item, count(*) FROM receipt_items WHERE item IN (SELECT value FROM json_each(?)) GROUP BY item",
                json.dumps(items),
            )
        )
