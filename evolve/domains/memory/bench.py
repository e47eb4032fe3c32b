"""Many architectures sit the same exams, and a stream in which things change: one row of a table for each."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from evolve.domains.memory.answers import recalled
from evolve.domains.memory.confined import sit_confined
from evolve.domains.memory.exam import Exam, Sitting
from evolve.domains.memory.grading import Grades, grade, scores
from evolve.domains.memory.sitting import sit
from evolve.errors import InfrastructureError
from evolve.types import Sandbox
from knowledge.architecture import DesignError
from knowledge.design import Design, built
from knowledge.embed import HashEmbedding
from knowledge.stems import stems

WORKERS = 2
"""Processes."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


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
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    first = (theirs, [exam for exam, _ in sheet.parts])
    with theirs, ours, ProcessPoolExecutor(WORKERS, context, initializer=_begin, initargs=first) as pool:
        jobs = [[pool.submit(_sat, design, *part, seed) for part in sheet.parts] for design in designs]
        try:
            return _gathered(designs, jobs, listen)
        except BrokenProcessPool as error:
            raise InfrastructureError("a process in which architectures were examined was killed") from error
        except BaseException:
            ours.close()
            raise


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


def _sat(design: Design, exam: Exam, drawn: Sequence[int], seed: int) -> Judged:
    return _judged(exam, sit(built(design), exam, seed=seed), drawn)


def _judged(exam: Exam, sitting: Sitting, drawn: Sequence[int]) -> Judged:
    return Judged(grade(exam, sitting), tuple(recalled(sitting, place) for place in drawn))


def _begin(parent: Connection, exams: Sequence[Exam]) -> None:
    _alone(parent)
    _know(exams)


def _know(exams: Sequence[Exam]) -> None:
    """Words are looked up once in a process: whoever is timed first is not to pay for all who come later."""
    texts = [event.text for exam in exams for event in exam.events]
    texts += [question.query.text for exam in exams for question in exam.questions]
    HashEmbedding().embed(texts)
    for text in texts:
        stems(text)


def _alone(parent: Connection) -> None:
    """A worker leaves Ctrl-C to its parent and ends when that hangs up, however; and numpy has one thread in it."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # nothing has imported it yet
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow() -> None:
        wait([parent])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
