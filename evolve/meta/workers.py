"""A judge for what is made of shipped programs alone: it grades in processes of our own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from evolve.domains.memory.exam import Exam
from evolve.domains.memory.grading import Grades, grade
from evolve.domains.memory.workers import SECONDS, all_alive, pool_of_workers, sat
from evolve.meta.evaluating import Judge
from knowledge.design import Design


@contextmanager
def worker_judge(exams: Sequence[Exam], workers: int, seconds: float = SECONDS) -> Iterator[Judge]:
    """It works in so many processes; they know these exams. `seconds`: of processor time, for one exam.

    Raises InfrastructureError when a worker is killed.
    """
    with pool_of_workers(exams, workers, seconds) as pool:

        def judge(design: Design, asked: Sequence[Exam]) -> list[Grades]:
            with all_alive():
                return [job.result() for job in [pool.submit(_graded, design, exam.name) for exam in asked]]

        yield judge


def _graded(design: Design, exam: str) -> Grades:
    return grade(*sat(design, exam))
