"""The SQLite file under the bank: opened only if it is ours, changed only in short transactions.

WAL with `synchronous=NORMAL`: a killed process leaves the old or the new state; a power cut may take the last
transactions back, never half of one. Not covered: network file systems, and use across `fork`.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from evolve.errors import EvolveError, StorageError, UsageError
from knowledge.lock import locked

APPLICATION = 0x45564B42
"""`EVKB` in the header of every file of ours."""
VERSION = 1
BUSY_SECONDS = 30.0

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

-- What happened, as it was told, never updated. `record` holds what was learnt from it.
CREATE TABLE events (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, task TEXT NOT NULL, time REAL NOT NULL, data TEXT NOT NULL, record TEXT
);

CREATE TABLE records (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, seq INTEGER NOT NULL,
    kind TEXT NOT NULL, task TEXT NOT NULL, domain TEXT NOT NULL, state TEXT NOT NULL, technique TEXT NOT NULL,
    score REAL, gain REAL, content TEXT NOT NULL, keys TEXT NOT NULL, data TEXT NOT NULL
);
CREATE INDEX records_seq ON records (seq);
CREATE INDEX records_state ON records (domain, kind, state, task, score);
CREATE INDEX records_task ON records (domain, kind, task, score);
CREATE INDEX records_content ON records (task, content);
CREATE VIRTUAL TABLE words USING fts5 (keys, tokenize = 'porter unicode61');

CREATE TABLE vectors (
    record INTEGER NOT NULL REFERENCES records (n) ON DELETE CASCADE, embedding TEXT NOT NULL, vector BLOB NOT NULL,
    PRIMARY KEY (record, embedding)
);

-- State '*' is the value over all states.
CREATE TABLE item_values (
    item TEXT NOT NULL, stage TEXT NOT NULL, state TEXT NOT NULL, q REAL NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (item, stage, state)
) WITHOUT ROWID;
CREATE TABLE norms (stage TEXT PRIMARY KEY, mean REAL NOT NULL, m2 REAL NOT NULL, n INTEGER NOT NULL);

CREATE TABLE receipts (
    attempt TEXT PRIMARY KEY, time REAL NOT NULL, task TEXT NOT NULL, stage TEXT NOT NULL, state TEXT NOT NULL,
    credited INTEGER NOT NULL DEFAULT 0, reward REAL
);
CREATE TABLE receipt_items (
    attempt TEXT NOT NULL REFERENCES receipts (attempt), rank INTEGER NOT NULL, item TEXT NOT NULL,
    similarity REAL NOT NULL, value REAL NOT NULL, why TEXT NOT NULL,
    PRIMARY KEY (attempt, rank)
) WITHOUT ROWID;
CREATE INDEX receipt_items_item ON receipt_items (item);

-- Every change, in order; AUTOINCREMENT so that no number is ever used twice.
CREATE TABLE log (seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, what TEXT NOT NULL, why TEXT NOT NULL);

INSERT INTO meta VALUES ('id', lower(hex(randomblob(8))));
"""


class Database:
    """One connection behind a lock: safe from several threads, and several processes may open the same file.

    Raises StorageError when the file cannot be read or written, UsageError when it is not ours to open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = RLock()
        self._depth = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UsageError(f"cannot keep a knowledge base in {path.parent}: {e.strerror}; name a folder") from e
        with locked(path.with_suffix(".lock")), self._boundary():
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except (sqlite3.Error, EvolveError):
                self._connection.close()
                raise

    def _prepare(self) -> None:
        """Create the tables in a new file; refuse a file that is another program's or a newer version's."""
        run = self._connection.execute
        run("PRAGMA foreign_keys = ON")
        (application,) = run("PRAGMA application_id").fetchone()
        (version,) = run("PRAGMA user_version").fetchone()
        (tables,) = run("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != APPLICATION:
            raise UsageError(f"{self.path} belongs to another program; choose another folder for the knowledge base")
        if version > VERSION:
            raise UsageError(
                f"{self.path} was written by a newer evolve (format {version}, this one reads {VERSION}); "
                "upgrade evolve or choose another folder"
            )
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        if not tables:
            with self.transaction():
                for statement in SCHEMA.split(";\n"):
                    run(statement)
                run(f"PRAGMA application_id = {APPLICATION}")
                run(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Inside another transaction of the same thread it is part of that one."""
        with self._lock, self._boundary():
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                if self._depth == 1 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            else:
                if self._depth == 1:
                    self._connection.execute("COMMIT")
            finally:
                self._depth -= 1

    def run(self, sql: str, *values: object) -> int:
        """Execute one statement; the row id of what it inserted."""
        with self._lock, self._boundary():
            return self._connection.execute(sql, values).lastrowid or 0

    def rows(self, sql: str, *values: object, **named: object) -> list[tuple[Any, ...]]:
        with self._lock, self._boundary():
            return self._connection.execute(sql, named or values).fetchall()

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        found: Sequence[tuple[Any, ...]] = self.rows(sql, *values)
        return found[0] if found else None

    @contextmanager
    def _boundary(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            raise StorageError(self._explained(e)) from e

    def _explained(self, error: sqlite3.Error) -> str:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        match code:
            case sqlite3.SQLITE_FULL:
                return f"no space left to write {self.path}; free some, nothing that was stored is lost"
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return f"{self.path} was held by another process for {BUSY_SECONDS:.0f} s; end it, then try again"
            case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
                return f"{self.path} is damaged or no knowledge base ({error}); move it away, or put a copy back"
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                return f"{self.path} cannot be opened for writing ({error}); check its permissions"
            case _:
                return f"{self.path} could not be read or written: {error}"
