"""Hard ceilings."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agents.model import ScriptedModel
from evolve.budget import Budget, Ceilings, MeteredModel
from evolve.errors import BudgetExceededError, UsageError
from evolve.journal import Journal
from evolve.types import Completion, Cost, Message, Prompt


def journal(folder: Path) -> Journal:
    book = Journal.open(folder / "journal.db", create=True)
    book.plan("r", 1, [("t", "draft", None)])
    return book


def prompt(turn: int = 0, tokens: int = 100) -> Prompt:
    return Prompt(key=f"r/1/coder/{turn}", messages=(Message(role="user", content="x" * 30),), max_tokens=tokens)


def reply(usd: float = 0.0) -> Completion:
    return Completion(text="ok", model="m", cost=Cost(prompt_tokens=10, completion_tokens=50, usd=usd))


@pytest.mark.parametrize("name", ["attempts", "minutes", "tokens", "usd"])
def test_a_budget_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"--{name} is 0.*above zero"):
        Ceilings.model_validate({"attempts": 1, name: 0}).validated()


def test_a_call_that_could_pass_the_ceiling_is_not_made(tmp_path: Path) -> None:
    budget = Budget(Ceilings(attempts=1, tokens=150), journal(tmp_path))
    with budget.reserve(prompt()):
        budget.settle(Cost(prompt_tokens=10, completion_tokens=50))
    with pytest.raises(BudgetExceededError, match="could use 110 tokens and 90 are left"), budget.reserve(prompt()):
        pass


def test_a_call_without_room_beside_those_in_flight_waits_for_what_they_leave(tmp_path: Path) -> None:
    book = journal(tmp_path)
    begun, answered = threading.Semaphore(0), threading.Event()

    def slow(_asked: Prompt) -> Completion:
        begun.release()
        answered.wait(30)
        return reply()

    metered = MeteredModel(ScriptedModel(slow), book, Budget(Ceilings(attempts=1, tokens=200), book))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(metered.complete, prompt(0))
        begun.acquire()
        second = pool.submit(metered.complete, prompt(1))
        assert not begun.acquire(timeout=0.2)
        answered.set()
        assert (first.result(), second.result()) == (reply(), reply())
    with pytest.raises(BudgetExceededError, match="80 are left"):
        metered.complete(prompt(2))


def test_who_did_not_keep_to_the_limit_is_believed_to_do_so_again(tmp_path: Path) -> None:
    budget = Budget(Ceilings(attempts=1, tokens=1_000), journal(tmp_path))
    with budget.reserve(prompt()):
        budget.settle(Cost(prompt_tokens=10, completion_tokens=600))
    with pytest.raises(BudgetExceededError, match="could use 610 tokens and 390 are left"), budget.reserve(prompt()):
        pass


def test_what_several_calls_in_flight_have_lost_counts_together(tmp_path: Path) -> None:
    budget = Budget(Ceilings(attempts=1, tokens=300), journal(tmp_path))
    with budget.reserve(prompt(0)), budget.reserve(prompt(1)):
        assert not budget.short_of(prompt(0).key, Cost(completion_tokens=50))
        assert budget.short_of(prompt(1).key, Cost(completion_tokens=50))
    with budget.reserve(prompt(0)):
        assert not budget.short_of(prompt(0).key, Cost(completion_tokens=150))


def test_an_answered_call_is_never_paid_again(tmp_path: Path) -> None:
    book = journal(tmp_path)
    model = ScriptedModel([reply(), reply()])
    metered = MeteredModel(model, book, Budget(Ceilings(attempts=1), book))
    assert metered.complete(prompt()) == metered.complete(prompt())
    assert len(model.prompts) == 1
    assert book.spent().completion_tokens == 50


def test_the_dearest_call_so_far_is_what_the_next_one_may_cost(tmp_path: Path) -> None:
    book = journal(tmp_path)
    metered = MeteredModel(ScriptedModel([reply(0.6), reply(0.6)]), book, Budget(Ceilings(attempts=1, usd=1.0), book))
    metered.complete(prompt(0))
    with pytest.raises(BudgetExceededError, match="1 dollars"):
        metered.complete(prompt(1))


def test_time_and_money_spent_before_a_resumption_count(tmp_path: Path) -> None:
    book = journal(tmp_path)
    now = [0.0]
    first = Budget(Ceilings(attempts=1, minutes=1), book, clock=lambda: now[0])
    now[0] = 45.0
    first.save_clock()
    book.record_call(prompt(), reply(0.5))
    second = Budget(Ceilings(attempts=1, minutes=1, usd=0.5), book, clock=lambda: now[0])
    assert second.seconds == 45.0
    assert "dollars" in second.exhausted()
    now[0] = 61.0
    assert "minutes" in second.exhausted()
