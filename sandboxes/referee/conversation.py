"""The evaluator's line to one process of the program: it asks, and is answered, and may be called back meanwhile."""

import builtins
import contextlib
import json
import os
import pickle
import socket
import threading
import weakref
from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Any, NamedTuple, NoReturn

from .encoding import GarbageError, UnsendableError
from .line import HangUpError, Line, Message, ProgramError

ENDS = (StopIteration, StopAsyncIteration)
PARTING_SECONDS = 3.0
MOST_TRACE = 4000
ENDINGS = {
    "SIGSYS": "made a system call that a program may not make (starting processes, sockets, signalling)",
    "SIGKILL": "ran out of memory",
    "SIGSEGV": "crashed (SIGSEGV)",
}


waiting: "dict[int, Conversation | None]" = {}
"""Of each thread, by its number: whose answer it waits for."""


class Objects(NamedTuple):
    """How what is no plain data, and stays in the program's process, is seen on this side."""

    made: "Callable[[Conversation, bytes, int], object]"
    """Of its kind and number. Raises KeyError for a kind that there is not."""
    held: "Callable[[object], tuple[Conversation, int] | None]"
    """The conversation and number behind one; None for what is none."""


class Conversation:
    """With one process of the program. Safe to use from several threads, which take turns."""

    def __init__(self, broker: str, name: str, objects: Objects) -> None:
        """Raises ProgramError when no process is to be had."""
        self._place = broker, name
        self._objects = objects
        self._functions: list[Callable[..., object]] = []
        self._dropped: list[int] = []
        self._over: ProgramError | None = None
        self.moves = 0
        """How often the program was set to work, or done with it."""
        self._connect()

    def _connect(self) -> None:
        self._owner = os.getpid()
        self._control, self._connection = _connected(*self._place)
        own = weakref.proxy(self)  # or the process would live until a collection of garbage
        self._line = Line(self._connection.fileno(), own, lambda asked: own.call_back(asked))  # noqa: PLW0108 - else it is held
        weakref.finalize(self, _closed, self._control, self._connection)

    def _begin_anew(self) -> None:
        """In a fork of the evaluator, which cannot share its parent's line: with a process that loads the program again
        and knows what was given at loading by the same numbers, but nothing of what was given later.
        """
        _closed(self._control, self._connection)
        self._connect()
        self.ask("load", 0)
        self._dropped = []

    def ask(self, what: str, target: int, *details: object) -> Any:
        """Raises what the program raised, as the nearest built-in exception, and ProgramError when it is gone."""
        if self._over:
            raise self._over.with_traceback(None)
        if self._owner != os.getpid():
            self._begin_anew()
        thread = threading.get_ident()
        before, waiting[thread] = waiting.get(thread), self
        try:
            answer = self._exchanged(what, target, details)
        finally:
            waiting[thread] = before
        return _understood(answer, what)

    def _exchanged(self, what: str, target: int, details: tuple[object, ...]) -> Message:
        dropped, self._dropped = self._dropped, []
        try:
            return self._line.ask(what, target, details, dropped)
        except UnsendableError as error:
            raise TypeError(f"an argument cannot be handed to a program that is kept apart: {error}") from None
        except GarbageError as error:
            self.abandon("too_much" if "limit" in str(error) else "program", f"answered what is no answer: {error}")
        except HangUpError:
            self._part()
        except BaseException:
            self.give_up()
            raise

    def abandon(self, kind: str, message: str) -> NoReturn:
        self._hang_up()
        raise self._close(kind, message)

    def give_up(self) -> None:
        """From any thread: a call that nobody waits for any more ends, and the program with it."""
        self._close("timeout", "was given up by its evaluator in the middle of a call, and is over")
        self._hang_up()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _part(self) -> NoReturn:
        """The process hung up: how did it end?"""
        if self._over:
            raise self._over.with_traceback(None)
        with contextlib.suppress(OSError, ValueError):
            self._control.settimeout(PARTING_SECONDS)
            end = json.loads(self._control.recv(65536))
            if end["signal"]:
                said = ENDINGS.get(end["signal"], f"was ended by {end['signal']}")
                raise self._close("memory" if end["signal"] == "SIGKILL" else "died", said)
            raise self._close("died", f"ended its own process (exit code {end['exit_code']})")
        raise self._close("died", "closed the channel to its evaluator")

    def _close(self, kind: str, message: str) -> ProgramError:
        """The other end of the control line kills the process."""
        self._over = self._over or ProgramError(kind, f"the program {message}")
        self._control.close()
        return self._over

    def call_back(self, request: Message) -> Message:
        self.moves += 1
        try:
            what, number, arguments, keywords = request
            if what != "calls" or type(number) is not int or not 0 <= number < len(self._functions):
                raise TypeError("there is no such function")  # noqa: TRY301
            return "value", self._functions[number](*arguments, **keywords)
        except Exception as error:
            if getattr(error, "interrupts", False):
                raise
            return "raised", [kind.__name__ for kind in type(error).__mro__], [str(error)], ""

    # ---- values that are no plain data (encoding.Others)

    def reference(self, value: object) -> tuple[bytes, bytes]:
        if (held := self._objects.held(value)) is not None:
            if held[0] is not self:
                raise UnsendableError("it belongs to another process of the program")
            return b"h", str(held[1]).encode()
        if callable(value) and not _by_name(value):
            if value not in self._functions:
                self._functions.append(value)
            return b"f", str(self._functions.index(value)).encode()
        try:
            return b"p", pickle.dumps(value)
        except Exception as error:
            raise UnsendableError(f"{type(value).__name__}: {error}") from error

    def follow(self, letter: bytes, content: bytes) -> object:
        number = int(content)
        if letter == b"f" and 0 <= number < len(self._functions):
            return self._functions[number]
        try:
            return self._objects.made(self, letter, number)
        except KeyError:
            raise GarbageError(f"a reference that nobody gives: {letter!r}") from None

    def forget(self, number: int) -> None:
        self._dropped.append(number)


def _closed(*sockets: socket.socket) -> None:
    for one in sockets:
        one.close()


def _connected(broker: str, name: str) -> tuple[socket.socket, socket.socket]:
    """The line to the broker, and the one to a new process of the program."""
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        control.connect(broker)
        control.send(json.dumps({"do": "load", "name": name}).encode())
        said, descriptors, _, _ = socket.recv_fds(control, 65536, 1)
    except (ConnectionError, FileNotFoundError) as error:
        control.close()
        raise ProgramError("died", f"the program cannot be started: {error}") from error
    if not descriptors:
        control.close()
        raise ProgramError("too_much", json.loads(said)["refused"] if said else "the program cannot be started")
    return control, socket.socket(fileno=descriptors[0])


def _understood(answer: Message, what: str) -> Any:
    try:
        if answer[0] == "value":
            return answer[1]
        if answer[0] == "stop" and what == "next":
            raise StopIteration
        _, names, arguments, trace = answer
        error = _exception([str(name) for name in names], list(arguments))
    except (ValueError, TypeError, IndexError) as garbage:
        raise ProgramError("program", "the program answered what is no answer") from garbage
    if trace:
        error.add_note("In the program:\n" + str(trace)[-MOST_TRACE:])
    error.blame = "memory" if isinstance(error, MemoryError) else "program"
    raise error


def _exception(names: list[str], arguments: list[object]) -> Any:
    """The first of these that is a built-in exception; the name of one that is not stands before its message.

    None that ends an iteration: `map` over a function of the program would take it for the end of what it goes through.
    """
    for name in names:
        kind = getattr(builtins, name, None)
        if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(kind, ENDS):
            continue
        if name != names[0]:
            arguments = [": ".join([names[0], *[str(argument) for argument in arguments]])]
        try:
            return kind(*arguments)
        except TypeError:
            break
    return RuntimeError(": ".join([names[0] if names else "", *[str(argument) for argument in arguments]]))


def _by_name(value: object) -> bool:
    """What can be had on the other side too is called there."""
    return isinstance(value, type | BuiltinFunctionType) or type(value).__name__ == "ufunc"
