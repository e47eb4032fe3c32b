"""Designs are judged on exams: each pair once, whatever happens to the run in between, and within its time."""

import json
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from evolve.budget import Budget
from evolve.domains.memory.exam import Exam
from evolve.domains.memory.grading import Grades
from evolve.errors import BudgetExceededError
from evolve.meta.journal import Failed, Journal
from evolve.types import Cost
from knowledge.architecture import DesignError, named
from knowledge.design import Design

Judge: TypeAlias = Callable[[Design, Sequence[Exam]], list[Grades]]
"""Raises DesignError for what the design did wrong. Safe from several threads."""
USED_UP = "the minutes of this run are used up"


class Judges(NamedTuple):
    trusted: Judge
    """For what is made of shipped programs alone."""
    confined: Judge
    """For everything else."""
    gated: Judge
    """As `confined`, and it refuses what does not keep to the protocol or answers otherwise when asked again: for the
    first exam of a module, and for whoever is to win."""


class Evaluator:
    """Raises BudgetExceededError for an evaluation that would begin after the last minute, and after `stop`."""

    def __init__(self, judges: Judges, journal: Journal, budget: Budget) -> None:
        self._judges = judges
        self._journal = journal
        self._budget = budget
        self._stopped = threading.Event()

    @property
    def seconds(self) -> float:
        """Worked so far, over all resumptions."""
        return self._budget.seconds

    @property
    def spent(self) -> Cost:
        """On models, over all resumptions."""
        return self._budget.spent

    @property
    def out_of_time(self) -> bool:
        return self._budget.seconds_left() == 0

    def save_clock(self) -> None:
        self._budget.save_clock()

    def stop(self) -> None:
        """Let those that wait for their turn end."""
        self._stopped.set()

    def grades(
        self, design: Design, exams: Sequence[Exam], *, trusted: bool, late: bool = False
    ) -> list[Grades] | Failed:
        """The first failure ends it. `late`: though the time is up, such as what a report needs."""
        found: list[Grades] = []
        for exam in exams:
            verdict = self._journal.verdict(digest(design), exam.name)
            if verdict is None:
                verdict = self._first(design, exam, trusted=trusted, late=late)
            if isinstance(verdict, Failed):
                return verdict
            found.append(verdict)
        return found

    def confirmed(self, design: Design, exam: Exam) -> Grades | Failed:
        """Through the gates, whoever made it and whatever it has shown before; whatever the time."""
        known = self._journal.verdict(digest(design), f"{exam.name}, confirmed")
        return known or self._judged(self._judges.gated, design, exam, f"{exam.name}, confirmed")

    def _first(self, design: Design, exam: Exam, *, trusted: bool, late: bool) -> Grades | Failed:
        if self._stopped.is_set() or (self.out_of_time and not late):
            raise BudgetExceededError(USED_UP)
        if trusted:
            return self._judged(self._judges.trusted, design, exam, exam.name)
        passed = f"passed {named(design.source)}"  # a step of its numbers is the same program
        if self._journal.fact(passed):
            return self._judged(self._judges.confined, design, exam, exam.name)
        verdict = self._judged(self._judges.gated, design, exam, exam.name)
        if not isinstance(verdict, Failed):
            self._journal.record_fact(passed, design.name)
        return verdict

    def _judged(self, judge: Judge, design: Design, exam: Exam, told: str) -> Grades | Failed:
        verdict: Grades | Failed
        try:
            [verdict] = judge(design, [exam])
        except DesignError as fault:
            verdict = Failed(fault.method, fault.reason)
        self._journal.record_verdict(digest(design), told, verdict)
        self.save_clock()
        return verdict


def digest(design: Design) -> str:
    """The same for what behaves the same: by text and parameters, not by name."""
    return named(design.source, json.dumps(dict(design.params), sort_keys=True))
