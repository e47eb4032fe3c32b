"""The domain `memory`: programs that remember. A candidate is one module with a memory architecture.

It is written events and asked questions in a sandbox; the score is the share of what answers them that it found.
"""

import secrets
import statistics
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from evolve.domain import Domain
from evolve.errors import NotFoundError
from evolve.types import Candidate, Evaluation, Gates, Limits, Mutation, Sandbox, Task
from knowledge.architecture import DesignError
from knowledge.design import Design, seeds
from knowledge.protocol import imports, protocol

if TYPE_CHECKING:
    from evolve.domains.memory.exam import Exam
    from evolve.domains.memory.grading import Grades

FILE = "architecture.py"
SEED = "bm25"
SCORED = 71
"""Seed of the exams that count: the same for every candidate, so that two scores differ by nothing else."""
REFLECTED = 7100
"""From here on those that a writer is told about."""
ROTATION = 16
CONVERSATIONS, STREAMS = 6, 3
LIMITS = Limits(seconds=10, memory_mb=768, processes=1)
CONFIDENCE = 1.96
PROMPT = """Write a memory as one Python module, {file}. It exports PARAMS and build(params), which gives an object with
  encode(event, ctx) -> records that the event is worth keeping as
  store(new, bank, ctx) -> operations; new: what was encoded from one event
  retrieve(query, bank, ctx) -> Retrieval
  manage(trigger, bank, ctx) -> operations; after each session and at the end
{examined} An event counts only if most of its words are in the text of the record that names it as a source.
Only the bank lasts: the same events again, or a restart on the same bank, give the same answers. No model, no clock.
At most {lines} lines. Imports: {imports}.
In knowledge.architecture (its class Verbatim has encode, store and manage that keep every event as it is):
{protocol}
"""


class Subject(NamedTuple):
    """What a task examines."""

    examined: str
    """For the writer: what happens, and what is scored."""
    streams: int

    def exams(self, seed: int, count: int) -> "list[Exam]":
        from evolve.domains.memory import generated, rewrites

        if self is REWRITES:
            return [rewrites.stream(seed + number) for number in range(count)]
        return generated.conversations(seed, count)

    def marks(self, grades: "Sequence[Grades]") -> list[float]:
        """One for each question, 0 to 1."""
        return [
            share * (1.0 - (stale or 0.0))
            for part in grades
            for share, stale in zip(part.recall10, part.stale, strict=True)
        ]


RECALL = Subject(
    "It hears long conversations of two people, then questions. Score: recall@10, the share of the events that hold\n"
    "the answer among the first 10 found; a record takes a place for each event it brings.",
    CONVERSATIONS,
)
REWRITES = Subject(
    "It hears facts that newer ones replace, then questions on what holds now. Score: the share whose newest value is\n"
    "among the first 10 found, before every older value.",
    STREAMS,
)
SUBJECTS: Mapping[str, Subject] = {"recall": RECALL, "rewrites": REWRITES}


class Memories(Domain):
    name = "memory"
    prompts = Path(__file__).with_name("prompts")

    def __init__(self, exams: int = 0) -> None:
        """So many exams count for one judgement; 0: as many as the task usually takes."""
        self._count = exams
        self._unseen = secrets.randbits(31)
        """Seed of the exams by which winners are chosen."""

    def tasks(self) -> Sequence[Task]:
        from evolve.domains.memory.lint import MOST_LINES

        said = {"file": FILE, "lines": MOST_LINES, "imports": imports(), "protocol": protocol()}
        return [
            Task(
                id=f"{self.name}/{name}",
                domain=self.name,
                prompt=PROMPT.format(examined=subject.examined, **said),
                files={FILE: seeds()[SEED].source},
                limits=LIMITS,
                tier=tier,
                tags=("python",),
            )
            for tier, (name, subject) in enumerate(SUBJECTS.items(), start=1)
        ]

    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        """Gates in order: static rules, the protocol on odd events, one exam three times over, then the other exams."""
        from evolve.domains.memory import gates, lint
        from evolve.domains.memory.confined import sit_confined
        from evolve.domains.memory.feedback import explained
        from evolve.domains.memory.grading import grade

        subject, design = self._subject(task), Design("candidate", candidate.files.get(FILE, ""))
        exams = subject.exams(self._unseen if fresh else SCORED, self._count or subject.streams)
        problems = lint.violations(design, exams)
        if problems:
            return Evaluation(gates=Gates(authentic=False), feedback="\n".join(problems))
        try:
            gates.contract(design, sandbox, limits=task.limits)
            sittings = [gates.consistent(design, exams[0], sandbox, fresh=fresh, limits=task.limits)]
            sittings += sit_confined(design, exams[1:], sandbox, fresh=fresh, limits=task.limits)
            reflected = subject.exams(REFLECTED + int(candidate.id, 16) % ROTATION, 1)
            told = sit_confined(design, reflected, sandbox, limits=task.limits)
        except DesignError as fault:
            return _refused(fault)
        grades = [grade(exam, sitting) for exam, sitting in zip(exams, sittings, strict=True)]
        profile, failures = explained(reflected[0], told[0])
        verdict = _accepted(design, subject.marks(grades), grades)
        return verdict.model_copy(update={"profile": profile, "feedback": _words(verdict, failures)})

    def mutations(self, task: Task, files: Mapping[str, str], rng: Random) -> Iterator[Mutation]:
        from evolve.domains.memory import variation

        del task
        for technique, detail, source in variation.mutations(files[FILE], rng):
            yield Mutation(technique, detail, {**files, FILE: source})

    def lore(self) -> Sequence[str]:
        """What each shipped architecture does and where it comes from."""
        from evolve.domains.memory.variation import described

        return [f"Memory architecture {name}: {text}" for name, text in described().items()]

    def _subject(self, task: Task) -> Subject:
        name = task.id.removeprefix(f"{self.name}/")
        if name not in SUBJECTS:
            raise NotFoundError.among("task", task.id, [f"{self.name}/{other}" for other in SUBJECTS])
        return SUBJECTS[name]


def _refused(fault: DesignError) -> Evaluation:
    builds = fault.method not in {"import", "build"}
    gates = Gates(authentic=True, builds=builds, correct=False if builds else None)
    return Evaluation(gates=gates, feedback=str(fault))


def _accepted(design: Design, marks: Sequence[float], grades: "Sequence[Grades]") -> Evaluation:
    from evolve.domains.memory.grading import scores

    score = statistics.fmean(marks)
    half = CONFIDENCE * statistics.stdev(marks) / sqrt(len(marks))
    known = scores(grades)
    named = ("recall@5", "recall@10", "grounded@1024", "tokens", "p50_ms", "write_ms", "stale_rate", "records")
    metrics = {name: float(known[name]) for name in named if known[name] is not None}
    return Evaluation(
        gates=Gates(authentic=True, builds=True, correct=True),
        score=score,
        interval=(max(0.0, score - half), min(1.0, score + half)),
        metrics={**metrics, "lines": float(design.lines)},
    )


def _words(verdict: Evaluation, failures: str) -> str:
    shown = ", ".join(f"{name} {value:.3g}" for name, value in verdict.metrics.items())
    return f"It scored {verdict.score:.3f} ({shown}). Of other questions like those that count:\n{failures}"
