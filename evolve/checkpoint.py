"""Where LangGraph keeps its position: its own SQLite checkpointer, kept small."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langgraph.checkpoint.sqlite import SqliteSaver

KEPT = 4
"""Positions kept; only the newest is needed to go on."""


@contextmanager
def open_checkpointer(path: Path) -> "Iterator[SqliteSaver]":
    """A damaged file is set aside: the journal alone is enough to go on from the last finished step."""
    from langgraph.checkpoint.sqlite import SqliteSaver

    connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
    try:
        connection.execute("PRAGMA quick_check(1)")
    except sqlite3.DatabaseError:
        connection.close()
        path.rename(path.with_suffix(".damaged"))
        connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
    saver = SqliteSaver(connection)
    saver.setup()
    connection.execute("PRAGMA synchronous=NORMAL")  # a power cut may cost a step: the journal repeats it for nothing
    try:
        yield saver
    finally:
        connection.close()


def prune(saver: "SqliteSaver", thread: str) -> None:
    """Drop all but the newest positions: the file stays small however long the run."""
    with saver.lock:
        rows = saver.conn.execute(
            "SELECT checkpoint_id FROM checkpoints WHERE thread_id=? AND checkpoint_ns=''"
            " ORDER BY checkpoint_id DESC LIMIT ?",
            (thread, KEPT),
        ).fetchall()
        if len(rows) == KEPT:
            oldest = (thread, rows[-1][0])
            saver.conn.execute("DELETE FROM checkpoints WHERE thread_id=? AND checkpoint_id<?", oldest)
            saver.conn.execute("DELETE FROM writes WHERE thread_id=? AND checkpoint_id<?", oldest)
            saver.conn.commit()
