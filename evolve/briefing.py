"""What the writer of an attempt is told: from the journal, the knowledge base, the lore of the target, the analyst.

Nothing is read that an attempt of the same round may have written meanwhile: what is written does not depend on who
was quicker.
"""

from pydantic import TypeAdapter

from agents.advice import Advice
from agents.plan import Case, founded, from_statistics, select
from agents.writer import Brief
from evolve.errors import ModelError
from evolve.journal import Planned
from evolve.parts import Parts
from evolve.types import Attempt, Recalled
from knowledge.guides import Guide
from knowledge.lore import Passage

ADVICE = "advice/"
"""Prefix of what the journal notes: the advice given for an attempt."""
FOUNDED = "founded/"
"""Prefix of what the journal notes: the guide of a state that an attempt's analyst found; learnt from in its turn."""
_ADVICE = TypeAdapter(Advice)


class Briefing:
    """Safe from several threads. Raises what no other answer of a model mends, and BudgetExceededError."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def brief(self, plan: Planned, recalled: list[Recalled]) -> Brief:
        journal, strategy = self._parts.journal, self._parts.strategy
        before = journal.first_of_round(plan.round)
        brief = Brief(
            attempt=plan.id,
            task=self._parts.tasks[plan.task],
            stage=plan.stage,
            parent=journal.attempt(plan.parent) if plan.parent else None,
            last=journal.last(plan.task, before) if strategy.hears else None,
            recalled=recalled,
            tried=journal.tried(plan.task, before) if strategy.hears else frozenset(),
            rng=self._parts.rng(plan, "write"),
            children=journal.children(plan.parent, before) if plan.parent and strategy.memory else (),
        )
        return brief._replace(lore=self._lore(brief), advice=self._advice(plan, brief))

    def advice(self, attempt: str) -> Advice:
        """What was given for an attempt; empty where nothing was."""
        noted = self._parts.journal.fact(f"{ADVICE}{attempt}")
        return _ADVICE.validate_json(noted) if noted else Advice()

    def founded(self, attempt: str) -> Guide | None:
        """The guide of a bottleneck that nobody had named before the attempt's analyst did."""
        noted = self._parts.journal.fact(f"{FOUNDED}{attempt}")
        return Guide.model_validate_json(noted) if noted else None

    def _lore(self, brief: Brief) -> list[Passage]:
        lore = self._parts.lore(brief.task.domain)
        if lore is None:
            return []
        code = brief.parent.candidate.files if brief.parent else brief.task.files
        seen = {f"recalled {number}": item.experience.payload for number, item in enumerate(brief.recalled)}
        return lore.look_up({**code, **seen}, _asked(brief))

    def _advice(self, plan: Planned, brief: Brief) -> Advice:
        if not self._parts.strategy.advises or brief.parent is None:
            return Advice()
        if self._parts.journal.fact(f"{ADVICE}{plan.id}"):
            return self.advice(plan.id)
        advice = self._advised(plan, self._case(brief, brief.parent))
        self._parts.journal.record_fact(f"{ADVICE}{plan.id}", _ADVICE.dump_json(advice).decode())
        return advice

    def _advised(self, plan: Planned, case: Case) -> Advice:
        """By the analyst; from the statistics where there is none, or none that answers: no attempt is lost by that."""
        rng = self._parts.rng(plan, "advice")
        if self._parts.analyst is None:
            return from_statistics(case, rng)
        try:
            advice = self._parts.analyst.advise(plan.id, case)
        except ModelError as error:
            if error.fatal:
                raise
            return from_statistics(case, rng)
        if (guide := founded(case, advice)) is not None:
            self._parts.journal.record_fact(f"{FOUNDED}{plan.id}", guide.model_dump_json())
        return select(advice, rng)

    def _case(self, brief: Brief, parent: Attempt) -> Case:
        memory, domain = self._parts.memory, brief.task.domain
        hardware = parent.evaluation.profile.hardware
        counsel = memory.counsel(domain, hardware, hold_out=self._parts.hold_out)
        names = memory.techniques(domain, hold_out=self._parts.hold_out)
        return Case(brief.task, parent, brief.children, counsel, names)


def _asked(brief: Brief) -> str:
    """What is looked up in the lore, the narrowest first: what was measured and said, then what the task is."""
    heard = [each.evaluation for each in (brief.parent, brief.last) if each]
    measured = [f"{verdict.profile.bottleneck} {verdict.profile.evidence} {verdict.feedback}" for verdict in heard]
    return "\n".join([*measured, brief.task.prompt.partition("Rules:")[0]])
