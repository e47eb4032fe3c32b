"""The run's journal."""

import sqlite3
from pathlib import Path

import pytest

from evolve.errors import StorageError, UsageError
from evolve.journal import Journal, Learnt
from evolve.types import Candidate, Completion, Cost, Evaluation, Message, Prompt

CODE = Candidate(files={"kernel.c": "int x;"})


def journal(folder: Path) -> Journal:
    return Journal.open(folder / "journal.db", create=not (folder / "journal.db").exists())


def planned(folder: Path) -> Journal:
    book = journal(folder)
    book.plan("r", 1, [("t", "draft", None), ("t", "draft", None)])
    return book


def test_a_round_is_planned_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    book = journal(tmp_path)
    first = book.plan("r", 1, [("t", "draft", None), ("u", "refine", "r/0")])
    assert book.plan("r", 1, [("other", "draft", None)]) == first
    assert [plan.id for plan in first] == ["r/1", "r/2"]
    assert book.plan("r", 2, [("t", "draft", None)])[0].position == 3


def test_each_step_is_written_once(tmp_path: Path) -> None:
    book = planned(tmp_path)
    book.record_draft("r/1", CODE, Cost(prompt_tokens=3))
    book.record_draft("r/1", Candidate(files={"kernel.c": "other"}), Cost())
    assert book.draft("r/1") == CODE
    book.record_evaluation("r/1", Evaluation(score=2.0), seconds=0.1)
    book.record_evaluation("r/1", Evaluation(score=9.0), seconds=0.1)
    found = book.attempt("r/1")
    assert found is not None
    assert found.evaluation.score == 2.0
    assert found.cost.prompt_tokens == 3


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    book = planned(tmp_path)
    book.record_draft("r/1", CODE, Cost())
    book.record_evaluation("r/1", Evaluation(score=2.0), seconds=0.1)
    book.record_learned("r/1", gain=0.7, reward=1.0, improved=True)
    book.close()
    again = journal(tmp_path)
    best = again.best("t")
    assert best is not None
    assert (best.id, best.gain) == ("r/1", 0.7)
    assert [plan.id for plan in again.unlearned()] == ["r/2"]
    assert again.standing("t").first_feasible == 1


def test_the_same_code_on_the_same_task_is_known(tmp_path: Path) -> None:
    book = planned(tmp_path)
    book.record_draft("r/1", CODE, Cost())
    assert book.judged_before("t", CODE.id) is None
    book.record_evaluation("r/1", Evaluation(score=2.0), seconds=0.1)
    assert book.judged_before("t", CODE.id) == ("r/1", Evaluation(score=2.0))
    assert book.judged_before("u", CODE.id) is None


def test_nothing_to_judge_is_recorded_together_with_the_draft(tmp_path: Path) -> None:
    book = planned(tmp_path)
    book.record_draft("r/1", Candidate(files={}), Cost(), verdict=Evaluation(feedback="nothing to judge: no code"))
    assert book.recent_feedback(5, before=9) == ["nothing to judge: no code"]


def test_the_ranking_starts_with_the_best_and_leaves_out_repeats(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.plan("r", 1, [("t", "draft", None)] * 4)
    for position, score in enumerate((2.0, 2.1, 1.5, 2.0), start=1):
        book.record_draft(f"r/{position}", Candidate(files={"a": str(score)}), Cost())
        repeat = "r/1" if position == 4 else None
        book.record_evaluation(f"r/{position}", Evaluation(score=score), seconds=0, repeat_of=repeat)
        book.record_learned(f"r/{position}", gain=None, reward=0, improved=position == 1)
    assert book.ranked("t", 9) == ["r/1", "r/2", "r/3"]


def test_what_an_attempt_may_know_ends_where_its_round_begins(tmp_path: Path) -> None:
    book = journal(tmp_path)
    for number in (1, 2):
        for plan in book.plan("r", number, [("t", "draft", None)] * 2):
            book.record_draft(plan.id, Candidate(files={"a": str(plan.position % 2)}), Cost())
            book.record_evaluation(plan.id, Evaluation(score=1.0 + plan.position), seconds=0)
    assert [book.first_of_round(number) for number in (1, 2, 3)] == [1, 3, 5]
    odd, even = (Candidate(files={"a": digit}).id for digit in "10")
    assert book.tried("t", 2) == {odd}
    assert book.tried("t") == {odd, even}
    assert book.judged_before("t", even, 2) is None
    assert book.judged_before("t", even, 3) == ("r/2", Evaluation(score=3.0))


def test_the_order_in_which_was_learnt_is_kept(tmp_path: Path) -> None:
    book = planned(tmp_path)
    assert book.learnt("r/1") is None
    for attempt in ("r/2", "r/1"):
        book.record_draft(attempt, CODE, Cost())
        book.record_learned(attempt, gain=None, reward=-1.0, improved=False)
    assert [book.learnt(plan.id) for plan in book.all_planned()] == [
        Learnt(2, None, -1.0, improved=False),
        Learnt(1, None, -1.0, improved=False),
    ]
    assert book.unlearned() == []


def test_calls_come_in_the_order_in_which_they_were_answered(tmp_path: Path) -> None:
    book = planned(tmp_path)
    reply = Completion(text="yes", model="m")
    keys = ["r/1/coder/9", "r/2/analyst/1", "r/1/coder/10"]
    for key in keys:
        book.record_call(Prompt(key=key, messages=()), reply)
    assert [prompt.key for prompt, _ in book.all_calls()] == keys
    assert [prompt.key for prompt, _ in book.calls("r/1")] == [keys[0], keys[2]]


def test_facts_are_found_by_how_their_keys_begin(tmp_path: Path) -> None:
    book = journal(tmp_path)
    for key in ("model/r/1", "model/r/2", "models", "MODEL/x"):
        book.record_fact(key, key.upper())
    assert book.facts("model/") == {"model/r/1": "MODEL/R/1", "model/r/2": "MODEL/R/2"}


def test_an_attempt_is_found_by_its_number(tmp_path: Path) -> None:
    book = planned(tmp_path)
    assert book.numbered(2).id == "r/2"
    with pytest.raises(UsageError, match="give a number from 1 to 2"):
        book.numbered(3)


def test_paid_calls_are_kept_and_summed(tmp_path: Path) -> None:
    book = planned(tmp_path)
    prompt = Prompt(key="r/1/coder/0", messages=(Message(role="user", content="hi"),))
    reply = Completion(text="yes", model="m", cost=Cost(prompt_tokens=5, completion_tokens=7, usd=0.5))
    book.record_call(prompt, reply)
    book.record_call(prompt, Completion(text="no", model="m"))
    assert book.completion(prompt.key) == reply
    assert book.calls("r/1") == [(prompt, reply)]
    assert book.spent() == reply.cost


def test_a_file_that_is_no_journal_is_refused_in_one_sentence(tmp_path: Path) -> None:
    foreign = tmp_path / "journal.db"
    sqlite3.connect(foreign).execute("CREATE TABLE t (x)")
    with pytest.raises(UsageError, match="no journal of evolve"):
        journal(tmp_path)
    foreign.write_bytes(b"this is not a database" * 300)
    with pytest.raises(UsageError, match="damaged"):
        journal(tmp_path)
    with pytest.raises(UsageError, match="no run folder"):
        Journal.open(tmp_path / "elsewhere" / "journal.db")


def test_a_damaged_entry_is_named(tmp_path: Path) -> None:
    book = planned(tmp_path)
    book.record_draft("r/1", CODE, Cost())
    book.close()
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("""UPDATE attempts SET draft='{"files": 1' WHERE id='r/1'""")
    with pytest.raises(UsageError, match=r"damaged at r/1.*start a new run"):
        journal(tmp_path).draft("r/1")


def test_a_full_or_read_only_disk_is_storage_that_failed(tmp_path: Path) -> None:
    book = planned(tmp_path)
    book._db.execute("PRAGMA query_only=1")
    with pytest.raises(StorageError, match="disk full"):
        book.record_draft("r/1", CODE, Cost())
