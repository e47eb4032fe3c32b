"""Folders of runs that nobody worked on: a journal with the attempts that a test names, as a run would leave it."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from evolve.budget import Ceilings
from evolve.journal import Journal
from evolve.run import COMPLETE, JOURNAL, Run, Settings
from evolve.types import DRAFT, REFINE, Candidate, Completion, Cost, Evaluation, Gates, Message, Profile, Prompt

NAME = "20260101-000000-abcd"
PASSED = Gates(authentic=True, builds=True, correct=True)
WRONG = Gates(authentic=True, builds=True, correct=False)


class Made(NamedTuple):
    """One attempt; `parent` by number, `score` None where it failed."""

    text: str
    score: float | None = None
    parent: int | None = None
    task: str = "theirs/relu"
    technique: str = "simd"
    feedback: str = ""
    recalled: Sequence[str] = ()
    file: str = "kernel.c"
    judged: bool = True


def settings(tasks: Sequence[str], folder: Path, **changed: object) -> Settings:
    asked: Mapping[str, object] = {
        "run": NAME, "tasks": tuple(tasks), "model": "offline", "ceilings": Ceilings(attempts=9), "parallel": 2,
        "sandbox": "process", "kb": str(folder / "kb"), "seed": 7, "created": "2026-01-01T00:00:00+0000",
        "version": "0.1.0",
    }  # fmt: skip
    return Settings.model_validate({**asked, **changed})


def record(folder: Path, attempts: Sequence[Made], *, status: str = COMPLETE, **changed: object) -> Run:
    """The run's folder below `folder`, with `attempts` numbered from 1."""
    tasks = list(dict.fromkeys(made.task for made in attempts)) or ["theirs/relu"]
    run = Run.create(folder / "runs", settings(tasks, folder, **changed))
    journal = Journal.open(run.folder / JOURNAL, create=True)
    for number, made in enumerate(attempts, start=1):
        _attempt(journal, number, made)
    if status:
        journal.record_fact("status", status)
    journal.record_fact("sandbox", "process")
    journal.record_fact("seconds", "12.5")
    journal.close()
    return run


def _attempt(journal: Journal, number: int, made: Made) -> None:
    parent = f"{NAME}/{made.parent}" if made.parent else None
    stage = REFINE if parent else DRAFT
    (plan,) = journal.plan(NAME, number, [(made.task, stage, parent)])
    if not made.judged:
        return
    candidate = Candidate(
        files={made.file: made.text}, parent=parent, stage=stage, technique=made.technique,
        recalled=tuple(made.recalled),
    )  # fmt: skip
    before = journal.judged_before(made.task, candidate.id)
    journal.record_draft(plan.id, candidate, Cost())
    journal.record_evaluation(plan.id, _verdict(made), seconds=0.5, repeat_of=before[0] if before else None)
    best = journal.best(made.task)
    improved = made.score is not None and (best is None or (best.evaluation.score or 0.0) < made.score)
    gain = math.log(made.score) if made.score else None
    journal.record_learned(plan.id, gain=gain, reward=-1.0 if gain is None else math.tanh(gain), improved=improved)


def _verdict(made: Made) -> Evaluation:
    if made.score is None:
        return Evaluation(gates=WRONG, feedback=made.feedback)
    return Evaluation(
        gates=PASSED,
        score=made.score,
        interval=(made.score * 0.95, made.score * 1.05),
        feedback=made.feedback,
        metrics={"baseline_ms": 2.0, "best_ms": 2.0 / made.score, "gflops": 3.5},
        profile=Profile(
            bottleneck="not_vectorized", evidence=made.feedback, roofline=0.25, hardware="a test's machine"
        ),
    )


def record_call(
    run: Run, number: int, *, role: str = "coder", model: str = "provider/name", known: bool = True
) -> None:
    """A call to a model for the attempt."""
    journal = Journal.open(run.folder / JOURNAL)
    prompt = Prompt(key=f"{NAME}/{number}/{role}/1", messages=(Message(role="user", content="?"),))
    cost = Cost(prompt_tokens=100, completion_tokens=20, usd=0.25 if known else 0.0, usd_known=known, seconds=3.0)
    journal.record_call(prompt, Completion(text="!", model=model, cost=cost))
    journal.close()
