"""The loop's decisions."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from evolve.policy import (
    Plan,
    Point,
    TaskState,
    end_of_trajectory,
    improves,
    reward,
    schedule,
    start_by_value,
    winner,
)
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


def test_what_was_refined_in_vain_makes_room_for_others() -> None:
    points = [Point("best", -0.4), Point("second", 0.3), Point("third", 0.1)]
    chosen = [start_by_value(points, Random(seed)) for seed in range(500)]
    assert chosen.count("second") > 440
    assert chosen.count("best") > 0
    assert chosen.count("third") > 0


def test_a_new_best_is_refined_before_what_it_came_from() -> None:
    chosen = [start_by_value([Point("new", None), Point("old", 0.8)], Random(seed)) for seed in range(100)]
    assert chosen.count("new") > 85


def test_the_best_of_what_was_never_refined_comes_first() -> None:
    chosen = [
        start_by_value([Point("tried", -0.2), Point("better", None), Point("good", None)], Random(seed))
        for seed in range(100)
    ]
    assert chosen.count("better") > 85


def test_what_lies_far_behind_the_best_is_no_start_for_a_little_value() -> None:
    points = [Point("best", -0.1, 0.0), Point("close", 0.1, -0.05), Point("far", 0.4, -2.0)]
    chosen = [start_by_value(points, Random(seed)) for seed in range(200)]
    assert chosen.count("close") > 170


def test_there_is_no_start_where_nothing_is_feasible() -> None:
    assert start_by_value([], Random(1)) is None


def test_a_trajectory_goes_on_from_its_own_last_feasible_step() -> None:
    course = [("a1", True), ("b1", True), ("a2", False), ("b2", True)]
    assert end_of_trajectory(course, 4, per_task=20) == "a1"
    assert end_of_trajectory(course, 5, per_task=20) == "b2"


def test_a_trajectory_begins_at_the_seed() -> None:
    assert end_of_trajectory([("a1", True)], 1, per_task=20) is None
    assert end_of_trajectory([("a1", False), ("b1", True)], 2, per_task=20) is None


def test_a_small_budget_is_one_trajectory() -> None:
    assert end_of_trajectory([("1", True), ("2", True)], 2, per_task=10) == "2"


@given(states, st.integers(1, 12), st.integers(1, 20))
def test_who_does_not_refine_drafts_to_the_end(tasks: list[TaskState], per_task: int, slots: int) -> None:
    assert {plan.stage for plan in schedule(tasks, per_task, slots, refines=False)} <= {DRAFT}


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
