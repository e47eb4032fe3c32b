import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from evolve.errors import UsageError
from evolve.types import DRAFT, REFINE
from knowledge.ledger import Booked, Ledger, Line
from knowledge.values import ALPHA, KNOWN_WELL, LEAST_SPREAD, OVERALL, Norm, Value
from tests.banks import ROOT, STATES, Base, base_in, opened, put, recall, worth, wrong

CREDITOR = """
import sys
from pathlib import Path
from tests.banks import opened
base = opened(Path(sys.argv[1]))
print(sum(base.ledger.credit(f"run/{i}", stage="draft", raw=1.0) for i in range(50)))
"""


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    with base_in(tmp_path) as base:
        yield base


@pytest.fixture
def ledger(base: Base) -> Ledger:
    return base.ledger


def tried(ledger: Ledger, attempt: str, raw: float, *items: str, stage: str = DRAFT, also: str | None = None) -> int:
    recall(ledger, attempt, items, stage=stage)
    return ledger.credit(attempt, stage=stage, raw=raw, also=also)


# -- receipts


def test_a_receipt_is_written_once(ledger: Ledger) -> None:
    first, second = [Line("b", 0.5, 0.1, "{}"), Line("a", 0.7, 0.2, "{}")], [Line("c", 0.5, 0.0, "{}")]
    assert ledger.receipt("run/1") is None
    assert ledger.issue("run/1", task="t", stage=REFINE, states=STATES, lines=first) == first
    assert ledger.issue("run/1", task="u", stage=DRAFT, states=(OVERALL,), lines=second) == first
    assert ledger.lines("run/1") == first
    receipt = ledger.receipt("run/1")
    assert receipt is not None
    assert (receipt.task, receipt.stage, receipt.states) == ("t", REFINE, STATES)


def test_a_receipt_for_nothing_is_a_receipt(ledger: Ledger) -> None:
    assert ledger.issue("run/1", task="t", stage=DRAFT, states=STATES, lines=[]) == ledger.lines("run/1") == []
    assert ledger.receipt("run/1") is not None
    assert ledger.credit("run/1", stage=DRAFT, raw=1.0) == 0
    assert ledger.booked("run/1") is not None


def test_uses_are_counted_by_receipt(ledger: Ledger) -> None:
    recall(ledger, "run/1", "ab")
    recall(ledger, "run/2", "bc")
    assert ledger.uses(["a", "b", "nobody"]) == {"a": 1, "b": 2}
    assert ledger.newest(1) == ["run/2"]


# -- credits


def test_every_item_of_the_receipt_and_the_starting_point_are_taught_in_each_state(ledger: Ledger) -> None:
    assert tried(ledger, "run/1", 0.5, "a", "b", also="start") == 3
    for item in ("a", "b", "start"):
        assert worth(ledger, item) == {(DRAFT, state): (ALPHA * 0.5, 0.5, 1) for state in STATES}


def test_an_item_that_is_shown_and_the_starting_point_is_taught_once(ledger: Ledger) -> None:
    assert tried(ledger, "run/1", 0.5, "a", also="a") == 1
    assert worth(ledger, "a")[DRAFT, OVERALL][-1] == 1


def test_crediting_twice_is_crediting_once(ledger: Ledger) -> None:
    assert tried(ledger, "run/1", 1.0, "a") == 1
    assert ledger.credit("run/1", stage=DRAFT, raw=-1.0) == 0
    assert ledger.credit("run/1", stage=REFINE, raw=0.3) == 0
    booked = ledger.booked("run/1")
    assert booked is not None
    assert (booked.stage, booked.raw) == (DRAFT, 1.0)
    assert worth(ledger, "a").keys() == {(DRAFT, state) for state in STATES}


def test_an_attempt_without_a_receipt_credits_nothing(base: Base) -> None:
    assert base.ledger.credit("run/1", stage=DRAFT, raw=1.0, also="a") == 0
    assert base.bank.seq == 0


def test_a_refining_reward_is_measured_by_those_before_and_a_failure_is_not(ledger: Ledger) -> None:
    for item, raw in (("1", 0.2), ("2", 0.6), ("3", -1.0)):
        tried(ledger, f"run/{item}", raw, item, stage=REFINE)
    values = {item: worth(ledger, item)[REFINE, OVERALL][0] for item in "123"}
    assert values["1"] == pytest.approx(ALPHA * 0.2)
    assert values["2"] == pytest.approx(ALPHA * 1.0)  # one deviation above the mean of .2 and .6
    assert values["3"] == pytest.approx(-ALPHA)
    assert ledger.counted_norms(REFINE)["reward"].n == 2
    assert ledger.seen(REFINE) == 3


def test_refining_rewards_that_are_nearly_the_same_are_not_blown_up(ledger: Ledger) -> None:
    tried(ledger, "run/1", 0.200, "a", stage=REFINE)
    tried(ledger, "run/2", 0.201, "b", stage=REFINE)
    assert worth(ledger, "b")[REFINE, OVERALL][0] == pytest.approx(ALPHA * 0.0005 / LEAST_SPREAD)


def test_the_usual_credit_of_the_stage_is_what_an_item_is_measured_against(ledger: Ledger) -> None:
    tried(ledger, "run/1", 1.0, "a")
    tried(ledger, "run/2", 0.0, "b")
    tried(ledger, "run/3", 1.0, "c")
    assert [worth(ledger, item)[DRAFT, OVERALL][1] for item in "abc"] == [1.0, -1.0, 0.5]


def test_a_reward_that_does_not_count_is_noted_and_teaches_nothing(base: Base) -> None:
    recall(base.ledger, "run/1", "a")
    assert base.ledger.credit("run/1", stage=DRAFT, raw=1.0, counts=False) == 0
    assert base.ledger.credit("run/1", stage=DRAFT, raw=1.0) == 0
    assert base.ledger.worth("a") == []
    assert base.ledger.seen(DRAFT) == 0
    assert [credit.counts for credit in base.ledger.outcomes("a", 5)] == [False]
    assert wrong(base.bank) == []


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), float("-inf")])
def test_a_reward_that_is_no_number_is_refused_and_nothing_is_noted(base: Base, reward: float) -> None:
    recall(base.ledger, "run/1", "a")
    with pytest.raises(UsageError, match="finite"):
        base.ledger.credit("run/1", stage=REFINE, raw=reward)
    assert base.bank.seq == 0
    assert base.ledger.credit("run/1", stage=REFINE, raw=0.5) == 1


def test_credits_keep_their_order_when_the_clock_is_set_back(base: Base) -> None:
    recall(base.ledger, "run/0", "a")
    ahead = Booked(time=9e9, stage=DRAFT, raw=1.0, credit=1.0, advantage=1.0)
    base.bank.log.append("credit run/0", "credit", "by a clock that was wrong", ahead.model_dump_json())
    base.ledger.apply("run/0", ahead.model_dump_json())
    base.ledger.recount(["run/0"])
    for i in range(1, 4):
        tried(base.ledger, f"run/{i}", float(i), "a")
    moments = [time for (time,) in base.bank.database.rows("SELECT time FROM credits ORDER BY attempt")]
    assert moments == sorted(set(moments))
    assert wrong(base.bank) == []


def test_two_threads_and_two_processes_credit_an_attempt_once(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    base = opened(path)
    for i in range(50):
        recall(base.ledger, f"run/{i}", "ab")
    processes = [
        subprocess.Popen([sys.executable, "-c", CREDITOR, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    with ThreadPoolExecutor(2) as pool:
        taught = sum(pool.map(lambda i: base.ledger.credit(f"run/{i % 50}", stage=DRAFT, raw=1.0), range(100)))
    taught += sum(int(process.communicate()[0]) for process in processes)
    assert taught == 100
    assert base.ledger.seen(DRAFT) == 50
    assert wrong(base.bank) == []
    base.bank.close()


# -- taking back


def test_what_is_taken_back_taught_nothing(base: Base) -> None:
    rng = Random(1)
    rewards = [(f"run/{i}", rng.uniform(-1, 1), rng.sample("abcd", 2)) for i in range(20)]
    for attempt, raw, items in rewards:
        tried(base.ledger, attempt, raw, *items, also="start")
    assert base.ledger.take_back(["run/3", "run/7", "run/7", "unknown"], "fraud") == 2
    kept = [(raw, items) for attempt, raw, items in rewards if attempt not in {"run/3", "run/7"}]
    for item in "abcd":
        q, n = 0.0, 0
        for raw, items in kept:
            if item in items:
                q, n = q + ALPHA * (raw - q), n + 1
        found = worth(base.ledger, item)[DRAFT, OVERALL]
        assert (found[0], found[2]) == pytest.approx((q, n))
    assert base.ledger.seen(DRAFT) == 18
    assert wrong(base.bank) == []


def test_taking_back_the_only_credit_leaves_no_value(base: Base) -> None:
    tried(base.ledger, "run/1", 1.0, "a", also="start")
    assert base.ledger.take_back(["run/1"], "fraud") == 1
    assert base.ledger.worth("a") == base.ledger.worth("start") == []
    assert base.ledger.seen(DRAFT) == 0
    assert base.ledger.counted_norms(DRAFT) == {"reward": Norm(), "credit": Norm()}


def test_taking_back_twice_is_taking_back_once_and_is_noted_with_its_reason(base: Base) -> None:
    tried(base.ledger, "run/1", 1.0, "a")
    assert base.ledger.take_back(["run/1"], "fraud") == 1
    assert base.ledger.take_back(["run/1"], "fraud") == 0
    assert base.ledger.credit("run/1", stage=DRAFT, raw=1.0) == 0
    assert [(line.what, line.why) for line in base.bank.log.lines("credit run/1")] == [
        ("take back", "fraud"),
        ("credit", "draft reward +1.000"),
    ]


# -- duplicates


def test_uses_of_a_duplicate_count_for_the_record_that_stands_for_it(base: Base) -> None:
    for name in "abc":
        put(base.bank, name)
    tried(base.ledger, "run/1", 1.0, "a")
    base.hygiene.merge("b", ["a"], "the same")
    base.hygiene.merge("c", ["b"], "the same, too")
    assert worth(base.ledger, "b") == worth(base.ledger, "c") == worth(base.ledger, "a") != {}
    assert tried(base.ledger, "run/2", 0.5, "a") == 3
    assert worth(base.ledger, "c")[DRAFT, OVERALL][-1] == 2
    base.ledger.take_back(["run/1"], "fraud")
    assert worth(base.ledger, "c")[DRAFT, OVERALL][-1] == 1
    assert wrong(base.bank) == []


def test_an_attempt_that_saw_two_duplicates_teaches_their_stand_in_once(base: Base) -> None:
    for name in "abc":
        put(base.bank, name)
    base.hygiene.merge("c", ["a", "b"], "the same")
    assert tried(base.ledger, "run/1", 1.0, "a", "b", "c") == 3
    assert worth(base.ledger, "c")[DRAFT, OVERALL] == (ALPHA, 1.0, 1)


# -- looking


def test_a_value_is_the_narrowest_that_is_known_well(ledger: Ledger) -> None:
    narrow, wide = STATES, ("family:other", "bound", OVERALL)
    for i in range(KNOWN_WELL):
        recall(ledger, f"wide/{i}", "a", states=wide)
        ledger.credit(f"wide/{i}", stage=DRAFT, raw=-1.0)
    tried(ledger, "narrow/0", 1.0, "a")
    assert ledger.values(["a", "untried"], DRAFT, narrow).keys() == {"a"}
    assert ledger.values(["a"], DRAFT, narrow)["a"].state == "bound"
    for i in range(1, KNOWN_WELL):
        tried(ledger, f"narrow/{i}", 1.0, "a")
    assert ledger.values(["a"], DRAFT, narrow)["a"].state == "family:bound"
    assert ledger.values(["a"], DRAFT, ("family:new", "new", OVERALL))["a"].state == OVERALL
    assert ledger.values(["a"], REFINE, narrow) == {}


def test_stages_are_learnt_apart(ledger: Ledger) -> None:
    tried(ledger, "run/1", 1.0, "a")
    tried(ledger, "run/2", -1.0, "a", stage=REFINE)
    assert ledger.by_stage(["a", "nobody"]) == {"a": {DRAFT: Value(ALPHA, 1.0, 1), REFINE: Value(-ALPHA, -1.0, 1)}}


def test_outcomes_are_the_latest_uses_newest_first_also_those_as_starting_point(ledger: Ledger) -> None:
    tried(ledger, "run/1", 0.1, "a")
    tried(ledger, "run/2", 0.2, "b", also="a")
    tried(ledger, "run/3", 0.3, "a")
    tried(ledger, "run/4", 0.4, "b")
    recall(ledger, "run/5", "a")
    assert [(use.attempt, use.reward) for use in ledger.outcomes("a", 2)] == [("run/3", 0.3), ("run/2", 0.2)]
    assert len(ledger.outcomes("a", 9)) == 3


def test_values_are_the_same_whether_counted_one_by_one_or_all_again(base: Base) -> None:
    rng = Random(2)
    for i in range(60):
        stage, raw = rng.choice([DRAFT, REFINE]), rng.choice([-1.0, rng.random()])
        tried(base.ledger, f"run/{i}", raw, *rng.sample("abcdef", 3), stage=stage, also="a")
    before = base.bank.database.rows("SELECT * FROM item_values"), base.bank.database.rows("SELECT * FROM norms")
    base.ledger.recount([f"run/{i}" for i in range(60)])
    after = base.bank.database.rows("SELECT * FROM item_values"), base.bank.database.rows("SELECT * FROM norms")
    assert before == after
    assert wrong(base.bank) == []
