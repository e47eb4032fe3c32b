"""Hard ceilings: nothing is started that could go beyond them, with what is in flight counted in."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from evolve.errors import BudgetExceededError, UsageError
from evolve.types import Completion, Cost, Frozen, Model, Prompt

CHARACTERS_PER_TOKEN = 3
"""A cautious estimate of a prompt's size before the provider has counted it."""


class Ceilings(Frozen):
    """None: no ceiling."""

    attempts: int
    """Per task."""
    minutes: float | None = None
    """Of work, over all resumptions of the run."""
    tokens: int | None = None
    usd: float | None = None

    def validated(self) -> "Ceilings":
        """Raises UsageError for a budget that allows nothing."""
        for name in ("attempts", "minutes", "tokens", "usd"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"--{name} is {value:g}, which allows no attempt at all; give a number above zero")
        return self


class Ledger(Protocol):
    """What a budget and a meter need of a run's journal."""

    def fact(self, key: str, default: str = "") -> str: ...
    def record_fact(self, key: str, value: str) -> None: ...
    def spent(self) -> Cost: ...
    def completion(self, key: str) -> Completion | None: ...
    def record_call(self, prompt: Prompt, completion: Completion) -> None: ...


class Budget:
    """What is left. Thread-safe; what was spent before a resumption is read from the journal."""

    def __init__(self, ceilings: Ceilings, journal: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ceilings = ceilings
        self._journal = journal
        self._clock = clock
        self._started = clock()
        self._worked_before = float(journal.fact("seconds", "0"))
        self._spent = journal.spent()
        self._in_flight = Cost()
        self._dearest = 0.0
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Worked so far, over all resumptions."""
        return self._worked_before + self._clock() - self._started

    @property
    def spent(self) -> Cost:
        return self._spent

    def save_clock(self) -> None:
        self._journal.record_fact("seconds", f"{self.seconds:.3f}")

    def seconds_left(self) -> float | None:
        minutes = self._ceilings.minutes
        return None if minutes is None else max(0.0, minutes * 60 - self.seconds)

    def exhausted(self) -> str:
        """Which ceiling is reached, in words; empty while there is room."""
        ceilings, spent = self._ceilings, self._spent
        if self.seconds_left() == 0:
            return f"the budget of {ceilings.minutes:g} minutes is used up"
        if ceilings.tokens is not None and _tokens(spent) >= ceilings.tokens:
            return f"the budget of {ceilings.tokens} tokens is used up"
        if ceilings.usd is not None and spent.usd >= ceilings.usd:
            return f"the budget of {ceilings.usd:g} dollars is used up"
        return ""

    @contextmanager
    def reserve(self, prompt: Prompt) -> Iterator[None]:
        """Hold room for one call while it is in flight. Raises BudgetExceededError when there is none.

        A call's dollars are not known before it: each call in flight counts as the dearest one so far.
        """
        characters = sum(len(message.content) for message in prompt.messages)
        held = Cost(
            prompt_tokens=characters // CHARACTERS_PER_TOKEN, completion_tokens=prompt.max_tokens, usd=self._dearest
        )
        with self._lock:
            self._require_room(held)
            self._in_flight = self._in_flight + held
        try:
            yield
        finally:
            with self._lock:
                self._in_flight = _minus(self._in_flight, held)

    def _require_room(self, held: Cost) -> None:
        if reached := self.exhausted():
            raise BudgetExceededError(reached)
        after = self._spent + self._in_flight + held
        ceilings = self._ceilings
        if ceilings.tokens is not None and _tokens(after) > ceilings.tokens:
            left = ceilings.tokens - _tokens(self._spent)
            raise BudgetExceededError(f"the next call could use {_tokens(held)} tokens and {left} are left")
        if ceilings.usd is not None and after.usd > ceilings.usd:
            raise BudgetExceededError(f"the next call could pass the budget of {ceilings.usd:g} dollars")

    def settle(self, cost: Cost) -> None:
        with self._lock:
            self._spent = self._spent + cost
            self._dearest = max(self._dearest, cost.usd)


class MeteredModel:
    """A model within the budget whose answers are journalled: a call that had answered is never paid again."""

    def __init__(self, model: Model, journal: Ledger, budget: Budget) -> None:
        self._model = model
        self._journal = journal
        self._budget = budget

    @property
    def name(self) -> str:
        return self._model.name

    def complete(self, prompt: Prompt) -> Completion:
        answered = self._journal.completion(prompt.key)
        if answered is not None:
            return answered
        with self._budget.reserve(prompt):
            completion = self._model.complete(prompt)
            self._journal.record_call(prompt, completion)
            self._budget.settle(completion.cost)
        return completion


def _tokens(cost: Cost) -> int:
    return cost.prompt_tokens + cost.completion_tokens


def _minus(total: Cost, part: Cost) -> Cost:
    return Cost(
        prompt_tokens=total.prompt_tokens - part.prompt_tokens,
        completion_tokens=total.completion_tokens - part.completion_tokens,
        usd=max(0.0, total.usd - part.usd),
    )
