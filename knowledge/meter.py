"""What operations on a base cost: calls, tokens, milliseconds, bytes. Summed here, written along with other writes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from knowledge.database import Database


class Total(NamedTuple):
    calls: int
    tokens: int
    """Put in front of a writer, roughly."""
    milliseconds: float
    bytes: int
    """Of text and code stored."""


@dataclass
class Use:
    """One operation; whoever does it fills in what it took."""

    tokens: int = 0
    bytes: int = 0


class Meter:
    """Safe from several threads. What a killed process had not written yet is lost: it is no truth."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._pending: dict[str, Total] = {}

    @contextmanager
    def measure(self, operation: str) -> Iterator[Use]:
        use, start = Use(), time.perf_counter()
        yield use
        spent = (time.perf_counter() - start) * 1e3
        with self._lock:
            before = self._pending.get(operation, Total(0, 0, 0.0, 0))
            self._pending[operation] = Total(
                before.calls + 1, before.tokens + use.tokens, before.milliseconds + spent, before.bytes + use.bytes
            )

    def flush(self) -> None:
        """Within a transaction of something else, where there is one: a write of its own costs a flush of the disk."""
        with self._lock:
            pending, self._pending = self._pending, {}
        if not pending:
            return
        with self._database.transaction():
            for operation, total in pending.items():
                self._database.run(
                    "INSERT INTO meter VALUES (?, ?, ?, ?, ?) ON CONFLICT (operation) DO UPDATE SET"
                    " calls = calls + excluded.calls, tokens = tokens + excluded.tokens,"
                    " milliseconds = milliseconds + excluded.milliseconds, bytes = bytes + excluded.bytes",
                    operation, *total,
                )  # fmt: skip

    def totals(self) -> dict[str, Total]:
        rows = self._database.rows("SELECT * FROM meter ORDER BY operation")
        return {operation: Total(*numbers) for operation, *numbers in rows}
