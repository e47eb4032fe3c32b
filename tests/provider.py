"""A provider on the loopback that speaks the OpenAI chat-completions protocol, and misbehaves on purpose."""

import json
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agents.model import LiteLLM

Usage = dict[str, int]


class Provider(ThreadingHTTPServer):
    """Answers each request with the next behaviour; the last one repeats. `route` decides by the request instead."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviours: list[Behaviour] = []
        self.route: Callable[[dict[str, Any]], Behaviour] | None = None
        self.requests: list[dict[str, Any]] = []
        self.stopped = threading.Event()
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def asked(self) -> Counter[str]:
        """How often each prompt came in, by its messages."""
        return Counter(fingerprint(request) for request in list(self.requests))

    def next(self, request: dict[str, Any]) -> "Behaviour":
        with self._lock:
            self.requests.append(request)
            place = min(len(self.requests), len(self.behaviours)) - 1
        return self.route(request) if self.route else self.behaviours[place]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: Provider
    body: dict[str, Any]

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.next(self.body)(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))

    def send(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def begin(self) -> None:
        """The head of a stream, which ends with the connection."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()

    def event(self, delta: dict[str, str] | None = None, *, finish: str | None = None, usage: Any = None) -> None:
        choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
        told = chunk | ({"choices": [], "usage": usage} if usage is not None else {"choices": choices})
        self.wfile.write(f"data: {json.dumps(told)}\n\n".encode())
        self.wfile.flush()

    def words(self, text: str) -> None:
        """Piece by piece."""
        for start in range(0, len(text), 20):
            self.event({"content": text[start : start + 20]})


Behaviour = Callable[[Handler], None]


def fingerprint(request: dict[str, Any]) -> str:
    return sha256(json.dumps(request["messages"]).encode()).hexdigest()[:16]


def honest(request: dict[str, Any], text: str) -> Usage:
    sent = 7 + sum(len(message["content"]) for message in request["messages"]) // 4
    return _usage(sent, 1 + len(text) // 4)


def _usage(sent: int, received: int) -> Usage:
    return {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received}


def says(
    text: str, *, finish: str = "stop", usage: bool = True, counts: tuple[int, int] | None = None, pause: float = 0.0
) -> Behaviour:
    """`counts`: tokens that it claims, (sent, received); the honest ones without. `pause`: seconds between pieces."""

    def behaviour(handler: Handler) -> None:
        used = (_usage(*counts) if counts else honest(handler.body, text)) if usage else None
        if not handler.streams:
            handler.send(200, _whole(text, finish, used))
            return
        handler.begin()
        handler.event({"role": "assistant", "content": ""})
        for start in range(0, len(text), 20):
            handler.server.stopped.wait(pause)
            handler.event({"content": text[start : start + 20]})
        handler.event(finish=finish)
        if used:
            handler.event(usage=used)
        handler.wfile.write(b"data: [DONE]\n\n")

    return behaviour


def _whole(text: str, finish: str, usage: Usage | None) -> str:
    message = {"role": "assistant", "content": text}
    answer: dict[str, Any] = {"id": "1", "object": "chat.completion", "created": 1, "model": "tiny"}
    answer["choices"] = [{"index": 0, "message": message, "finish_reason": finish}]
    return json.dumps(answer | ({"usage": usage} if usage else {}))


def echoes(handler: Handler) -> None:
    says(handler.body["messages"][0]["content"])(handler)


def refuses(status: int, message: str, *, code: str = "", after: str = "") -> Behaviour:
    body = json.dumps({"error": {"message": message, "type": "error", "code": code}})
    return lambda handler: handler.send(status, body, {"retry-after": after} if after else {})


def refuses_option(option: str, then: Behaviour, *, status: int = 400) -> Behaviour:
    """Refuses whatever carries the option."""
    refusal = refuses(status, f"Unrecognised request argument: {option}")
    return lambda handler: (refusal if handler.body.get(option) else then)(handler)


def answers(body: str, kind: str = "application/json") -> Behaviour:
    """With this body, whatever was asked for."""
    return lambda handler: handler.send(200, body, {"content-type": kind})


def whole_only(text: str) -> Behaviour:
    """Takes no notice of a wish for a stream."""
    return lambda handler: handler.send(200, _whole(text, "stop", honest(handler.body, text)))


def resets(handler: Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def hangs(handler: Handler) -> None:
    handler.server.stopped.wait()


def drips(handler: Handler) -> None:
    """Keeps every read time-out of the client from firing and never says a word."""
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    while not handler.server.stopped.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def circles(handler: Handler) -> None:
    """Says the same word without end."""
    handler.begin()
    for _ in range(400):
        handler.event({"content": "again and again "})


def hangs_after(text: str) -> Behaviour:
    def behaviour(handler: Handler) -> None:
        handler.begin()
        handler.words(text)
        handler.server.stopped.wait()

    return behaviour


def breaks_after(text: str) -> Behaviour:
    """The connection is lost in the middle of an answer."""

    def behaviour(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("content-length", "100000")
        handler.end_headers()
        handler.words(text)
        resets(handler)

    return behaviour


def ends_after(text: str) -> Behaviour:
    """A stream ends as if it were whole, without the reason why it stopped; where none is asked for, all is well."""

    def behaviour(handler: Handler) -> None:
        if not handler.streams:
            says(text)(handler)
            return
        handler.begin()
        handler.words(text)
        handler.wfile.write(b"data: [DONE]\n\n")

    return behaviour


def fails_after(text: str, message: str) -> Behaviour:
    """Says what went wrong in the middle of the stream."""

    def behaviour(handler: Handler) -> None:
        handler.begin()
        handler.words(text)
        handler.wfile.write(f"data: {json.dumps({'error': {'message': message, 'code': 529}})}\n\n".encode())

    return behaviour


def speaks_anthropic(text: str, *, whole: bool = True) -> Behaviour:
    """A stream as Anthropic's, with usage at both ends."""

    def behaviour(handler: Handler) -> None:
        def event(kind: str, **what: Any) -> None:
            handler.wfile.write(f"event: {kind}\ndata: {json.dumps({'type': kind} | what)}\n\n".encode())

        handler.begin()
        message = {"id": "1", "type": "message", "role": "assistant", "content": [], "model": "any"}
        event(
            "message_start", message=message | {"stop_reason": None, "usage": {"input_tokens": 25, "output_tokens": 1}}
        )
        event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
        if whole:
            event("content_block_stop", index=0)
            event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 50})
            event("message_stop")

    return behaviour


@contextmanager
def listening() -> Iterator[Provider]:
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.stopped.set()
        server.shutdown()
        thread.join()


class Waits:
    """Stands in for sleeping, and remembers what was told."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.reasons: list[str] = []

    def tell(self, seconds: float, reason: str) -> None:
        del seconds
        self.reasons.append(reason)

    def model(
        self,
        name: str = "openai/tiny",
        *,
        tries: int = 4,
        timeout: float = 30.0,
        idle: float = 30.0,
        left: float | None = None,
    ) -> LiteLLM:
        return LiteLLM(
            name,
            timeout=timeout,
            idle=idle,
            tries=tries,
            seconds_left=lambda: left,
            on_wait=self.tell,
            sleep=self.seconds.append,
            rng=random.Random(1),
        )
