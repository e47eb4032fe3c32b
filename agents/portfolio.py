"""A writer made of several, one for each model, that learns which of them pays at which stage."""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Protocol

from agents.writer import Brief, Draft, Writer
from evolve.bandit import Arm, Choice, choose, worth
from evolve.errors import ModelError
from evolve.journal import Earned
from evolve.types import Completion, Model, Prompt

FACT = "model/"
"""Prefix of the journal's facts about who wrote an attempt and why: {"model": …, "why": …}."""
GONE = "gone/"
"""Prefix of the journal's facts about models that were gone for good: the attempt that noticed it first."""


class Ledger(Protocol):
    """What a portfolio needs of a run's journal."""

    def fact(self, key: str, default: str = "") -> str: ...
    def record_fact(self, key: str, value: str) -> None: ...
    def earned(self, attempt: str) -> Iterable[Earned]: ...
    def ahead(self, attempt: str) -> int: ...


class Portfolio:
    """Picks by what the journal held before the attempt's round, so that the same run makes the same choice again.

    A model that is gone for good is left out from then on, which `tell` is told once; the last one's error is raised.
    Safe from several threads.
    """

    def __init__(self, writers: Sequence[Writer], ledger: Ledger, tell: Callable[[str], None]) -> None:
        """`writers` in order of preference, of different names."""
        self._writers = {writer.name: writer for writer in writers}
        self._ledger = ledger
        self._tell = tell
        self._gone: dict[str, ModelError] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return ",".join(self._writers)

    def write(self, brief: Brief) -> Draft:
        """One writer's draft. Raises ModelError when that fails and may be there again, or when none is left."""
        reason, drawn = "", brief.rng.getstate()
        while self._left():
            choice = self._choice(brief, reason)
            brief.rng.setstate(drawn)  # what one writer draws is not to depend on who failed before it
            try:
                return self._writers[choice.model].write(brief)
            except ModelError as error:
                if not error.fatal:
                    raise
                self._lose(choice.model, brief.attempt, error)
                reason = f"instead of {choice.model}, which failed ({error}): "
        raise list(self._gone.values())[-1]

    def _choice(self, brief: Brief, reason: str) -> Choice:
        """The one on record, else a new one, on record before anybody is asked."""
        recorded = self._ledger.fact(f"{FACT}{brief.attempt}")
        if recorded and json.loads(recorded)["model"] in self._left():
            return Choice(**json.loads(recorded))
        rng = Random()
        rng.setstate(brief.rng.getstate())  # a copy: an attempt that is resumed draws nothing here
        chosen = choose(self._arms(brief), rng, ahead=self._ledger.ahead(brief.attempt))
        choice = Choice(chosen.model, reason + chosen.why)
        self._ledger.record_fact(f"{FACT}{brief.attempt}", json.dumps(choice._asdict(), ensure_ascii=False))
        return choice

    def _arms(self, brief: Brief) -> list[Arm]:
        arms = {name: Arm(name) for name in self._left()}
        for earned in self._ledger.earned(brief.attempt):
            if earned.stage == brief.stage and (arm := arms.get(earned.model)):
                cost = earned.cost
                arms[earned.model] = Arm(
                    arm.model,
                    attempts=arm.attempts + 1,
                    reward=arm.reward + worth(earned.reward),
                    usd=arm.usd + cost.usd,
                    tokens=arm.tokens + cost.prompt_tokens + cost.completion_tokens,
                    priced=arm.priced and cost.usd_known,
                )
        return list(arms.values())

    def _left(self) -> list[str]:
        return [name for name in self._writers if name not in self._gone]

    def _lose(self, name: str, attempt: str, error: ModelError) -> None:
        with self._lock:
            first = name not in self._gone
            self._gone.setdefault(name, error)
            left = self._left()
            if not self._ledger.fact(f"{GONE}{name}"):
                self._ledger.record_fact(f"{GONE}{name}", attempt)
        if first and left:
            self._tell(f"{error}; the run goes on with {', '.join(left)}")


class FirstLeft:
    """A model made of several: the first that is not gone answers. For roles that learn nothing of who pays."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = list(models)
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._models[0].name

    def complete(self, prompt: Prompt) -> Completion:
        """Raises ModelError of the last, when all are gone; one that may be there again is not passed over."""
        while True:
            first = self._models[0]
            try:
                return first.complete(prompt)
            except ModelError as error:
                if not error.fatal or len(self._models) == 1:
                    raise
                with self._lock:
                    if self._models[0] is first:
                        self._models.pop(0)
