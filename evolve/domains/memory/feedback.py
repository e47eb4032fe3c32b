"""What a writer is told of a memory that works: questions that it failed, of exams that do not count."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from evolve.domains.memory.exam import BUDGET, Exam, Sitting
from evolve.domains.memory.grading import Ground, grade, seen
from evolve.types import Profile

TOLD = 3
"""Failed questions of each sort."""
LONGEST = 160
"""Characters of a text."""
MANAGE = "manage"


class Outdated(NamedTuple):
    """A question that was answered with what is no longer true."""

    question: str
    now: str
    found: str


def explained(exam: Exam, sitting: Sitting) -> tuple[Profile, str]:
    """The program at fault most often, as the state that holds the memory back; and in words which questions failed."""
    from evolve.domains.memory.diagnosis import diagnose

    lost = diagnose([exam], [sitting], Random(exam.name), shown=TOLD)
    outdated = list(_outdated(exam, sitting))
    mostly_outdated = len(outdated) > sum(lost.faults.values())
    state = MANAGE if mostly_outdated else lost.worst if lost.faults else ""
    counted = [f"{program} lost {times} events" for program, times in lost.faults.items()]
    counted += [f"{len(outdated)} questions were answered with what is no longer true"] * bool(outdated)
    evidence = ", ".join(counted) or "no question failed"
    return Profile(bottleneck=state, evidence=evidence), "\n".join([lost.text, *map(_told, outdated[:TOLD])])


def _outdated(exam: Exam, sitting: Sitting) -> Iterator[Outdated]:
    marks, ground = grade(exam, sitting).stale, Ground(exam.events)
    texts = {event.id: event.text for event in exam.events}
    for question, reply, mark in zip(exam.questions, sitting.replies, marks, strict=True):
        if not mark:
            continue
        hits = seen(reply.found, sitting.bank, ground, BUDGET)
        old = next(hit.record.text for hit in hits if question.stale.intersection(hit.events))
        now = " / ".join(texts[name] for name in sorted(question.gold))
        yield Outdated(question.query.text, now, reply.found.text or old)


def _told(one: Outdated) -> str:
    return f"question: {one.question}\n holds now: {one.now[:LONGEST]!r}\n found before it: {one.found[:LONGEST]!r}"
