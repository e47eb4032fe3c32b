"""Several models in one run: which one is asked, why, and what happens when one is gone."""

import json
import random
from pathlib import Path

import pytest

from agents.coder import Coder
from agents.model import ScriptedModel
from agents.portfolio import FirstLeft, Portfolio
from agents.writer import Brief, Draft
from evolve.bandit import Arm, choose, worth
from evolve.budget import Budget, Ceilings, MeteredModel
from evolve.errors import ModelError
from evolve.journal import Journal
from evolve.types import DRAFT, REFINE, Candidate, Completion, Cost, Evaluation, Message, Prompt, Task

TASK = Task(id="toy/a", domain="toy", prompt="Write a large even number.", files={"x.txt": "2"})


class Pen:
    """A writer that fails as it is told to."""

    def __init__(self, name: str, failure: ModelError | None = None) -> None:
        self.name = name
        self.failure = failure
        self.asked = 0

    def write(self, brief: Brief) -> Draft:
        self.asked += 1
        if self.failure:
            raise self.failure
        return Draft(files={"x.txt": f"{brief.attempt} by {self.name}"}, technique="")


def brief(attempt: str, stage: str = DRAFT) -> Brief:
    return Brief(attempt, TASK, stage, None, None, (), frozenset(), random.Random(attempt))


def journal(folder: Path) -> Journal:
    return Journal.open(folder / "journal.db", create=True)


def learn(book: Journal, attempt: str, model: str, reward: float, *, usd: float = 0.01, known: bool = True) -> None:
    """The attempt has run its whole course."""
    book.record_fact(f"model/{attempt}", json.dumps({"model": model, "why": "a test"}))
    cost = Cost(prompt_tokens=100, completion_tokens=100, usd=usd, usd_known=known)
    book.record_call(Prompt(key=f"{attempt}/coder/1", messages=()), Completion(text="x", model=model, cost=cost))
    book.record_draft(attempt, Candidate(files={"x.txt": attempt}), cost, verdict=Evaluation())
    book.record_learned(attempt, gain=None, reward=reward, improved=False)


def recorded(book: Journal, attempt: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(book.fact(f"model/{attempt}"))
    return found


# -- the choice


def test_every_model_is_tried_before_any_is_preferred() -> None:
    arms = [Arm("a", 1, 1.0, 0.01, 100), Arm("b"), Arm("c")]
    rng = random.Random(0)
    assert choose(arms, rng).model == "b"
    assert choose(arms, rng, ahead=1).model == "c"
    assert "not tried" in choose(arms, rng).why


def test_a_round_of_attempts_at_the_start_is_shared_out_among_the_models() -> None:
    arms = [Arm("a"), Arm("b"), Arm("c")]
    chosen = [choose(arms, random.Random(n), ahead=n).model for n in range(3)]
    assert chosen == ["a", "b", "c"]


def test_the_model_that_brings_more_for_the_same_price_is_preferred() -> None:
    arms = [Arm("good", 20, 16, 0.2, 100), Arm("poor", 20, 2, 0.2, 100)]
    choice = choose(arms, random.Random(0))
    assert choice.model == "good"
    assert "per dollar" in choice.why
    assert "mean 0.80 of 20" in choice.why


def test_a_cheap_model_that_brings_half_as_much_is_preferred_to_one_ten_times_as_dear() -> None:
    arms = [Arm("dear", 20, 16, 2.0, 100), Arm("cheap", 20, 8, 0.2, 100)]
    assert choose(arms, random.Random(0)).model == "cheap"


def test_a_cheap_model_that_brings_nothing_is_left_after_some_tries() -> None:
    arms = {"dear": Arm("dear"), "cheap": Arm("cheap")}
    order = []
    for n in range(60):
        name = choose(list(arms.values()), random.Random(n)).model
        order.append(name)
        arm, usd = arms[name], 0.1 if name == "dear" else 0.01
        reward = 0.6 if name == "dear" else 0.0
        arms[name] = arm._replace(attempts=arm.attempts + 1, reward=arm.reward + reward, usd=arm.usd + usd)
    assert order[-20:].count("dear") >= 15
    assert order.count("cheap") < 30


def test_without_a_price_models_are_compared_by_tokens_and_the_reason_says_so() -> None:
    arms = [Arm("a", 10, 5, 0.0, 50_000, priced=False), Arm("b", 10, 5, 0.1, 5_000)]
    choice = choose(arms, random.Random(0))
    assert choice.model == "b"
    assert "per token (the price of a is unknown)" in choice.why


def test_equals_are_decided_by_the_generator_alone() -> None:
    arms = [Arm("a", 5, 2, 0.1, 100), Arm("b", 5, 2, 0.1, 100)]
    assert {choose(arms, random.Random(seed)).model for seed in range(20)} == {"a", "b"}
    assert len({choose(arms, random.Random(3)) for _ in range(5)}) == 1


def test_what_is_wrong_is_worth_nothing_and_no_loss_can_be_bought_back() -> None:
    assert [worth(reward) for reward in (-1.0, -0.2, 0.0, 0.4, 1.0)] == [0.0, 0.0, 0.0, 0.4, 1.0]


# -- the writer


def test_the_choice_and_its_reason_are_in_the_journal_before_anybody_is_asked(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.plan("r", 1, [("toy/a", DRAFT, None)])
    seen = []

    class Watching(Pen):
        def write(self, brief: Brief) -> Draft:
            seen.append(recorded(book, brief.attempt))
            return super().write(brief)

    Portfolio([Watching("a"), Pen("b")], book, print).write(brief("r/1"))
    assert seen == [{"model": "a", "why": "not tried at this stage yet"}]


def test_a_resumed_attempt_is_written_by_the_model_it_was_given_to(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.plan("r", 1, [("toy/a", DRAFT, None)])
    book.record_fact("model/r/1", json.dumps({"model": "b", "why": "it was so"}))
    assert Portfolio([Pen("a"), Pen("b")], book, print).write(brief("r/1")).files == {"x.txt": "r/1 by b"}
    assert recorded(book, "r/1")["why"] == "it was so"


def test_only_earlier_rounds_count_so_that_a_replay_chooses_the_same(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.plan("r", 1, [("toy/a", DRAFT, None)] * 4)
    for position in range(1, 5):
        learn(book, f"r/{position}", "ab"[position % 2], reward=1.0 if position % 2 else -1.0)
    book.plan("r", 2, [("toy/a", DRAFT, None)] * 2)
    first = Portfolio([Pen("a"), Pen("b")], book, print)
    first.write(brief("r/6"))
    before = recorded(book, "r/6")
    learn(book, "r/5", "a", reward=1.0)
    book.record_fact("model/r/6", "")
    Portfolio([Pen("a"), Pen("b")], book, print).write(brief("r/6"))
    assert recorded(book, "r/6") == before
    assert "mean 1.00 of 2" in before["why"]


def test_what_pays_is_learnt_for_each_stage_by_itself(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.plan("r", 1, [("toy/a", DRAFT, None)] * 2)
    learn(book, "r/1", "a", reward=1.0)
    learn(book, "r/2", "b", reward=-1.0)
    book.plan("r", 2, [("toy/a", REFINE, "r/1")])
    Portfolio([Pen("a"), Pen("b")], book, print).write(brief("r/3", REFINE))
    assert recorded(book, "r/3") == {"model": "a", "why": "not tried at this stage yet"}


def test_a_model_that_is_gone_is_told_once_and_the_run_goes_on_with_the_others(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.plan("r", 1, [("toy/a", DRAFT, None)] * 3)
    gone, told = Pen("a", ModelError("a: wrong key")), list[str]()
    writer = Portfolio([gone, Pen("b"), Pen("c")], book, told.append)
    assert writer.write(brief("r/1")).files == {"x.txt": "r/1 by b"}
    assert recorded(book, "r/1")["why"].startswith("instead of a, which failed (a: wrong key)")
    writer.write(brief("r/2"))
    writer.write(brief("r/3"))
    assert gone.asked == 1
    assert told == ["a: wrong key; the run goes on with b, c"]


def test_when_all_models_are_gone_the_last_ones_words_end_the_run(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.plan("r", 1, [("toy/a", DRAFT, None)] * 2)
    writer = Portfolio([Pen("a", ModelError("a: wrong key")), Pen("b", ModelError("b: no such model"))], book, print)
    for attempt in ("r/1", "r/2"):
        with pytest.raises(ModelError, match="b: no such model") as failure:
            writer.write(brief(attempt))
        assert failure.value.fatal


def test_a_failure_that_may_pass_costs_the_attempt_and_not_the_model(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.plan("r", 1, [("toy/a", DRAFT, None)])
    pen = Pen("a", ModelError("overloaded", fatal=False))
    writer = Portfolio([pen, Pen("b")], book, print)
    for _ in range(2):
        with pytest.raises(ModelError, match="overloaded"):
            writer.write(brief("r/1"))
    assert pen.asked == 2


def test_what_a_failed_model_had_answered_is_not_asked_again(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.plan("r", 1, [("toy/a", DRAFT, None)])
    budget = Budget(Ceilings(attempts=1), book)
    good = "technique: more\n```\n40\n```\n"
    first = ScriptedModel(["no program at all", ModelError("the quota is used up")], name="first")
    second = ScriptedModel([good], name="second")
    writers = [Coder(MeteredModel(model, book, budget)) for model in (first, second)]
    draft = Portfolio(writers, book, print).write(brief("r/1"))
    assert draft.files == {"x.txt": "40\n"}
    assert [prompt.key for prompt in second.prompts] == ["r/1/coder/2"]


def test_a_role_falls_back_on_the_next_model_when_the_first_is_gone() -> None:
    gone = ScriptedModel([ModelError("401: wrong key")] * 2, name="gone")
    model = FirstLeft([gone, ScriptedModel(["yes", "again"])])
    prompt = Prompt(key="r/1/analyst/1", messages=(Message(role="user", content="?"),))
    assert [model.complete(prompt).text for _ in range(2)] == ["yes", "again"]


def test_a_role_waits_for_a_model_that_may_be_there_again() -> None:
    busy = ScriptedModel([ModelError("529: overloaded", fatal=False)])
    with pytest.raises(ModelError, match="overloaded"):
        FirstLeft([busy, ScriptedModel(["never asked"])]).complete(Prompt(key="k", messages=()))
