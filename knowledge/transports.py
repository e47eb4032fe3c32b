"""How a server of the knowledge base is reached: stdin and stdout, or HTTP on this machine with a token."""

import hmac
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import anyio
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = "127.0.0.1"
PATH = "/mcp"
GOODBYE_SECONDS = 2
"""For answers that are under way when the server ends."""
CHUNK = 65536
logger = logging.getLogger(__name__)


async def serve_stdio(server: Server[Any]) -> None:
    """One client, on stdin and stdout, until it closes stdin or goes away."""
    lines = cast("anyio.AsyncFile[str]", _lines(0))
    try:
        async with stdio_server(stdin=lines) as (read, write):
            await server.run(read, write, server.create_initialization_options())
    except* BrokenPipeError:
        logger.info("the client went away")


async def serve_http(server: Server[Any], listening: socket.socket, token: str) -> None:
    """Any number of clients that know `token`, at `PATH`, until a signal. `listening` is bound to `LOOPBACK`."""
    here = [f"{name}:{listening.getsockname()[1]}" for name in (LOOPBACK, "localhost")]
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        transport_security=TransportSecuritySettings(
            allowed_hosts=here, allowed_origins=[f"http://{name}" for name in here]
        ),
    )
    config = uvicorn.Config(
        _Guard(app, token),
        lifespan="on",
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GOODBYE_SECONDS,
    )
    await uvicorn.Server(config).serve(sockets=[listening])


class _Guard:
    """Lets those in who know the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._admits(Headers(scope=scope).get("authorization", "")):
            await self._app(scope, receive, send)
            return
        refusal = JSONResponse(
            {"error": "send the server's token: `Authorization: Bearer TOKEN`"},
            status_code=401,
            headers={"WWW-Authenticate": "Bearer"},
        )
        await refusal(scope, receive, send)

    def _admits(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return hmac.compare_digest(token.strip().encode(), self._token) and scheme.lower() == "bearer"


async def _lines(fd: int) -> AsyncIterator[str]:
    """Waits in the event loop: a thread that reads could not be interrupted, and Ctrl-C would wait for a line."""
    rest = b""
    while True:
        with suppress(PermissionError):  # a plain file or /dev/null cannot be waited for, and never blocks
            await anyio.wait_readable(fd)
        chunk = os.read(fd, CHUNK)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
        if not chunk:
            return
