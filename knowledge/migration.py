"""Brings a file of an earlier format to the present one: all that it holds, and what can be known of what it did not.

Format 2 had no memory architectures, and counted words that say nothing by themselves. Format 1 kept the present state
of records and values and a log of words alone. Its log stays, as lines that change no state; each record and credit
gets a line of its own after those.
"""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import NamedTuple

from pydantic import ValidationError

from evolve.errors import StorageError
from evolve.types import REFINE, Experience
from knowledge import log as subjects
from knowledge.bank import ACTIVE, Bank, Held, keyed
from knowledge.database import Database
from knowledge.doctor import fill
from knowledge.ledger import TICK, Booked
from knowledge.lexicon import Lexicon
from knowledge.log import BASE, subject
from knowledge.reasons import Why
from knowledge.schema import TABLES, VERSION
from knowledge.values import INFEASIBLE, OVERALL, Norm, normalised, signatures

OLD = ("receipt_items", "receipts", "vectors", "records", "events", "log", "item_values", "norms")
"""Tables that are made anew, those that refer to others first."""
_WHY = re.compile(
    r"value (?P<value>\S+) \(n=(?P<n>\d+)\) at [^\s;]+"
    r"(?P<chance>; drawn by chance)?(?:; beat (?P<beat>\S+) \(similar \S+, value (?P<other>\S+)\))?"
)


def migrate(connection: sqlite3.Connection) -> None:
    """All or nothing, in one transaction; a file of the present format is left as it is.

    Raises StorageError where a record cannot be read.
    """
    with _transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == VERSION:
            return
        if version == 1:
            _from_1(connection)
        else:
            _from_2(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _from_1(connection: sqlite3.Connection) -> None:
    _put_aside(connection)
    _facts(connection)
    _history(connection)
    fill(_Moved(_Within(connection)))
    for table in OLD:
        connection.execute(f"DROP TABLE old_{table}")


def _from_2(connection: sqlite3.Connection) -> None:
    """Add the layer, and count the words again."""
    run = connection.execute
    for table in ("words", "terms"):
        run(f"DROP TABLE {table}")
    for statement in TABLES.split(";\n"):
        if re.search(r"CREATE (VIRTUAL )?TABLE (layer|words|terms)\b", statement):
            run(statement)
    lexicon = Lexicon(_Within(connection))
    for n, name, data in run(
        "SELECT r.n, r.id, l.data FROM records r JOIN log l ON l.seq = r.seq WHERE r.status = ? ORDER BY r.n", (ACTIVE,)
    ).fetchall():
        try:
            lexicon.put(n, Held.model_validate_json(data).keys)
        except ValidationError as e:
            raise StorageError(f"record {name} of format 2 cannot be read, so the base stays as it was: {e}") from e


class _Within(Database):
    """A connection that is in a transaction already."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.path = Path(connection.execute("PRAGMA database_list").fetchone()[2])
        self._connection = connection
        self._lock = RLock()
        self._depth = 1


class _Moved(Bank):
    def __init__(self, database: Database) -> None:
        self._use(database)
        self._depth = 1


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _put_aside(connection: sqlite3.Connection) -> None:
    run = connection.execute
    for (index,) in run("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall():
        run(f"DROP INDEX {index}")
    run("DROP TABLE words")
    for table in OLD:
        run(f"ALTER TABLE {table} RENAME TO old_{table}")
    for statement in TABLES.split(";\n"):
        if not re.search(r"CREATE TABLE meta\b|INSERT INTO meta\b", statement):
            run(statement)


# -- what happened


def _facts(connection: sqlite3.Connection) -> None:
    run = connection.execute
    run(
        "INSERT INTO events SELECT id, kind, task, time, data, record,"
        " CASE WHEN kind = 'attempt' AND json_valid(data) THEN data ->> '$.candidate.parent' END"
        " FROM old_events ORDER BY rowid"
    )
    families = dict(
        run(
            "SELECT task, coalesce(data ->> '$.tags[0]', task) FROM old_events"
            " WHERE kind = 'task' AND json_valid(data) ORDER BY rowid"
        )
    )
    for attempt, moment, task, stage, state in run(
        "SELECT attempt, time, task, stage, state FROM old_receipts ORDER BY rowid"
    ):
        states = json.dumps(signatures(state, families.get(task, task)))
        run("INSERT INTO receipts VALUES (?, ?, ?, ?, ?)", (attempt, moment, task, stage, states))
    for *line, similarity, value, why in run("SELECT * FROM old_receipt_items"):
        reason = json.dumps(_reason(similarity, value, why)._asdict())
        run("INSERT INTO receipt_items VALUES (?, ?, ?, ?, ?, ?)", (*line, similarity, value, reason))


def _reason(similarity: float, value: float, text: str) -> Why:
    """What the words of format 1 tell; it chose by value alone."""
    found = _WHY.search(text)
    n = int(found["n"]) if found else 0
    beat = found["beat"] if found else None
    margin = round(float(found["value"]) - float(found["other"]), 4) if found and beat else 0.0
    pick = "match" if found is None else "chance" if found["chance"] else "value"
    where = OVERALL if n else ""
    return Why(round(similarity, 4), 0.0, 0.0, round(value, 4), 0.0, n, where, round(value, 4), pick, beat, margin)


# -- what is known


def _history(connection: sqlite3.Connection) -> None:
    run = connection.execute
    run("INSERT INTO log SELECT seq, time, ?, what, why, NULL FROM old_log ORDER BY seq", (BASE,))
    for n, name, data, keys, moment, told, why in run(
        "SELECT r.n, r.id, r.data, r.keys, coalesce(min(e.time), l.time), l.time, l.why FROM old_records r"
        " LEFT JOIN old_log l ON l.seq = r.seq LEFT JOIN events e ON e.record = r.id GROUP BY r.n ORDER BY r.n"
    ).fetchall():
        now = time.time()
        try:
            experience = Experience.model_validate_json(data)
        except ValidationError as e:
            raise StorageError(f"record {name} of format 1 cannot be read, so the base stays as it was: {e}") from e
        held = Held(experience=experience, keys=keys, time=moment or now)
        _note(connection, told or now, subject(subjects.RECORD, name), "add", why or "", held)
        run(
            "INSERT OR IGNORE INTO vectors SELECT ?, embedding, vector FROM old_vectors WHERE record = ?",
            (keyed(keys), n),
        )
    for attempt, booked in _credits(connection):
        why = f"{booked.stage} reward {booked.raw:+.3f}"
        _note(connection, booked.time, subject(subjects.CREDIT, attempt), "credit", why, booked)


def _note(connection: sqlite3.Connection, moment: float, name: str, what: str, why: str, state: Held | Booked) -> None:
    connection.execute(
        "INSERT INTO log (time, subject, what, why, data) VALUES (?, ?, ?, ?, ?)",
        (moment, name, what, why, state.model_dump_json(exclude_defaults=True)),
    )


class _Stage(NamedTuple):
    """What a stage has seen so far."""

    rewards: Norm = Norm()
    credits: Norm = Norm()
    time: float = 0.0


def _credits(connection: sqlite3.Connection) -> Iterator[tuple[str, Booked]]:
    """By the present rules, in the order in which they were given. `also` is the record of the parent."""
    stages: dict[str, _Stage] = {}
    for attempt, stage, raw, moment, also in connection.execute(
        "SELECT r.attempt, r.stage, r.reward, coalesce(min(l.time), r.time) AS given, p.record FROM old_receipts r"
        " LEFT JOIN old_log l ON l.what = 'credit ' || r.attempt LEFT JOIN events e ON e.id = r.attempt"
        " LEFT JOIN events p ON p.id = e.parent WHERE r.credited AND r.reward IS NOT NULL"
        " GROUP BY r.attempt ORDER BY given, min(l.seq), r.attempt"
    ).fetchall():
        seen = stages.get(stage, _Stage())
        rewards, credit = seen.rewards, raw
        if raw > INFEASIBLE:
            rewards, normal = normalised(seen.rewards, raw)
            credit = normal if stage == REFINE else raw
        given = max(moment, seen.time + TICK)
        stages[stage] = _Stage(rewards, seen.credits.seen(credit), given)
        advantage = credit - seen.credits.mean
        yield attempt, Booked(time=given, stage=stage, raw=raw, credit=credit, advantage=advantage, also=also)
