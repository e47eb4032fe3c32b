import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from evolve.errors import StorageError
from evolve.types import DRAFT, REFINE, Experience
from knowledge.bank import Bank
from knowledge.design import seeds
from knowledge.doctor import examine
from knowledge.ledger import Ledger
from knowledge.migration import migrate
from knowledge.timeline import Timeline
from knowledge.upkeep import Upkeep
from knowledge.values import ALPHA
from tests.banks import base_in
from tests.banks import put as learnt
from tests.banks import recall as recalled

FORMAT_1 = """
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
FORMAT_2 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, task TEXT NOT NULL, time REAL NOT NULL, data TEXT NOT NULL,
    record TEXT, parent TEXT
);
CREATE INDEX events_parent ON events (parent) WHERE parent IS NOT NULL;
CREATE INDEX events_record ON events (record) WHERE record IS NOT NULL;
CREATE TABLE receipts (
    attempt TEXT PRIMARY KEY, time REAL NOT NULL, task TEXT NOT NULL, stage TEXT NOT NULL, states TEXT NOT NULL
);
CREATE TABLE receipt_items (
    attempt TEXT NOT NULL REFERENCES receipts (attempt), rank INTEGER NOT NULL, item TEXT NOT NULL,
    similarity REAL NOT NULL, value REAL NOT NULL, why TEXT NOT NULL,
    PRIMARY KEY (attempt, rank)
) WITHOUT ROWID;
CREATE INDEX receipt_items_item ON receipt_items (item);
CREATE TABLE log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, subject TEXT NOT NULL, what TEXT NOT NULL,
    why TEXT NOT NULL, data TEXT
);
CREATE INDEX log_subject ON log (subject, seq);
CREATE TABLE records (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, status TEXT NOT NULL, kind TEXT NOT NULL,
    task TEXT NOT NULL, domain TEXT NOT NULL, stage TEXT NOT NULL, state TEXT NOT NULL, technique TEXT NOT NULL,
    hardware TEXT NOT NULL, score REAL, gain REAL, content TEXT NOT NULL, keyed TEXT NOT NULL, source TEXT NOT NULL,
    time REAL NOT NULL, expires REAL
);
CREATE INDEX records_seq ON records (seq);
CREATE INDEX records_content ON records (task, content);
CREATE INDEX records_keyed ON records (keyed);
CREATE INDEX records_expires ON records (expires) WHERE expires IS NOT NULL;
CREATE INDEX records_state ON records (domain, kind, state, task, score) WHERE status = 'active';
CREATE INDEX records_task ON records (domain, kind, task, score) WHERE status = 'active';
CREATE INDEX records_group ON records (domain, state, hardware);
CREATE INDEX records_status ON records (status, kind);
CREATE TABLE links (
    source TEXT NOT NULL, rel TEXT NOT NULL, target TEXT NOT NULL, weight REAL NOT NULL,
    PRIMARY KEY (source, rel, target)
) WITHOUT ROWID;
CREATE INDEX links_target ON links (target, rel);
CREATE TABLE credits (
    attempt TEXT PRIMARY KEY, time REAL NOT NULL, stage TEXT NOT NULL, raw REAL NOT NULL, credit REAL NOT NULL,
    advantage REAL NOT NULL, also TEXT, counts INTEGER NOT NULL
);
CREATE INDEX credits_also ON credits (also) WHERE also IS NOT NULL;
CREATE INDEX credits_stage ON credits (stage, time, attempt);
CREATE TABLE item_values (
    item TEXT NOT NULL, stage TEXT NOT NULL, state TEXT NOT NULL, q REAL NOT NULL, total REAL NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (item, stage, state)
) WITHOUT ROWID;
CREATE TABLE norms (
    stage TEXT NOT NULL, what TEXT NOT NULL, mean REAL NOT NULL, m2 REAL NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (stage, what)
) WITHOUT ROWID;
CREATE TABLE techniques (
    domain TEXT NOT NULL, state TEXT NOT NULL, technique TEXT NOT NULL, hardware TEXT NOT NULL, task TEXT NOT NULL,
    tries INTEGER NOT NULL, failures INTEGER NOT NULL, n INTEGER NOT NULL, weight REAL NOT NULL, failed REAL NOT NULL,
    gained REAL NOT NULL, total REAL NOT NULL, squares REAL NOT NULL, changed INTEGER NOT NULL,
    PRIMARY KEY (domain, state, technique, hardware, task)
) WITHOUT ROWID;
CREATE INDEX techniques_changed ON techniques (changed);
CREATE INDEX techniques_task ON techniques (task);
CREATE VIRTUAL TABLE words USING fts5 (keys, tokenize = 'unicode61');
CREATE TABLE terms (term TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE vectors (
    keyed TEXT NOT NULL, embedding TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (keyed, embedding)
);
CREATE TABLE meter (
    operation TEXT PRIMARY KEY, calls INTEGER NOT NULL, tokens INTEGER NOT NULL, milliseconds REAL NOT NULL,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES ('id', lower(hex(randomblob(8))));"""
VECTOR = np.arange(4, dtype="<f2")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file as format 1 left it after a short run."""
    path = tmp_path / "bank.sqlite"
    connection = connected(path)
    for statement in FORMAT_1.split(";\n"):
        connection.execute(statement)
    connection.execute("PRAGMA application_id = 0x45564B42")
    connection.execute("PRAGMA user_version = 1")
    task = {"id": "t/softmax", "tags": ["reduction", "x"], "prompt": "größer"}
    connection.execute(
        "INSERT INTO events VALUES ('task:1', 'task', 't/softmax', 90, ?, NULL)", [json.dumps(task, ensure_ascii=False)]
    )
    for i, parent in ((1, None), (2, "run/1"), (3, "run/2")):
        learn(connection, i, parent)
    insight = Experience(
        id="ins-1", kind="insight", text="On slow t, tiling gained 2x.", domain="t", state="slow", technique="tiling",
        sources=("run/1", "run/2"), metrics={"n": 2, "expected": 0.4, "gain": 0.7},
    )  # fmt: skip
    put(connection, insight, "record ins-1 v1", "reflect run", 109)
    put(connection, insight, "record ins-1 v2", "reflect run", 110)
    recall(connection, "run/1", DRAFT, "", [])
    recall(connection, "run/2", REFINE, "slow", ["exp-1", "ins-1"])
    recall(connection, "run/3", REFINE, "slow", ["exp-1", "exp-2"])
    recall(connection, "run/4", "other", "slow", ["exp-3"])
    credit(connection, "run/1", 1.0, 0, 121)
    credit(connection, "run/3", 0.5, 2, 122)  # was judged before the one that asked before it
    credit(connection, "run/2", -1.0, 2, 123)
    connection.close()
    return path


def connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    return connection


def learn(connection: sqlite3.Connection, i: int, parent: str | None) -> None:
    attempt = {"id": f"run/{i}", "task": "t/softmax", "candidate": {"files": {"a.c": "x"}, "parent": parent}}
    connection.execute(
        "INSERT INTO events VALUES (?, 'attempt', 't/softmax', ?, ?, ?)",
        (f"run/{i}", 100.0 + i, json.dumps(attempt), f"exp-{i}"),
    )
    trace = Experience(
        id=f"exp-{i}", kind="trace", text=f"Number {i}: vectorized größer loops", task="t/softmax", domain="t",
        state="slow" if parent else "", technique="tiling + fusion", payload=f"int f{i}();", sources=(f"run/{i}",),
        metrics={"score": float(i), "gain": 0.1 * i},
    )  # fmt: skip
    put(connection, trace, f"record exp-{i} v1", f"run/{i}", 100.0 + i)


def put(connection: sqlite3.Connection, item: Experience, what: str, why: str, moment: float) -> None:
    seq = connection.execute("INSERT INTO log (time, what, why) VALUES (?, ?, ?)", (moment, what, why)).lastrowid
    data = item.model_dump_json(exclude_defaults=True)
    connection.execute(
        "INSERT INTO records VALUES (NULL, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, 'hash', ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET version = 2, seq = excluded.seq",
        (
            item.id, seq, item.kind, item.task, item.domain, item.state, item.technique, item.metrics.get("score"),
            item.metrics.get("gain"), item.text, data,
        ),
    )  # fmt: skip
    [(n,)] = connection.execute("SELECT n FROM records WHERE id = ?", [item.id])
    connection.execute("DELETE FROM words WHERE rowid = ?", [n])
    connection.execute("INSERT INTO words (rowid, keys) VALUES (?, ?)", (n, item.text))
    connection.execute("INSERT OR REPLACE INTO vectors VALUES (?, 'hash-384-v1', ?)", (n, (VECTOR + n).tobytes()))


def recall(connection: sqlite3.Connection, attempt: str, stage: str, state: str, items: list[str]) -> None:
    connection.execute(
        "INSERT INTO receipts (attempt, time, task, stage, state) VALUES (?, ?, 't/softmax', ?, ?)",
        (attempt, 110.0 + int(attempt[-1]), stage, state),
    )
    whys = (
        "similar 0.51, value +0.20 (n=3) at refine; beat exp-9 (similar 0.40, value +0.05)",
        "similar 0.51, value +0.00 (n=0) at refine; drawn by chance",
    )
    for rank, item in enumerate(items, start=1):
        connection.execute(
            "INSERT INTO receipt_items VALUES (?, ?, ?, 0.51, 0.2, ?)", (attempt, rank, item, whys[rank - 1])
        )


def credit(connection: sqlite3.Connection, attempt: str, reward: float, items: int, moment: float) -> None:
    connection.execute("UPDATE receipts SET credited = 1, reward = ? WHERE attempt = ?", (reward, attempt))
    if items:
        why = f"refine reward {reward:+.3f} to {items} items"
        connection.execute("INSERT INTO log (time, what, why) VALUES (?, ?, ?)", (moment, f"credit {attempt}", why))


@pytest.fixture
def bank(path: Path) -> Iterator[Bank]:
    connection = connected(path)
    migrate(connection)
    migrate(connection)
    connection.close()
    bank = Bank(path)
    yield bank
    bank.close()


def test_what_happened_is_there(bank: Bank) -> None:
    events = bank.database.rows("SELECT id, kind, task, time, record, parent FROM events")
    assert events == [
        ("task:1", "task", "t/softmax", 90, None, None),
        ("run/1", "attempt", "t/softmax", 101, "exp-1", None),
        ("run/2", "attempt", "t/softmax", 102, "exp-2", "run/1"),
        ("run/3", "attempt", "t/softmax", 103, "exp-3", "run/2"),
    ]
    assert bank.descendants("run/1") == ["run/1", "run/2", "run/3"]
    assert bank.database.rows("SELECT data ->> '$.prompt' FROM events WHERE id = 'task:1'") == [("größer",)]


def test_records_are_there_and_found(bank: Bank) -> None:
    assert bank.ids() == ["exp-1", "exp-2", "exp-3", "ins-1"]
    held = bank.held("exp-2")
    assert held is not None
    assert (held.experience.text, held.keys, held.time) == ("Number 2: vectorized größer loops",) * 2 + (102.0,)
    assert held.experience.metrics == {"score": 2.0, "gain": 0.2}
    insight = bank.held("ins-1")
    assert insight is not None
    assert insight.time == 110.0
    assert next(iter(bank.lexicon.search("vectorizing number 3", 3))) == "exp-3"
    assert [card.id for card in bank.insights("t", "slow", 5)] == ["ins-1"]
    moved = bank.vectors.changed(0, "hash-384-v1", 10)
    assert [(each.keyed, None if each.vector is None else each.vector.tolist()) for each in moved] == [
        (bank.database.rows("SELECT keyed FROM records WHERE id = ?", name)[0][0], (VECTOR + n).astype("f4").tolist())
        for n, name in enumerate(("exp-1", "exp-2", "exp-3", "ins-1"), start=1)
    ]


def test_its_history_stays_and_goes_on(bank: Bank) -> None:
    lines = bank.log.lines(limit=20)
    told = [(line.seq, line.time, line.subject, line.what, line.why) for line in reversed(lines)]
    assert told[0] == (1, 101.0, "base", "record exp-1 v1", "run/1")
    assert [what for _, _, subject, what, _ in told if subject == "base"][3:5] == ["record ins-1 v1", "record ins-1 v2"]
    assert told[7:] == [
        (8, 101.0, "record exp-1", "add", "run/1"),
        (9, 102.0, "record exp-2", "add", "run/2"),
        (10, 103.0, "record exp-3", "add", "run/3"),
        (11, 110.0, "record ins-1", "add", "reflect run"),
        (12, 111.0, "credit run/1", "credit", "draft reward +1.000"),
        (13, 122.0, "credit run/3", "credit", "refine reward +0.500"),
        (14, 123.0, "credit run/2", "credit", "refine reward -1.000"),
    ]
    Timeline(bank, Ledger(bank)).rollback(8, "test")
    assert bank.ids() == ["exp-1"]
    assert [found.what for found in examine(bank) if not found.advice] == []


def test_receipts_say_what_they_said(bank: Bank) -> None:
    ledger = Ledger(bank)
    receipt = ledger.receipt("run/2")
    assert receipt is not None
    assert receipt[1:] == (112.0, "t/softmax", REFINE, ("reduction:slow", "slow", "*"))
    by_value, by_chance = (line.reason for line in ledger.lines("run/2"))
    assert (by_value.pick, by_value.beat, by_value.margin, by_value.n) == ("value", "exp-9", 0.15, 3)
    assert (by_chance.pick, by_chance.beat, by_chance.n, by_chance.where) == ("chance", None, 0, "")
    assert by_value.text.endswith("beat exp-9 by 0.15")
    assert [line.item for line in ledger.lines("run/2")] == ["exp-1", "ins-1"]
    assert ledger.booked("run/4") is None


def test_values_are_learnt_again_in_the_order_of_the_credits(bank: Bank) -> None:
    ledger = Ledger(bank)
    first, second = ledger.booked("run/3"), ledger.booked("run/2")
    assert first is not None
    assert second is not None
    assert (first.raw, first.credit, first.advantage, first.also, first.time) == (0.5, 0.5, 0.5, "exp-2", 122.0)
    assert (second.raw, second.credit, second.advantage, second.also) == (-1.0, -1.0, -1.5, "exp-1")
    q = ALPHA * 0.5
    value = ledger.by_stage(["exp-1"])["exp-1"][REFINE]
    assert value.q == pytest.approx(q + ALPHA * (-1 - q))
    assert (value.total, value.n) == (-1.0, 2)
    assert ledger.by_stage(["exp-2"])["exp-2"][REFINE].n == 1
    assert ledger.seen(REFINE) == 2
    assert ledger.seen(DRAFT) == 1
    assert [(group.technique, seen.tries) for group, _, seen in bank.techniques.all() if group.state] == [
        ("fusion", 2),
        ("tiling", 2),
    ]


def test_the_doctor_finds_nothing(bank: Bank) -> None:
    assert examine(bank) == []
    tables = {name for (name,) in bank.database.rows("SELECT name FROM sqlite_master")}
    assert not [name for name in tables if name.startswith("old")]
    bank.database.run("VACUUM")
    assert examine(bank) == []


def test_it_has_the_tables_of_a_new_file(bank: Bank, tmp_path: Path) -> None:
    new = Bank(tmp_path / "new" / "bank.sqlite")
    tables = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
    assert bank.database.rows(tables) == new.database.rows(tables)
    assert bank.database.row("PRAGMA user_version") == new.database.row("PRAGMA user_version")
    assert bank.id != ""
    new.close()


@pytest.mark.parametrize("steps", [1, 10, 40, 80])
def test_a_move_that_is_interrupted_leaves_the_old_file(path: Path, steps: int) -> None:
    connection = connected(path)
    before = dump(connection)
    done = 0

    def stop() -> int:
        nonlocal done
        done += 1
        return int(done > steps)

    connection.set_progress_handler(stop, 100)
    with pytest.raises((sqlite3.OperationalError, StorageError)):
        migrate(connection)
    connection.set_progress_handler(None, 0)
    assert dump(connection) == before
    migrate(connection)
    connection.close()
    bank = Bank(path)
    assert examine(bank) == []
    bank.close()


def dump(connection: sqlite3.Connection) -> list[str]:
    [(version,)] = connection.execute("PRAGMA user_version")
    return [str(version), *connection.iterdump()]


def test_a_record_that_cannot_be_read_stops_the_move(path: Path) -> None:
    connection = connected(path)
    connection.execute("UPDATE records SET data = '{' WHERE id = 'exp-2'")
    before = dump(connection)
    with pytest.raises(StorageError, match="record exp-2 of format 1 cannot be read"):
        migrate(connection)
    assert dump(connection) == before
    connection.close()


def test_an_empty_base_is_moved(tmp_path: Path) -> None:
    connection = connected(tmp_path / "bank.sqlite")
    for statement in FORMAT_1.split(";\n"):
        connection.execute(statement)
    connection.execute("PRAGMA application_id = 0x45564B42")
    connection.execute("PRAGMA user_version = 1")
    migrate(connection)
    connection.close()
    bank = Bank(tmp_path / "bank.sqlite")
    assert examine(bank) == []
    bank.close()


# -- from format 2


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """A file as format 2 left it: without a layer, and with words that say nothing."""
    with base_in(tmp_path / "new") as base:
        learnt(base.bank, "exp-1", "the tiling of the loops")
        learnt(base.bank, "exp-2", "these were vectorized", metrics={"gain": 0.5})
        learnt(base.bank, "exp-3", "the fusion")
        base.bank.set_status("exp-3", "forgotten", what="forget", why="test")
        recalled(base.ledger, "run/9", ["exp-1", "exp-2"])
        base.ledger.credit("run/9", stage=DRAFT, raw=1.0)
    path = tmp_path / "bank.sqlite"
    connection = connected(path)
    for statement in FORMAT_2.split(";\n"):
        connection.execute(statement)
    connection.execute("ATTACH ? AS new", [str(tmp_path / "new" / "bank.sqlite")])
    for (table,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
        if not table.startswith(("words", "terms", "sqlite_")):
            connection.execute(f"DELETE FROM main.{table}")
            connection.execute(f"INSERT INTO main.{table} SELECT * FROM new.{table}")
    connection.execute("INSERT INTO words (rowid, keys) VALUES (1, 'the tile of the loop'), (2, 'these were vector')")
    connection.execute("INSERT INTO terms VALUES ('the', 2), ('tile', 1), ('of', 1), ('loop', 1), ('these', 1)")
    connection.execute("INSERT INTO terms VALUES ('were', 1), ('vector', 1), ('*', 2), ('#', 8)")
    connection.execute("PRAGMA application_id = 0x45564B42")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    return path


def test_a_file_of_format_2_has_all_that_it_had_and_the_tables_of_a_new_one(second: Path, tmp_path: Path) -> None:
    kept = ("events", "receipts", "receipt_items", "log", "records", "links", "credits", "item_values", "techniques")
    connection = connected(second)
    before = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in kept}
    connection.close()
    with base_in(tmp_path) as base, base_in(tmp_path / "new") as new:
        rows = base.bank.database.rows
        assert {table: rows(f"SELECT * FROM {table}") for table in kept} == before
        tables = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
        assert rows(tables) == new.bank.database.rows(tables)
        for table in ("words", "terms"):
            assert rows(f"SELECT * FROM {table}") == new.bank.database.rows(f"SELECT * FROM {table}")
        assert examine(base.bank) == []
        assert list(base.bank.lexicon.search("tile these", 5)) == ["exp-1"]


def test_a_file_of_format_2_can_have_an_architecture_installed(second: Path) -> None:
    with Upkeep.open(second.parent) as memory:
        assert memory.architectures.installed().name == "built-in"
        memory.architectures.install(seeds()["bm25"], "")
        assert memory.architectures.installed().records == 2


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_move_from_format_2_that_is_interrupted_leaves_the_old_file(second: Path, steps: int) -> None:
    connection = connected(second)
    before = dump(connection)
    done = 0

    def stop() -> int:
        nonlocal done
        done += 1
        return int(done > steps)

    connection.set_progress_handler(stop, 20)
    with pytest.raises((sqlite3.OperationalError, StorageError)):
        migrate(connection)
    connection.set_progress_handler(None, 0)
    assert dump(connection) == before
    connection.close()


def test_a_record_of_format_2_that_cannot_be_read_stops_the_move(second: Path) -> None:
    connection = connected(second)
    connection.execute("UPDATE log SET data = '{' WHERE subject = 'record exp-2'")
    before = dump(connection)
    with pytest.raises(StorageError, match="record exp-2 of format 2 cannot be read"):
        migrate(connection)
    assert dump(connection) == before
    connection.close()
