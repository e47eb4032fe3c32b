"""One end of the conversation between an evaluator and a program: requests, answers, and calls back while one waits.

Both sides are the same: whoever waits for an answer serves what it is asked meanwhile.
"""

import os
import struct
import threading
from collections.abc import Callable
from typing import Any

from .encoding import MOST_BYTES, GarbageError, Others, Reader, Writer

LENGTH = struct.Struct("<I")
ANSWERS = frozenset({"value", "raised", "stop"})
Message = tuple[Any, ...]


class HangUpError(Exception):
    """The other side is gone."""


class ProgramError(RuntimeError):
    """The program's process is over. `kind`: `died`, `memory`, `too_much`, `program` or `timeout`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.blame = kind


class Line:
    """`serve` answers a request; it must not raise."""

    def __init__(self, descriptor: int, others: Others, serve: Callable[[Message], Message]) -> None:
        self._descriptor = descriptor
        self._others = others
        self._serve = serve
        self._turn = threading.RLock()

    def ask(self, *request: object) -> Message:
        """Raises HangUpError, GarbageError, UnsendableError."""
        data = Writer(self._others).write(request)
        with self._turn:
            self._send(data)
            while (message := self._receive())[0] not in ANSWERS:
                self._reply(message)
            return message

    def attend(self) -> None:
        """Serve until the other side hangs up."""
        try:
            while True:
                self._reply(self._receive())
        except HangUpError:
            return

    def _reply(self, request: Message) -> None:
        answer = self._serve(request)
        try:
            data = Writer(self._others).write(answer)
        except ValueError as error:
            refused = ("raised", [type(error).__name__, "ValueError"], [str(error)], "")
            data = Writer(self._others).write(refused)
        self._send(data)

    def _send(self, data: bytes) -> None:
        left = memoryview(LENGTH.pack(len(data)) + data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except ConnectionError as error:
            raise HangUpError from error

    def _receive(self) -> Message:
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        if length > MOST_BYTES:
            raise GarbageError(f"a message of {length >> 20} MB was announced; the limit is {MOST_BYTES >> 20} MB")
        message = Reader(self._read(length), self._others).read()
        if not (type(message) is tuple and message and type(message[0]) is str):
            raise GarbageError("a message is neither a request nor an answer")
        return message

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                part = os.read(self._descriptor, min(size - len(data), 2**20))
            except ConnectionError as error:
                raise HangUpError from error
            if not part:
                raise HangUpError
            data += part
        return bytes(data)
