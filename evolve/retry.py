"""Which failures of a model's provider are worth waiting for, how long, and how they are told.

There is one set of retries, this one: the provider's own client is asked for none.
"""

import contextlib
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import NamedTuple, TypeVar

from evolve.errors import ModelError

T = TypeVar("T")

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""HTTP states that may be gone at the next try."""
REFUSED = frozenset({400, 413, 422})
"""HTTP states of a request that the provider finds fault with."""
THIS_PROMPT_ONLY = frozenset({"ContentPolicyViolationError", "ContextWindowExceededError"})
"""What another prompt may pass."""
TOO_LONG = re.compile(r"context[ _](?:length|window|size)|maximum context|prompt is too long", re.IGNORECASE)
LONGEST_PAUSE = 60.0
"""Seconds; only a provider that asks for more gets more."""
LONGEST_WORDS = 400
"""Characters of a provider's message that are passed on."""
_REPEATS = "repeating the same chunk"
"""By which litellm ends a stream that goes in circles; asked again, it would be billed again."""
_LAYERS = re.compile(r"^(?:[\w.]*?\w*(?:Error|Timeout|Exception)\b(?: -|:) ?)+")


class BrokenOffError(Exception):
    """An answer that ended before it was whole."""


class Retries(NamedTuple):
    """How often and how long one call of a provider is tried."""

    tries: int
    sleep: Callable[[float], None] = time.sleep
    rng: Random | None = None
    """Jitters the pauses, for callers that come several at a time."""
    patience: float = math.inf
    """Seconds; a provider that asks for more is not waited for."""
    seconds_left: Callable[[], float | None] = lambda: None
    """What the run may still use, None for no limit; no pause goes beyond it."""
    on_wait: Callable[[float, str], None] = lambda _seconds, _why: None
    """Told the seconds and the reason before each pause."""

    def run(self, call: Callable[[], T], *, whose: object, awaited: str) -> T:
        """What `call` returns, which is to be an `awaited` of the model `whose`. A ModelError of `call` passes through.

        Raises ModelError: fatal for what no retry mends, otherwise after the last try or at a limit of time.
        """
        for tries in range(1, self.tries + 1):
            try:
                return call()
            except ModelError:  # told already
                raise
            except Exception as error:  # the provider's boundary: litellm raises any type
                failure = diagnose(error, awaited=awaited)
                told = f"{whose}: {failure.words}"
                if not failure.transient:
                    raise ModelError(told, fatal=failure.fatal) from error
                seconds = pause(tries, failure.asked, self.rng)
                if end := self._end(tries, seconds):
                    raise ModelError(f"{told} ({end})", fatal=False) from error
                self.on_wait(seconds, told)
                self.sleep(seconds)
        raise AssertionError("unreachable: the last try returns or raises")

    def _end(self, tries: int, seconds: float) -> str:
        """Why this try was the last; empty where it was not."""
        if tries >= self.tries:
            return f"after {tries} tries"
        if seconds > self.patience:
            return f"it asked to wait {seconds:.0f} s"
        left = self.seconds_left()
        return "" if left is None or seconds < left else f"{seconds:.0f} s to wait, {left:.0f} s left"


class Failure(NamedTuple):
    words: str
    """One sentence, the provider's own where it said anything."""
    transient: bool
    """The same call may succeed after a pause."""
    fatal: bool
    """No later call of the run can succeed either."""
    asked: float | None = None
    """Seconds that the provider asked to wait."""


def diagnose(error: BaseException, now: datetime | None = None, *, awaited: str = "answer") -> Failure:
    """Read an exception of litellm: its HTTP state, its causes, its headers.

    Told apart by names and attributes, so that this works without litellm. Not covered: a provider's adapter that
    hides a refused connection in an exception without a cause.
    """
    causes = list(_causes(error))
    return _unanswered(error, causes, awaited) or _answered(error, causes, now or datetime.now(UTC))


def _unanswered(error: BaseException, causes: list[BaseException], awaited: str) -> Failure | None:
    """The failures in which no provider said a word; None for the others."""
    names = {type(cause).__name__ for cause in causes}
    if names & {"ConnectError", "ConnectTimeout"}:
        return Failure(f"cannot be reached ({_root(causes)})", transient=False, fatal=True)
    if (circles := _REPEATS in str(error)) or names & {"Timeout", "TimeoutError", "APITimeoutError"}:
        words = str(error) if type(error) is TimeoutError else "did not answer in time"
        return Failure("repeats itself without end" if circles else words, transient=False, fatal=False)
    if isinstance(error, BrokenOffError):
        return Failure("broke off in the middle of its answer", transient=True, fatal=False)
    if "JSONDecodeError" in names:
        return Failure(f"answered with something that is no {awaited}", transient=True, fatal=False)
    if "APIConnectionError" in names:
        return Failure(f"broke the connection ({_root(causes)})", transient=True, fatal=False)
    return None


def _answered(error: BaseException, causes: list[BaseException], now: datetime) -> Failure:
    status = getattr(error, "status_code", None)
    broke = any("insufficient_quota" in f"{getattr(cause, 'body', '')}{cause}" for cause in causes)
    if status in TRANSIENT and not broke:
        return Failure(said(error), transient=True, fatal=False, asked=_retry_after(_headers(causes), now))
    this_prompt_only = {type(cause).__name__ for cause in causes} & THIS_PROMPT_ONLY or (
        status in REFUSED and TOO_LONG.search(f"{getattr(error, 'body', '')}{error}")
    )
    return Failure(said(error), transient=False, fatal=not this_prompt_only)


def pause(tries: int, asked: float | None, rng: Random | None) -> float:
    """Seconds to wait after the `tries`-th failure: what was asked, else doubling from one; jittered by `rng`."""
    if asked is not None:
        return asked + (rng.uniform(0, 1) if rng else 0)
    return min(LONGEST_PAUSE, 2.0 ** (tries - 1)) * (rng.uniform(0.5, 1) if rng else 1)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _root(causes: list[BaseException]) -> str:
    """What the innermost cause that says anything says."""
    spoken = [str(cause) for cause in causes if str(cause)]
    return spoken[-1] if spoken else "no reason given"


def said(error: BaseException) -> str:
    """One sentence: the provider's where it is told apart, without the names of the layers it came through."""
    text = next(filter(None, (_message(getattr(cause, "body", None)) for cause in _causes(error))), str(error))
    start = text.find("{")
    if start >= 0:
        with contextlib.suppress(ValueError):  # a brace in plain words
            text = _message(json.JSONDecoder().raw_decode(text[start:])[0]) or text
    return " ".join(_LAYERS.sub("", text).split())[:LONGEST_WORDS] or type(error).__name__


def _message(body: object) -> str:
    if not isinstance(body, dict):
        return ""
    inner = body.get("error", body)
    found = inner.get("message") if isinstance(inner, dict) else inner
    return found if isinstance(found, str) else ""


def _headers(causes: list[BaseException]) -> Mapping[str, str]:
    for cause in causes:
        for holder in (getattr(cause, "litellm_response_headers", None), getattr(cause, "response", None)):
            headers = getattr(holder, "headers", holder)
            if isinstance(headers, Mapping) and "retry-after" in headers:
                return headers
    return {}


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """RFC 9110, 10.2.3: seconds or a date. None when it is absent or unreadable."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (TypeError, ValueError):
        return None
