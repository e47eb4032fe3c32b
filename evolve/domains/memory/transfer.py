"""What a memory saves on tasks that it learnt nothing on: attempts until a run has found something good."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from evolve.domains.timing import STUDENT

EMPTY = "empty"
"""The base that the others are compared with: it has learnt nothing."""
SHARE = 0.9
"""Of a score that is known to be possible: what has reached so much is good."""


class Tried(NamedTuple):
    """One run on a task that was held out."""

    base: str
    task: str
    seed: int
    scores: tuple[float | None, ...]
    """Of its attempts in order, as they were first measured; above zero, higher is better, None for infeasible."""
    final: float | None
    """The winner's, measured again."""

    def attempts_to(self, target: float | None) -> int:
        """Any feasible attempt will do without a target. One more than there were where none did."""
        return next((n for n, score in enumerate(self.scores, 1) if _is_good(score, target)), len(self.scores) + 1)

    def reaches(self, target: float | None) -> bool:
        return self.attempts_to(target) <= len(self.scores)


class Estimate(NamedTuple):
    mean: float
    interval: tuple[float, float] | None
    """95 %, Student's, over runs; None for one run alone."""


class Worth(NamedTuple):
    """One base in all its runs."""

    base: str
    attempts: Estimate
    """To 90 % of what the empty base had found in the end, on the same task with the same seed."""
    saved: Estimate
    """Attempts fewer than the empty base needed for that, run by run; higher is better."""
    reached: float
    """Share of the runs that came so far; where one did not, its attempts and one more are counted."""
    to_best: Estimate
    """Attempts to 90 % of the best that is known of the task: of all bases, with any seed."""
    final: float | None
    """What it found in the end over what the empty base did, geometric mean; None where that is never known."""
    runs: tuple[Tried, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "attempts": self.attempts.mean,
            "interval": self.attempts.interval,
            "saved": self.saved.mean,
            "saved_interval": self.saved.interval,
            "reached": self.reached,
            "to_best": self.to_best.mean,
            "to_best_interval": self.to_best.interval,
            "final": self.final,
            "runs": [{key: value for key, value in run._asdict().items() if key != "base"} for run in self.runs],
        }


def worths(tried: Sequence[Tried]) -> list[Worth]:
    """For each base in the order of their first runs; runs that the empty base has no like of are left out."""
    empty = {(run.task, run.seed): run for run in tried if run.base == EMPTY}
    paired = [run for run in tried if (run.task, run.seed) in empty]
    known = {task: _best(run for run in paired if run.task == task) for task, _ in empty}
    bases = dict.fromkeys(run.base for run in paired)
    return [_worth([run for run in paired if run.base == base], empty, known) for base in bases]


def _worth(runs: Sequence[Tried], empty: Mapping[tuple[str, int], Tried], known: Mapping[str, float | None]) -> Worth:
    others = [empty[run.task, run.seed] for run in runs]
    targets = [target(other.final) for other in others]
    counts = [run.attempts_to(good) for run, good in zip(runs, targets, strict=True)]
    theirs = [other.attempts_to(good) for other, good in zip(others, targets, strict=True)]
    most = max(len(run.scores) for run in (*runs, *others))
    return Worth(
        base=runs[0].base,
        attempts=estimate(counts, 1, most + 1),
        saved=estimate([their - own for own, their in zip(counts, theirs, strict=True)], -most, most),
        reached=statistics.fmean(run.reaches(good) for run, good in zip(runs, targets, strict=True)),
        to_best=estimate([run.attempts_to(target(known[run.task])) for run in runs], 1, most + 1),
        final=_ratio([(run.final, other.final) for run, other in zip(runs, others, strict=True)]),
        runs=tuple(runs),
    )


def target(known: float | None) -> float | None:
    return None if known is None else SHARE * known


def estimate(counts: Sequence[float], low: float, high: float) -> Estimate:
    """`low`, `high`: between which all of them must lie."""
    mean, freedom = statistics.fmean(counts), len(counts) - 1
    if not freedom:
        return Estimate(mean, None)
    quantile = STUDENT[freedom - 1] if freedom <= len(STUDENT) else 2.0
    reach = quantile * statistics.stdev(counts) / math.sqrt(len(counts))
    return Estimate(mean, (max(low, mean - reach), min(high, mean + reach)))


def _is_good(score: float | None, good: float | None) -> bool:
    return score is not None and (good is None or score >= good)


def _best(runs: Iterable[Tried]) -> float | None:
    return max((run.final for run in runs if run.final is not None), default=None)


def _ratio(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    ratios = [ours / theirs for ours, theirs in pairs if ours is not None and theirs is not None]
    return statistics.geometric_mean(ratios) if ratios else None
