"""What came out of a run, read back from its journal: for the table, for `--json`, for `evolve show`."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from evolve.journal import Journal
from evolve.run import INTERRUPTED, Run
from evolve.types import Attempt, Cost, Evaluation

KERNELBENCH = "kernelbench/"
FASTER = (1, 1.5, 2)
"""The p of fast_p."""


class TaskSummary(NamedTuple):
    task: str
    stage: str
    attempts: int
    first_feasible: int | None
    best: Attempt | None
    """The winner: confirmed if any candidate was."""
    verdict: Evaluation | None
    """The winner's verdict, re-measured where it was confirmed."""
    confirmed: bool
    recipe: tuple[str, ...]
    """The techniques from the seed to the winner."""
    best_file: Path | None

    @property
    def score(self) -> float | None:
        return self.verdict.score if self.verdict else None

    def as_json(self) -> dict[str, Any]:
        interval = self.verdict.interval if self.verdict else None
        return {
            "solved": self.score is not None,
            "score": self.score,
            "interval": list(interval) if interval else None,
            "attempts": self.attempts,
            "first_feasible": self.first_feasible,
            "best": self.best.id if self.best else None,
            "best_file": str(self.best_file) if self.best_file else None,
        }


class Summary(NamedTuple):
    run: str
    model: str
    sandbox: str
    attempts: int
    seconds: float
    cost: Cost
    status: str
    stopped: str
    tasks: tuple[TaskSummary, ...]

    @property
    def solved(self) -> int:
        return sum(task.score is not None for task in self.tasks)

    @property
    def fast(self) -> dict[str, float]:
        """KernelBench's measures, where its problems were among the tasks: the share of all of them that is right
        and more than p times as fast as eager torch, and the geometric mean over those that are right.
        """
        scores = [task.score for task in self.tasks if task.task.startswith(KERNELBENCH)]
        if not scores:
            return {}
        right = [score for score in scores if score is not None]
        shares = {f"fast_{p:g}": sum(score > p for score in right) / len(scores) for p in FASTER}
        mean = {"geometric_mean": math.exp(math.fsum(map(math.log, right)) / len(right))} if right else {}
        return {"problems": len(scores), "correct": len(right), **shares, **mean}

    def as_json(self) -> dict[str, Any]:
        """The contract of `evolve run --json`."""
        return {
            "run": self.run,
            "model": self.model,
            "sandbox": self.sandbox,
            "attempts": self.attempts,
            "seconds": round(self.seconds, 2),
            "cost": {
                "usd": self.cost.usd if self.cost.usd_known else None,
                "estimated": self.cost.estimated,
                "prompt_tokens": self.cost.prompt_tokens,
                "completion_tokens": self.cost.completion_tokens,
            },
            "stopped": self.stopped,
            "tasks": {task.task: task.as_json() for task in self.tasks},
            **({"kernelbench": self.fast} if self.fast else {}),
        }


def summarise(run: Run, journal: Journal) -> Summary:
    return Summary(
        run=run.settings.run,
        model=run.settings.model,
        sandbox=journal.fact("sandbox", run.settings.sandbox),
        attempts=journal.judged(),
        seconds=float(journal.fact("seconds", "0")),
        cost=journal.spent(),
        status=journal.fact("status", INTERRUPTED),
        stopped=journal.fact("stopped"),
        tasks=tuple(_task(run, journal, task) for task in run.settings.tasks),
    )


def _task(run: Run, journal: Journal, task: str) -> TaskSummary:
    standing = journal.standing(task)
    best, verdict, confirmed = journal.winner(task)
    names = list(best.candidate.files) if best else []
    return TaskSummary(
        task=task,
        stage="refine" if standing.best else "draft",
        attempts=standing.judged,
        first_feasible=standing.first_feasible,
        best=best,
        verdict=verdict,
        confirmed=confirmed,
        recipe=_recipe(journal, best),
        best_file=run.best_folder(task) / names[0] if names else None,
    )


def _recipe(journal: Journal, attempt: Attempt | None) -> tuple[str, ...]:
    steps: list[str] = []
    while attempt:
        steps.append(attempt.candidate.technique or "?")
        attempt = journal.attempt(attempt.candidate.parent) if attempt.candidate.parent else None
    return tuple(reversed(steps))
