"""Which conversations a run may look at, choose on, and be measured on once.

Whole conversations, never questions of one: two questions about one conversation share what they are asked about.
"""

from collections.abc import Sequence
from typing import NamedTuple

from evolve.domains.memory.exam import Exam
from evolve.errors import UsageError
from evolve.meta.journal import Journal

REFLECT, SELECT = 0.3, 0.4
"""Shares; the rest is the sealed test."""
LEAST = 3


class Splits(NamedTuple):
    reflect: tuple[Exam, ...]
    """Seen by whatever designs, diagnoses and tunes."""
    select: tuple[Exam, ...]
    """Only its scores are seen: they decide who survives."""
    test: "Sealed"


class Sealed:
    """Exams that are opened once, for a winner that is already chosen."""

    def __init__(self, exams: Sequence[Exam], journal: Journal) -> None:
        self._exams = tuple(exams)
        self._journal = journal

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(exam.name for exam in self._exams)

    def open(self, winner: str) -> tuple[Exam, ...]:
        """Again only for the same winner, after an interruption. Raises UsageError for another."""
        opened = self._journal.fact("opened")
        if opened not in {"", winner}:
            raise UsageError(f"the sealed test was opened for {opened}; start another run to measure {winner}")
        self._journal.record_fact("opened", winner)
        return self._exams


def split(exams: Sequence[Exam], journal: Journal) -> Splits:
    """The first by name to reflect on, the next to select on, the last to test. Raises UsageError for too few."""
    check(exams)
    ranked = sorted(exams, key=lambda exam: exam.name)
    first = max(1, round(REFLECT * len(ranked)))
    second = min(len(ranked) - 1, first + max(1, round(SELECT * len(ranked))))
    return Splits(tuple(ranked[:first]), tuple(ranked[first:second]), Sealed(ranked[second:], journal))


def check(exams: Sequence[Exam]) -> None:
    if len(exams) < LEAST:
        raise UsageError(f"{len(exams)} conversation(s) cannot be split into three parts; give at least {LEAST}")
    if len({exam.name for exam in exams}) < len(exams):
        raise UsageError("two conversations have one name; they could not be told apart")
