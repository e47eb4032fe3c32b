"""What a built library does when it is loaded: read from its own ELF tables, as the loader reads them.

The compiler that wrote it worked for the candidate. Layout: System V ABI, chapters 4 and 5, for 64-bit little-endian.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from .verdict import RejectedError

KNOWN = frozenset(
    {"libc.so.6", "libm.so.6", "libgomp.so.1", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
)
LOAD, DYNAMIC = 1, 2
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
ENTRY = struct.Struct("<qQ")
RELOCATION = struct.Struct("<QQq")
SYMBOL = struct.Struct("<IBBHQQ")
NEEDED, STRINGS, SYMBOLS, RELA, RELA_BYTES, JUMPS, JUMPS_BYTES = 1, 5, 6, 7, 8, 23, 2
STARTING = {12: "DT_INIT", 25: "DT_INIT_ARRAY", 32: "DT_PREINIT_ARRAY"}
ELSEWHERE = {
    15: "DT_RPATH",
    29: "DT_RUNPATH",
    0x6FFFFEFC: "DT_AUDIT",
    0x7FFFFFFD: "DT_AUXILIARY",
    0x7FFFFFFF: "DT_FILTER",
}
RESOLVERS = frozenset({37, 1032})
"""Relocation types that call a function of the library: R_X86_64_IRELATIVE, R_AARCH64_IRELATIVE."""
INDIRECT = 10
"""Symbol type of functions that are chosen by a function of the library."""


def inspect(path: Path) -> None:
    """Raises RejectedError (gate `authentic`) for a library that runs code of its own, or brings other libraries."""
    try:
        found = _Library(path.read_bytes())
        _refuse(found)
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise RejectedError("authentic", "library", f"the built library cannot be read: {error}") from error


class _Library:
    def __init__(self, image: bytes) -> None:
        self._image = image
        _, _, _, _, _, offset, _, _, _, size, count, *_ = HEADER.unpack_from(image)
        segments = [SEGMENT.unpack_from(image, offset + number * size) for number in range(count)]
        self._loaded: list[tuple[int, int, int]] = [
            (place, start, length) for kind, _, place, start, _, length, *_ in segments if kind == LOAD
        ]
        ((place, length),) = [(segment[2], segment[5]) for segment in segments if segment[0] == DYNAMIC]
        self.entries = [ENTRY.unpack_from(image, place + at) for at in range(0, length, ENTRY.size)]
        self.table: Mapping[int, int] = dict(self.entries)

    def place(self, address: int) -> int:
        """Where in the file the loader finds what it puts there."""
        for place, start, length in self._loaded:
            if start <= address < start + length:
                return place + address - start
        raise ValueError(f"address {address:#x} lies in no segment")

    def text(self, offset: int) -> str:
        start = self.place(self.table[STRINGS]) + offset
        end: int = self._image.index(b"\0", start)
        return self._image[start:end].decode()

    def relocations(self) -> Iterator[tuple[int, int]]:
        """Type and symbol of each."""
        for address, length in ((RELA, RELA_BYTES), (JUMPS, JUMPS_BYTES)):
            if self.table.get(length):
                start = self.place(self.table[address])
                for at in range(start, start + self.table[length], RELOCATION.size):
                    information = RELOCATION.unpack_from(self._image, at)[1]
                    yield information & 0xFFFFFFFF, information >> 32

    def symbol_type(self, number: int) -> int:
        start = self.place(self.table[SYMBOLS]) + number * SYMBOL.size
        kind: int = SYMBOL.unpack_from(self._image, start)[1]
        return kind & 15


def _refuse(library: _Library) -> None:
    for tag, value in library.entries:
        name = STARTING.get(tag) or ELSEWHERE.get(tag)
        if name:
            message = f"the library does things before it is called ({name}); a kernel has no constructor"
            raise RejectedError("authentic", "initialiser", message)
        if tag == NEEDED and library.text(value) not in KNOWN:
            raise RejectedError("authentic", "library", f"needs the library {library.text(value)}; a kernel needs none")
    for kind, symbol in library.relocations():
        if kind in RESOLVERS or (symbol and library.symbol_type(symbol) == INDIRECT):
            message = "the library chooses functions by code of its own while it is loaded (ifunc); call them directly"
            raise RejectedError("authentic", "initialiser", message)
