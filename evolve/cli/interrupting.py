"""Ctrl-C while calls are in flight: the first one waits for them, the second one does not."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130


@contextmanager
def interruptible(again: str) -> Iterator[None]:
    """The first Ctrl-C raises KeyboardInterrupt; what then waits for calls in flight is ended by the second.

    Nothing is lost by either: what had finished is on disk. `again`: the command that goes on.
    Where the shell that started us ignores Ctrl-C, so do we.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        del number, frame
        sys.stderr.write(f"\nevolve: left without the calls in flight: {again}\n")
        sys.stderr.flush()
        os._exit(INTERRUPTED)

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        signal.signal(signal.SIGINT, leave)
        sys.stderr.write("\nevolve: waiting for the calls in flight; Ctrl-C again leaves them\n")
        sys.stderr.flush()
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
