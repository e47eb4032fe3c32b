"""The loop's decisions."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from evolve.policy import Plan, TaskState, choose_parent, improves, reward, schedule, winner
from evolve.types import DRAFT, REFINE, Evaluation

states = st.lists(
    st.builds(TaskState, id=st.text("abc", min_size=1), attempts=st.integers(0, 9), feasible=st.booleans()),
    unique_by=lambda state: state.id,
)


def test_a_task_drafts_until_it_has_something_feasible_and_then_refines() -> None:
    plans = schedule([TaskState("a", 3, feasible=False), TaskState("b", 3, feasible=True)], per_task=9, slots=2)
    assert plans == [Plan("a", DRAFT), Plan("b", REFINE)]


@given(states, st.integers(1, 12), st.integers(0, 20))
def test_no_task_gets_more_than_its_attempts_and_no_slot_is_wasted(
    tasks: list[TaskState], per_task: int, slots: int
) -> None:
    plans = schedule(tasks, per_task, slots)
    room = sum(max(0, per_task - task.attempts) for task in tasks)
    assert len(plans) == min(slots, room)
    for task in tasks:
        got = sum(plan.task == task.id for plan in plans)
        assert got == 0 or task.attempts + got <= per_task


@given(states, st.integers(1, 12), st.integers(1, 20))
def test_the_task_with_the_fewest_attempts_comes_first(tasks: list[TaskState], per_task: int, slots: int) -> None:
    plans = schedule(tasks, per_task, slots)
    if plans:
        fewest = min(task.attempts for task in tasks)
        assert next(task.attempts for task in tasks if task.id == plans[0].task) == fewest


def test_the_best_candidate_is_refined_mostly_and_the_others_sometimes() -> None:
    rng = Random(1)
    chosen = [choose_parent(["best", "second", "third"], rng) for _ in range(2_000)]
    assert 0.65 < chosen.count("best") / 2_000 < 0.75
    assert chosen.count("second") > chosen.count("third") > 0


def test_there_is_no_parent_where_nothing_is_feasible() -> None:
    assert choose_parent([], Random(1)) is None


def test_an_improvement_needs_its_whole_interval_above_the_incumbent() -> None:
    best = Evaluation(score=2.0, interval=(1.9, 2.1))
    assert not improves(best, Evaluation(score=2.2, interval=(1.95, 2.4)))
    assert improves(best, Evaluation(score=2.2, interval=(2.05, 2.4)))
    assert not improves(best, Evaluation())
    assert improves(None, Evaluation(score=0.5, interval=(0.4, 0.6)))
    assert improves(best, Evaluation(score=2.01))


def test_rewards_are_those_of_the_paper() -> None:
    assert reward(DRAFT, 0.0) == 1.0
    assert reward(DRAFT, None) == reward(REFINE, None) == -1.0
    assert abs(reward(REFINE, 0.6931471805599453) - 0.6) < 1e-12  # tanh(ln 2) = 3/5
    assert reward(REFINE, -0.6931471805599453) < 0


def test_the_winner_is_the_finalist_whose_score_is_surely_the_highest() -> None:
    lucky = Evaluation(score=9.0, interval=(2.0, 20.0))
    steady = Evaluation(score=5.0, interval=(4.8, 5.1))
    assert winner({"lucky": lucky, "steady": steady, "refuted": Evaluation()}) == "steady"
    assert winner({"refuted": Evaluation()}) is None
    assert winner({}) is None
