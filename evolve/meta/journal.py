"""What a run of meta-evolution has done, durable the moment it is done.

Decisions are pure, so a run that is taken up again makes them anew and finds here what they led to: no evaluation
that ended is repeated, no model is asked twice.
"""

import json
import sqlite3
import threading
import zlib
from pathlib import Path
from typing import Any, NamedTuple, Self

from evolve.domains.memory.grading import Grades
from evolve.errors import StorageError, UsageError
from evolve.types import Completion, Cost, Prompt

APPLICATION = 0x65766F6D
"""SQLite's application_id of our files: `evom`."""
_TABLES = """
CREATE TABLE IF NOT EXISTS verdicts (design TEXT NOT NULL, exam TEXT NOT NULL, failure TEXT, grades BLOB,
    PRIMARY KEY (design, exam));
CREATE TABLE IF NOT EXISTS replies (child TEXT PRIMARY KEY, told TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, completion TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Failed(NamedTuple):
    """Why a design could not be graded."""

    method: str
    reason: str


class Journal:
    """Safe from several threads of one process; the run's lock keeps other processes out."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError for a file that is not ours, StorageError for one that cannot be read."""
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._prepare(path)
        except sqlite3.Error as e:
            raise StorageError(f"cannot use {path}: {e}") from e

    def _prepare(self, path: Path) -> None:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != APPLICATION:
            raise UsageError(f"{path} belongs to another program; name a run of `evolve meta`")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(f"BEGIN;{_TABLES}PRAGMA application_id = {APPLICATION};COMMIT;")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def verdict(self, design: str, exam: str) -> Grades | Failed | None:
        row = self._row("SELECT failure, grades FROM verdicts WHERE design = ? AND exam = ?", design, exam)
        if row is None:
            return None
        if row[0] is not None:
            return Failed(*json.loads(row[0]))
        told: dict[str, Any] = json.loads(zlib.decompress(row[1]))
        values: list[Any] = [told[name] for name in Grades._fields]
        return Grades._make(tuple(value) if isinstance(value, list) else value for value in values)

    def record_verdict(self, design: str, exam: str, verdict: Grades | Failed) -> None:
        failure = json.dumps(verdict) if isinstance(verdict, Failed) else None
        grades = None if failure else zlib.compress(json.dumps(verdict._asdict()).encode())
        self._write("INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?)", design, exam, failure, grades)

    def reply(self, child: str) -> dict[str, Any] | None:
        """What a model proposed for a child."""
        row = self._row("SELECT told FROM replies WHERE child = ?", child)
        return json.loads(row[0]) if row else None

    def record_reply(self, child: str, told: dict[str, Any]) -> None:
        self._write("INSERT OR IGNORE INTO replies VALUES (?, ?)", child, json.dumps(told))

    def completion(self, key: str) -> Completion | None:
        """What a model answered to the prompt of that key."""
        row = self._row("SELECT completion FROM calls WHERE key = ?", key)
        return Completion.model_validate_json(row[0]) if row else None

    def record_call(self, prompt: Prompt, completion: Completion) -> None:
        self._write("INSERT OR IGNORE INTO calls VALUES (?, ?)", prompt.key, completion.model_dump_json())

    def spent(self) -> Cost:
        """On all calls of the run."""
        with self._lock:
            rows = self._db.execute("SELECT completion FROM calls").fetchall()
        return sum((Completion.model_validate_json(told).cost for (told,) in rows), Cost())

    def fact(self, key: str, default: str = "") -> str:
        row = self._row("SELECT value FROM facts WHERE key = ?", key)
        return str(row[0]) if row else default

    def record_fact(self, key: str, value: str) -> None:
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", key, value)

    def _row(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with self._lock:
            found: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
            return found

    def _write(self, query: str, *values: object) -> None:
        with self._lock:
            try:
                self._db.execute(query, values)
            except sqlite3.Error as e:
                raise StorageError(f"the run's journal cannot be written: {e}") from e
