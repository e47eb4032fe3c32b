"""The host's end of the line to a referee: messages over a socket, with deadlines."""

import socket
import struct
import time
from typing import Any

from .pool import RefereeLostError, RefereeSlowError
from .referee import frames

MULTIPLEX = struct.Struct(">BxxxI")
"""Docker's header of each piece of an attached stream: 1 is stdout, 2 is stderr; its length."""
STDOUT = 1


class Connection:
    def __init__(self, line: socket.socket, *, multiplexed: bool = False) -> None:
        self._line = line
        self._decoder = frames.Decoder()
        self._multiplexed = multiplexed
        self._raw = bytearray()
        self.complaints = bytearray()
        """The newest of what came on stderr, where the stream carries it."""

    def send(self, message: dict[str, Any]) -> None:
        """Raises RefereeLostError."""
        try:
            self._line.settimeout(60)
            self._line.sendall(frames.encode(message))
        except OSError as error:
            raise RefereeLostError(str(error)) from error

    def receive(self, seconds: float) -> dict[str, Any]:
        """Raises RefereeLostError or RefereeSlowError."""
        deadline = time.monotonic() + seconds
        while not self._decoder.messages:
            data = self._read(deadline - time.monotonic())
            try:
                self._decoder.feed(self._stdout_of(data) if self._multiplexed else data)
            except frames.ProtocolError as error:
                raise RefereeLostError(str(error)) from error
        return self._decoder.messages.popleft()

    def _read(self, seconds: float) -> bytes:
        if seconds <= 0:
            raise RefereeSlowError
        self._line.settimeout(seconds)
        try:
            data = self._line.recv(2**20)
        except TimeoutError as error:
            raise RefereeSlowError from error
        except OSError as error:
            raise RefereeLostError(str(error)) from error
        if not data:
            raise RefereeLostError(self.complaints.decode(errors="replace").strip())
        return data

    def _stdout_of(self, data: bytes) -> bytes:
        self._raw += data
        payload = bytearray()
        while len(self._raw) >= MULTIPLEX.size:
            stream, length = MULTIPLEX.unpack_from(self._raw)
            end = MULTIPLEX.size + length
            if len(self._raw) < end:
                break
            piece = self._raw[MULTIPLEX.size : end]
            if stream == STDOUT:
                payload += piece
            else:
                self.complaints = (self.complaints + piece)[-2000:]
            del self._raw[:end]
        return bytes(payload)

    def close(self) -> None:
        self._line.close()
