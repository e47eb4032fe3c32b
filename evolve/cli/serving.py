"""`evolve kb serve`."""

import os
import secrets
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from evolve.cli.interrupting import INTERRUPTED
from evolve.cli.kb import options
from evolve.errors import UsageError

VARIABLE = "EVOLVE_KB_TOKEN"
TOKEN_CHARACTERS = 16
"""Fewer can be guessed."""
OTHERS = 0o077
"""Permissions of anybody but the owner."""


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    http: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=0, max=65535, help="Streamable HTTP on 127.0.0.1 instead; 0 takes any free port."
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help=f"Token that HTTP asks for; made if missing. Without: ${VARIABLE}, or a new one."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Take no feedback and leave no trace of who was told what.")
    ] = False,
    kb: options.Base = "",
) -> None:
    """Let other agents use the knowledge base: MCP on stdin and stdout, or HTTP on this machine."""
    from functools import partial

    import anyio

    from knowledge.server import knowledge_server
    from knowledge.transports import LOOPBACK, PATH, serve_http, serve_stdio

    if http is None and token_file is not None:
        raise UsageError("--token-file is for --http PORT; on stdin and stdout whoever starts the server is its client")
    try:
        if http is None:
            with options.opened(kb) as memory:
                if sys.stdin.isatty():
                    sys.stderr.write(f"{memory.folder} on stdin and stdout; Ctrl-C ends it\n")
                anyio.run(serve_stdio, knowledge_server(memory, read_only=read_only))
            return
        token, where = _token(token_file)
        with _listen(LOOPBACK, http) as listening, options.opened(kb) as memory:
            port = listening.getsockname()[1]
            sys.stderr.write(f"{memory.folder} at http://{LOOPBACK}:{port}{PATH}, token {where}; Ctrl-C ends it\n")
            anyio.run(partial(serve_http, knowledge_server(memory, read_only=read_only), listening, token))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _token(file: Path | None) -> tuple[str, str]:
    """The token, and where its user finds it."""
    if file is not None:
        return _token_in(file), f"in {file}"
    if given := os.environ.get(VARIABLE, ""):
        return _usable(given, f"${VARIABLE}"), f"in ${VARIABLE}"
    made = secrets.token_urlsafe()
    return made, f"{made} until this server ends"


def _token_in(file: Path) -> str:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with (
            suppress(FileExistsError),
            os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new,
        ):
            new.write(secrets.token_urlsafe() + "\n")
        if file.stat().st_mode & OTHERS:
            raise UsageError(f"others may read the token in {file}; chmod 600 {file}")
        return _usable(file.read_text(encoding="utf-8", errors="replace").strip(), str(file))
    except OSError as error:
        raise UsageError(f"{file} cannot hold the token: {error.strerror}") from error


def _usable(token: str, where: str) -> str:
    if len(token) < TOKEN_CHARACTERS or not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError(f"the token in {where} is no token: give at least {TOKEN_CHARACTERS} letters, digits or signs")
    return token


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise UsageError(
            f"cannot listen on {host}:{port}: {reason}; give another port, or 0 for any free one"
        ) from error
