"""Models that complete prompts: any provider through litellm, and a scripted one for tests."""

import math
import random
import threading
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from types import ModuleType

from pydantic import BaseModel, Field

from agents.request import Abilities, Received, Request
from evolve.budget import LostReplyError
from evolve.deadline import attended
from evolve.errors import ModelError
from evolve.provider import Price, ProviderModel, quiet_litellm
from evolve.retry import Retries, diagnose
from evolve.types import Completion, Cost, Prompt

Script = Iterable[str | Completion | Exception] | Callable[[Prompt], str | Completion]

CONNECT_SECONDS = 20.0
PATIENCE_SECONDS = 900.0
"""A provider that asks for a longer pause is not waited for."""
AWAITED = "completion"
CHARACTERS_PER_TOKEN = 4
"""For a provider that reports no usage, or one that cannot be."""
PLAUSIBLE = 10
"""So many times more or less than the estimate, usage is believed."""
OVERHEAD_TOKENS = 500
"""What a chat template or a short reply may add to the estimate."""


class LiteLLM:
    """One model of any provider that litellm knows, named `provider/model`; safe to call from several threads.

    Replies are streamed, so that one that falls silent for `idle` seconds is cut off long before the `timeout`.
    `seconds_left` is what the run may still use (None: no limit): no call and no pause goes beyond it. `short_of` says
    why the call with this key cannot be tried again beside what replies that broke off have cost, nothing where it
    can. `on_wait` is told the seconds and the reason before each pause.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float = 600.0,
        idle: float = 120.0,
        tries: int = 6,
        seconds_left: Callable[[], float | None] = lambda: None,
        short_of: Callable[[str, Cost], str] = lambda _key, _lost: "",
        on_wait: Callable[[float, str], None] = lambda _seconds, _why: None,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self._model = ProviderModel(name)
        self._timeout = timeout
        self._idle = idle
        self._short_of = short_of
        self._retries = Retries(
            tries,
            sleep=sleep,
            rng=rng or random.Random(),
            patience=PATIENCE_SECONDS,
            seconds_left=seconds_left,
            on_wait=on_wait,
        )

    @property
    def name(self) -> str:
        return self._model.name

    @cached_property
    def price(self) -> Price | None:
        """By the provider's list; None where nobody knows it, as for a server of one's own."""
        return self._model.price

    @cached_property
    def _abilities(self) -> Abilities:
        return Abilities(shapes=self._model.knows_shapes)

    def check(self) -> None:
        """Raises UsageError, without a call, for a name or an environment that cannot work."""
        self._model.check(
            kind="model",
            named="PROVIDER/MODEL as litellm does (openai/…, anthropic/…, gemini/…, ollama/…)",
            instead="--model offline",
        )

    def complete(self, prompt: Prompt) -> Completion:
        """Raises ModelError: fatal for what no retry mends, otherwise after the last try or at the time limit.

        It is a LostReplyError where the provider bills what came of replies that were never whole.
        """
        litellm = quiet_litellm()  # before the clock runs: importing it takes seconds
        started = time.monotonic()
        lost = Cost()

        def once() -> Received:
            nonlocal lost
            request = Request(self._model, self._abilities, prompt)
            try:
                return self._call(litellm, request)
            except Exception as error:
                if request.heard:
                    lost += self._estimate(prompt, "".join(request.heard))
                    if short := self._short_of(prompt.key, lost):
                        words = f"{self._model}: {diagnose(error).words} ({short})"
                        raise ModelError(words, fatal=False) from error
                raise

        try:
            received = self._retries.run(once, whose=self._model, awaited=AWAITED)
            completion = self._completion(prompt, received)
        except ModelError as error:
            if lost == Cost():
                raise
            raise LostReplyError(str(error), fatal=error.fatal, cost=lost) from error
        cost = completion.cost + lost + Cost(seconds=time.monotonic() - started)
        return completion.model_copy(update={"cost": cost})

    def _call(self, litellm: ModuleType, request: Request) -> Received:
        """One try, cut off at the time limit even when the provider keeps dripping bytes."""
        import httpx

        left = self._retries.seconds_left()
        seconds = self._timeout if left is None else min(self._timeout, left)
        # A second more than ours: the sentence is always ours, the socket is closed soon after.
        limits = httpx.Timeout(seconds + 1, connect=min(seconds + 1, CONNECT_SECONDS))
        return attended(seconds, self._idle, lambda beat: request.send(litellm, limits, beat))

    def _completion(self, prompt: Prompt, received: Received) -> Completion:
        answer = self._model.read(received.response, _Answer, AWAITED)
        # Half of a surrogate pair is valid JSON and no text: no file and no database takes it.
        text = (answer.choices[0].message.content or "").encode(errors="replace").decode()
        cost = self._estimate(prompt, text)
        usage = answer.usage
        if received.metered and usage and _plausible(usage, cost, prompt.max_tokens):
            usd = self._billed(received.response)
            cost = Cost(
                prompt_tokens=usage.prompt_tokens or 0,
                completion_tokens=usage.completion_tokens or 0,
                usd=usd or 0.0,
                usd_known=usd is not None,
            )
        truncated = answer.choices[0].finish_reason == "length"
        return Completion(text=text, model=self.name, cost=cost, truncated=truncated)

    def _billed(self, response: BaseModel) -> float | None:
        """Dollars by the provider's list prices, cached tokens and all; None where nobody knows them."""
        if self._model.is_local:
            return None
        try:
            return float(quiet_litellm().completion_cost(completion_response=response, model=self.name))
        except Exception:  # noqa: BLE001 - the provider's boundary: no missing price is worth a paid reply
            return None

    def _estimate(self, prompt: Prompt, text: str) -> Cost:
        sent = math.ceil(sum(len(message.content) for message in prompt.messages) / CHARACTERS_PER_TOKEN)
        received = math.ceil(len(text) / CHARACTERS_PER_TOKEN)
        usd = self.price.of(sent, received) if self.price else 0.0
        return Cost(prompt_tokens=sent, completion_tokens=received, usd=usd, usd_known=False, estimated=True)


class ScriptedModel:
    """Answers from a script, for tests: a list in order, or a function of the prompt. Keeps the prompts it was given.

    A reply that is an exception is raised. A list that has run out raises ModelError. Tokens are counted as
    characters / 4, dollars are none.
    """

    def __init__(self, replies: Script, name: str = "scripted") -> None:
        self._answer = replies if callable(replies) else None
        self._replies = iter(() if callable(replies) else replies)
        self._name = name
        self._lock = threading.Lock()
        self.prompts: list[Prompt] = []

    @property
    def name(self) -> str:
        return self._name

    def complete(self, prompt: Prompt) -> Completion:
        with self._lock:
            self.prompts.append(prompt)
            reply = self._answer(prompt) if self._answer else next(self._replies, None)
        if reply is None:
            raise ModelError(f"the script has no reply number {len(self.prompts)} ({prompt.key})")
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Completion):
            return reply
        sent = sum(len(message.content) for message in prompt.messages) // CHARACTERS_PER_TOKEN
        cost = Cost(prompt_tokens=sent, completion_tokens=len(reply) // CHARACTERS_PER_TOKEN)
        return Completion(text=reply, model=self._name, cost=cost)


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    """As reported: nothing keeps a provider from reporting nonsense."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(BaseModel):
    """What is read of a chat completion."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


def _plausible(usage: _Usage, estimate: Cost, max_tokens: int) -> bool:
    """Neither missing nor far from what the characters say. A reply may hide as many thoughts as it had room for."""
    sent, received = usage.prompt_tokens or 0, usage.completion_tokens or 0
    room = max(estimate.completion_tokens, max_tokens)
    return (
        _least(estimate.prompt_tokens) <= sent <= PLAUSIBLE * estimate.prompt_tokens + OVERHEAD_TOKENS
        and _least(estimate.completion_tokens) <= received <= PLAUSIBLE * room + OVERHEAD_TOKENS
    )


def _least(estimate: int) -> int:
    return math.ceil(estimate / PLAUSIBLE)
