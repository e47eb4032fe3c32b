import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowledge.bank import EXPIRED, FORGOTTEN, QUARANTINED, SUPERSEDED, Bank
from knowledge.techniques import CAUTION, Group, Statistics
from tests.banks import Fields, held, opened, put, wrong

TILE = Group("d", "bound", "tile", "")


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    bank = Bank(tmp_path / "bank.sqlite")
    yield bank
    bank.close()


def fields(
    technique: str, gain: float | None = None, *, task: str = "t", hardware: str = "", kind: str = "trace"
) -> Fields:
    metrics = {} if gain is None else {"gain": gain}
    return {
        "kind": kind, "technique": technique, "domain": "d", "state": "bound", "task": task, "hardware": hardware,
        "metrics": metrics,
    }  # fmt: skip


def of(bank: Bank, technique: str, task: str = "t", hardware: str = "") -> Statistics:
    found = {(group, where): sums for group, where, sums in bank.techniques.all()}
    return found.get((Group("d", "bound", technique, hardware), task), Statistics())


def test_gains_are_averaged_as_logarithms(bank: Bank) -> None:
    for name, factor in (("a", 2.0), ("b", 8.0)):
        put(bank, name, **fields("tile", math.log(factor)))
    assert math.exp(of(bank, "tile").gain) == pytest.approx(4.0)
    assert of(bank, "tile").variance == pytest.approx(math.log(2) ** 2)
    assert of(bank, "tile").failure_share == 0


def test_a_failure_counts_and_has_no_gain(bank: Bank) -> None:
    put(bank, "a", **fields("tile", 0.5))
    put(bank, "b", **fields("tile", kind="failure"))
    seen = of(bank, "tile")
    assert (seen.tries, seen.failures, seen.n, seen.gain, seen.failure_share) == (2, 1, 1, 0.5, 0.5)
    assert seen.expected == pytest.approx(0.5 * 1 / (1 + CAUTION) * 0.5)


def test_a_trace_without_a_known_gain_is_a_try(bank: Bank) -> None:
    put(bank, "a", **fields("tile"))
    assert (of(bank, "tile").tries, of(bank, "tile").n, of(bank, "tile").gain, of(bank, "tile").expected) == (
        1,
        0,
        0,
        0,
    )


def test_the_members_of_a_chain_share_its_gain(bank: Bank) -> None:
    put(bank, "chain", **fields("tile + pack", 1.0))
    put(bank, "alone", **fields("tile", 0.2))
    assert of(bank, "pack").gain == pytest.approx(0.5)
    assert of(bank, "pack").weight == 0.5
    assert of(bank, "tile").gain == pytest.approx((0.5 * 0.5 + 0.2) / 1.5)
    assert (of(bank, "tile").tries, of(bank, "tile").n) == (2, 2)


def test_a_member_that_is_named_twice_is_one_member(bank: Bank) -> None:
    put(bank, "a", **fields("tile + tile + pack", 1.0))
    assert of(bank, "tile") == of(bank, "pack") == Statistics().seen(feasible=True, gain=1.0, members=2)


@pytest.mark.parametrize("technique", ["", "seed", " + ", "seed + seed"])
def test_no_technique_is_no_observation(bank: Bank, technique: str) -> None:
    put(bank, "a", **fields(technique, 1.0))
    assert bank.techniques.all() == []


def test_insights_are_no_observations(bank: Bank) -> None:
    put(bank, "a", **fields("tile", 1.0, kind="insight"))
    bank.set_status("a", QUARANTINED, what="quarantine", why="test")
    assert bank.techniques.all() == []


def test_states_hardware_and_tasks_are_kept_apart(bank: Bank) -> None:
    put(bank, "a", **fields("tile", 1.0))
    put(bank, "b", **fields("tile", 2.0, task="u"))
    put(bank, "c", **fields("tile", 3.0, hardware="H200"))
    assert [of(bank, "tile", *where).gain for where in (("t", ""), ("u", ""), ("t", "H200"))] == [1.0, 2.0, 3.0]
    found = dict(bank.techniques.changed(0))
    assert (found[TILE].tries, found[TILE].gain) == (2, 1.5)
    assert found[TILE._replace(hardware="H200")].tries == 1


@pytest.mark.parametrize(("status", "tries"), [(SUPERSEDED, 2), (EXPIRED, 2), (FORGOTTEN, 1), (QUARANTINED, 1)])
def test_what_is_distrusted_no_longer_counts(bank: Bank, status: str, tries: int) -> None:
    put(bank, "a", **fields("tile", 1.0))
    put(bank, "b", **fields("tile + pack", 3.0))
    bank.set_status("b", status, what="hide", why="test")
    assert of(bank, "tile").tries == tries
    assert of(bank, "pack").tries == tries - 1
    bank.set_status("b", "active", what="restore", why="test")
    assert (of(bank, "tile").tries, of(bank, "pack").tries) == (2, 1)
    assert wrong(bank) == []


def test_what_never_was_trusted_never_counted(bank: Bank) -> None:
    bank.put(held("a", status=QUARANTINED, **fields("tile", 1.0)), why="test")
    assert bank.techniques.all() == []
    bank.set_status("a", "active", what="restore", why="test")
    assert of(bank, "tile").tries == 1


def test_a_new_version_moves_its_observation(bank: Bank) -> None:
    put(bank, "a", **fields("tile", 1.0))
    bank.put(held("a", **fields("pack + unroll", 2.0, task="u")), what="correct", why="test")
    assert of(bank, "tile").tries == 0
    assert of(bank, "pack", "u") == of(bank, "unroll", "u") == Statistics().seen(feasible=True, gain=2.0, members=2)
    assert wrong(bank) == []


def test_counting_one_by_one_and_counting_all_again_agree_to_the_last_bit(bank: Bank) -> None:
    for i in range(50):
        put(bank, f"r{i}", **fields("tile + pack" if i % 3 else "tile", math.sin(i)))
    before = bank.techniques.all()
    with bank.transaction():
        bank.set_status("r7", FORGOTTEN, what="forget", why="test")
        bank.set_status("r7", "active", what="restore", why="test")
    assert bank.techniques.all() == before
    assert dict(bank.techniques.counted("d", "bound", "", "t")) == {group.technique: sums for group, _, sums in before}


def test_groups_that_changed_are_told_also_when_nothing_is_left_of_them(bank: Bank) -> None:
    put(bank, "a", **fields("tile", 1.0))
    put(bank, "b", **fields("pack", 1.0))
    seen = bank.seq
    assert bank.techniques.changed(seen) == []
    bank.set_status("a", FORGOTTEN, what="forget", why="test")
    changed = dict(bank.techniques.changed(seen))
    assert changed[TILE].tries == 0
    assert bank.techniques.changed(bank.seq) == []


def test_a_change_after_a_failed_transaction_is_told_once_and_rightly(bank: Bank) -> None:
    put(bank, "a", **fields("tile", 1.0))

    def broken() -> None:
        with bank.transaction():
            bank.set_status("a", FORGOTTEN, what="forget", why="test")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        broken()
    assert of(bank, "tile").tries == 1
    put(bank, "b", **fields("tile", 1.0))
    assert of(bank, "tile").tries == 2
    assert wrong(bank) == []


def test_groups_name_the_tasks_they_rest_on(bank: Bank) -> None:
    put(bank, "a", **fields("tile", 1.0))
    put(bank, "b", **fields("pack", 1.0, task="u"))
    assert bank.techniques.tried_on(["t", "nothing"]) == [TILE]
    assert set(bank.techniques.tried_on(["u", "t"])) == {TILE, TILE._replace(technique="pack")}
    bank.set_status("a", FORGOTTEN, what="forget", why="test")
    assert bank.techniques.tried_on(["t"]) == []


def test_sources_are_the_latest_attempts_of_the_very_technique_oldest_first(bank: Bank) -> None:
    techniques = {"a": "tile", "b": "tile2", "c": "pack + tile", "d": "a tile", "e": "tile + pack", "f": "seed"}
    for name, technique in techniques.items():
        put(bank, name, **fields(technique, 1.0))
    put(bank, "g", **fields("tile", kind="failure"))
    assert bank.techniques.sources(TILE, 9) == ["run/a", "run/c", "run/e", "run/g"]
    assert bank.techniques.sources(TILE, 2) == ["run/e", "run/g"]
    bank.set_status("e", QUARANTINED, what="quarantine", why="test")
    assert bank.techniques.sources(TILE, 2) == ["run/c", "run/g"]


def test_sources_of_a_chain_written_with_more_blanks_are_found(bank: Bank) -> None:
    put(bank, "a", **fields("pack +  tile", 1.0))
    assert of(bank, "tile").tries == 1
    assert bank.techniques.sources(TILE, 9) == ["run/a"]


def test_another_connection_counts_on(bank: Bank) -> None:
    put(bank, "a", **fields("tile", 1.0))
    other = opened(bank.path).bank
    put(other, "b", **fields("tile", 3.0))
    assert of(bank, "tile").gain == of(other, "tile").gain == 2.0
    assert wrong(bank) == []
    other.close()
