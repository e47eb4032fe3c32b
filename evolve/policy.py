"""The loop's decisions as pure functions: same arguments, same answer."""

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from evolve.types import DRAFT, REFINE, Evaluation

EPSILON = 0.1
"""Share of starting points that are drawn by chance."""
STEPS = 10
"""Attempts of one trajectory (KernelBlaster's full budget is ten of them with ten steps each)."""
FINALISTS = 3
"""How many candidates of a task are re-measured before one is called best."""


class TaskState(NamedTuple):
    """What the schedule knows about one task."""

    id: str
    attempts: int
    """Planned so far, whether or not they have ended."""
    feasible: bool


class Plan(NamedTuple):
    """One attempt to be made."""

    task: str
    stage: str


def schedule(states: Sequence[TaskState], per_task: int, slots: int, *, refines: bool = True) -> list[Plan]:
    """The next round: up to `slots` attempts, tasks with the fewest attempts first, in the order given.

    A task drafts until it has a feasible candidate, then it `refines` (EvoKernel, stages 1 and 2).
    No task gets more than `per_task` attempts; an empty list ends the run.
    """
    counts = {state.id: state.attempts for state in states}
    stages = {state.id: REFINE if refines and state.feasible else DRAFT for state in states}
    plans: list[Plan] = []
    while len(plans) < slots:
        open_tasks = [task for task, count in counts.items() if count < per_task]
        if not open_tasks:
            break
        task = min(open_tasks, key=lambda name: counts[name])
        counts[task] += 1
        plans.append(Plan(task, stages[task]))
    return plans


class Point(NamedTuple):
    """A feasible attempt that may be refined."""

    attempt: str
    value: float | None
    """Learnt value as a starting point (EvoKernel's Q2), higher is better; None: it never was one."""
    behind: float = 0.0
    """Its `Domain.gain` over the best; 0 for the best, mostly less for the others."""


def start_by_value(points: Sequence[Point], rng: Random) -> str | None:
    """Which attempt to refine: epsilon-greedy by value (EvoKernel, continual refining) less what it is behind the best.

    One that was never refined is believed to be worth as much as the most valuable, and no less than nothing: a new
    best is tried before what it came from. `points`: best score first.
    """
    if not points:
        return None
    if rng.random() < EPSILON:
        return rng.choice(points).attempt
    hope = max([0.0, *(point.value for point in points if point.value is not None)])

    def worth(point: Point) -> float:
        return (hope if point.value is None else point.value) + math.tanh(point.behind)

    return max(points, key=worth).attempt


def end_of_trajectory(course: Sequence[tuple[str, bool]], number: int, per_task: int) -> str | None:
    """What attempt `number` of a task, from 0, goes on from: the last feasible one of its trajectory (KernelBlaster).

    `course`: the task's attempts in order, and whether each is feasible. Trajectories take turns. None: at the seed.
    """
    trajectories = math.ceil(per_task / STEPS)
    own = course[number % trajectories : number : trajectories]
    return next((attempt for attempt, feasible in reversed(own) if feasible), None)


def improves(best: Evaluation | None, new: Evaluation) -> bool:
    """Whether `new` becomes the best: where it was measured, its whole interval must lie above the incumbent."""
    if new.score is None:
        return False
    if best is None or best.score is None:
        return True
    lower = new.interval[0] if new.interval else new.score
    return lower > best.score


def winner(finalists: Mapping[str, Evaluation]) -> str | None:
    """Which of the re-measured candidates is the best: the one whose score is surely the highest (lower bound)."""
    floors = {
        name: verdict.interval[0] if verdict.interval else verdict.score
        for name, verdict in finalists.items()
        if verdict.score is not None
    }
    return max(floors, key=lambda name: floors[name]) if floors else None


def reward(stage: str, gain: float | None) -> float:
    """What an attempt was worth to the experiences in front of its writer, in [-1, 1] (EvoKernel, section A.2-A.3).

    `gain` is that over the best before it (`Domain.gain`), None when the attempt is infeasible.
    Drafting: 1 for a feasible candidate. Refining: tanh of the gain. -1 for anything infeasible.
    """
    if gain is None:
        return -1.0
    return 1.0 if stage == DRAFT else math.tanh(gain)
