"""The SQLite file under the bank: opened only if it is ours, changed only in short transactions.

WAL with `synchronous=FULL`: once a transaction has returned it outlives a killed process and a power cut; a cut
during one leaves the old or the new state. Not covered: network file systems, and use across `fork`.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from evolve.errors import EvolveError, StorageError, UsageError
from knowledge.lock import locked
from knowledge.schema import APPLICATION, TABLES, VERSION

BUSY_SECONDS = 30.0
CACHE_KB = 65536
"""Of pages kept in memory: a recall among 100,000 experiences reads 30 % faster than with SQLite's own 2 MB."""


class Database:
    """One connection behind a lock: safe from several threads, and several processes may open the same file.

    Raises StorageError when the file cannot be read or written, UsageError when it is not ours to open.
    """

    def __init__(self, path: Path, patience: float = BUSY_SECONDS) -> None:
        """`patience`: seconds to wait for another process that is writing."""
        self.path = path
        self._patience = patience
        self._lock = RLock()
        self._depth = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UsageError(f"cannot keep a knowledge base in {path.parent}: {e.strerror}; name a folder") from e
        with locked(path.with_suffix(".lock"), patience), self._boundary():
            self._connection = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
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
        run("PRAGMA synchronous = FULL")
        run(f"PRAGMA cache_size = -{CACHE_KB}")
        if not tables:
            with self.transaction():
                for statement in TABLES.split(";\n"):
                    run(statement)
                run(f"PRAGMA application_id = {APPLICATION}")
                run(f"PRAGMA user_version = {VERSION}")
        elif version < VERSION:
            from knowledge.migration import migrate  # which writes through what stands on this

            migrate(self._connection)

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

    def scrub(self) -> None:
        """Remove from the disk what was deleted; takes as long as writing the file anew."""
        with self._lock, self._boundary():
            self._connection.execute("INSERT INTO words (words) VALUES ('optimize')")
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

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
                return f"{self.path} was held by another process for {self._patience:.0f} s; end it, then try again"
            case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
                return f"{self.path} is damaged or no knowledge base ({error}); move it away, or put a copy back"
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                return f"{self.path} cannot be opened for writing ({error}); check its permissions"
            case _:
                return f"{self.path} could not be read or written: {error}"
