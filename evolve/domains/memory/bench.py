"""Many architectures sit the same exams, and a stream in which things change: one row of a table for each."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from typing import Any, NamedTuple

from evolve.domains.memory.answers import recalled
from evolve.domains.memory.confined import sit_confined
from evolve.domains.memory.exam import Exam, Sitting
from evolve.domains.memory.grading import Grades, grade, scores
from evolve.domains.memory.workers import all_alive, pool_of_workers, sat
from evolve.types import Sandbox
from knowledge.architecture import DesignError
from knowledge.design import Design


class Judged(NamedTuple):
    """One architecture in one exam."""

    grades: Grades
    recalled: tuple[str, ...]
    """For those questions that a model is to answer."""


class Row(NamedTuple):
    """One architecture in all exams."""

    name: str
    judged: tuple[Judged, ...] = ()
    rewrites: Grades | None = None
    failed: str = ""
    """Why there is nothing else."""

    @property
    def scores(self) -> dict[str, Any]:
        """As `grading.scores` of the exams, with the `stale_rate` of the stream in which things change."""
        stale = scores([self.rewrites])["stale_rate"] if self.rewrites else None
        return scores([one.grades for one in self.judged]) | {"stale_rate": stale}


class Sheet(NamedTuple):
    """What all of them are asked."""

    exams: Sequence[Exam]
    rewrites: Exam
    drawn: Sequence[Sequence[int]]
    """For each exam the numbers of the questions that a model is to answer."""

    @property
    def parts(self) -> list[tuple[Exam, Sequence[int]]]:
        return [*zip(self.exams, self.drawn, strict=True), (self.rewrites, ())]


def confined(design: Design, sheet: Sheet, sandbox: Sandbox) -> Row:
    """For an architecture that need not be trusted. SandboxError passes through."""
    try:
        sittings = sit_confined(design, [exam for exam, _ in sheet.parts], sandbox)
    except DesignError as fault:
        return Row(design.name, failed=str(fault))
    return _row(
        design.name,
        [_judged(exam, sitting, drawn) for (exam, drawn), sitting in zip(sheet.parts, sittings, strict=True)],
    )


def bench(
    designs: Sequence[Design], sheet: Sheet, *, seed: int = 0, listen: Callable[[Row], None] = lambda _row: None
) -> list[Row]:
    """A row for each, in their order. They run in processes of their own, but unconfined: only for trusted modules.

    `listen` is told each row when it is complete. Raises InfrastructureError where such a process is killed.
    """
    with pool_of_workers([exam for exam, _ in sheet.parts]) as pool, all_alive():
        jobs = [
            [pool.submit(_sat, design, exam.name, drawn, seed) for exam, drawn in sheet.parts] for design in designs
        ]
        return _gathered(designs, jobs, listen)


def _gathered(
    designs: Sequence[Design], jobs: "Sequence[Sequence[Future[Judged]]]", listen: Callable[[Row], None]
) -> list[Row]:
    rows: dict[int, Row] = {}
    whose = {job: number for number, some in enumerate(jobs) for job in some}
    for job in as_completed(whose):
        number = whose[job]
        if number not in rows and (row := _finished(designs[number].name, jobs[number])):
            rows[number] = row
            listen(row)
    return [rows[number] for number in range(len(designs))]


def _finished(name: str, jobs: Sequence["Future[Judged]"]) -> Row | None:
    """The row, once all exams have been sat or one has failed."""
    try:
        done = [job.result() for job in jobs if job.done() and not job.cancelled()]
    except DesignError as fault:
        for job in jobs:
            job.cancel()
        return Row(name, failed=str(fault))
    return _row(name, done) if len(done) == len(jobs) else None


def _row(name: str, judged: Sequence[Judged]) -> Row:
    return Row(name, tuple(judged[:-1]), judged[-1].grades)


def _sat(design: Design, exam: str, drawn: Sequence[int], seed: int) -> Judged:
    return _judged(*sat(design, exam, seed), drawn)


def _judged(exam: Exam, sitting: Sitting, drawn: Sequence[int]) -> Judged:
    return Judged(grade(exam, sitting), tuple(recalled(sitting, place) for place in drawn))
