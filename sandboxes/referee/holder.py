"""A Python candidate's own process: maps the referee's buffers as arrays, loads the candidate's file, calls it.

Speaks the protocol of runner.c on descriptors 3 to 6; behind a layout follows what the buffers hold, as JSON. As there,
nothing that this process says is believed: the candidate may rewrite all of it, and gains nothing.
"""

import contextlib
import ctypes
import json
import mmap
import os
import struct
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, NoReturn, Protocol, cast

import numpy as np

INPUTS, OUTPUTS, COMMANDS, ANSWERS = 3, 4, 5, 6
LAYOUT, CALL = 1, 2
DONE, UNLOADABLE, NO_SYMBOL, UNMAPPABLE, MALFORMED, RAISED = 0, 1, 2, 4, 6, 7
PAGE, GUARD, ALIGNMENT = 4096, 64 * 1024, 64
COMMAND = struct.Struct("=4I16Q16q")
LENGTH = struct.Struct("=I")
ANSWER = struct.Struct("=6i")
MOST_TEXT = 590
PROT_NONE, MAP_FIXED, MAP_POPULATE, MAP_NORESERVE = 0, 0x10, 0x8000, 0x4000

Array = np.ndarray[Any, np.dtype[Any]]
Kernel = Callable[..., object]


class Kind(Protocol):
    """A way to call candidates: a function on arrays, or what another module of this package makes of it."""

    def prepare(self, given: Mapping[str, Any]) -> None:
        """Load what the candidate may use, before the process is confined."""
        ...

    def load(self, module: ModuleType) -> Kernel:
        """Called with read-only inputs, the writable output and the sizes. Raises LookupError with a sentence."""
        ...


class Functions:
    """The file defines the function itself."""

    def __init__(self) -> None:
        self._symbol = ""

    def prepare(self, given: Mapping[str, Any]) -> None:
        self._symbol = given["symbol"]

    def load(self, module: ModuleType) -> Kernel:
        found = getattr(module, self._symbol, None)
        if not callable(found):
            raise LookupError(f"there is no function named `{self._symbol}`")  # noqa: TRY004
        return cast("Kernel", found)


class Buffer(NamedTuple):
    reserved: int
    """Where its guard begins."""
    room: int
    """Bytes between the guards, in whole pages."""
    start: int


class Layout:
    """Buffers between guard pages, exactly where runner.c would map them. Raises OSError when there is no room."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64]
        self._libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self._buffers: list[Buffer] = []
        self.arrays: list[Array] = []

    def arrange(self, sizes: Sequence[int], arrays: Sequence[tuple[str, Sequence[int]]]) -> None:
        """`sizes` in bytes, of the inputs and then the output; `arrays`: their types and shapes."""
        self.arrays = []
        for old in self._buffers:
            self._libc.munmap(old.reserved, old.room + 2 * GUARD)
        self._buffers = []
        offset = 0
        for number, (size, (dtype, shape)) in enumerate(zip(sizes, arrays, strict=True)):
            is_output = number == len(sizes) - 1
            buffer = self._map(OUTPUTS, size, 0) if is_output else self._map(INPUTS, size, offset)
            offset += buffer.room
            self._buffers.append(buffer)
            self.arrays.append(_array(buffer.start, size, dtype, shape, writable=is_output))

    def _map(self, descriptor: int, size: int, offset: int) -> Buffer:
        room = max(PAGE, -(-size // PAGE) * PAGE)
        rights = mmap.PROT_READ | (mmap.PROT_WRITE if descriptor == OUTPUTS else 0)
        nowhere = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
        reserved = self._place(None, room + 2 * GUARD, PROT_NONE, nowhere, -1, 0)
        pages = self._place(
            reserved + GUARD, room, rights, mmap.MAP_SHARED | MAP_FIXED | MAP_POPULATE, descriptor, offset
        )
        return Buffer(reserved, room, pages + room - -(-size // ALIGNMENT) * ALIGNMENT)

    def _place(self, *arguments: int | None) -> int:
        address = self._libc.mmap(*arguments)
        if address in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), "mmap")
        return int(address)


def _array(start: int, size: int, dtype: str, shape: Sequence[int], *, writable: bool) -> Array:
    memory = (ctypes.c_char * size).from_address(start)
    array: Array = np.frombuffer(memoryview(memory), dtype=np.dtype(dtype)).reshape(shape)
    array.flags.writeable = writable
    return array


def _say(kind: int, text: str = "") -> None:
    words = text.encode(errors="replace")[:MOST_TEXT]
    os.write(ANSWERS, ANSWER.pack(kind, 0, 0, 0, 0, len(words)) + words)


def _words(error: BaseException, file: Path) -> str:
    """What was raised, and where in the candidate's own file."""
    words = traceback.format_exception_only(error)[-1].strip()[: MOST_TEXT // 2]
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f"{words} ({file.name}, line {own[-1].lineno}: {own[-1].line})" if own else words


def _compiled(file: Path) -> Any:
    """Raises SyntaxError, or what else a parser may raise at what is no Python."""
    return compile(file.read_bytes(), str(file), "exec", dont_inherit=True)


def _malformed(error: BaseException, file: Path) -> str:
    if isinstance(error, SyntaxError):
        return f"{file.name}:{error.lineno}: {type(error).__name__}: {error.msg}: {(error.text or '').strip()}"
    return f"{file.name}: {type(error).__name__}: {error}"


def _loaded(file: Path, kind: Kind) -> Kernel | None:
    """The candidate's code runs from here on; None once it has been said what is wrong with it."""
    try:
        code = _compiled(file)
    except Exception as error:  # noqa: BLE001 - whatever the text makes of the parser is said
        _say(MALFORMED, _malformed(error, file))
        return None
    module = sys.modules[file.stem] = ModuleType(file.stem)
    module.__file__ = str(file)
    sys.path.append(str(file.parent))
    try:
        exec(code, module.__dict__)  # noqa: S102
        return kind.load(module)
    except LookupError as error:
        own = Path(traceback.extract_tb(error.__traceback__)[-1].filename).parent == Path(__file__).parent
        _say(NO_SYMBOL if own else RAISED, str(error) if own else _words(error, file))
    except Exception as error:  # noqa: BLE001 - the boundary to the candidate
        _say(RAISED, _words(error, file))
    return None


def _serve(kernel: Kernel, file: Path) -> None:
    layout, dims = Layout(), ()
    while len(packed := os.read(COMMANDS, COMMAND.size)) == COMMAND.size:
        kind, times, inputs, count, *numbers = COMMAND.unpack(packed)
        try:
            if kind == LAYOUT:
                (length,) = LENGTH.unpack(os.read(COMMANDS, LENGTH.size))
                arrays = json.loads(os.read(COMMANDS, length))
                dims = tuple(numbers[16 : 16 + count])
                layout.arrange(numbers[: inputs + 1], arrays)
            elif times:
                kernel(*[array.view() for array in layout.arrays], *dims)
        except Exception as error:  # noqa: BLE001 - the boundary to the candidate
            if kind == LAYOUT:
                _say(UNMAPPABLE)
            else:
                _say(RAISED, _words(error, file))
        else:
            _say(DONE)


def _confine(library: str) -> None:
    if ctypes.CDLL(library).confine_interpreter():
        os._exit(2)


def _give_up(kind: int, text: str) -> NoReturn:
    _say(kind, text)
    _linger()


def _linger() -> NoReturn:
    """What was said must be read before the process is gone."""
    os.read(COMMANDS, 1)
    os._exit(1)


def main() -> None:
    """The command line is one JSON object: `kind`, `file`, `confine` (the library), and what the kind needs."""
    given = json.loads(sys.argv[1])
    os.closerange(ANSWERS + 1, 1024)
    kind: Kind = Functions()
    if given["kind"] == "model":
        from . import models

        kind = models.Models()
    if given["kind"] == "triton":
        from . import tensors

        kind = tensors.Launches()
    file = Path(given["file"])
    try:
        kind.prepare(given)
    except Exception as error:  # noqa: BLE001 - said before any code of the candidate has run
        _give_up(UNLOADABLE, _words(error, file))
    on_device = given.get("device", False)  # there it writes files and starts compilers
    if not on_device:
        _confine(given["confine"])
    kernel = _loaded(file, kind)
    if kernel is None:
        _linger()
    _say(DONE)
    with contextlib.suppress(BrokenPipeError):
        if on_device:
            tensors.Device(kernel).serve(lambda error: _words(error, file))
        else:
            _serve(kernel, file)
