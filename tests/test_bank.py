import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evolve.errors import StorageError
from knowledge.bank import ACTIVE, FORGOTTEN, GONE, QUARANTINED, Bank, keyed
from tests.banks import ROOT, held, opened, put, wrong

WRITER = """
import sys
from pathlib import Path
from tests.banks import opened, put
bank = opened(Path(sys.argv[1])).bank
for i in range(int(sys.argv[3])):
    put(bank, f"{sys.argv[2]}-{i}")
bank.close()
"""


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    bank = Bank(tmp_path / "bank.sqlite")
    yield bank
    bank.close()


def status(bank: Bank, name: str) -> str:
    found = bank.held(name)
    return found.status if found else GONE


# -- records


def test_what_was_put_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bank.sqlite"
    first = Bank(path)
    put(first, "a", "größer als 行列 🙂\n\0 'quoted\"")
    name = first.id
    first.close()
    again = Bank(path)
    found = again.get("a")
    assert found is not None
    assert found.text == "größer als 行列 🙂\n\0 'quoted\""
    assert again.id == name
    assert again.get("b") is None
    again.close()


def test_two_banks_have_ids_of_their_own(bank: Bank, tmp_path: Path) -> None:
    other = Bank(tmp_path / "other" / "bank.sqlite")
    assert bank.id != other.id
    other.close()


def test_putting_a_record_again_makes_its_next_version(bank: Bank) -> None:
    put(bank, "a", "old words")
    put(bank, "b", "other words")
    before = bank.seq
    put(bank, "a", "new words")
    assert bank.seq > before
    assert bank.ids() == ["a", "b"]
    assert len(bank.log.lines("record a")) == 2
    assert not bank.lexicon.search("old", 5)
    assert list(bank.lexicon.search("new", 5)) == ["a"]
    assert wrong(bank) == []


def test_every_version_stays_in_the_log(bank: Bank) -> None:
    for words in ("first", "second", "third"):
        put(bank, "a", words)
    versions = [json.loads(line.data or "")["keys"] for line in bank.log.lines("record a")]
    assert versions == ["third", "second", "first"]
    assert json.loads(bank.log.at("record a", 2) or "")["keys"] == "second"
    assert bank.log.at("record a", 0) is None


def test_a_record_keeps_the_time_at_which_it_was_learnt(bank: Bank) -> None:
    put(bank, "a")
    learnt = bank.held("a")
    bank.set_status("a", FORGOTTEN, what="forget", why="test")
    later = bank.held("a")
    assert learnt is not None
    assert later is not None
    assert later.time == learnt.time
    assert abs(learnt.time - time.time()) < 60


def test_a_change_of_status_is_noted_once_with_its_reason(bank: Bank) -> None:
    put(bank, "a")
    assert bank.set_status("a", FORGOTTEN, what="forget", why="of no use")
    assert not bank.set_status("a", FORGOTTEN, what="forget", why="again")
    assert not bank.set_status("nobody", FORGOTTEN, what="forget", why="not there")
    assert [(line.what, line.why) for line in bank.log.lines("record a")] == [("forget", "of no use"), ("add", "test")]


def test_only_active_records_are_counted_and_found(bank: Bank) -> None:
    for name, how in (("a", ACTIVE), ("b", FORGOTTEN), ("c", QUARANTINED), ("d", ACTIVE)):
        put(bank, name)
        bank.set_status(name, how, what="set", why="test")
    assert bank.count() == 2
    assert bank.ids() == ["a", "b", "c", "d"]
    assert bank.ids(ACTIVE) == ["a", "d"]
    assert [card.id for card in bank.with_status(FORGOTTEN)] == ["b"]
    assert sorted(card.id for card in bank.cards("abcd")) == ["a", "d"]
    assert sorted(bank.lexicon.search("tiling", 5)) == ["a", "d"]
    assert bank.newest(3) == ["d", "c", "b"]


def test_a_hidden_record_can_still_be_read(bank: Bank) -> None:
    put(bank, "a")
    put(bank, "b")
    bank.set_status("a", FORGOTTEN, what="forget", why="test")
    assert [item.id for item in bank.many(["b", "nobody", "a"])] == ["b", "a"]
    assert status(bank, "a") == FORGOTTEN


def test_what_has_expired_is_not_found_though_nobody_marked_it(bank: Bank) -> None:
    put(bank, "old", kind="insight", domain="d", expires=time.time() - 1)
    put(bank, "new", kind="insight", domain="d", expires=time.time() + 1000)
    assert [card.id for card in bank.cards(["old", "new"])] == ["new"]
    assert [card.id for card in bank.insights("d", None, 5)] == ["new"]


def test_a_record_that_is_gone_takes_its_old_place_when_it_comes_back(bank: Bank) -> None:
    put(bank, "a")
    put(bank, "b")
    with bank.transaction():
        bank.apply("a", bank.log.append("record a", "rollback", "test"), None)
    assert bank.get("a") is None
    assert bank.ids() == bank.newest(5) == ["b"]
    put(bank, "a", "back again")
    assert bank.ids() == ["a", "b"]
    assert wrong(bank) == []


def test_the_same_content_of_a_task_is_known(bank: Bank) -> None:
    put(bank, "a", payload="int  x;\n", task="sum")
    [card] = bank.cards(["a"])
    assert bank.same_content("sum", card.content, "trace") == "a"
    assert bank.same_content("product", card.content, "trace") is None
    assert bank.same_content("sum", card.content, "failure") is None
    put(bank, "b", payload="int x;", task="sum")
    assert bank.cards(["b"])[0].content == card.content


def test_insights_come_most_promising_first(bank: Bank) -> None:
    for name, score, state in (("a", 0.1, "bound"), ("b", 0.3, "bound"), ("c", 0.2, "other")):
        put(bank, name, kind="insight", domain="d", state=state, metrics={"expected": score})
    put(bank, "no insight", domain="d", state="bound")
    assert [card.id for card in bank.insights("d", None, 5)] == ["b", "c", "a"]
    assert [card.id for card in bank.insights("d", "bound", 5)] == ["b", "a"]
    assert [card.id for card in bank.insights("d", None, 1)] == ["b"]
    assert bank.insights("e", None, 5) == []


def test_the_leaders_of_a_task_are_its_best_and_the_best_out_of_a_state(bank: Bank) -> None:
    for name, score, state in (("a", 1.0, "bound"), ("b", 3.0, ""), ("c", 2.0, "bound")):
        put(bank, name, domain="d", state=state, task="x", metrics={"score": score})
    put(bank, "d", domain="d", task="y", metrics={"score": 9.0})
    put(bank, "failed", kind="failure", domain="d", task="x")
    assert bank.leaders("d", "bound", ["x"]) == ["b", "c"]
    assert bank.leaders("d", "bound", ["y", "x", "z"]) == ["d", "b", "c"]
    bank.set_status("b", FORGOTTEN, what="forget", why="test")
    assert bank.leaders("d", "bound", ["x"]) == ["c"]


# -- events and links


def test_an_event_is_never_changed(bank: Bank) -> None:
    bank.add_event("run/1", kind="attempt", task="t", data="first", record="a")
    bank.add_event("run/1", kind="attempt", task="t", data="second", record="b")
    assert bank.database.rows("SELECT data, record FROM events") == [("first", "a")]
    assert bank.learnt_from("run/1") == "a"
    assert bank.learnt_from("run/2") is None


def test_descendants_are_all_that_continue_an_event_even_in_a_circle(bank: Bank) -> None:
    for name, parent in (("1", "4"), ("2", "1"), ("3", "2"), ("4", "3"), ("5", None), ("6", "1")):
        bank.add_event(name, kind="attempt", task="t", data="", parent=parent)
    assert sorted(bank.descendants("2")) == ["1", "2", "3", "4", "6"]
    assert bank.descendants("5") == ["5"]
    assert bank.descendants("unknown") == ["unknown"]


def test_links_are_followed_both_ways_and_untied(bank: Bank) -> None:
    for source, target in (("a", "b"), ("b", "c"), ("x", "c")):
        bank.link(source, "improves", target, why="test")
    bank.link("a", "like", "c", why="test", weight=0.5)
    assert bank.links_of("a") == [("improves", "b"), ("like", "c")]
    assert bank.towards("a", "improves") == ["a", "b", "c"]
    assert sorted(bank.from_where("c", "improves")) == ["a", "b", "c", "x"]
    bank.link("a", "improves", "b", why="no longer", weight=None)
    assert bank.links_of("a") == [("like", "c")]
    assert wrong(bank) == []


def test_links_in_a_circle_end(bank: Bank) -> None:
    for source, target in ("ab", "ba"):
        bank.link(source, "like", target, why="test")
    assert bank.towards("a", "like") == ["a", "b"]


def test_a_note_is_kept_and_replaced(bank: Bank) -> None:
    assert bank.meta("colour") == ""
    bank.note("colour", "red")
    bank.note("colour", "blue")
    assert bank.meta("colour") == "blue"


# -- transactions


def test_a_transaction_that_fails_leaves_nothing(bank: Bank) -> None:
    def half() -> None:
        with bank.transaction():
            put(bank, "a", technique="tile")
            bank.link("a", "like", "b", why="test")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        half()
    assert bank.count() == bank.seq == 0
    assert wrong(bank) == []
    put(bank, "b")
    assert bank.ids() == ["b"]


def test_a_statement_that_fails_ends_its_transaction(bank: Bank) -> None:
    def broken() -> None:
        with bank.transaction():
            put(bank, "a")
            bank.database.run("INSERT INTO receipt_items VALUES ('no receipt', 1, 'a', 0, 0, '')")

    with pytest.raises(StorageError, match="FOREIGN KEY"):
        broken()
    assert bank.ids() == []
    put(bank, "b")
    assert bank.ids() == ["b"]


def test_threads_share_one_bank(bank: Bank) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: put(bank, f"r{i}", technique="tile"), range(80)))
    assert bank.count() == 80
    assert wrong(bank) == []


def test_two_processes_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    commands = [[sys.executable, "-c", WRITER, str(path), name, "60"] for name in "ab"]
    for process in [subprocess.Popen(command, cwd=ROOT) for command in commands]:
        assert process.wait() == 0
    bank = Bank(path)
    assert set(bank.ids()) == {f"{name}-{i}" for name in "ab" for i in range(60)}
    assert [seq for (seq,) in bank.database.rows("SELECT seq FROM records ORDER BY seq")] == list(range(1, 121))
    assert wrong(bank) == []
    bank.close()


def test_a_change_of_another_connection_is_seen_at_once(tmp_path: Path) -> None:
    here, there = (opened(tmp_path / "bank.sqlite").bank for _ in range(2))
    put(here, "a")
    assert there.ids() == ["a"]
    assert list(there.lexicon.search("tiling", 5)) == ["a"]
    there.put(held("a", "new words"), what="reword", why="test")
    assert list(here.lexicon.search("words", 5)) == ["a"]
    assert here.seq == there.seq
    here.close()
    there.close()


def test_a_text_is_keyed_by_what_it_says(bank: Bank) -> None:
    assert keyed("a") == keyed("a") != keyed("b")
    put(bank, "a", "same")
    put(bank, "b", "same")
    assert bank.database.rows("SELECT count(*) FROM vectors") == [(1,)]
