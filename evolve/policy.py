"""The loop's decisions as pure functions: same arguments, same answer."""

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from evolve.types import DRAFT, REFINE, Evaluation

GREEDY = 0.7
"""Share of refining attempts that start from the best candidate; the others keep the search diverse."""

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


def schedule(states: Sequence[TaskState], per_task: int, slots: int) -> list[Plan]:
    """The next round: up to `slots` attempts, tasks with the fewest attempts first, in the order given.

    A task drafts until it has a feasible candidate, then it refines (EvoKernel, stages 1 and 2).
    No task gets more than `per_task` attempts; an empty list ends the run.
    """
    counts = {state.id: state.attempts for state in states}
    stages = {state.id: REFINE if state.feasible else DRAFT for state in states}
    plans: list[Plan] = []
    while len(plans) < slots:
        open_tasks = [task for task, count in counts.items() if count < per_task]
        if not open_tasks:
            break
        task = min(open_tasks, key=lambda name: counts[name])
        counts[task] += 1
        plans.append(Plan(task, stages[task]))
    return plans


def choose_parent(ranked: Sequence[str], rng: Random) -> str | None:
    """Which feasible attempt to refine. `ranked` is best first; None when there is none.

    The best one mostly, else one of the others with a weight that halves per rank.
    """
    if not ranked:
        return None
    if len(ranked) == 1 or rng.random() < GREEDY:
        return ranked[0]
    others = ranked[1:]
    return rng.choices(others, weights=[0.5**rank for rank in range(len(others))])[0]


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
