"""Which of the four programs failed a question, and how: what a redesign starts from (MemEvolve, section 4, Diagnose).

Only questions that are for reflecting on are looked at; what is learnt from them may be shown to a model.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import NamedTuple

from evolve.domains.memory.exam import Exam, Question, Sitting
from evolve.domains.memory.grading import Grades, Ground, grade
from knowledge.architecture import ACTIVE, Hit
from knowledge.replica import Replica

ENCODE, RETRIEVE, MANAGE = "encode", "retrieve", "manage"
FIRST = 10
"""Hits among which an event had to be."""
DEEP = 1000
SHOWN = 8
"""Failed questions that are told."""
HITS_TOLD = 3
LONGEST = 160
"""Characters of a text that are told."""


class Miss(NamedTuple):
    """An event that held the answer and was not found."""

    question: str
    category: str
    event: str
    """Its text."""
    before: str
    """The text of the event before it."""
    fault: str
    why: str
    instead: tuple[str, ...]
    """The first texts that were found."""


class Diagnosis(NamedTuple):
    questions: int
    failed: int
    faults: Mapping[str, int]
    """Program -> events that it lost, most first."""
    misses: tuple[Miss, ...]

    @property
    def worst(self) -> str:
        """The program at fault most often; `retrieve` where none is."""
        return next(iter(self.faults), RETRIEVE)

    @property
    def text(self) -> str:
        counted = ", ".join(f"{module} lost {n} events" for module, n in self.faults.items()) or "nothing was lost"
        return "\n".join([f"{self.failed} of {self.questions} questions failed; {counted}.", *map(_told, self.misses)])


def diagnose(exams: Sequence[Exam], sittings: Sequence[Sitting], rng: Random, *, shown: int = SHOWN) -> Diagnosis:
    """Of all that failed; some of it, drawn from all categories, is told."""
    misses = [miss for exam, sitting in zip(exams, sittings, strict=True) for miss in _misses(exam, sitting)]
    faults = dict(Counter(miss.fault for miss in misses).most_common())
    return Diagnosis(
        questions=sum(len(exam.questions) for exam in exams),
        failed=len({miss.question for miss in misses}),
        faults=faults,
        misses=tuple(_some(misses, rng, shown)),
    )


def _misses(exam: Exam, sitting: Sitting) -> Iterator[Miss]:
    grades: Grades = grade(exam, sitting)
    ground = Ground(exam.events)
    place = {event.id: number for number, event in enumerate(exam.events)}
    for question, reply, share in zip(exam.questions, sitting.replies, grades.recall10, strict=True):
        if share == 1:
            continue
        hits = list(reply.found.hits)
        first = [record for hit in hits[:FIRST] if (record := sitting.bank.get(hit.id))]
        found = {event for record in first for event in ground.of(record.sources, record.text)}
        for gold in sorted(question.gold - found, key=place.__getitem__):
            fault, why = _fault(question, gold, hits, sitting.bank, ground)
            number = place[gold]
            before = exam.events[number - 1].text if number else ""
            told = tuple(record.text for record in first[:HITS_TOLD])
            yield Miss(question.query.text, question.category, exam.events[number].text, before, fault, why, told)


def _fault(question: Question, gold: str, hits: Sequence[Hit], bank: Replica, ground: Ground) -> tuple[str, str]:
    """(program, why)."""
    records = [record for status in ("active", "superseded", "expired") for record in bank.iter(status=status)]
    resting = [record for record in records if gold in record.sources]
    telling = [record for record in resting if gold in ground.of(record.sources, record.text)]
    if not telling:
        return ENCODE, "no record has its words" if resting else "no record was made of it"
    live = {record.id for record in telling if record.status == ACTIVE}
    if not live:
        return MANAGE, f"its record is {telling[0].status}"
    ranks = {
        "in the answer": _rank(hits, live),
        "by words": _rank(bank.lexical(question.query.text, DEEP), live),
        "by meaning": _rank(bank.dense(question.query.text, DEEP), live),
    }
    return RETRIEVE, ", ".join(f"{f'rank {rank}' if rank else 'not found'} {where}" for where, rank in ranks.items())


def _rank(hits: Sequence[Hit], wanted: set[str]) -> int | None:
    return next((rank for rank, hit in enumerate(hits, start=1) if hit.id in wanted), None)


def _some(misses: Sequence[Miss], rng: Random, most: int) -> Iterator[Miss]:
    """From each category in turn, so that a rare one is told too."""
    kinds: dict[str, list[Miss]] = {}
    for miss in rng.sample(list(misses), len(misses)):
        kinds.setdefault(miss.category, []).append(miss)
    while any(kinds.values()) and most > 0:
        for kind in sorted(kinds):
            if kinds[kind] and most > 0:
                most -= 1
                yield kinds[kind].pop()


def _told(miss: Miss) -> str:
    lines = [f"question: {miss.question}", f" lost by {miss.fault}: {miss.event[:LONGEST]!r} ({miss.why})"]
    if miss.before:
        lines.append(f" said before it: {miss.before[:LONGEST]!r}")
    return "\n".join([*lines, *(f" found instead: {text[:LONGEST]!r}" for text in miss.instead)])
