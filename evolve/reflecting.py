"""What a run makes of its own attempts now and then, with a model: guides rewritten, insights distilled.

Both are extras: a model that does not answer, or no room left in the budget, costs what would have been learnt and
nothing else.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from agents.plan import observation
from evolve.briefing import Briefing
from evolve.errors import BudgetExceededError, ModelError
from evolve.parts import Parts, Step
from evolve.types import Attempt
from knowledge.distil import steps

REVISE_EVERY = 3
"""Attempts with advice after which the guides of their states are rewritten (KernelBlaster's update frequency)."""
CURATED_AT_ONCE = 12
"""The newest attempts of a domain that insights are distilled from."""
REVISED = "revised"
"""What the journal notes: how many attempts had been learnt from when the last of those that rewrote guides was."""
CURATED = "curated"
"""What the journal notes: how many attempts had been learnt from when the last that was distilled was."""


class Reflection:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._briefing = Briefing(parts)

    def revise(self) -> None:
        """Apply the textual gradient: each state's guide is rewritten by what its advice has brought."""
        if self._parts.analyst is None or not self._parts.strategy.advises:
            return
        advised = [each for each in self._since(REVISED) if self._briefing.advice(each.id).state]
        if len(advised) < REVISE_EVERY:
            return
        groups: dict[tuple[str, str, str], list[Attempt]] = defaultdict(list)
        for attempt in advised:
            groups[self._place(attempt)].append(attempt)
        work = [partial(self._revise, place, attempts) for place, attempts in groups.items()]
        if self._within_budget("no guide was rewritten", work):
            self._note(REVISED, advised[-1])

    def _revise(self, place: tuple[str, str, str], attempts: Sequence[Attempt]) -> None:
        memory, newest = self._parts.memory, attempts[-1].id
        assert self._parts.analyst is not None
        seen = [observation(each, self._expected(each)) for each in attempts]
        revised = self._parts.analyst.revise(newest, memory.guide(*place), seen)
        memory.revise(revised.guide, f"textual gradient after {newest}")

    def curate(self) -> None:
        """Insights from the attempts since the last time, domain by domain."""
        if self._parts.curator is None or not self._parts.strategy.curates or not (fresh := self._since(CURATED)):
            return
        by_domain: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in fresh:
            by_domain[self._parts.tasks[attempt.task].domain].append(attempt)
        work = [partial(self._distil, domain, made[-CURATED_AT_ONCE:]) for domain, made in by_domain.items()]
        if self._within_budget("no insight was distilled", work):
            self._note(CURATED, fresh[-1])

    def _distil(self, domain: str, attempts: Sequence[Attempt]) -> None:
        assert self._parts.curator is not None
        insights = self._parts.memory.insights(hold_out=self._parts.hold_out)
        known = [each for each in insights if each.domain == domain]
        curated = self._parts.curator.distil(attempts[-1].id, domain, attempts, known)
        self._parts.memory.keep(curated.insights, run=self._parts.run)

    def _since(self, noted: str) -> list[Attempt]:
        """What was learnt from after the attempt that the journal notes; it may have been planned before that one."""
        return self._parts.journal.learned_since(int(self._parts.journal.fact(noted, "0")))

    def _note(self, what: str, last: Attempt) -> None:
        if (learnt := self._parts.journal.learnt(last.id)) is not None:
            self._parts.journal.record_fact(what, str(learnt.order))

    def _place(self, attempt: Attempt) -> tuple[str, str, str]:
        """The guide that the attempt bears on: domain, state, hardware."""
        parent = self._parts.journal.attempt(attempt.candidate.parent) if attempt.candidate.parent else None
        hardware = parent.evaluation.profile.hardware if parent else ""
        return self._parts.tasks[attempt.task].domain, self._briefing.advice(attempt.id).state, hardware

    def _expected(self, attempt: Attempt) -> float | None:
        """The weight of what was chosen for the attempt; None where it did something else."""
        advice = self._briefing.advice(attempt.id)
        if advice.chosen not in {attempt.candidate.technique, *steps(attempt.candidate.technique)}:
            return None
        return next((idea.weight for idea in advice.ideas if idea.technique == advice.chosen), None)

    def _within_budget(self, otherwise: str, work: Sequence[Callable[[], None]]) -> bool:
        """Do it; False where the budget ended it, to be done again once there is more."""
        for each in work:
            try:
                each()
            except BudgetExceededError as error:
                self._parts.listen(Step("wait", text=f"{otherwise}: {error}"))
                return False
            except ModelError as error:
                self._parts.listen(Step("wait", text=f"{otherwise}: {error}"))
        return True
