"""The net below an evaluator that is kept apart: it, and no process that it starts, is to run the program's text.

What would do so ends the evaluation as `embedded`. Not covered: text that the evaluator takes from the program and
puts, itself, into code that a library or another process runs.
"""

import ast
import contextlib
import functools
import importlib
import importlib.machinery
import json
import os
import re
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple, NoReturn

from . import encoding

PLAIN = frozenset({"numpy", "builtins", "collections", "datetime", "decimal", "fractions", "copyreg", "_codecs"})
NAMES = frozenset(
    {
        "Counter",
        "Decimal",
        "Fraction",
        "OrderedDict",
        "_frombuffer",
        "_reconstruct",
        "_reconstructor",
        "bool",
        "bytearray",
        "bytes",
        "complex",
        "date",
        "datetime",
        "defaultdict",
        "deque",
        "dict",
        "dtype",
        "encode",
        "float",
        "frozenset",
        "int",
        "list",
        "matrix",
        "ndarray",
        "object",
        "range",
        "scalar",
        "set",
        "slice",
        "str",
        "time",
        "timedelta",
        "timezone",
        "tuple",
    }
)
GENERATING = frozenset({"collections", "dataclasses"})
"""Modules that execute text of their own making, in which only names are the caller's. A function of the program may
well be the same.
"""
PARALLEL = frozenset({"multiprocessing", "concurrent"})
PARALLEL_NAMES = frozenset(
    {"_process_chunk", "_rebuild_exc", "_rebuild_partial", "mapstar", "rebuild_connection", "starmapstar", "worker"}
)
TELLING = 16
"""Bytes of code of the shortest function that is taken for the program's own."""
SHELLS = frozenset({"sh", "bash", "dash"})
SIMPLE = re.compile(r"\s*(?P<python>\S*python[0-9.]*)\s[^;&|`$<>()\n]*")


class Place(NamedTuple):
    """Where things are, for the evaluator and its children."""

    folder: str
    """The evaluator's own; the candidate cannot enter it."""
    program: str
    broker: str
    own: tuple[str, ...]
    """The names of the task's files in there."""

    @property
    def boot(self) -> str:
        return f"{self.folder}/.boot"

    @property
    def bin(self) -> str:
        return f"{self.folder}/.bin"


class EmbeddedError(RuntimeError):
    """The evaluator would run the program's text itself."""


class Watched:
    """What the evaluator may not do with the program's text."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._path = os.path.realpath(place.program)
        self._text = Path(place.program).read_bytes()
        self._libraries = tuple(_libraries())
        self._checks: Mapping[str, Callable[..., None]] = {
            "exec": self._check_code,
            "subprocess.Popen": self._check_command,
            "os.posix_spawn": self._check_command,
            "os.exec": self._check_command,
            "os.system": self._check_shell,
            "pickle.find_class": self._check_class,
        }

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        check = self._checks.get(event)
        if check:
            check(*arguments)

    def refuse(self, what: str) -> NoReturn:
        """Tell the referee, which ends the evaluation whatever the evaluator makes of the exception."""
        frames = [frame for frame in traceback.extract_stack() if frame.filename.startswith(self.place.folder)]
        where = f" (line {frames[-1].lineno} of {Path(frames[-1].filename).name})" if frames else ""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
            control.connect(self.place.broker)
            control.send(json.dumps({"do": "refuse", "message": f"the evaluator {what}{where}"}).encode())
            control.recv(1)
        raise EmbeddedError(what)

    def is_program(self, path: object) -> bool:
        """The file itself, or a copy of it."""
        try:
            real = os.path.realpath(os.fspath(path))  # type: ignore[call-overload]
            if real == self._path:
                return True
            return Path(real).stat().st_size == len(self._text) > 0 and Path(real).read_bytes() == self._text
        except (OSError, TypeError, ValueError):
            return False

    @functools.cached_property
    def _parts(self) -> frozenset[object]:
        """What the functions of the program are compiled to, and the whole of it; its place in a file aside."""
        try:
            code = compile(self._text, "program", "exec", dont_inherit=True)
        except Exception:  # noqa: BLE001 - what does not compile does not run either
            return frozenset()
        return frozenset(_essence(part) for part in _codes(code) if part is code or len(part.co_code) >= TELLING)

    def _check_code(self, code: CodeType) -> None:
        caller = _caller()
        name = caller.f_code.co_filename if caller else ""
        if caller and not self._is_library(name):
            if not _stands_in(name, code):
                self.refuse("executes text that does not stand in its own files")
        elif (caller and caller.f_globals.get("__name__") in GENERATING) or self._is_known(code.co_filename):
            return
        elif self._holds(code.co_filename) or any(_essence(part) in self._parts for part in _codes(code)):
            self.refuse("executes the program's text in its own process")

    def _holds(self, file: str) -> bool:
        """Whether the whole text of the program stands in this one: a script that an evaluator wrote around it."""
        try:
            return len(self._text.strip()) >= TELLING and self._text.strip() in Path(file).read_bytes()
        except (OSError, ValueError):
            return False

    def _is_known(self, name: str) -> bool:
        """Of a library, or one of the task's own files: those may well share a function with the program."""
        return self._is_library(name) or name in {f"{self.place.folder}/{own}" for own in self.place.own}

    def _is_library(self, name: str) -> bool:
        own = self.place.folder, self._path.rpartition("/")[0]
        return name.startswith(self._libraries) and not name.startswith(own)

    def _check_command(self, program: Any, arguments: Any, *others: Any) -> None:
        words = [
            os.fsdecode(word)
            for word in _listed(program) + _listed(arguments)
            if isinstance(word, str | bytes | os.PathLike)
        ]
        environment = others[-1] if others else None
        shown = SIMPLE.fullmatch(words[-1]) if words and Path(words[0]).name in SHELLS else None
        words = [shown["python"]] if shown else words
        name = Path(words[0]).name if words else ""
        if name.startswith("python"):
            if environment is not None and not _watching(environment, self.place) and words[0] != sys.executable:
                self.refuse(f"starts {words[0]} with an environment of its own, where nothing can be seen of it")
        elif any(self._path in word or self.place.program in word for word in words):
            self.refuse(f"starts {name or 'a command'} on the program's file")

    def _check_shell(self, command: bytes) -> None:
        self._check_command("sh", ["-c", command])

    def _check_class(self, module: str, name: str) -> None:
        """What a program answers must not be unpickled into more than data; what the evaluator's own processes say to
        each other may name its functions.
        """
        top = module.partition(".")[0]
        if top in PARALLEL:
            importlib.import_module(module)
        kind = getattr(sys.modules.get(module), name, None)
        if (
            (top in PLAIN and (name in NAMES or name.endswith("_ctor")))
            or (module, name) == (encoding.Record.__module__, "Record")
            or (isinstance(kind, type) and issubclass(kind, BaseException))
            or (top in PARALLEL and (isinstance(kind, type) or name in PARALLEL_NAMES))
            or self._is_own(module, name)
        ):
            return
        self.refuse(f"unpickles {module}.{name}: where a program can have a hand in it, only plain data is safe")

    def _is_own(self, module: str, name: str) -> bool:
        """Defined in the task's file of that name, or in the script that runs."""
        if module in {"__main__", "__mp_main__"}:
            return getattr(getattr(sys.modules.get(module), name, None), "__module__", "") == module
        file = f"{module}.py"
        return file in self.place.own and name in _defined(f"{self.place.folder}/{file}")


@functools.cache
def _defined(file: str) -> frozenset[str]:
    """The names of a file's functions and classes."""
    tree = ast.parse(Path(file).read_bytes())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))


def _libraries() -> Iterator[str]:
    yield "<frozen "
    yield str(Path(__file__).parent)
    yield from {sys.prefix, sys.base_prefix, "/usr/lib", *filter(None, sys.path)}


def _caller() -> FrameType | None:
    """Who runs code: the first frame outside of this file; none for what the interpreter itself starts."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _essence(code: CodeType) -> object:
    constants = tuple(repr(one) for one in code.co_consts if not isinstance(one, CodeType))
    return code.co_name, code.co_code, code.co_names, code.co_varnames, constants


@functools.cache
def _texts(name: str) -> tuple[str, ...]:
    """The literal texts of a file."""
    try:
        tree = ast.parse(Path(name).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _stands_in(name: str, code: CodeType) -> bool:
    """Whether the code was compiled from a literal text of this file."""
    wanted = _essence(code)
    for text in _texts(name):
        for mode in ("exec", "eval"):
            with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
                if _essence(compile(text.strip() if mode == "eval" else text, "", mode, dont_inherit=True)) == wanted:
                    return True
    return False


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _watching(environment: Any, place: Place) -> bool:
    with contextlib.suppress(AttributeError, TypeError):
        return place.boot in str(environment.get("PYTHONPATH", ""))
    return False
