"""Keys of model providers from a file, for this process alone."""

import os
import re
import stat
from pathlib import Path

from evolve.errors import UsageError
from evolve.home import home

DEFAULT = "keys.env"
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_COMMENT = re.compile(r"\s#.*$")
_QUOTES = "'\""


def default_keys() -> Path | None:
    """The file that is read when none is named; None where it is not there."""
    path = home() / DEFAULT
    return path if path.is_file() else None


def load_keys(path: Path) -> str:
    """Put what the file's NAME=VALUE lines say into the environment, but for what is set there already.

    Returns a sentence to be told when others may read the file, else nothing. Raises UsageError for a file or a line
    that cannot be read. No value is ever repeated in a message.
    """
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise UsageError(f"there is no file of keys {path}; write one of NAME=VALUE lines") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the file of keys {path} cannot be read: {_reason(error)}") from error
    found = dict(filter(None, (_read(path, number, line) for number, line in enumerate(text.splitlines(), start=1))))
    for name, value in found.items():
        os.environ.setdefault(name, value)
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        return f"others on this machine can read the keys in {path}; run chmod 600 {path}"
    return ""


def _read(path: Path, number: int, line: str) -> tuple[str, str] | None:
    """Name and value; None for an empty line or a comment."""
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    match = _LINE.fullmatch(text)
    value = match and _unquoted(match[2])
    if match is None or value is None:
        raise UsageError(f"{path}, line {number}: no NAME=VALUE, such as OPENAI_API_KEY=sk-…")
    return match[1], value


def _unquoted(text: str) -> str | None:
    """None where a quote is not closed."""
    if text[:1] not in tuple(_QUOTES):
        return _COMMENT.sub("", text).rstrip()
    end = text.find(text[0], 1)
    rest = text[end + 1 :].strip()
    return text[1:end] if end > 0 and (not rest or rest.startswith("#")) else None


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is no text in UTF-8"
