"""Hard ceilings: nothing is started that could go beyond them, with what is in flight counted in."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Protocol, runtime_checkable

from evolve.errors import BudgetExceededError, ModelError, UsageError
from evolve.provider import Price
from evolve.types import Completion, Cost, Frozen, Model, Prompt

CHARACTERS_PER_TOKEN = 3
"""A cautious estimate of a prompt's size before the provider has counted it."""


LOST = "~lost-"
"""In the journal, what sets the key of a call that was billed and never answered apart."""
UNANSWERED = "unanswered/"
"""Before the key of a call that got no answer, in the journal's facts; the value is an `Unanswered`."""


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


class Unanswered(Frozen):
    """Why a call got no answer: so that it gets none when the run is replayed."""

    why: str
    fatal: bool


class Ledger(Protocol):
    """What a budget and a meter need of a run's journal."""

    def fact(self, key: str, default: str = "") -> str: ...
    def record_fact(self, key: str, value: str) -> None: ...
    def spent(self) -> Cost: ...
    def completion(self, key: str) -> Completion | None: ...
    def record_call(self, prompt: Prompt, completion: Completion) -> None: ...


@runtime_checkable
class Priced(Protocol):
    """A model that knows what it costs."""

    @property
    def name(self) -> str: ...
    @property
    def price(self) -> Price | None: ...


def check_ceilings(ceilings: Ceilings, models: Iterable[Priced]) -> None:
    """Raises UsageError for a ceiling of dollars over a model without a known price: it could not hold."""
    if ceilings.usd is None:
        return
    unknown = [model.name for model in models if model.price is None]
    if unknown:
        raise UsageError(
            f"--usd {ceilings.usd:g} cannot be held, because nobody knows the price of {', '.join(unknown)}; "
            "give --tokens instead"
        )


class LostReplyError(ModelError):
    """No answer, after replies that broke off: the provider bills what it had sent of them."""

    def __init__(self, message: str, *, fatal: bool, cost: Cost) -> None:
        super().__init__(message, fatal=fatal)
        self.cost = cost


class Budget:
    """What is left. Thread-safe; what was spent before a resumption is read from the journal."""

    def __init__(self, ceilings: Ceilings, journal: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ceilings = ceilings
        self._journal = journal
        self._clock = clock
        self._started = clock()
        self._worked_before = float(journal.fact("seconds", "0"))
        self._spent = journal.spent()
        self._held: dict[str, Cost] = {}
        self._lost: dict[str, Cost] = {}
        self._dearest = 0.0
        self._longest = 0
        """Tokens of the longest reply so far: not every provider keeps to `max_tokens`."""
        self._lock = threading.Lock()
        self._answered = threading.Condition(self._lock)

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
    def reserve(self, prompt: Prompt, price: Price | None = None) -> Iterator[None]:
        """Hold room for one call while it is in flight. Raises BudgetExceededError when there is none.

        It counts with all the tokens that it may use, at the model's `price`; without one, as the dearest call so far.
        Few calls use so much: one that has no room beside those in flight waits for them.
        Tries that broke off are billed beside the one that answers: see `short_of`.
        """
        characters = sum(len(message.content) for message in prompt.messages)
        sent = characters // CHARACTERS_PER_TOKEN
        with self._lock:
            while True:
                received = max(prompt.max_tokens, self._longest)
                usd = price.of(sent, received) if price else self._dearest
                held = Cost(prompt_tokens=sent, completion_tokens=received, usd=usd)
                if reached := self.exhausted() or self._short_of(held):
                    raise BudgetExceededError(reached)
                if not self._short_of(held, self._in_flight()):
                    break
                self._answered.wait()
            self._held[prompt.key] = held
        try:
            yield
        finally:
            with self._lock:
                del self._held[prompt.key]
                self._lost.pop(prompt.key, None)
                self._answered.notify_all()

    def _in_flight(self) -> Cost:
        return sum((*self._held.values(), *self._lost.values()), Cost())

    def short_of(self, call: str, lost: Cost) -> str:
        """Why the call in flight with this key cannot be tried once more after it `lost` so much; empty where it can.

        What it lost is held beside it until it is over.
        """
        with self._lock:
            self._lost[call] = lost
            return "the budget leaves no room for another try" if self._short_of(Cost(), self._in_flight()) else ""

    def _short_of(self, more: Cost, in_flight: Cost | None = None) -> str:
        after = self._spent + (in_flight or Cost()) + more
        ceilings = self._ceilings
        if ceilings.tokens is not None and _tokens(after) > ceilings.tokens:
            left = ceilings.tokens - _tokens(self._spent)
            return f"the next call could use {_tokens(more)} tokens and {left} are left"
        if ceilings.usd is not None and after.usd > ceilings.usd:
            return f"the next call could pass the budget of {ceilings.usd:g} dollars"
        return ""

    def settle(self, cost: Cost) -> None:
        with self._lock:
            self._spent = self._spent + cost
            self._dearest = max(self._dearest, cost.usd)
            self._longest = max(self._longest, cost.completion_tokens)


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
        try:
            return self._asked(prompt)
        except (ModelError, BudgetExceededError) as error:
            failure = Unanswered(why=str(error), fatal=not isinstance(error, ModelError) or error.fatal)
            self._journal.record_fact(f"{UNANSWERED}{prompt.key}", failure.model_dump_json())
            raise

    def _asked(self, prompt: Prompt) -> Completion:
        price = self._model.price if isinstance(self._model, Priced) else None
        with self._budget.reserve(prompt, price):
            try:
                completion = self._model.complete(prompt)
            except LostReplyError as error:
                self._lost(prompt, error)
                raise
            self._journal.record_call(prompt, completion)
            self._budget.settle(completion.cost)
        return completion

    def _lost(self, prompt: Prompt, error: LostReplyError) -> None:
        """Paid for nothing, and on record under a key that no call has: asking again is a new call."""
        keys = (f"{prompt.key}{LOST}{number}" for number in count(1))
        told = prompt.model_copy(update={"key": next(key for key in keys if self._journal.completion(key) is None)})
        self._journal.record_call(told, Completion(text=f"({error})", model=self.name, cost=error.cost))
        self._budget.settle(error.cost)


def _tokens(cost: Cost) -> int:
    return cost.prompt_tokens + cost.completion_tokens
