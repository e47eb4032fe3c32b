"""The evaluator's side of a program: a module, and objects, that are really in the program's own process.

Plain data and arrays are copied, so what either side changes in place the other does not see. What is no data stays
where it is and is seen through a `Remote`: attributes, calls, items, iteration. Two of them are equal only if they are
the same, and none is a number, a truth value or an array: what such an object claims of itself decides nothing here.
What was read of one stays so until the evaluator sets the program to work again (calls, assigns, takes a generator's
next): what an evaluator has checked is what it goes on with.

Not covered: an object that the evaluator checks, and uses only after another call of the program.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, NoReturn, Self

from .conversation import Conversation, Objects
from .line import ProgramError

TOLD = frozenset({"__name__", "__qualname__", "__doc__", "__version__"})
"""Special attributes that the other side may answer for, with text. numpy, pickle and copy act on others."""


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


def _made(conversation: Conversation, kind: bytes, number: int) -> Remote:
    return KINDS[kind](conversation, number)


def _held(value: object) -> tuple[Conversation, int] | None:
    return (conversation_of(value), number_of(value)) if isinstance(value, Remote | Program) else None


def load(program: Program, broker: str) -> None:
    """Raises what the program's own code raises at that."""
    conversation = Conversation(broker, program.__name__, Objects(_made, _held))
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
