"""Models that complete prompts: any provider through litellm, and a scripted one for tests."""

import ipaddress
import random
import threading
import time
from collections.abc import Callable, Iterable
from types import ModuleType
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from evolve.deadline import within
from evolve.errors import ModelError
from evolve.provider import ProviderModel, quiet_litellm
from evolve.retry import Retries
from evolve.types import Completion, Cost, Prompt

Script = Iterable[str | Completion | Exception] | Callable[[Prompt], str | Completion]

CONNECT_SECONDS = 20.0
AWAITED = "completion"
CHARACTERS_PER_TOKEN = 4
"""For a provider that reports no usage."""


class LiteLLM:
    """One model of any provider that litellm knows, named `provider/model`; safe to call from several threads.

    `seconds_left` is what the run may still use (None: no limit): no call and no pause goes beyond it. `on_wait` is
    told the seconds and the reason before each pause.
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
        self._model = ProviderModel(name)
        self._timeout = timeout
        self._retries = Retries(
            tries, sleep=sleep, rng=rng or random.Random(), seconds_left=seconds_left, on_wait=on_wait
        )

    @property
    def name(self) -> str:
        return self._model.name

    def check(self) -> None:
        """Raises UsageError, without a call, for a name or an environment that cannot work."""
        self._model.check(
            kind="model",
            named="PROVIDER/MODEL as litellm does (openai/…, anthropic/…, gemini/…, ollama/…)",
            instead="--model offline",
        )

    def complete(self, prompt: Prompt) -> Completion:
        """Raises ModelError: fatal for what no retry mends, otherwise after the last try or at the time limit."""
        litellm = quiet_litellm()  # before the clock runs: importing it takes seconds
        started = time.monotonic()
        response = self._retries.run(lambda: self._call(litellm, prompt), whose=self._model, awaited=AWAITED)
        return self._completion(prompt, response, time.monotonic() - started)

    def _call(self, litellm: ModuleType, prompt: Prompt) -> BaseModel:
        """One try, cut off at the time limit even when the provider keeps dripping bytes."""
        import httpx

        left = self._retries.seconds_left()
        seconds = self._timeout if left is None else min(self._timeout, left)
        # A second more than ours: the sentence is always ours, the socket is closed soon after.
        limits = httpx.Timeout(seconds + 1, connect=min(seconds + 1, CONNECT_SECONDS))
        key = self._model.key

        def answer() -> BaseModel:
            response: BaseModel = litellm.completion(
                model=self.name,
                messages=[message.model_dump() for message in prompt.messages],
                max_tokens=prompt.max_tokens,
                temperature=prompt.temperature,
                timeout=limits,
                api_key=key,
                drop_params=True,
                max_retries=0,
                num_retries=0,
            )
            return response

        return within(seconds, answer)

    def _completion(self, prompt: Prompt, response: BaseModel, seconds: float) -> Completion:
        answer = self._model.read(response, _Answer, AWAITED)
        # Half of a surrogate pair is valid JSON and no text: no file and no database takes it.
        text = (answer.choices[0].message.content or "").encode(errors="replace").decode()
        sent, received = answer.usage.prompt_tokens, answer.usage.completion_tokens
        metered = received > 0 or not text
        if not metered:
            sent = sum(len(message.content) for message in prompt.messages) // CHARACTERS_PER_TOKEN
            received = len(text) // CHARACTERS_PER_TOKEN
        usd = self._price(response) if metered else None
        cost = Cost(
            prompt_tokens=sent, completion_tokens=received, usd=usd or 0.0, usd_known=usd is not None, seconds=seconds
        )
        truncated = answer.choices[0].finish_reason == "length"
        return Completion(text=text, model=self.name, cost=cost, truncated=truncated)

    def _price(self, response: BaseModel) -> float | None:
        """Dollars by the provider's list prices; None where nobody knows them, as on a server of one's own."""
        if _is_local(self._model.address):
            return None
        try:
            return float(quiet_litellm().completion_cost(completion_response=response, model=self.name))
        except Exception:  # noqa: BLE001 - the provider's boundary: no missing price is worth a paid reply
            return None


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


def _is_local(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith(".local")
