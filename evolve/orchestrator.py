"""The loop as a LangGraph graph.

    START → schedule → attempt* → learn → schedule | reflect → confirm → END
    attempt: recall → write → judge

State holds ids and counters only. Nodes read and write the journal and the knowledge base, where every side effect
is keyed by its attempt: a node that runs again after a crash does nothing twice.
"""

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from evolve import policy
from evolve.attempt import Attempts
from evolve.briefing import Briefing
from evolve.errors import BudgetExceededError, EvolveError
from evolve.journal import Planned
from evolve.parts import Parts, Step
from evolve.reflecting import Reflection
from evolve.types import DRAFT, REFINE, Attempt, Task

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

REFLECT_EVERY = 8
"""Rounds between two reflections."""
REDESIGNED = "redesigned"
"""What the journal notes: attempts that had been made when a better memory architecture was last looked for."""
START_POINTS = 6
"""How many of a task's best candidates may be refined."""


def _merge(old: list[str] | None, new: list[str] | None) -> list[str]:
    """Fan-in of one round; None empties it, so that the state never grows over the rounds."""
    return [] if new is None else [*(old or []), *new]


class Position(TypedDict):
    """The loop's whole state."""

    round: int
    planned: list[str]
    failed: Annotated[list[str], _merge]


class Attempting(TypedDict):
    attempt: str
    failed: list[str]


class Outcome(TypedDict):
    failed: list[str]


class Orchestrator:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._attempts = Attempts(parts)
        self._briefing = Briefing(parts)
        self._reflection = Reflection(parts)
        self.stopped = ""
        """Why the run ended before its attempts were used up, in words; empty when they were."""

    @property
    def failure(self) -> EvolveError | None:
        """What halted the run; None when nothing did."""
        errors = self._attempts.failures.values()
        return next((error for error in errors if not isinstance(error, BudgetExceededError)), None)

    def graph(self, checkpointer: "BaseCheckpointSaver[str] | None" = None) -> "CompiledStateGraph[Any, Any, Any, Any]":
        from langgraph.graph import END, START, StateGraph

        loop = StateGraph(Position)
        loop.add_node("schedule", self.schedule)
        loop.add_node("attempt", self._attempt_graph())
        loop.add_node("learn", self.learn)
        loop.add_node("reflect", self.reflect)
        loop.add_node("confirm", self.confirm)
        loop.add_edge(START, "schedule")
        loop.add_conditional_edges("schedule", self.fan_out, ["attempt", "reflect"])
        loop.add_edge("attempt", "learn")
        loop.add_conditional_edges("learn", self.after_learning, ["schedule", "reflect", END])
        loop.add_conditional_edges("reflect", self.after_reflecting, ["schedule", "confirm"])
        loop.add_edge("confirm", END)
        return loop.compile(checkpointer=checkpointer)

    def _attempt_graph(self) -> "CompiledStateGraph[Any, Any, Any, Any]":
        from langgraph.graph import END, START, StateGraph

        attempt = StateGraph(Attempting, output_schema=Outcome)
        attempt.add_node("recall", self.recall)
        attempt.add_node("write", self.write)
        attempt.add_node("judge", self.judge)
        attempt.add_edge(START, "recall")
        attempt.add_conditional_edges("recall", _unless_failed("write"), ["write", END])
        attempt.add_conditional_edges("write", _unless_failed("judge"), ["judge", END])
        attempt.add_edge("judge", END)
        return attempt.compile()

    # --- nodes and edges of the loop

    def schedule(self, state: Position) -> dict[str, Any]:
        """Plan the next round; what a crash or a failure left unfinished comes first."""
        journal = self._parts.journal
        unfinished = journal.unlearned()
        if unfinished:
            return {"round": unfinished[-1].round, "planned": [plan.id for plan in unfinished], "failed": None}
        self.stopped = self.stopped or self._parts.budget.exhausted()
        if self.stopped:
            return {"round": state.get("round", 0), "planned": [], "failed": None}
        number = journal.rounds() + 1
        standings = [journal.standing(task) for task in self._parts.tasks]
        states = [policy.TaskState(at.task, at.planned, feasible=at.best is not None) for at in standings]
        refines = self._parts.strategy.refines
        plans = policy.schedule(states, self._parts.per_task, self._parts.parallel, refines=refines)
        planned = journal.plan(
            self._parts.run, number, self._started(plans, Random(f"{self._parts.seed}/round/{number}"))
        )
        self._parts.listen(Step("schedule"))
        return {"round": number, "planned": [plan.id for plan in planned], "failed": None}

    def _started(self, plans: Sequence[policy.Plan], rng: Random) -> list[tuple[str, str, str | None]]:
        """The plans as (task, stage, what is refined); a trajectory that begins at the seed drafts."""
        numbers = {plan.task: self._parts.journal.standing(plan.task).planned for plan in plans}
        wanted: list[tuple[str, str, str | None]] = []
        for plan in plans:
            parent = None if plan.stage == DRAFT else self._start(plan.task, numbers[plan.task], rng)
            wanted.append((plan.task, plan.stage if parent else DRAFT, parent))
            numbers[plan.task] += 1
        return wanted

    def _start(self, task: str, number: int, rng: Random) -> str | None:
        """What attempt `number` of the task, from 0, refines."""
        journal, rule = self._parts.journal, self._parts.strategy.start
        if rule == "trajectory":
            return policy.end_of_trajectory(journal.course(task), number, self._parts.per_task)
        ranked = journal.ranked(task, START_POINTS)
        if rule == "best":
            return ranked[0] if ranked else None
        values, scores = self._parts.memory.worth(ranked, REFINE), journal.scores(ranked)
        gain = self._parts.domain_of(task).gain
        points = [policy.Point(each, values.get(each), gain(scores[ranked[0]], scores[each])) for each in ranked]
        return policy.start_by_value(points, rng)

    def fan_out(self, state: Position) -> list[Any] | str:
        from langgraph.types import Send

        if not state["planned"]:
            return "reflect"
        return [Send("attempt", {"attempt": attempt, "failed": []}) for attempt in state["planned"]]

    def learn(self, state: Position) -> dict[str, Any]:
        """Credit, absorb and rank the round's attempts, in the order of their positions."""
        del state
        for plan in self._parts.journal.unlearned():
            attempt = self._parts.journal.attempt(plan.id)
            if attempt is not None:
                self._learn_from(plan, attempt)
        if self.failure is None:
            self._reflection.revise()
        self._parts.budget.save_clock()
        return {"planned": []}

    def _learn_from(self, plan: Planned, attempt: Attempt) -> None:
        journal, memory, task = self._parts.journal, self._parts.memory, self._parts.tasks[plan.task]
        best = journal.best(plan.task)
        parent = journal.attempt(plan.parent) if plan.parent else None
        seed = self._parts.domain_of(plan.task).baseline(task)
        gain = self._gain(task, parent.evaluation.score if parent else seed, attempt)
        over_best = self._gain(task, best.evaluation.score if best else None, attempt)
        reward = policy.reward(plan.stage, over_best)
        improved = policy.improves(best.evaluation if best else None, attempt.evaluation)
        learnt = attempt.model_copy(update={"gain": gain})
        if self._parts.strategy.memory:
            memory.credit(attempt=plan.id, stage=plan.stage, reward=reward, parent=plan.parent)
            state = self._briefing.advice(plan.id).state
            memory.absorb(task=task, attempt=learnt, parent=parent, baseline=seed, state=state)
            if (guide := self._briefing.founded(plan.id)) is not None:
                memory.found(guide, f"a state found by {plan.id}")
        journal.record_learned(plan.id, gain=gain, reward=reward, improved=improved)
        self._parts.listen(Step("learn", plan, "improved" if improved else ""))

    def _gain(self, task: Task, before: float | None, attempt: Attempt) -> float | None:
        """None when the attempt is infeasible, 0 when there was nothing before it."""
        score = attempt.evaluation.score
        if score is None:
            return None
        return 0.0 if before is None else self._parts.domain_of(task.id).gain(before, score)

    def after_learning(self, state: Position) -> str:
        """Halt on what no further attempt can mend."""
        from langgraph.graph import END

        if self.failure is not None:
            return END
        for attempt in state["failed"]:
            self.stopped = str(self._attempts.failures.get(attempt, ""))
        due = state["round"] % REFLECT_EVERY == 0 or self._redesign_is_due()
        return "reflect" if self.stopped or due else "schedule"

    def reflect(self, state: Position) -> dict[str, Any]:
        del state
        self._parts.listen(Step("reflect"))
        if self._parts.strategy.memory:
            self._parts.memory.reflect(run=self._parts.run)
            self._reflection.curate()
        if self._redesign_is_due():
            self._parts.listen(Step("reflect", text=f"memory architecture: {self._parts.redesign()}"))
            self._parts.journal.record_fact(REDESIGNED, str(self._planned()))
        return {"planned": []}

    def _redesign_is_due(self) -> bool:
        every = self._parts.redesign_every
        return every > 0 and self._planned() - int(self._parts.journal.fact(REDESIGNED, "0")) >= every

    def _planned(self) -> int:
        return sum(self._parts.journal.standing(task).planned for task in self._parts.tasks)

    def after_reflecting(self, state: Position) -> str:
        del state
        journal, per_task = self._parts.journal, self._parts.per_task
        attempts_left = any(journal.standing(task).planned < per_task for task in self._parts.tasks)
        return "schedule" if attempts_left and not self.stopped else "confirm"

    def confirm(self, state: Position) -> dict[str, Any]:
        """Re-measure each task's best in fresh sandboxes on fresh inputs: selection favours lucky timings."""
        del state
        for task in self._parts.tasks.values():
            for attempt in self._parts.journal.ranked(task.id, policy.FINALISTS):
                self._confirm(task, attempt)
        self._parts.budget.save_clock()
        return {"planned": []}

    def _confirm(self, task: Task, attempt: str) -> None:
        journal = self._parts.journal
        candidate = journal.draft(attempt)
        if journal.confirmation(attempt) is None and candidate is not None:
            self._parts.listen(Step("confirm", journal.planned(attempt)))
            journal.record_confirmation(attempt, self._attempts.evaluate(task, candidate, fresh=True))

    # --- nodes of one attempt

    def recall(self, state: Attempting) -> Outcome:
        return _outcome(state, ok=self._attempts.recall(state["attempt"]))

    def write(self, state: Attempting) -> Outcome:
        return _outcome(state, ok=self._attempts.write(state["attempt"]))

    def judge(self, state: Attempting) -> Outcome:
        return _outcome(state, ok=self._attempts.judge(state["attempt"]))


def _outcome(state: Attempting, *, ok: bool) -> Outcome:
    return {"failed": [] if ok else [state["attempt"]]}


def _unless_failed(next_node: str) -> Any:
    from langgraph.graph import END

    def route(state: Attempting) -> str:
        return END if state["failed"] else next_node

    return route
