import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from evolve.errors import EvolveError, StorageError, UsageError
from evolve.types import REFINE, Experience
from knowledge.bank import Bank
from knowledge.ledger import Ledger, Line

ROOT = Path(__file__).parent.parent
WRITER = """
import sys
from pathlib import Path
from tests.test_bank import put
from knowledge.bank import Bank
bank = Bank(Path(sys.argv[1]))
for i in range(int(sys.argv[3])):
    put(bank, f"{sys.argv[2]}-{i}")
    print(i, flush=True)
bank.close()
"""


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    bank = Bank(tmp_path / "bank.sqlite")
    yield bank
    bank.close()


def put(bank: Bank, name: str, text: str = "tiling gained 2x", **fields: str) -> None:
    experience = Experience(id=name, kind="trace", text=text, task="t", **fields)
    with bank.transaction():
        bank.add_event(f"event of {name}", kind="attempt", task="t", data="{}", record=name)
        bank.put(experience, keys=text, content="", vector=np.ones(4, dtype=np.float32), embedding="ones", why="test")


def writer(path: Path, name: str, count: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def intact(bank: Bank) -> bool:
    """Every record has its event, its words and its vector, and the file is sound."""
    (counts,) = bank.database.rows(
        "SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM events), (SELECT count(*) FROM words),"
        " (SELECT count(*) FROM vectors)"
    )
    return len(set(counts)) == 1 and bank.database.rows("PRAGMA integrity_check") == [("ok",)]


def refusal(path: Path) -> EvolveError:
    with pytest.raises(EvolveError) as caught:
        Bank(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def test_what_was_put_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bank.sqlite"
    first = Bank(path)
    put(first, "a", "größer als 行列 🙂")
    name = first.id
    first.close()
    again = Bank(path)
    found = again.get("a")
    assert found is not None
    assert found.text == "größer als 行列 🙂"
    assert again.id == name
    assert again.get("b") is None
    again.close()


def test_putting_a_record_again_makes_its_next_version(bank: Bank) -> None:
    put(bank, "a", "old words")
    before = bank.seq
    put(bank, "a", "new words")
    assert bank.database.rows("SELECT version, seq FROM records") == [(2, bank.seq)]
    assert bank.seq > before
    assert not bank.lexical("old", 5)
    assert list(bank.lexical("new", 5)) == ["a"]
    assert intact(bank)


def test_an_event_is_never_changed(bank: Bank) -> None:
    bank.add_event("run/1", kind="attempt", task="t", data="first", record="a")
    bank.add_event("run/1", kind="attempt", task="t", data="second", record="b")
    assert bank.database.rows("SELECT data, record FROM events") == [("first", "a")]


def test_words_are_found_by_their_stem_and_by_their_pieces(bank: Bank) -> None:
    put(bank, "a", "vectorized the innerLoop of not_contiguous rows")
    put(bank, "b", "packing of matrices")
    assert list(bank.lexical("vectorizing loops", 5)) == ["a"]
    assert list(bank.lexical("contiguous", 5)) == ["a"]
    assert list(bank.lexical("packed", 5)) == ["b"]
    assert bank.lexical("", 5) == bank.lexical("\"' OR (", 5) == bank.lexical("nothing", 5) == {}


def test_a_short_look_takes_the_rarest_words(bank: Bank) -> None:
    for i in range(30):
        put(bank, f"common{i}", "kernel loop memory")
    put(bank, "rare", "kernel loop memory softmax")
    assert set(bank.lexical("kernel softmax loop memory", 50, enough=10)) != {"rare"}  # two words at least
    assert next(iter(bank.lexical("kernel softmax loop memory", 50, enough=10))) == "rare"
    assert len(bank.lexical("kernel softmax loop memory", 50)) == 31


def test_a_transaction_that_fails_leaves_nothing(bank: Bank) -> None:
    def half() -> None:
        with bank.transaction():
            put(bank, "a")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        half()
    assert bank.count() == bank.seq == 0
    put(bank, "b")
    assert bank.ids() == ["b"]


def test_threads_share_one_bank(bank: Bank) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: put(bank, f"r{i}"), range(80)))
    assert bank.count() == 80
    assert intact(bank)


def test_two_processes_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    writers = [writer(path, name, 60) for name in "ab"]
    for process in writers:
        process.communicate()
        assert process.returncode == 0
    bank = Bank(path)
    assert set(bank.ids()) == {f"{name}-{i}" for name in "ab" for i in range(60)}
    seqs = [seq for (seq,) in bank.database.rows("SELECT seq FROM records ORDER BY seq")]
    assert len(set(seqs)) == 120
    assert intact(bank)
    bank.close()


@pytest.mark.parametrize("lines", [0, 1, 17])
def test_a_killed_writer_leaves_the_old_or_the_new_state(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "bank.sqlite"
    process = writer(path, "a", 100_000)
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    rest = process.communicate()[0].split()
    told = lines + len(rest)
    bank = Bank(path)
    assert told <= bank.count() <= told + 1
    assert intact(bank)
    put(bank, "after")
    bank.close()


def test_a_file_that_is_no_database_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    path.write_text("this is a diary, not a database\n" * 200)
    error = refusal(path)
    assert isinstance(error, StorageError)
    assert "move it away" in str(error)


def test_a_damaged_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    bank = Bank(path)
    for i in range(50):
        put(bank, f"r{i}", "text " * 200)
    bank.close()
    sound = path.read_bytes()
    path.write_bytes(sound[:4096] + os.urandom(len(sound) - 4096))
    with pytest.raises(StorageError, match="damaged") as caught:
        put(Bank(path), "more")
    assert str(path) in str(caught.value)


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE diary (entry TEXT)")
    other.close()
    before = path.read_bytes()
    assert isinstance(refusal(path), UsageError)
    assert path.read_bytes() == before


def test_a_newer_format_asks_for_a_newer_evolve(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    Bank(path).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    assert "upgrade evolve" in str(refusal(path))


def test_an_empty_file_of_an_interrupted_start_becomes_a_bank(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    path.touch()
    bank = Bank(path)
    put(bank, "a")
    bank.close()


def test_a_full_disk_is_a_storage_error_and_nothing_is_half_written(bank: Bank) -> None:
    put(bank, "a")
    (pages,) = bank.database.rows("PRAGMA page_count")[0]
    bank.database.rows(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(StorageError, match="no space left"):
        put(bank, "b", "long " * 20_000)
    bank.database.rows("PRAGMA max_page_count = 1000000")
    assert bank.ids() == ["a"]
    put(bank, "c")
    assert intact(bank)


def test_a_receipt_is_written_once(bank: Bank) -> None:
    ledger = Ledger(bank)
    first, second = [Line("a", 0.5, 0.0, "why")], [Line("b", 0.5, 0.0, "why")]
    assert ledger.receipt("run/1") is None
    assert ledger.issue("run/1", task="t", stage=REFINE, state="s", lines=first) == first
    assert ledger.issue("run/1", task="t", stage=REFINE, state="s", lines=second) == first
    assert ledger.receipt("run/1") == first
    assert ledger.issue("run/2", task="t", stage=REFINE, state="s", lines=[]) == ledger.receipt("run/2") == []


def test_a_refining_reward_is_normalised_and_a_failure_is_not(bank: Bank) -> None:
    ledger = Ledger(bank)
    for attempt, raw in (("1", 0.2), ("2", 0.6), ("3", -1.0)):
        ledger.issue(attempt, task="t", stage=REFINE, state="s", lines=[Line(attempt, 0, 0, "")])
        ledger.credit(attempt, stage=REFINE, raw=raw)
    values = ledger.values(["1", "2", "3"], REFINE, "s")
    assert values["1"].q == pytest.approx(0.2 * 0.2)
    assert values["2"].q == pytest.approx(0.2 * 1.0)  # one deviation above the mean of .2 and .6
    assert values["3"].q == pytest.approx(-0.2)
    assert bank.database.rows("SELECT n FROM norms") == [(2,)]
