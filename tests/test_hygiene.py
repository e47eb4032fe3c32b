import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolve.errors import UsageError
from evolve.types import DRAFT
from knowledge.bank import ACTIVE, EXPIRED, FORGOTTEN, QUARANTINED, SUPERSEDED
from knowledge.hygiene import ALARM_AFTER
from tests.banks import Base, base_in, held, opened, put, recall, worth, wrong


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    with base_in(tmp_path) as base:
        yield base


def status(base: Base, name: str) -> str:
    found = base.bank.held(name)
    assert found is not None
    return found.status


def learnt(base: Base, name: str, parent: str | None = None, **fields: str) -> None:
    """An attempt `run/NAME`, refined from `run/PARENT`, that was credited, and what was learnt from it."""
    with base.bank.transaction():
        line = f"run/{parent}" if parent else None
        base.bank.add_event(f"run/{name}", kind="attempt", task="t", data="{}", record=name, parent=line)
    put(base.bank, name, **fields)  # type: ignore[arg-type]
    recall(base.ledger, f"run/{name}", ["shown"])
    base.ledger.credit(f"run/{name}", stage=DRAFT, raw=1.0)


# -- forgetting


def test_what_is_forgotten_is_not_found_and_can_be_restored(base: Base) -> None:
    put(base.bank, "a", technique="tile")
    put(base.bank, "b")
    assert base.hygiene.forget(["a", "nobody", "a"], "of no use") == ["a"]
    assert list(base.bank.lexicon.search("tiling", 5)) == ["b"]
    assert base.bank.techniques.all() == []
    assert base.hygiene.restore(["a", "b", "nobody"], "of use") == ["a"]
    assert sorted(base.bank.lexicon.search("tiling", 5)) == ["a", "b"]
    assert len(base.bank.techniques.all()) == 1
    assert wrong(base.bank) == []


def test_what_was_taught_outlives_forgetting(base: Base) -> None:
    put(base.bank, "a")
    recall(base.ledger, "run/1", "a")
    base.ledger.credit("run/1", stage=DRAFT, raw=1.0)
    before = worth(base.ledger, "a")
    base.hygiene.forget(["a"], "test")
    base.hygiene.restore(["a"], "test")
    assert worth(base.ledger, "a") == before != {}


# -- time


def test_what_has_reached_its_time_is_not_found_and_then_marked(base: Base) -> None:
    put(base.bank, "a", technique="tile")
    put(base.bank, "b")
    assert base.hygiene.expire(["a", "nobody"], time.time() - 1, "an old compiler") == ["a"]
    assert base.bank.cards(["a"]) == []
    assert status(base, "a") == ACTIVE
    assert base.hygiene.expire_due() == ["a"]
    assert base.hygiene.expire_due() == []
    assert status(base, "a") == EXPIRED
    assert len(base.bank.techniques.all()) == 1, "an old observation is an observation"
    assert wrong(base.bank) == []


def test_what_has_not_reached_its_time_is_found(base: Base) -> None:
    put(base.bank, "a")
    base.hygiene.expire(["a"], time.time() + 1000, "next year")
    assert base.hygiene.expire(["a"], base.bank.many(["a"])[0].expires or 0, "again") == []
    assert base.hygiene.expire_due() == []
    assert [card.id for card in base.bank.cards(["a"])] == ["a"]


def test_what_had_expired_is_restored_for_good(base: Base) -> None:
    for name in "ab":
        put(base.bank, name)
    base.hygiene.expire(["a", "b"], 1.0, "test")
    assert base.hygiene.restore(["a"], "before it was marked") == ["a"]
    assert base.hygiene.expire_due() == ["b"]
    assert base.hygiene.restore(["b"], "after it was marked") == ["b"]
    assert base.hygiene.expire_due() == []
    assert sorted(card.id for card in base.bank.cards("ab")) == ["a", "b"]


# -- newer facts and duplicates


def test_a_newer_fact_hides_an_older_one_which_stays_in_its_history(base: Base) -> None:
    put(base.bank, "old")
    put(base.bank, "new")
    assert base.hygiene.supersede("old", "new", "measured again")
    assert status(base, "old") == SUPERSEDED
    assert base.bank.links_of("new") == [("supersedes", "old")]
    assert [line.what for line in base.bank.log.lines("record old")] == ["supersede", "add"]
    assert not base.hygiene.supersede("old", "new", "once more")


@pytest.mark.parametrize("new", ["nobody", "hidden"])
def test_only_what_is_found_hides_something(base: Base, new: str) -> None:
    for name in ("old", "hidden"):
        put(base.bank, name)
    base.hygiene.forget(["hidden"], "test")
    with pytest.raises(UsageError, match="name a record that is active"):
        base.hygiene.supersede("old", new, "test")
    with pytest.raises(UsageError, match="name a record that is active"):
        base.hygiene.merge(new, ["old"], "test")
    assert status(base, "old") == ACTIVE


def test_nothing_hides_itself(base: Base) -> None:
    put(base.bank, "a")
    put(base.bank, "b")
    assert not base.hygiene.supersede("a", "a", "test")
    assert base.hygiene.merge("a", ["a", "b", "b"], "test") == ["b"]
    assert status(base, "a") == ACTIVE
    assert wrong(base.bank) == []


def test_merging_hides_duplicates_and_keeps_what_they_were_taught(base: Base) -> None:
    for name in "abc":
        put(base.bank, name)
    for attempt, items, raw in (("run/1", "a", 1.0), ("run/2", "b", 0.5), ("run/3", "ab", -1.0)):
        recall(base.ledger, attempt, items)
        base.ledger.credit(attempt, stage=DRAFT, raw=raw)
    own = worth(base.ledger, "b")
    assert base.hygiene.merge("a", ["b", "c"], "the same code") == ["b", "c"]
    assert base.bank.ids(ACTIVE) == ["a"]
    assert worth(base.ledger, "a")[DRAFT, "*"][-1] == 3
    assert worth(base.ledger, "b") == own
    assert [use.attempt for use in base.ledger.outcomes("a", 9)] == ["run/3", "run/2", "run/1"]
    assert wrong(base.bank) == []


@pytest.mark.parametrize("hidden", [FORGOTTEN, QUARANTINED, EXPIRED])
def test_what_is_hidden_is_not_merged(base: Base, hidden: str) -> None:
    put(base.bank, "a")
    put(base.bank, "b", technique="tile")
    base.bank.set_status("b", hidden, what="hide", why="test")
    before = base.bank.techniques.all()
    assert base.hygiene.merge("a", ["b"], "test") == []
    assert status(base, "b") == hidden
    assert base.bank.techniques.all() == before


def test_a_duplicate_that_is_restored_stands_for_itself_again(base: Base) -> None:
    for name in "abc":
        put(base.bank, name)
    recall(base.ledger, "run/1", "a")
    base.ledger.credit("run/1", stage=DRAFT, raw=1.0)
    base.hygiene.merge("b", ["a"], "the same")
    base.hygiene.merge("c", ["b"], "the same")
    base.hygiene.restore(["a"], "another one after all")
    assert base.bank.links_of("a") == []
    assert base.ledger.worth("b") == base.ledger.worth("c") == []
    assert worth(base.ledger, "a") != {}
    assert base.hygiene.merge("a", ["c"], "the other way round") == ["c"]
    assert wrong(base.bank) == []


def test_groups_of_the_same_are_told(base: Base) -> None:
    put(base.bank, "a", "one", payload="int x;")
    put(base.bank, "b", "two", payload="int   x;\n")
    put(base.bank, "c", "three", payload="int x;", task="other")
    put(base.bank, "d", "four", payload="int x;", kind="failure")
    put(base.bank, "e", "same words")
    put(base.bank, "f", "same words")
    put(base.bank, "g", "same words", kind="insight")
    put(base.bank, "h", "same words", kind="insight")
    put(base.bank, "i", "two", payload="int x;")
    base.hygiene.forget(["i"], "test")
    assert sorted(base.hygiene.same()) == [["a", "b"], ["e", "f"]]


# -- fraud


def test_a_fraud_takes_all_that_was_refined_from_it_and_their_credit_along(base: Base) -> None:
    parents = {"honest": None, "fraud": "honest", "child": "fraud", "grandchild": "child", "other": "honest"}
    for name, parent in parents.items():
        learnt(base, name, parent, technique="trick")
    revoked = base.hygiene.revoke("run/fraud", "measured the cache")
    assert set(revoked.attempts) == {"run/fraud", "run/child", "run/grandchild"}
    assert set(revoked.records) == {"fraud", "child", "grandchild"}
    assert revoked.credits == 3
    assert base.bank.ids(ACTIVE) == ["honest", "other"]
    assert base.ledger.seen(DRAFT) == 2
    assert worth(base.ledger, "shown")[DRAFT, "*"][-1] == 2
    assert [sums.tries for _, _, sums in base.bank.techniques.all()] == [2]
    assert base.hygiene.tainted("run/child")
    assert not base.hygiene.tainted("run/other")
    assert not base.hygiene.tainted("run/unknown")
    assert not base.hygiene.tainted(None)
    assert wrong(base.bank) == []


def test_revoking_twice_or_nothing_changes_nothing(base: Base) -> None:
    learnt(base, "fraud")
    base.hygiene.revoke("run/fraud", "test")
    seq = base.bank.seq
    again = base.hygiene.revoke("run/fraud", "test")
    assert (again.records, again.credits) == ([], 0)
    assert base.hygiene.revoke("run/unknown", "test") == ([], [], 0)
    assert base.bank.seq == seq


def test_a_revocation_can_be_rolled_back(base: Base) -> None:
    learnt(base, "honest")
    learnt(base, "child", "honest")
    point, before = base.bank.seq, worth(base.ledger, "shown")
    base.hygiene.revoke("run/honest", "a mistake")
    assert base.ledger.worth("shown") == []
    base.timeline.rollback(point, "it was honest")
    assert worth(base.ledger, "shown") == before
    assert not base.hygiene.tainted("run/child")
    assert wrong(base.bank) == []


def test_insights_without_support_are_put_in_quarantine(base: Base) -> None:
    put(base.bank, "insight", kind="insight")
    assert base.hygiene.unsupported(["insight", "nobody"], "nothing is left") == ["insight"]
    assert status(base, "insight") == QUARANTINED


# -- erasing


def traces(folder: Path, text: str) -> list[str]:
    return [path.name for path in folder.iterdir() if text.encode() in path.read_bytes()]


def test_what_is_erased_is_nowhere_on_the_disk(base: Base, tmp_path: Path) -> None:
    with base.bank.transaction():
        base.bank.add_event("run/a", kind="attempt", task="t", data='{"code": "xyzzy"}', record="a")
    put(base.bank, "a", "a secret plugh", payload="int xyzzy;")
    put(base.bank, "a", "another secret plugh", payload="int xyzzy;")
    put(base.bank, "b", "no secret")
    base.hygiene.forget(["a"], "test")
    point = base.bank.seq
    assert traces(tmp_path, "xyzzy")
    assert traces(tmp_path, "plugh")
    assert base.hygiene.erase(["a", "nobody"], "it was private") == ["a"]
    assert traces(tmp_path, "xyzzy") == traces(tmp_path, "plugh") == []
    assert base.bank.get("a") is None
    assert base.bank.database.rows("SELECT count(*) FROM vectors") == [(1,)]
    assert [line.what for line in base.bank.log.lines("record a")] == ["erase", "forget", "add", "add"]
    base.timeline.rollback(point, "an erased record does not come back")
    assert base.bank.ids() == ["b"]
    assert base.hygiene.erase(["a"], "again") == []
    assert wrong(base.bank) == []


def test_what_was_rolled_back_can_be_erased(base: Base, tmp_path: Path) -> None:
    put(base.bank, "a", "a secret plugh")
    base.timeline.rollback(0, "test")
    assert base.hygiene.erase(["a"], "it was private") == ["a"]
    assert traces(tmp_path, "plugh") == []


def test_a_text_that_another_record_has_too_keeps_its_vector(base: Base) -> None:
    put(base.bank, "a", "shared words")
    put(base.bank, "b", "shared words")
    base.hygiene.erase(["a"], "test")
    assert base.bank.database.rows("SELECT count(*) FROM vectors") == [(1,)]
    assert base.bank.vectors.missing("ones", 5) == []


def test_erasing_works_while_another_connection_is_open(base: Base) -> None:
    put(base.bank, "a", "a secret plugh")
    other = opened(base.bank.path)
    assert other.bank.ids() == ["a"]
    assert base.hygiene.erase(["a"], "test") == ["a"]
    assert other.bank.ids() == []
    other.bank.close()


# -- the alarm


def test_attempts_that_leave_nothing_raise_the_alarm(base: Base) -> None:
    put(base.bank, "a")
    assert base.hygiene.alarm == ""
    for i in range(ALARM_AFTER):
        assert base.hygiene.alarm == ""
        base.bank.add_event(f"again/{i}", kind="attempt", task="t", data="{}", record="a")
        base.bank.add_event(f"task:{i}", kind="task", task="t", data="{}")
    assert str(ALARM_AFTER) in base.hygiene.alarm
    put(base.bank, "b")
    assert base.hygiene.alarm == ""


def test_attempts_whose_record_is_not_there_raise_the_alarm(base: Base) -> None:
    for i in range(ALARM_AFTER):
        base.bank.add_event(f"run/{i}", kind="attempt", task="t", data="{}", record="never put")
    assert base.hygiene.alarm


def test_a_new_version_keeps_a_hidden_record_hidden_if_told_so(base: Base) -> None:
    put(base.bank, "a")
    base.bank.put(held("a", "new words", QUARANTINED), what="reword", why="test")
    assert base.bank.lexicon.search("words", 5) == {}
    assert wrong(base.bank) == []
