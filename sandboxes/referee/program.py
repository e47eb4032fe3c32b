"""The program's own process: loads the file and answers what its evaluator asks, or runs it as a script.

Nothing that this process says is believed to be more than data: the program may rewrite all of it, and gains nothing.
"""

import builtins
import ctypes
import json
import os
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from .encoding import GarbageError
from .line import Line, Message

CHANNEL = 3
MODULE = 0
"""The number of the program's module among what the evaluator may refer to."""


class Hosted:
    """The program's module, what of it the evaluator holds, and the line to there."""

    def __init__(self, module: ModuleType, load: Callable[[], None]) -> None:
        self._load = load
        self._module = module
        self._held: dict[int, Any] = {MODULE: module}
        self._given = 0
        self._unreadable = ""
        self._line = Line(CHANNEL, self, self.answer)

    def attend(self) -> None:
        self._line.attend()

    def answer(self, request: Message) -> Message:
        try:
            what, target, details, dropped = request
            if self._unreadable:
                problem, self._unreadable = self._unreadable, ""
                raise TypeError(f"what the evaluator passed cannot be rebuilt in a program kept apart: {problem}")  # noqa: TRY301
            for number in dropped:
                self._held.pop(number, None)
            return "value", getattr(self, f"_do_{what}")(self._held[target], *details)
        except BaseException as error:  # noqa: BLE001 - the boundary to the program: what it raises is passed on
            return ("stop",) if isinstance(error, StopIteration) and what == "next" else self._raised(error)

    def _raised(self, error: BaseException) -> Message:
        names = [kind.__name__ for kind in type(error).__mro__]
        if not isinstance(error, Exception):
            return "raised", ["RuntimeError"], [f"the program raised {names[0]}: {error}"], ""
        plain = all(type(one) in {str, int, float} for one in error.args)
        arguments = list(error.args) if plain or isinstance(error, SyntaxError) else [str(error)]
        return "raised", names, arguments, _trace(error, self._module)

    # ---- what may be asked

    def _do_load(self, _: object) -> dict[str, object]:
        self._load()
        public = [(name, value) for name, value in vars(self._module).items() if not name.startswith("__")]
        return {name: value for name, value in public if callable(value)}

    def _do_get(self, target: object, name: str) -> object:
        return getattr(target, name)

    def _do_set(self, target: object, name: str, value: object) -> None:
        setattr(target, name, value)

    def _do_call(self, target: Callable[..., object], arguments: tuple[object, ...], keywords: dict[str, Any]) -> Any:
        return target(*arguments, **keywords)

    def _do_item(self, target: Any, key: object) -> object:
        return target[key]

    def _do_put(self, target: Any, key: object, value: object) -> None:
        target[key] = value

    def _do_length(self, target: Any) -> int:
        return len(target)

    def _do_iterate(self, target: Any) -> "Held":
        return Held(iter(target))

    def _do_next(self, target: Iterator[object]) -> object:
        return next(target)

    def _do_names(self, target: object) -> list[str]:
        return dir(target)

    # ---- values that are no plain data (encoding.Others)

    def reference(self, value: object) -> tuple[bytes, bytes]:
        if isinstance(value, Callback):
            return b"f", str(value.number).encode()
        self._given += 1
        self._held[self._given] = value
        letter = b"c" if callable(value) else b"i" if hasattr(type(value), "__next__") else b"h"
        return letter, str(self._given).encode()

    def follow(self, letter: bytes, content: bytes) -> object:
        if letter == b"p":
            return self._unpickled(content)
        number = int(content)
        if letter == b"f":
            return Callback(self._line, number)
        if letter == b"h" and number in self._held:
            return self._held[number]
        raise GarbageError(f"a reference that nobody gave: {letter!r} {number}")

    def _unpickled(self, content: bytes) -> object:
        """Of the evaluator's own: it is the program's process that could be harmed by it."""
        import pickle

        try:
            return pickle.loads(content)  # noqa: S301
        except Exception as error:  # noqa: BLE001 - whatever its class makes of it
            self._unreadable = f"{type(error).__name__}: {error}"
            return None


class Held:
    """Keeps an iterator from being sent as what it iterates over."""

    def __init__(self, value: Iterator[object]) -> None:
        self._value = value

    def __next__(self) -> object:
        return next(self._value)


class Callback:
    """A function of the evaluator's, which answers while it waits for the program."""

    def __init__(self, line: Line, number: int) -> None:
        self._line = line
        self.number = number

    def __call__(self, *arguments: object, **keywords: object) -> Any:
        answer = self._line.ask("calls", self.number, arguments, keywords)
        if answer[0] == "value":
            return answer[1]
        _, names, said, _ = answer
        found = [getattr(builtins, name, None) for name in names] if names else []
        kind = next((one for one in found if isinstance(one, type) and issubclass(one, Exception)), RuntimeError)
        raise kind(*said)


def _trace(error: BaseException, module: ModuleType) -> str:
    """The lines of the program itself."""
    import traceback

    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == module.__file__]
    return "".join(traceback.format_list(own) + traceback.format_exception_only(error))


def _prepare_randomness(seed: int, text: bytes) -> None:
    if b"random" in text:
        import random

        random.seed(seed)
    if b"numpy" in text:
        import numpy as np

        np.random.seed(seed % 2**32)  # noqa: NPY002 - what the program uses if it does not say otherwise


def _execute(module: ModuleType, text: bytes) -> None:
    sys.modules[module.__name__] = module
    exec(compile(text, str(module.__file__), "exec", dont_inherit=True), module.__dict__)  # noqa: S102


def main() -> None:
    """The command line is one JSON object: `file`, `name`, `arguments`, `seed`, `confine`, `script`."""
    given = json.loads(sys.argv[1])
    file = given["file"]
    with open(file, "rb") as source:  # noqa: PTH123 - pathlib takes longer to import than all else here
        text = source.read()
    os.closerange(CHANNEL if given["script"] else CHANNEL + 1, 1024)
    sys.argv = [file, *given["arguments"]]
    sys.path.insert(0, file.rpartition("/")[0])
    _prepare_randomness(given["seed"], text)
    if ctypes.CDLL(given["confine"]).confine_interpreter():
        os._exit(2)
    module = ModuleType(given["name"])
    module.__file__ = file
    if given["script"]:
        _execute(module, text)
        return
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
    Hosted(module, lambda: _execute(module, text)).attend()
    os._exit(0)
