"""The evaluator's side of a program: a module, and objects, that are really in the program's own process.

Plain data and arrays are copied, so what either side changes in place the other does not see. What is no data stays
where it is and is seen through a `Remote`: attributes, calls, items, iteration. Two of them are equal only if they are
the same, and none is a number, a truth value or an array: what such an object claims of itself decides nothing here.
What was read of one stays so until the evaluator sets the program to work again (calls, assigns, takes a generator's
next): what an evaluator has checked is what it goes on with.

Not covered: an object that the evaluator checks, and uses only after another call of the program.
"""

import builtins
import contextlib
import json
import os
import pickle
import socket
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import BuiltinFunctionType, ModuleType
from typing import Any, NoReturn, Self

from .encoding import GarbageError, UnsendableError
from .line import HangUpError, Line, Message, ProgramError

TOLD = frozenset({"__name__", "__qualname__", "__doc__", "__version__"})
"""Special attributes that the other side may answer for, with text. numpy, pickle and copy act on others."""
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


class Conversation:
    """With one process of the program. Safe to use from several threads, which take turns."""

    def __init__(self, broker: str, name: str) -> None:
        """Raises ProgramError when no process is to be had."""
        self._place = broker, name
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
        if isinstance(value, Remote | Program):
            if conversation_of(value) is not self:
                raise UnsendableError("it belongs to another process of the program")
            return b"h", str(number_of(value)).encode()
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
        if letter in KINDS:
            return KINDS[letter](self, number)
        raise GarbageError(f"a reference that nobody gives: {letter!r}")

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


class Remote:
    """An object in the program's process."""

    __array_ufunc__ = None

    def __init__(self, conversation: Conversation, number: int) -> None:
        self.__dict__.update(_own(conversation, number))

    def __getattr__(self, name: str) -> Any:
        return attribute(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        act(self, "set", name, value)

    def __getitem__(self, key: object) -> Any:
        return look(self, "item", key)

    def __setitem__(self, key: object, value: object) -> None:
        act(self, "put", key, value)

    def __len__(self) -> int:
        return int(look(self, "length"))

    def __contains__(self, value: object) -> bool:
        return any(value is one or value == one for one in self)

    def __iter__(self) -> Iterator[Any]:
        return iter(_once(self, "items", lambda: Items(self)))

    def __array_function__(self, function: Callable[..., object], *_: object) -> NoReturn:
        """Or numpy would ask the object itself for its sum, its mean, its shape."""
        raise TypeError(f"numpy.{function.__name__} takes no object of the program; numpy.array makes an array of one")

    def __bool__(self) -> bool:
        return True

    def __dir__(self) -> list[str]:
        return [str(name) for name in look(self, "names")]

    def __repr__(self) -> str:
        return "<an object of the program>"

    def __del__(self) -> None:
        if "_number" in self.__dict__:
            conversation_of(self).forget(number_of(self))


class Callee(Remote):
    """A function, a class or what else can be called."""

    def __call__(self, *arguments: object, **keywords: object) -> Any:
        return act(self, "call", arguments, keywords)

    def __repr__(self) -> str:
        return "<a function of the program>"


class Generator(Remote, Iterator[Any]):
    """A generator, or another iterator: it is gone through once, and over when it said so."""

    def __next__(self) -> Any:
        if self.__dict__.get("_over"):
            raise StopIteration
        try:
            return act(self, "next")
        except StopIteration:
            self.__dict__["_over"] = True
            raise

    def __iter__(self) -> Self:
        return self


class Items:
    """What an object yields, each asked for once."""

    def __init__(self, over: Remote) -> None:
        self._iterator = ask(over, "iterate")
        self._found: list[Any] = []
        self._over = False

    def __iter__(self) -> Iterator[Any]:
        place = 0
        while place < len(self._found) or self._another():
            yield self._found[place]
            place += 1

    def _another(self) -> bool:
        if not self._over:
            try:
                self._found.append(ask(self._iterator, "next"))
            except StopIteration:
                self._over = True
        return not self._over


KINDS: Mapping[bytes, Callable[[Conversation, int], Remote]] = {b"h": Remote, b"c": Callee, b"i": Generator}


class Program(ModuleType):
    """The module that the evaluator loads. Its functions are at hand; other attributes are asked for each time."""

    def __getattr__(self, name: str) -> Any:
        if "_conversation" not in self.__dict__:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return attribute(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if "_conversation" in self.__dict__ and not name.startswith("__"):
            act(self, "set", name, value)

    def __dir__(self) -> list[str]:
        return [str(name) for name in look(self, "names")]


def load(program: Program, broker: str) -> None:
    """Raises what the program's own code raises at that."""
    conversation = Conversation(broker, program.__name__)
    functions = conversation.ask("load", 0)
    program.__dict__.update(_own(conversation, 0))
    words = conversation.ask("get", 0, "__doc__")
    program.__dict__["__doc__"] = words if type(words) is str else None
    if type(functions) is not dict:
        raise ProgramError("program", "the program answered what is no answer")
    for name, function in functions.items():
        if type(name) is str and name not in program.__dict__ and isinstance(function, Callee):
            program.__dict__[name] = function


def _own(conversation: Conversation, number: int) -> dict[str, object]:
    return {"_conversation": conversation, "_number": number, "_known": {}, "_known_at": conversation.moves}


def conversation_of(value: Remote | Program) -> Conversation:
    found: Conversation = value.__dict__["_conversation"]
    return found


def number_of(value: Remote | Program) -> int:
    found: int = value.__dict__["_number"]
    return found


def ask(value: Remote | Program, what: str, *details: object) -> Any:
    return conversation_of(value).ask(what, number_of(value), *details)


def act(value: Remote | Program, what: str, *details: object) -> Any:
    """Ask for what may change anything of the program's."""
    conversation = conversation_of(value)
    conversation.moves += 1
    try:
        return ask(value, what, *details)
    finally:
        conversation.moves += 1


def look(value: Remote | Program, what: str, *details: object) -> Any:
    try:
        key = pickle.dumps((what, details))
    except Exception:  # noqa: BLE001 - whatever its class makes of it
        return ask(value, what, *details)
    return _once(value, key, lambda: ask(value, what, *details))


def _once(value: Remote | Program, key: object, read: Callable[[], Any]) -> Any:
    """What was read before, unless the program has been at work since."""
    own, moves = value.__dict__, conversation_of(value).moves
    if own["_known_at"] != moves:
        own.update(_known={}, _known_at=moves)
    known = own["_known"]
    if key not in known:
        known[key] = read()
    return known[key]


def attribute(value: Remote | Program, name: str) -> Any:
    """Raises AttributeError."""
    if not name.startswith("__"):
        return look(value, "get", name)
    found = look(value, "get", name) if name in TOLD else None
    if type(found) is not str:
        raise AttributeError(name)
    return found
