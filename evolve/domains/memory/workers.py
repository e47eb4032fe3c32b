"""Processes of our own in which shipped architectures sit exams: no isolation, and many times as quick as with it.

A worker leaves Ctrl-C to its parent, ends when that does, however it ends, gives numpy one thread, and has looked all
words up before anything is timed.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import NoReturn

from evolve.domains.memory.exam import Exam, Sitting
from evolve.domains.memory.sitting import sit
from evolve.errors import InfrastructureError
from knowledge.architecture import DesignError
from knowledge.design import Design, built
from knowledge.embed import HashEmbedding
from knowledge.stems import stems

WORKERS = 2
SECONDS = 120.0
"""Of processor time, which a busy machine does not use up; a composition may loop though none of its parts does."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_EXAMS: dict[str, Exam] = {}
_LIMIT = [SECONDS]


@contextmanager
def pool_of_workers(
    exams: Sequence[Exam], workers: int = WORKERS, seconds: float = SECONDS
) -> Iterator[ProcessPoolExecutor]:
    """What is submitted knows these exams, by `sat`. `seconds`: for one of them.

    When it ends by an exception, the workers end at once.
    """
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    first = (theirs, tuple(exams), seconds)
    with theirs, ours, ProcessPoolExecutor(workers, context, initializer=_begin, initargs=first) as pool:
        try:
            yield pool
        except BaseException:
            ours.close()
            raise


@contextmanager
def all_alive() -> Iterator[None]:
    """Around what waits for workers. Raises InfrastructureError when one was killed: that says nothing of a design."""
    try:
        yield
    except BrokenProcessPool as error:
        raise InfrastructureError("a worker process was killed; there may be too little memory") from error


def sat(design: Design, exam: str, seed: int = 0) -> tuple[Exam, Sitting]:
    """In a worker: an exam that it knows, and how it went. Raises DesignError."""
    assert threading.current_thread() is threading.main_thread()
    signal.setitimer(signal.ITIMER_PROF, _LIMIT[0])
    try:
        return _EXAMS[exam], sit(built(design), _EXAMS[exam], seed=seed)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _begin(parent: Connection, exams: Sequence[Exam], seconds: float) -> None:
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # nothing has imported numpy yet
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, _late)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _EXAMS.update({exam.name: exam for exam in exams})
    _LIMIT[0] = seconds
    _know(exams)


def _end_with(parent: Connection) -> NoReturn:
    wait([parent])
    os._exit(1)


def _know(exams: Sequence[Exam]) -> None:
    """Words are looked up once in a process: whoever is timed first is not to pay for all who come later."""
    texts = [event.text for exam in exams for event in exam.events]
    texts += [question.query.text for exam in exams for question in exam.questions]
    HashEmbedding().embed(texts)
    for text in texts:
        stems(text)


def _late(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise DesignError("retrieve", f"one exam took more than {_LIMIT[0]:g} s of processor time")
