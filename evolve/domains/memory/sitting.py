"""An architecture sits an exam: what happens is told in order, then the questions are asked."""

import time

from evolve.domains.memory.exam import Exam, Reply, Sitting
from knowledge.architecture import Event, MemoryArchitecture
from knowledge.trial import Ask, Trial, no_model


def sit(architecture: MemoryArchitecture, exam: Exam, *, seed: int = 0, ask: Ask = no_model) -> Sitting:
    """In this process: only for architectures that can be trusted. Raises DesignError.

    `manage` runs whenever one scope has ended and once more at the end. Seconds are processor time of this thread: what
    else the machine does is not in them, nor is waiting for a model.
    """
    trial = Trial(architecture, seed=seed, ask=ask)
    written: list[float] = []
    for number, event in enumerate(exam.events):
        started = time.thread_time()
        trial.ingest(event)
        if (now := pause(exam, number)) is not None:
            trial.tick(now, close=number == len(exam.events) - 1)
        written.append(time.thread_time() - started)
    replies = []
    for question in exam.questions:
        started = time.thread_time()
        found = trial.retrieve(question.query)
        replies.append(Reply(found, time.thread_time() - started))
    return Sitting(trial.bank, tuple(replies), tuple(written))


def pause(exam: Exam, number: int) -> float | None:
    """The time at which `manage` is to run after this event, if it is."""
    event: Event = exam.events[number]
    last = number == len(exam.events) - 1
    return event.time if last or exam.events[number + 1].scope != event.scope else None
