"""Judges what is made of shipped programs in processes of our own: no isolation, and many times as quick as with it."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from evolve.domains.memory.exam import Exam
from evolve.domains.memory.grading import Grades, grade
from evolve.domains.memory.sitting import sit
from evolve.errors import InfrastructureError
from evolve.meta.evaluating import Judge
from knowledge.architecture import DesignError
from knowledge.design import Design, built

SECONDS = 120.0
"""Of processor time, which a busy machine does not use up; a composition may loop though none of its parts does."""


def judged(design: Design, exam: Exam) -> Grades | tuple[str, str]:
    """In this process; a fault as where and why, because an exception of two arguments does not cross processes."""
    try:
        return grade(exam, sit(built(design), exam))
    except DesignError as fault:
        return fault.method, fault.reason


@contextmanager
def worker_judge(exams: Sequence[Exam], workers: int, seconds: float = SECONDS) -> Iterator[Judge]:
    """A judge that works in so many processes; they know these exams. `seconds`: for one exam.

    Raises InfrastructureError when a worker ends: that says nothing about the design.
    """
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (tuple(exams), seconds))

    def judge(design: Design, asked: Sequence[Exam]) -> list[Grades]:
        found = []
        try:
            for told in [future.result() for future in [pool.submit(_work, design, exam.name) for exam in asked]]:
                if not isinstance(told, Grades):
                    raise DesignError(*told)
                found.append(told)
        except BrokenProcessPool as e:
            raise InfrastructureError("a worker process ended; there may be too little memory") from e
        return found

    try:
        yield judge
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_EXAMS: dict[str, Exam] = {}
_LIMIT = [SECONDS]


def _begin(exams: Sequence[Exam], seconds: float) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run is told, and ends its workers
    signal.signal(signal.SIGPROF, _late)
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    _EXAMS.update({exam.name: exam for exam in exams})
    _LIMIT[0] = seconds


def _end_with_the_run() -> None:
    """A run that was killed cannot end its workers."""
    from multiprocessing import parent_process

    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(design: Design, exam: str) -> Grades | tuple[str, str]:
    assert threading.current_thread() is threading.main_thread()
    signal.setitimer(signal.ITIMER_PROF, _LIMIT[0])
    try:
        return judged(design, _EXAMS[exam])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _late(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise DesignError("retrieve", f"one exam took more than {_LIMIT[0]:g} s of processor time")
