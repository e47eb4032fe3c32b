"""What a run will use, told from the journals of earlier ones, before anything is paid."""

from collections.abc import Sequence
from typing import NamedTuple

from evolve.budget import Ceilings
from evolve.errors import StorageError, UsageError
from evolve.journal import Journal
from evolve.run import JOURNAL, Run, Settings
from evolve.types import Cost

MOST_PAST = 20
"""Earlier runs that an estimate rests on."""


class Past(NamedTuple):
    """An earlier run of the same models and strategy, on tasks of the same domains."""

    attempts: int
    seconds: float
    """Of work, at as many attempts in flight as it had."""
    cost: Cost

    @property
    def tokens(self) -> int:
        return self.cost.prompt_tokens + self.cost.completion_tokens


class Range(NamedTuple):
    usual: float
    """At the mean of all attempts of the earlier runs."""
    low: float
    high: float
    """At the rates of the run that used least for an attempt, and most."""


class Estimate(NamedTuple):
    attempts: int
    """That the run may make."""
    runs: int
    """That it rests on; without any, all else is None."""
    seconds: Range | None
    tokens: Range | None
    usd: Range | None
    """None where some price is unknown, too."""
    ends: str
    """The ceiling that the run will meet first, and after how many attempts; empty where it meets none."""


def estimate(ceilings: Ceilings, tasks: int, past: Sequence[Past]) -> Estimate:
    attempts = ceilings.attempts * tasks
    known = [run for run in past if run.attempts]
    if not known:
        return Estimate(attempts, 0, None, None, None, "")
    seconds = _range(attempts, [(run.attempts, run.seconds) for run in known])
    tokens = _range(attempts, [(run.attempts, run.tokens) for run in known])
    priced = all(run.cost.usd_known for run in known)
    usd = _range(attempts, [(run.attempts, run.cost.usd) for run in known]) if priced else None
    minutes = None if ceilings.minutes is None else ceilings.minutes * 60
    bounds = {"minutes": (minutes, seconds), "tokens": (ceilings.tokens, tokens), "usd": (ceilings.usd, usd)}
    return Estimate(attempts, len(known), seconds, tokens, usd, _ends(attempts, bounds))


def _range(attempts: int, used: Sequence[tuple[int, float]]) -> Range:
    rates = [amount / count for count, amount in used]
    usual = sum(amount for _, amount in used) / sum(count for count, _ in used)
    return Range(attempts * usual, attempts * min(rates), attempts * max(rates))


def _ends(attempts: int, bounds: dict[str, tuple[float | None, Range | None]]) -> str:
    reached = {
        name: int(attempts * ceiling / expected.usual)
        for name, (ceiling, expected) in bounds.items()
        if ceiling is not None and expected is not None and expected.usual > ceiling
    }
    if not reached:
        return ""
    first = min(reached, key=lambda name: reached[name])
    return f"--{first} will end it after about {reached[first]} of {attempts} attempts"


def similar(settings: Settings, runs: Sequence[Run]) -> list[Past]:
    """What the latest of these runs used that had the same models and strategy, and tasks of the same domains."""
    found = [
        run
        for run in runs
        if (run.settings.model, run.settings.preset) == (settings.model, settings.preset)
        and _domains(settings) & _domains(run.settings)
    ]
    return [used for run in found[-MOST_PAST:] if (used := _used(run)) is not None]


def _domains(settings: Settings) -> set[str]:
    return {task.partition("/")[0] for task in settings.tasks}


def _used(run: Run) -> Past | None:
    """None for a run whose journal cannot be read."""
    try:
        journal = Journal.open(run.folder / JOURNAL)
    except (UsageError, StorageError):
        return None
    try:
        return Past(journal.judged(), float(journal.fact("seconds", "0")), journal.spent())
    finally:
        journal.close()
