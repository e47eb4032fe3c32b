"""Values between an evaluator and the program that it judges, as bytes: plain data and numpy arrays, by copy.

What is neither goes as a reference that only its own side can follow (`Others`). Reading executes nothing, follows no
name and believes no size: a reader is safe from whatever the other side wrote.
"""

import re
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self

MOST_BYTES = 64 * 2**20
"""Of one message."""
MOST_VALUES = 2_000_000
"""In one message, counted through all containers."""
DEEPEST = 100
"""Containers within containers."""
NUMBER, SIZE, FLOAT, COMPLEX = struct.Struct("<q"), struct.Struct("<I"), struct.Struct("<d"), struct.Struct("<dd")
ARRAY_TYPE = re.compile(r"[<>|=][biufcSUmM][0-9]{1,9}(\[[0-9]*[A-Za-z]{1,2}\])?")
SHORT = 2**63
FIELD = re.compile(r"[^\W\d]\w{0,99}")


class UnsendableError(ValueError):
    """A value is too large or too deeply nested to be sent."""


class GarbageError(Exception):
    """What was received is no message of ours."""


class Others(Protocol):
    """What happens to values that are no plain data."""

    def reference(self, value: object) -> tuple[bytes, bytes]:
        """A letter and what the other side needs. Raises UnsendableError."""
        ...

    def follow(self, letter: bytes, content: bytes) -> object:
        """Raises GarbageError for a reference that was never given."""
        ...


class Record(tuple[Any, ...]):  # noqa: SLOT001 - the fields differ from one to the next
    """A named tuple of the other side: its class stays there, its fields are here."""

    _fields: tuple[str, ...]

    def __new__(cls, values: Sequence[object], fields: Sequence[str]) -> Self:
        made = super().__new__(cls, values)
        made._fields = tuple(fields)
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._fields:
            raise AttributeError(name)
        return self[self._fields.index(name)]

    def __reduce__(self) -> Any:
        return Record, (tuple(self), self._fields)


class Writer:
    """One message."""

    def __init__(self, others: Others) -> None:
        self._others = others
        self.out = bytearray()
        self._count = 0

    def write(self, value: object) -> bytes:
        """Raises UnsendableError."""
        self._put(value, 0)
        if len(self.out) > MOST_BYTES:
            raise UnsendableError(f"{len(self.out) >> 20} MB at once are too much; the limit is {MOST_BYTES >> 20} MB")
        return bytes(self.out)

    def _put(self, value: Any, depth: int) -> None:
        self._count += 1
        if self._count > MOST_VALUES:
            raise UnsendableError(f"more than {MOST_VALUES} values at once are too many")
        if depth > DEEPEST:
            raise UnsendableError(f"containers are nested more than {DEEPEST} deep")
        kind = type(value)
        if put := WRITERS.get(kind):
            put(self, value, depth)
        elif not self._put_numpy(value, depth):
            put = next((WRITERS[base] for base in kind.__mro__ if base in WRITERS), Writer.reference)
            put(self, value, depth)

    def tagged(self, tag: bytes, body: bytes) -> None:
        self.out += tag + SIZE.pack(len(body)) + body

    def integer(self, value: int, _: int) -> None:
        value = int(value)
        if -SHORT <= value < SHORT:
            self.out += b"i" + NUMBER.pack(value)
        else:
            self.tagged(b"I", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))

    def text(self, value: str, _: int) -> None:
        self.tagged(b"s", str.encode(value, errors="surrogatepass"))

    def several(self, tag: bytes, values: Sequence[Any], depth: int) -> None:
        self.out += tag + SIZE.pack(len(values))
        for value in values:
            self._put(value, depth + 1)

    def sequence(self, value: tuple[Any, ...], depth: int) -> None:
        fields = (value if isinstance(value, Record) else type(value)).__dict__.get("_fields")
        if isinstance(fields, tuple) and len(fields) == len(value):
            self.several(b"R", [list(value), [str(field) for field in fields]], depth)
        else:
            self.several(b"t", list(value), depth)

    def mapping(self, value: Mapping[Any, Any], depth: int) -> None:
        self.several(b"d", [part for pair in list(value.items()) for part in pair], depth)

    def _put_numpy(self, value: Any, depth: int) -> bool:
        """Whether it was something of numpy's that is data."""
        numpy = sys.modules.get("numpy")
        if numpy is None or not isinstance(value, numpy.ndarray | numpy.generic):
            return False
        array = numpy.asarray(value)
        if array.dtype.kind == "O":
            self.several(b"O", [list(array.shape), list(array.ravel())], depth)
            return True
        name = array.dtype.str
        if not ARRAY_TYPE.fullmatch(name):
            return False
        if array.nbytes > MOST_BYTES:
            raise UnsendableError(
                f"an array of {array.nbytes >> 20} MB is too large; the limit is {MOST_BYTES >> 20} MB"
            )
        tag = b"a" if isinstance(value, numpy.ndarray) else b"n"
        self.several(tag, [name, list(array.shape), array.tobytes()], depth)
        return True

    def reference(self, value: object, _: int) -> None:
        letter, content = self._others.reference(value)
        self.tagged(b"o" + letter, content)


WRITERS: dict[type, Callable[[Writer, Any, int], None]] = {
    type(None): lambda writer, _value, _depth: writer.out.extend(b"N"),
    bool: lambda writer, value, _depth: writer.out.extend(b"T" if value else b"F"),
    int: Writer.integer,
    float: lambda writer, value, _depth: writer.out.extend(b"f" + FLOAT.pack(value)),
    complex: lambda writer, value, _depth: writer.out.extend(b"c" + COMPLEX.pack(value.real, value.imag)),
    str: Writer.text,
    bytes: lambda writer, value, _depth: writer.tagged(b"b", bytes(value)),
    bytearray: lambda writer, value, _depth: writer.tagged(b"B", bytes(value)),
    list: lambda writer, value, depth: writer.several(b"l", list(value), depth),
    tuple: Writer.sequence,
    dict: Writer.mapping,
    set: lambda writer, value, depth: writer.several(b"S", list(value), depth),
    frozenset: lambda writer, value, depth: writer.several(b"Z", list(value), depth),
    range: lambda writer, value, depth: writer.several(b"r", [value.start, value.stop, value.step], depth),
    slice: lambda writer, value, depth: writer.several(b"L", [value.start, value.stop, value.step], depth),
}


class Reader:
    """One message."""

    def __init__(self, data: bytes, others: Others) -> None:
        self._data = memoryview(data)
        self._at = 0
        self._others = others
        self._count = 0

    def read(self) -> Any:
        """Raises GarbageError."""
        try:
            value = self._get(0)
        except GarbageError:
            raise
        except (ValueError, TypeError, struct.error, OverflowError, MemoryError) as error:
            raise GarbageError(f"{type(error).__name__}: {error}") from error
        if self._at != len(self._data):
            raise GarbageError("a message goes on after its end")
        return value

    def _get(self, depth: int) -> Any:
        self._count += 1
        if depth > DEEPEST or self._count > MOST_VALUES:
            raise GarbageError("a message nests too deeply or holds too many values")
        tag = bytes(self._take(1))
        if packed := PACKED.get(tag):
            form, make = packed
            return make(*form.unpack(self._take(form.size)))
        if tag in CONSTANTS:
            return CONSTANTS[tag]
        if tag in SIZED:
            return SIZED[tag](bytes(self._sized()))
        if tag in SEVERAL:
            return SEVERAL[tag](self._several(depth))
        if tag == b"o":
            return self._others.follow(bytes(self._take(1)), bytes(self._sized()))
        raise GarbageError(f"a message holds what nobody sends: {tag!r}")

    def _take(self, size: int) -> memoryview:
        start, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise GarbageError("a message ends too soon")
        return self._data[start : self._at]

    def _sized(self) -> memoryview:
        return self._take(SIZE.unpack(self._take(SIZE.size))[0])

    def _several(self, depth: int) -> list[Any]:
        (count,) = SIZE.unpack(self._take(SIZE.size))
        if count > len(self._data) - self._at:
            raise GarbageError("a message ends too soon")
        return [self._get(depth + 1) for _ in range(count)]


def _array(parts: list[Any]) -> Any:
    """Truth values are made ones: numpy would count a byte of 7 as seven."""
    import numpy as np

    name, shape, content = _of_types(parts, str, list, bytes)
    if not ARRAY_TYPE.fullmatch(name):
        raise GarbageError(f"no type of array: {name[:40]!r}")
    kind = np.dtype(name)
    if kind.kind == "b":
        return np.frombuffer(content, np.uint8).reshape(shape) != 0
    return np.frombuffer(content, kind).reshape(shape).copy() if kind.itemsize else np.empty(shape, kind)


def _objects(parts: list[Any]) -> Any:
    import numpy as np

    shape, values = _of_types(parts, list, list)
    array = np.empty(len(values), object)
    for index, value in enumerate(values):
        array[index] = value
    return array.reshape(shape)


def _scalar(parts: list[Any]) -> Any:
    array = _array(parts)
    if array.shape != ():
        raise GarbageError("one number is not an array")
    return array[()]


def _record(parts: list[Any]) -> Record:
    values, fields = _of_types(parts, list, list)
    if len(values) != len(fields) or not all(isinstance(name, str) and FIELD.fullmatch(name) for name in fields):
        raise GarbageError("the fields of a named tuple do not fit")
    return Record(values, fields)


def _pairs(parts: list[Any]) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _of_types(parts: list[Any], *types: type) -> list[Any]:
    if len(parts) != len(types) or not all(type(part) is kind for part, kind in zip(parts, types, strict=True)):
        raise GarbageError("the parts of a value do not fit")
    return parts


PACKED: Mapping[bytes, tuple[struct.Struct, Callable[..., Any]]] = {
    b"i": (NUMBER, int),
    b"f": (FLOAT, float),
    b"c": (COMPLEX, complex),
}
CONSTANTS: Mapping[bytes, object] = {b"N": None, b"T": True, b"F": False}
SIZED: Mapping[bytes, Callable[[bytes], Any]] = {
    b"s": lambda body: body.decode(errors="surrogatepass"),
    b"b": bytes,
    b"B": bytearray,
    b"I": lambda body: int.from_bytes(body, "little", signed=True),
}
SEVERAL: Mapping[bytes, Callable[[list[Any]], Any]] = {
    b"l": list,
    b"t": tuple,
    b"d": _pairs,
    b"S": set,
    b"Z": frozenset,
    b"r": lambda parts: range(*_of_types(parts, int, int, int)),
    b"L": lambda parts: slice(*parts),
    b"a": _array,
    b"n": _scalar,
    b"O": _objects,
    b"R": _record,
}
