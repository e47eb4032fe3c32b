"""One request to a provider: what is asked for, how its answer comes in, and what it turned out not to do."""

import re
import threading
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from pydantic import BaseModel

from evolve.deadline import Beat
from evolve.provider import ProviderModel
from evolve.retry import REFUSED, BrokenOffError
from evolve.types import Prompt

STREAM, SHAPE = "stream", "response_format"
_ABOUT = {
    SHAPE: re.compile(r"response_?format|json_?schema|structured|grammar|guided", re.IGNORECASE),
    STREAM: re.compile(r"stream", re.IGNORECASE),
}
BROKEN_STREAMS = 2
"""So many that broke off before any came whole mean that the provider's streams are no good."""


class Received(NamedTuple):
    """A whole answer."""

    response: BaseModel
    metered: bool
    """The provider said what it used."""


class Request:
    """What one prompt becomes for the provider, as far as it is known to understand it."""

    def __init__(self, model: ProviderModel, abilities: "Abilities", prompt: Prompt) -> None:
        self._model = model
        self._abilities = abilities
        self._prompt = prompt
        self.heard: list[str] = []
        """What came of an answer that may never be whole: the provider bills it all the same."""

    def send(self, litellm: ModuleType, limits: object, beat: Beat) -> Received:
        """Once more without an option that the provider refuses. Raises whatever litellm does, or BrokenOffError."""
        while True:
            options = self._abilities.options(self._prompt)
            self.heard.clear()
            try:
                return self._send(litellm, limits, options, beat)
            except NoStreamError:
                self._abilities.give_up(STREAM)
            except Exception as error:
                refused = next((name for name in options if _refuses(error, name)), None)
                if refused is None:
                    raise
                self._abilities.give_up(refused)

    def _send(self, litellm: ModuleType, limits: object, options: Mapping[str, Any], beat: Beat) -> Received:
        answer = litellm.completion(
            model=self._model.name,
            messages=[message.model_dump() for message in self._prompt.messages],
            max_tokens=self._prompt.max_tokens,
            temperature=self._prompt.temperature,
            timeout=limits,
            api_key=self._model.key,
            drop_params=True,
            max_retries=0,
            num_retries=0,
            **options,
        )
        if STREAM not in options:
            return Received(answer, metered=True)
        chunks = self._read(litellm, answer, beat)
        self._abilities.stream_came_whole()
        whole = litellm.stream_chunk_builder(chunks, messages=None)
        metered = any(getattr(chunk, "usage", None) for chunk in chunks)
        if not metered:
            self._abilities.give_up(STREAM)
        return Received(whole, metered)

    def _read(self, litellm: ModuleType, stream: Any, beat: Beat) -> list[Any]:
        """Litellm ends every stream as if it were whole; what the provider sent is in `chunks`."""
        try:
            for chunk in stream:
                if text := _text(chunk):
                    self.heard.append(text)
                    beat()
        except litellm.exceptions.MidStreamFallbackError as error:  # its wrapping of what broke the stream
            raise error.original_exception or error from error
        if not stream.chunks:
            raise NoStreamError
        if not (stream.received_finish_reason or stream.intermittent_finish_reason):
            self._abilities.stream_broke()
            raise BrokenOffError
        chunks: list[Any] = stream.chunks
        return chunks


class NoStreamError(Exception):
    """The provider answered a request for a stream with something else."""


class Abilities:
    """What the provider of one model is asked for. What it refused is not asked for again. Thread-safe."""

    def __init__(self, *, shapes: bool) -> None:
        self._given_up = set() if shapes else {SHAPE}
        self._broken = 0
        self._lock = threading.Lock()

    def options(self, prompt: Prompt) -> dict[str, Any]:
        """A shape is a wish: not every provider that takes it keeps to it, so whoever asked checks the reply."""
        wanted: dict[str, Any] = {}
        if STREAM not in self._given_up:
            wanted |= {STREAM: True, "stream_options": {"include_usage": True}}
        if prompt.shape is not None and SHAPE not in self._given_up:
            strict = prompt.shape.get("additionalProperties") is False
            schema = {"name": "reply", "schema": dict(prompt.shape), "strict": strict}
            wanted[SHAPE] = {"type": "json_schema", "json_schema": schema}
        return wanted

    def give_up(self, option: str) -> None:
        with self._lock:
            self._given_up.add(option)

    def stream_came_whole(self) -> None:
        with self._lock:
            self._broken = -1

    def stream_broke(self) -> None:
        with self._lock:
            if self._broken >= 0:
                self._broken += 1
        if self._broken >= BROKEN_STREAMS:
            self.give_up(STREAM)


def _refuses(error: Exception, option: str) -> bool:
    about = _ABOUT.get(option)
    told = f"{getattr(error, 'body', '')}{error}"
    states = REFUSED | {500} if option == SHAPE else REFUSED  # llama.cpp's server breaks over a shape it does not know
    return about is not None and getattr(error, "status_code", None) in states and bool(about.search(told))


def _text(chunk: Any) -> str:
    """What a chunk adds to the answer, thoughts included."""
    deltas: Iterable[Any] = (getattr(choice, "delta", None) for choice in chunk.choices)
    found = ((getattr(d, "content", None), getattr(d, "reasoning_content", None)) for d in deltas)
    return "".join(part for pair in found for part in pair if part)
