"""What an evaluator gives up waiting for ends: a call of the program that nobody wants any more does not hold it."""

import contextlib
import functools
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import FrameType
from typing import Any

from . import conversation


def install() -> None:
    """In this process; there is no way back."""
    _mark_interruptions()
    _release_abandoned_threads()


def _mark_interruptions() -> None:
    """What a signal's handler raises is known for that, wherever it strikes: a program that is calling a function of
    the evaluator's does not get to swallow it.
    """
    original = signal.signal

    @functools.wraps(original)
    def replaced(number: int, handler: Any) -> Any:
        if not callable(handler):
            return original(number, handler)

        @functools.wraps(handler)
        def marking(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as error:
                with contextlib.suppress(AttributeError):
                    error.interrupts = True  # type: ignore[attr-defined]
                raise

        return original(number, marking)

    signal.signal = replaced  # type: ignore[assignment]


def _release_abandoned_threads() -> None:
    """A future that was not ready in time, or is cancelled while it runs, ends the call that its thread waits in:
    nobody waits for that thread for ever, as an executor's end would.
    """
    submit, result = ThreadPoolExecutor.submit, Future.result
    cancel = Future.cancel

    def submitting(executor: Any, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Any:
        thread: list[int] = []

        def run() -> Any:
            thread.append(threading.get_ident())
            return function(*arguments, **keywords)

        future = submit(executor, run)
        future.thread = thread  # type: ignore[attr-defined]
        return future

    def release(future: Any) -> None:
        asked = conversation.waiting.get(*future.thread) if getattr(future, "thread", None) else None
        if asked and not future.done():
            asked.give_up()

    def waiting(future: Any, timeout: float | None = None) -> Any:
        try:
            return result(future, timeout)
        except TimeoutError:
            release(future)
            raise

    def cancelling(future: Any) -> bool:
        cancelled = cancel(future)
        if not cancelled:
            release(future)
        return cancelled

    ThreadPoolExecutor.submit = submitting  # type: ignore[method-assign]
    Future.result = waiting  # type: ignore[assignment,method-assign]
    Future.cancel = cancelling  # type: ignore[assignment,method-assign]
