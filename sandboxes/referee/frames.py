"""Length-prefixed JSON: the one language between the host and the referee."""

import json
import os
import struct
from collections import deque
from collections.abc import Mapping
from typing import Any

HEADER = struct.Struct(">I")
LARGEST = 256 * 2**20
"""Bytes; a longer announcement means that the stream is out of step."""


class ProtocolError(Exception):
    pass


def encode(message: Mapping[str, Any]) -> bytes:
    body = json.dumps(message).encode()
    return HEADER.pack(len(body)) + body


class Decoder:
    """Turns bytes, however they are cut, into messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.messages: deque[dict[str, Any]] = deque()

    def feed(self, data: bytes) -> None:
        self._bytes += data
        while len(self._bytes) >= HEADER.size:
            (length,) = HEADER.unpack_from(self._bytes)
            if length > LARGEST:
                raise ProtocolError(f"a frame of {length} bytes was announced")
            end = HEADER.size + length
            if len(self._bytes) < end:
                return
            try:
                self.messages.append(json.loads(self._bytes[HEADER.size : end]))
            except ValueError as error:
                raise ProtocolError("a frame is not JSON") from error
            del self._bytes[:end]


class Channel:
    """Blocking frames over two descriptors."""

    def __init__(self, source: int, sink: int) -> None:
        self.source = source
        self._sink = sink
        self._decoder = Decoder()

    def send(self, message: Mapping[str, Any]) -> None:
        data = memoryview(encode(message))
        while data:
            data = data[os.write(self._sink, data) :]

    def receive(self) -> dict[str, Any] | None:
        """The next message; None when the other side has closed."""
        while not self._decoder.messages:
            data = os.read(self.source, 2**20)
            if not data:
                return None
            self._decoder.feed(data)
        return self._decoder.messages.popleft()

    def close(self) -> None:
        os.close(self.source)
        os.close(self._sink)
