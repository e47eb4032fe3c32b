"""Models that complete prompts: any provider through litellm, and a scripted one for tests."""

import importlib
import ipaddress
import logging
import os
import random
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import ModuleType
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

from agents.retry import Failure, diagnose, pause
from evolve.errors import ModelError, UsageError
from evolve.types import Completion, Cost, Prompt

T = TypeVar("T")
Script = Iterable[str | Completion | Exception] | Callable[[Prompt], str | Completion]

CONNECT_SECONDS = 20.0
CHARACTERS_PER_TOKEN = 4
"""For a provider that reports no usage."""


class LiteLLM:
    """One model of any provider that litellm knows, named `provider/model`; safe to call from several threads.

    Keys and addresses come from the environment, as the provider names them. An OpenAI-compatible server of one's
    own is `openai/NAME` with OPENAI_API_BASE; it needs no key. `seconds_left` is what the run may still use (None:
    no limit): no call and no pause goes beyond it. `on_wait` is told the seconds and the reason before each pause.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float = 600.0,
        tries: int = 6,
        seconds_left: Callable[[], float | None] = lambda: None,
        on_wait: Callable[[float, str], None] = lambda _seconds, _why: None,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self._name = name
        self._timeout = timeout
        self._tries = tries
        self._seconds_left = seconds_left
        self._on_wait = on_wait
        self._sleep = sleep
        self._rng = rng or random.Random()

    @property
    def name(self) -> str:
        return self._name

    def check(self) -> None:
        """Raises UsageError, without a call, for a name or an environment that cannot work."""
        litellm = _litellm()
        try:
            litellm.get_llm_provider(self._name)
        except litellm.exceptions.BadRequestError as error:
            raise UsageError(
                f"unknown model {self._name!r}: name it PROVIDER/MODEL as litellm does (openai/…, anthropic/…, "
                "gemini/…, ollama/…), or use `offline`, which needs no model"
            ) from error
        missing = litellm.validate_environment(self._name)["missing_keys"]
        if missing and not self._address(litellm):
            either = " or ".join(missing) if self._name.startswith("gemini/") else " and ".join(missing)
            own = " (or OPENAI_API_BASE, for a server of your own)" if "OPENAI_API_KEY" in missing else ""
            raise UsageError(f"the model {self._name} has no key: set {either}{own}, or use --model offline")

    def complete(self, prompt: Prompt) -> Completion:
        """Raises ModelError: fatal for what no retry mends, otherwise after the last try or at the time limit."""
        litellm = _litellm()
        started = time.monotonic()
        for tries in range(1, self._tries + 1):
            try:
                response = self._call(litellm, prompt)
            except Exception as error:  # noqa: BLE001 - the provider's boundary: litellm raises any type
                self._wait_or_raise(diagnose(error), tries, error)
            else:
                return self._completion(litellm, prompt, response, time.monotonic() - started)
        raise AssertionError("unreachable: the last try returns or raises")

    def _call(self, litellm: ModuleType, prompt: Prompt) -> BaseModel:
        """One try, cut off at the time limit even when the provider keeps dripping bytes."""
        import httpx

        left = self._seconds_left()
        seconds = self._timeout if left is None else min(self._timeout, left)
        # A second more than ours: the sentence is always ours, the socket is closed soon after.
        limits = httpx.Timeout(seconds + 1, connect=min(seconds + 1, CONNECT_SECONDS))
        keyless = bool(self._address(litellm)) and "OPENAI_API_KEY" not in os.environ

        def answer() -> BaseModel:
            response: BaseModel = litellm.completion(
                model=self._name,
                messages=[message.model_dump() for message in prompt.messages],
                max_tokens=prompt.max_tokens,
                temperature=prompt.temperature,
                timeout=limits,
                api_key="none" if keyless else None,
                drop_params=True,
                max_retries=0,
                num_retries=0,
            )
            return response

        return _within(seconds, answer)

    def _wait_or_raise(self, failure: Failure, tries: int, error: Exception) -> None:
        told = f"{self._told()}: {failure.words}"
        if not failure.transient:
            raise ModelError(told, fatal=failure.fatal) from error
        if tries >= self._tries:
            raise ModelError(f"{told} (after {tries} tries)", fatal=False) from error
        seconds = pause(tries, failure.asked, self._rng)
        left = self._seconds_left()
        if left is not None and seconds >= left:
            raise ModelError(f"{told} ({seconds:.0f} s to wait, {left:.0f} s left)", fatal=False) from error
        self._on_wait(seconds, told)
        self._sleep(seconds)

    def _completion(self, litellm: ModuleType, prompt: Prompt, response: BaseModel, seconds: float) -> Completion:
        try:
            answer = _Answer.model_validate(response.model_dump())
        except ValidationError as error:
            raise ModelError(f"{self._told()}: answered with something that is no completion", fatal=False) from error
        text = answer.choices[0].message.content or ""
        sent, received = answer.usage.prompt_tokens, answer.usage.completion_tokens
        metered = received > 0 or not text
        if not metered:
            sent = sum(len(message.content) for message in prompt.messages) // CHARACTERS_PER_TOKEN
            received = len(text) // CHARACTERS_PER_TOKEN
        usd = self._price(litellm, response) if metered else None
        cost = Cost(
            prompt_tokens=sent, completion_tokens=received, usd=usd or 0.0, usd_known=usd is not None, seconds=seconds
        )
        truncated = answer.choices[0].finish_reason == "length"
        return Completion(text=text, model=self._name, cost=cost, truncated=truncated)

    def _price(self, litellm: ModuleType, response: BaseModel) -> float | None:
        """Dollars by the provider's list prices; None where nobody knows them, as on a server of one's own."""
        if _is_local(self._address(litellm)):
            return None
        try:
            return float(litellm.completion_cost(completion_response=response, model=self._name))
        except Exception:  # noqa: BLE001 - the provider's boundary: no missing price is worth a paid reply
            return None

    def _address(self, litellm: ModuleType) -> str:
        """Where an OpenAI-compatible server of one's own lies; empty for a provider's own address."""
        if litellm.get_llm_provider(self._name)[1] != "openai":
            return ""
        return os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE") or ""

    def _told(self) -> str:
        """The model and, where it has one, its address: what a message about a failure starts with."""
        address = self._address(_litellm())
        return f"{self._name} at {address}" if address else self._name


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
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)


class _Answer(BaseModel):
    """What is read of a chat completion."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage = _Usage()


def _litellm() -> ModuleType:
    """litellm, silent: no price list from the network, no `.env` of the working folder, no advertising on stderr.

    Imported by name, so that the type checker need not read its 300 MB.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    warnings.filterwarnings("ignore", message="Item '.*' on TypedDict class", category=UserWarning)
    litellm = importlib.import_module("litellm")
    litellm.suppress_debug_info = True  # type: ignore[attr-defined]
    litellm.telemetry = False  # type: ignore[attr-defined]
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    return litellm


def _within(seconds: float, call: Callable[[], T]) -> T:
    """Raises TimeoutError when `call` takes longer; it is then left behind, to its own time limit."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed on to whoever waits
            future.set_exception(error)

    threading.Thread(target=work, name="model-call", daemon=True).start()
    try:
        return future.result(timeout=seconds)
    except TimeoutError as error:
        if future.done():
            raise
        raise TimeoutError(f"did not answer within {seconds:g} s") from error


def _is_local(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith(".local")
