"""An architecture sits an exam: what happens is told in order, then the questions are asked."""

import time

from evolve.domains.memory.exam import Exam, Reply, Sitting, Tick, steps
from knowledge.architecture import Event, MemoryArchitecture
from knowledge.trial import Ask, Trial, no_model


def sit(architecture: MemoryArchitecture, exam: Exam, *, seed: int = 0, ask: Ask = no_model) -> Sitting:
    """In this process: only for architectures that can be trusted. Raises DesignError.

    Seconds are processor time of this thread: what else the machine does is not in them, nor is waiting for a model.
    """
    trial = Trial(architecture, seed=seed, ask=ask)
    written: list[float] = []
    replies: list[Reply] = []
    for step in steps(exam):
        started = time.thread_time()
        if isinstance(step, Event):
            trial.ingest(step)
            written.append(time.thread_time() - started)
        elif isinstance(step, Tick):
            trial.tick(step.now, close=step.close)
            written[-1] += time.thread_time() - started
        else:
            found = trial.retrieve(step)
            replies.append(Reply(found, time.thread_time() - started))
    return Sitting(trial.bank, tuple(replies), tuple(written))
