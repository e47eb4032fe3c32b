"""What a comparison's runs say about its arms: figures of each with intervals, and differences that can be told."""

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import groupby
from random import Random
from typing import Any, Literal, NamedTuple

from evolve.intervals import Difference, Estimate, bootstrap, difference, share
from evolve.summary import FASTER

Unit = Literal["count", "share", "times", "attempts", "tokens", "usd", "seconds"]


class Trial(NamedTuple):
    """One task in one run."""

    arm: str
    task: str
    seed: int
    allowed: int
    """Attempts that the task might have had."""
    attempts: int
    coded: int
    """Attempts that had code to build; the others' replies were unusable."""
    built: int
    feasible: int
    solved: bool
    """Something feasible was found, and was so again when it was measured anew."""
    gain: float | None
    """`Domain.gain` of the best, measured anew, over the task's seed; None where it was not solved."""
    first: int | None
    """Attempts to the first that was feasible; None where it was not solved."""
    best: int | None
    """Attempts to the best."""


class Spent(NamedTuple):
    """By one run."""

    arm: str
    seed: int
    tokens: int
    usd: float
    usd_known: bool
    """False where some price is unknown: `usd` is then a lower bound."""
    seconds: float


class Figure(NamedTuple):
    measure: str
    unit: Unit
    estimate: Estimate
    counts: tuple[int, int] | None = None
    """(so many, of so many) that it rests on."""
    censored: int = 0
    """Observations that are known only to be larger than what was counted."""
    unknown: bool = False
    """Something was spent, and nobody knows how much."""

    def as_json(self) -> dict[str, Any]:
        low, high = self.estimate.interval or (None, None)
        hits, of = self.counts or (None, None)
        return {
            "unit": self.unit, "value": self.estimate.value, "low": low, "high": high, "count": hits, "of": of,
            "censored": self.censored, "unknown": self.unknown,
        }  # fmt: skip


class Standing(NamedTuple):
    arm: str
    figures: tuple[Figure, ...]

    def as_json(self) -> dict[str, Any]:
        return {"arm": self.arm} | {each.measure: each.as_json() for each in self.figures}


class Contrast(NamedTuple):
    """One arm against the first, on the same tasks with the same seeds."""

    arm: str
    against: str
    measure: str
    unit: Unit
    difference: Difference
    """Of a gain the ratio, of anything else arm minus the other."""
    verdict: str
    """`better`, `worse` or `cannot tell`."""

    def as_json(self) -> dict[str, Any]:
        found = self.difference
        low, high = found.interval or (None, None)
        return {
            "arm": self.arm, "against": self.against, "measure": self.measure, "unit": self.unit,
            "value": found.value, "low": low, "high": high, "p": found.p, "pairs": found.pairs,
            "verdict": self.verdict,
        }  # fmt: skip


def standings(arms: Sequence[str], trials: Sequence[Trial], spent: Sequence[Spent]) -> list[Standing]:
    """Every standing has the same measures in the same order."""
    return [
        _standing(arm, [each for each in trials if each.arm == arm], [each for each in spent if each.arm == arm])
        for arm in arms
    ]


def _standing(arm: str, trials: Sequence[Trial], spent: Sequence[Spent]) -> Standing:
    runs = Figure("runs", "count", Estimate(len(spent)))
    attempts = Figure("attempts", "count", Estimate(sum(each.attempts for each in trials)))
    return Standing(arm, (runs, attempts, *_shares(trials), *_efforts(trials), *_costs(spent)))


def _by_task(trials: Sequence[Trial]) -> list[list[Trial]]:
    ordered = sorted(trials, key=lambda each: (each.task, each.seed))
    return [list(group) for _, group in groupby(ordered, key=lambda each: each.task)]


def _shares(trials: Sequence[Trial]) -> list[Figure]:
    """Of attempts, and of tasks times seeds."""

    def figure(measure: str, hits: Callable[[Trial], int], of: Callable[[Trial], int]) -> Figure:
        clusters = [(sum(map(hits, group)), sum(map(of, group))) for group in _by_task(trials)]
        counts = sum(hit for hit, _ in clusters), sum(many for _, many in clusters)
        return Figure(measure, "share", share(clusters), counts)

    def faster(than: float) -> Callable[[Trial], int]:
        return lambda each: int(each.gain is not None and each.gain > math.log(than))

    return [
        figure("unusable replies", lambda each: each.attempts - each.coded, lambda each: each.attempts),
        figure("compile rate", lambda each: each.built, lambda each: each.coded),
        figure("correctness", lambda each: each.feasible, lambda each: each.attempts),
        figure("solved", lambda each: each.solved, lambda _: 1),
        *(figure(f"fast_{than:g}", faster(than), lambda _: 1) for than in FASTER),
    ]


def _efforts(trials: Sequence[Trial]) -> list[Figure]:
    """The gain where there is one; attempts, where those that were not enough count as one more than were allowed."""
    rng = Random("standings")
    groups = _by_task(trials)
    gains = [[each.gain for each in group if each.gain is not None] for group in groups]
    known = (sum(map(len, gains)), len(trials))
    missed = sum(not each.solved for each in trials)
    firsts = [[float(each.first or each.allowed + 1) for each in group] for group in groups]
    bests = [[float(each.best or each.allowed + 1) for each in group] for group in groups]
    return [
        Figure("geomean gain", "times", _times(bootstrap(gains, _mean, rng)), known),
        Figure("median gain", "times", _times(bootstrap(gains, _median, rng)), known),
        Figure("attempts to solve", "attempts", bootstrap(firsts, _mean, rng), None, missed),
        Figure("attempts to best", "attempts", bootstrap(bests, _mean, rng), None, missed),
    ]


def _costs(spent: Sequence[Spent]) -> list[Figure]:
    """Of one run on the average."""
    rng = Random("standings")
    known = all(each.usd_known for each in spent)
    dollars = Estimate(None) if not known else bootstrap([[each.usd for each in spent]], _mean, rng)
    return [
        Figure("tokens per run", "tokens", bootstrap([[float(each.tokens) for each in spent]], _mean, rng)),
        Figure("dollars per run", "usd", dollars, unknown=not known),
        Figure("seconds per run", "seconds", bootstrap([[each.seconds for each in spent]], _mean, rng)),
    ]


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _times(found: Estimate) -> Estimate:
    """A gain is a logarithm; people read factors."""
    interval = found.interval and (math.exp(found.interval[0]), math.exp(found.interval[1]))
    return Estimate(None if found.value is None else math.exp(found.value), interval)


class _Measure(NamedTuple):
    name: str
    unit: Unit
    of: Callable[[Trial], float | None]
    better: int
    """1 where more is better, -1 where less is."""


_MEASURES = (
    _Measure("compile rate", "share", lambda each: each.built / each.coded if each.coded else None, 1),
    _Measure("correctness", "share", lambda each: each.feasible / each.attempts if each.attempts else None, 1),
    _Measure("solved", "share", lambda each: float(each.solved), 1),
    _Measure("gain", "times", lambda each: each.gain, 1),
    _Measure("attempts to solve", "attempts", lambda each: float(each.first or each.allowed + 1), -1),
)


def contrasts(arms: Sequence[str], trials: Sequence[Trial]) -> list[Contrast]:
    """Every arm against the first; pairs of which one side lacks the measure are left out."""
    first, *others = arms
    return [_contrast(arm, first, measure, trials) for arm in others for measure in _MEASURES]


def _contrast(arm: str, first: str, measure: _Measure, trials: Sequence[Trial]) -> Contrast:
    theirs = {(each.task, each.seed): each for each in trials if each.arm == first}
    clusters = []
    for group in _by_task([each for each in trials if each.arm == arm]):
        paired = [(measure.of(each), measure.of(theirs[each.task, each.seed])) for each in group if _has(theirs, each)]
        clusters.append([ours - other for ours, other in paired if ours is not None and other is not None])
    found = difference(clusters, Random("contrasts"))
    verdict = {0: "cannot tell", 1: "better", -1: "worse"}[found.told * measure.better]
    if measure.unit == "times":
        value, interval = _times(Estimate(found.value, found.interval))
        found = found._replace(value=value, interval=interval)
    return Contrast(arm, first, measure.name, measure.unit, found, verdict)


def _has(theirs: dict[tuple[str, int], Trial], each: Trial) -> bool:
    return (each.task, each.seed) in theirs
