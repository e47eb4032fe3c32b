"""One attempt, step by step: recall → write → judge.

Each step finds in the journal what it had done before a crash and does not do it again. What breaks around the
candidate (model, sandbox, storage, plugin) is kept as the attempt's failure, not raised, so that its siblings finish.
"""

import time
from collections.abc import Callable

from agents.writer import UNCHANGED, Draft
from evolve.briefing import Briefing
from evolve.errors import BudgetExceededError, EvolveError, ModelError, PluginError
from evolve.journal import Planned
from evolve.parts import Parts, Step
from evolve.types import Candidate, Evaluation, Profile, Recalled, Task

SILENT_MODEL = "no answer of the model"
SILENT_ATTEMPTS = 3
"""So many attempts in a row without an answer mean that the model is gone."""


class Attempts:
    """The steps, shared by all attempts of a run. Safe from several threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._briefing = Briefing(parts)
        self.failures: dict[str, EvolveError] = {}
        """What broke around an attempt, by its id, since this process took up the run."""

    def recall(self, attempt: str) -> bool:
        """False when the attempt cannot go on; so do the other steps."""
        return self._guarded(attempt, self._recall)

    def write(self, attempt: str) -> bool:
        return self._guarded(attempt, self._write)

    def judge(self, attempt: str) -> bool:
        return self._guarded(attempt, self._judge)

    def evaluate(self, task: Task, candidate: Candidate, *, fresh: bool = False) -> Evaluation:
        """The domain's verdict. Raises PluginError for whatever a domain should not have raised."""
        try:
            return self._parts.domain_of(task.id).evaluate(task, candidate, self._parts.sandbox, fresh=fresh)
        except EvolveError:
            raise
        except Exception as error:  # the boundary to a plugin
            raise PluginError(
                f"the domain {task.domain!r} broke while judging a candidate for {task.id}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _recall(self, plan: Planned) -> None:
        self._parts.listen(Step("recall", plan))
        self._recalled(plan)

    def _recalled(self, plan: Planned) -> list[Recalled]:
        """The same attempt is given the same experiences however often it asks: the receipt is in the bank."""
        if not self._parts.strategy.memory or self._asks_for_the_seed(plan):
            return []
        parent = self._parts.journal.attempt(plan.parent) if plan.parent else None
        profile = parent.evaluation.profile if parent else Profile()
        return self._parts.memory.recall(
            attempt=plan.id,
            task=self._parts.tasks[plan.task],
            stage=plan.stage,
            state=profile.bottleneck,
            hardware=profile.hardware,
            rng=self._parts.rng(plan, "recall"),
            hold_out=self._parts.hold_out,
        )

    def _write(self, plan: Planned) -> None:
        journal = self._parts.journal
        if journal.draft(plan.id) is not None:
            return
        recalled = self._recalled(plan)
        self._parts.listen(Step("write", plan))
        draft = self._draft(plan, recalled)
        candidate = Candidate(
            files=draft.files,
            parent=plan.parent,
            stage=plan.stage,
            technique=draft.technique,
            recalled=tuple(item.experience.id for item in recalled),
        )
        unusable = Evaluation(feedback=f"nothing to judge: {draft.problem}") if draft.problem else None
        journal.record_draft(plan.id, candidate, draft.cost, verdict=unusable)

    def _asks_for_the_seed(self, plan: Planned) -> bool:
        """Whether this attempt is to find what the seed scores, where nobody knows: no run should end below it."""
        task = self._parts.tasks[plan.task]
        unknown = bool(task.files) and self._parts.domain_of(task.id).baseline(task) is None
        return unknown and self._parts.per_task > 1 and plan.position == self._parts.journal.first(task.id)

    def _draft(self, plan: Planned, recalled: list[Recalled]) -> Draft:
        if self._asks_for_the_seed(plan):
            return Draft(dict(self._parts.tasks[plan.task].files), UNCHANGED)
        try:
            brief = self._briefing.brief(plan, recalled)
            draft = self._parts.writer.write(brief)
            return draft._replace(cost=draft.cost + brief.advice.cost)
        except ModelError as error:
            if error.fatal or self._model_is_gone(plan):
                raise
            return Draft(files={}, technique="", problem=f"{SILENT_MODEL}: {error}")

    def _model_is_gone(self, plan: Planned) -> bool:
        before = self._parts.journal.first_of_round(plan.round)
        recent = self._parts.journal.recent_feedback(SILENT_ATTEMPTS - 1, before=before)
        return len(recent) == SILENT_ATTEMPTS - 1 and all(SILENT_MODEL in feedback for feedback in recent)

    def _judge(self, plan: Planned) -> None:
        journal = self._parts.journal
        candidate = journal.draft(plan.id)
        if candidate is None or journal.evaluation(plan.id) is not None:
            return
        there = journal.judged_before(plan.task, candidate.id, journal.first_of_round(plan.round))
        if there:
            first, verdict = there
            told = verdict.model_copy(update={"feedback": f"the same code as attempt {first}: {verdict.feedback}"})
            journal.record_evaluation(plan.id, told, seconds=0.0, repeat_of=first)
            return
        self._parts.listen(Step("judge", plan))
        started = time.monotonic()
        verdict = self.evaluate(self._parts.tasks[plan.task], candidate)
        seconds = time.monotonic() - started
        journal.record_evaluation(plan.id, self._inspected(plan, candidate, verdict), seconds=seconds)

    def _inspected(self, plan: Planned, candidate: Candidate, verdict: Evaluation) -> Evaluation:
        """The verdict, unless an inspector finds a cheat in what the judge accepted: it can only reject."""
        if self._parts.inspector is None or not verdict.feasible:
            return verdict
        try:
            finding = self._parts.inspector.inspect(plan.id, self._parts.tasks[plan.task], candidate)
        except (ModelError, BudgetExceededError) as error:
            if isinstance(error, ModelError) and error.fatal:
                raise
            self._parts.listen(Step("wait", plan, f"not inspected: {error}"))
            return verdict.model_copy(update={"metrics": {**verdict.metrics, "inspected": 0.0}})
        if not finding.rejected:
            return verdict.model_copy(update={"metrics": {**verdict.metrics, "inspected": 1.0}})
        gates = verdict.gates.model_copy(update={"authentic": False})
        said = f"rejected by the inspector: {finding.reason}\n{verdict.feedback}"
        return verdict.model_copy(update={"gates": gates, "score": None, "interval": None, "feedback": said})

    def _guarded(self, attempt: str, step: Callable[[Planned], None]) -> bool:
        try:
            step(self._parts.journal.planned(attempt))
        except EvolveError as error:
            self.failures[attempt] = error
            return False
        return True
