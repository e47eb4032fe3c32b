from collections.abc import Iterator
from pathlib import Path

import pytest

from evolve.errors import UsageError
from evolve.types import DRAFT
from knowledge.bank import FORGOTTEN, QUARANTINED, Bank
from tests.banks import Base, World, base_in, held, opened, parsed, put, read, recall, worth, wrong

QUERIES = ("tiling", "packing rows", "tiling packing number 3")


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    with base_in(tmp_path) as base:
        yield base


def steps(base: Base) -> Iterator[int]:
    """A short history with a change of every kind; the point after each."""
    bank, ledger, _, hygiene = base
    for i, words in enumerate(("tiling rows", "packing rows", "tiling and packing", "tiling rows")):
        put(bank, f"r{i}", f"{words} number {i}", technique="tile + pack", domain="d", metrics={"gain": 0.1 * i})
        yield bank.seq
    bank.link("r1", "improves", "r0", why="test")
    yield bank.seq
    for i, items in enumerate(("r0 r1", "r1 r2", "r3")):
        recall(ledger, f"run/r{i}", items.split())
        ledger.credit(f"run/r{i}", stage=DRAFT, raw=0.5 - i, also="r0")
        yield bank.seq
    for change in (
        lambda: hygiene.merge("r0", ["r3"], "the same"),
        lambda: bank.put(held("r1", "unrolled rows", technique="unroll"), what="reword", why="test"),
        lambda: hygiene.forget(["r2"], "of no use"),
        lambda: bank.link("r1", "improves", "r0", why="no longer", weight=None),
        lambda: ledger.take_back(["run/r1"], "fraud"),
        lambda: hygiene.restore(["r3"], "not the same"),
        lambda: hygiene.revoke("run/r0", "fraud"),
    ):
        change()
        yield bank.seq


def lived(base: Base) -> None:
    for _ in steps(base):
        pass


def found(bank: Bank) -> list[dict[str, float]]:
    """What recall rests on: words with their weight."""
    return [bank.lexicon.search(query, 10) for query in QUERIES]


def following(base: Base) -> list[object]:
    """Tables that follow from the truths, without the number of the last change."""
    rows = base.bank.database.rows
    return [
        rows("SELECT id, n, status, kind, technique, keyed FROM records WHERE status != 'gone' ORDER BY n"),
        rows("SELECT * FROM links ORDER BY 1, 2, 3"),
        rows("SELECT * FROM credits ORDER BY attempt"),
        rows("SELECT * FROM item_values ORDER BY 1, 2, 3"),
        rows("SELECT * FROM norms WHERE n > 0 ORDER BY 1, 2"),
        base.bank.techniques.all(),
        found(base.bank),
    ]


# -- differences


def test_a_difference_has_the_states_at_both_points(base: Base) -> None:
    put(base.bank, "a", "old words")
    put(base.bank, "b")
    base.bank.put(held("a", "new words"), what="reword", why="test")
    new, changed = base.timeline.diff(1, base.bank.seq)
    assert (new.subject, new.before) == ("record b", None)
    assert changed.subject == "record a"
    assert '"keys":"old words"' in (changed.before or "")
    assert '"keys":"new words"' in (changed.after or "")
    assert [difference.subject for difference in base.timeline.diff(0, 2)] == ["record a", "record b"]
    assert [difference.before for difference in base.timeline.diff(0, 2)] == [None, None]


def test_what_was_changed_and_changed_back_is_no_difference(base: Base) -> None:
    put(base.bank, "a")
    point = base.bank.seq
    base.hygiene.forget(["a"], "of no use")
    base.hygiene.restore(["a"], "of use")
    assert base.timeline.diff(point, base.bank.seq) == []


def test_a_difference_backwards_is_what_going_back_changes(base: Base) -> None:
    lived(base)
    there = base.timeline.diff(3, base.bank.seq)
    back = base.timeline.diff(base.bank.seq, 3)
    assert [(d.subject, d.after, d.before) for d in back] == [tuple(d) for d in there]


# -- going back


def test_any_point_of_the_log_can_be_gone_back_to(base: Base) -> None:
    lived(base)
    lines = base.bank.database.rows("SELECT seq, subject, data FROM log ORDER BY seq")
    receipts = read(base.bank).receipts
    for point in (*range(len(lines), -1, -3), *range(len(lines) + 1)):
        base.timeline.rollback(point, "test")
        states = {subject: data for seq, subject, data in lines if seq <= point}
        then = {subject: parsed(subject, data) for subject, data in states.items() if data is not None}
        assert wrong(base.bank, World(then, receipts)) == []
        assert base.timeline.diff(point, base.bank.seq) == []


def test_what_was_found_and_known_at_a_point_is_again_after_going_back_to_it(base: Base) -> None:
    then = {point: following(base) for point in steps(base)}
    for point in (*then, *reversed(then)):
        base.timeline.rollback(point, "test")
        assert following(base) == then[point]


def test_going_back_leaves_values_words_and_statistics_as_they_were(base: Base) -> None:
    lived(base)
    point, then = base.bank.seq, following(base)
    put(base.bank, "new", "tiling once more", technique="tile", domain="d")
    recall(base.ledger, "run/new", ["new", "r0", "r3"])
    base.ledger.credit("run/new", stage=DRAFT, raw=1.0, also="r3")
    base.hygiene.merge("r3", ["new"], "the same")
    assert following(base) != then
    base.timeline.rollback(point, "undo")
    assert following(base) == then


def test_going_back_can_be_undone(base: Base) -> None:
    lived(base)
    end, now = base.bank.seq, following(base)
    base.timeline.rollback(0, "all of it")
    assert base.bank.ids() == []
    assert base.bank.database.rows("SELECT * FROM item_values") == []
    assert found(base.bank) == [{}, {}, {}]
    base.timeline.rollback(end, "not so")
    assert following(base) == now


def test_going_back_adds_lines_with_the_reason_and_removes_none(base: Base) -> None:
    lived(base)
    lines = base.bank.database.rows("SELECT * FROM log ORDER BY seq")
    moved = base.timeline.rollback(4, "a bad day")
    later = base.bank.database.rows("SELECT * FROM log ORDER BY seq")
    assert later[: len(lines)] == lines
    assert [(row[2], row[3], row[4]) for row in later[len(lines) :]] == [
        (difference.subject, "rollback", "to 4: a bad day") for difference in moved
    ]


def test_events_and_receipts_stay(base: Base) -> None:
    lived(base)
    tables = ("events", "receipts", "receipt_items")
    before = [base.bank.database.rows(f"SELECT * FROM {table}") for table in tables]
    base.timeline.rollback(0, "all of it")
    assert [base.bank.database.rows(f"SELECT * FROM {table}") for table in tables] == before


def test_an_attempt_whose_credit_was_rolled_back_may_be_credited_again(base: Base) -> None:
    put(base.bank, "a")
    point = base.bank.seq
    recall(base.ledger, "run/1", "a")
    base.ledger.credit("run/1", stage=DRAFT, raw=-1.0)
    base.timeline.rollback(point, "the judge was wrong")
    assert base.ledger.worth("a") == []
    assert base.ledger.credit("run/1", stage=DRAFT, raw=1.0) == 1
    assert worth(base.ledger, "a")[DRAFT, "*"][1] == 1.0
    assert wrong(base.bank) == []


def test_a_credit_given_by_way_of_a_duplicate_is_gone_after_going_back(base: Base) -> None:
    put(base.bank, "a")
    put(base.bank, "b")
    base.hygiene.merge("b", ["a"], "the same")
    point = base.bank.seq
    recall(base.ledger, "run/1", [])
    assert base.ledger.credit("run/1", stage=DRAFT, raw=1.0, also="a") == 2
    base.timeline.rollback(point, "undo")
    assert base.ledger.worth("b") == []


def test_a_credit_at_another_stage_than_its_receipt_is_gone_after_going_back(base: Base) -> None:
    put(base.bank, "a")
    point = base.bank.seq
    recall(base.ledger, "run/1", "a", stage=DRAFT)
    base.ledger.credit("run/1", stage="refine", raw=0.5)
    base.timeline.rollback(point, "undo")
    assert base.ledger.seen("refine") == 0


def test_going_back_brings_a_hidden_record_back(base: Base) -> None:
    put(base.bank, "a")
    point = base.bank.seq
    base.bank.set_status("a", QUARANTINED, what="quarantine", why="test")
    base.bank.set_status("a", FORGOTTEN, what="forget", why="test")
    assert [difference.subject for difference in base.timeline.rollback(point, "undo")] == ["record a"]
    assert list(base.bank.lexicon.search("tiling", 5)) == ["a"]


def test_going_back_to_now_changes_nothing(base: Base) -> None:
    lived(base)
    end = base.bank.seq
    assert base.timeline.rollback(end, "nothing to do") == []
    assert base.bank.seq == end


def test_another_connection_sees_the_base_as_it_was(base: Base) -> None:
    other = opened(base.bank.path)
    put(base.bank, "a")
    point = base.bank.seq
    put(other.bank, "b")
    base.timeline.rollback(point, "undo")
    assert other.bank.ids() == ["a"]
    assert wrong(other.bank) == []
    other.bank.close()


@pytest.mark.parametrize("point", [-1, 3, 10**12])
def test_a_point_that_is_not_there_is_refused(base: Base, point: int) -> None:
    put(base.bank, "a")
    put(base.bank, "b")
    with pytest.raises(UsageError, match="from 0 to 2"):
        base.timeline.rollback(point, "")
    assert base.bank.ids() == ["a", "b"]


# -- snapshots


def test_a_snapshot_names_a_point(base: Base) -> None:
    put(base.bank, "a")
    base.timeline.snapshot("before the weekend")
    put(base.bank, "b")
    base.timeline.rollback(base.timeline.point("before the weekend"), "")
    assert base.bank.ids() == ["a"]
    assert base.timeline.point("1") == 1


def test_the_latest_snapshot_of_a_name_counts_also_after_going_back_beyond_it(base: Base) -> None:
    base.timeline.snapshot("daily")
    put(base.bank, "a")
    latest = base.timeline.snapshot("daily")
    base.timeline.snapshot("weekly")
    base.timeline.rollback(0, "")
    assert base.timeline.point("daily") == latest
    assert list(base.timeline.snapshots()) == ["daily", "weekly"]
    base.timeline.rollback(latest, "")
    assert base.bank.ids() == ["a"]


@pytest.mark.parametrize("name", ["", "12", "٣"])
def test_a_snapshot_is_named_by_a_word(base: Base, name: str) -> None:
    with pytest.raises(UsageError, match="is a word"):
        base.timeline.snapshot(name)
    assert base.bank.seq == 0


@pytest.mark.parametrize("name", ["nothing", "-1", "99", "²", "", "1e3", "9" * 40])
def test_a_point_that_is_none_lists_what_there_is(base: Base, name: str) -> None:
    base.timeline.snapshot("daily")
    with pytest.raises(UsageError, match="from 0 to 1; snapshots: daily"):
        base.timeline.point(name)


def test_the_history_of_a_subject_is_told_newest_first(base: Base) -> None:
    lived(base)
    told = [line.what for line in base.timeline.history("record r3")]
    assert told == ["restore", "merge", "add"]
    assert [line.seq for line in base.timeline.history(limit=3)] == list(range(base.bank.seq, base.bank.seq - 3, -1))
