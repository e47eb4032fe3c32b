"""A time limit for a call that knows none, or one that a trickle of bytes keeps from firing."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

Beat = Callable[[], None]
"""A sign of life. Raises AbandonedError once nobody waits any more."""


class AbandonedError(Exception):
    """Whoever had asked for the work has stopped waiting for it."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """Raises TimeoutError when `call` takes longer; it is then left behind, to its own time limit."""
    return attended(seconds, math.inf, lambda _beat: call())


def attended(seconds: float, idle: float, call: Callable[[Beat], T]) -> T:
    """As `within`, for a call that gives signs of life: from the first one on no pause may be longer than `idle`."""
    future: Future[T] = Future()
    abandoned = threading.Event()
    last: list[float] = []

    def beat() -> None:
        if abandoned.is_set():
            raise AbandonedError
        last[:] = [time.monotonic()]

    def work() -> None:
        try:
            future.set_result(call(beat))
        except BaseException as error:  # noqa: BLE001 - handed on to whoever waits
            future.set_exception(error)

    threading.Thread(target=work, name="limited-call", daemon=True).start()
    end = time.monotonic() + seconds
    while True:
        now = time.monotonic()
        waits = min(end, (last[0] if last else now) + idle) - now
        try:
            return future.result(timeout=max(0.0, waits))
        except TimeoutError as error:
            if future.done():
                return future.result()
            late, silent = time.monotonic() >= end, bool(last) and time.monotonic() >= last[0] + idle
            if not late and not silent:
                continue
            abandoned.set()
            told = f"did not answer within {seconds:g} s" if late else f"fell silent for {idle:g} s in its answer"
            raise TimeoutError(told) from error
