"""Settings from one TOML file and from the environment, checked against the options that the commands have."""

import os
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from evolve.errors import NotFoundError, UsageError
from evolve.home import home

PROJECT = ".evolve.toml"
"""In the folder a command is started in."""
USER = "config.toml"
"""In `EVOLVE_HOME`."""
DEFAULTS = "defaults"
"""The table of settings for every command that they are meant for."""
PREFIX = "EVOLVE_"

Source = Literal["default", "file", "environment"]
Shared = Mapping[str, Sequence[str]]
"""Keys that may stand under `[defaults]`, each with the commands, or groups of commands, that it is for."""
Value = bool | int | float | str | list[str] | None


class Option(NamedTuple):
    """What a command can be told."""

    command: str
    """All its words: `kb search`."""
    name: str
    """Of the parameter."""
    key: str
    """As in the file, and on the command line without the dashes."""
    kind: type
    """bool, int, float or str."""
    many: bool
    default: Value
    least: float | None = None
    most: float | None = None

    @property
    def path(self) -> str:
        """`kb.search.k`."""
        return ".".join((*self.command.split(), self.key))

    @property
    def variable(self) -> str:
        return _variable(f"{self.command} {self.key}")


class Setting(NamedTuple):
    """What is in force for an option."""

    option: Option
    value: Value
    source: Source = "default"
    where: str = ""
    """The environment's variable, or the table of the file."""

    @property
    def path(self) -> str:
        """`run.attempts`, and `defaults.model` for what was said for every command it is for."""
        own = (self.option.variable, f"[{self.option.command.replace(' ', '.')}]", "")
        return self.option.path if self.where in own else f"{DEFAULTS}.{self.option.key}"


class Written(NamedTuple):
    """What a file says, by command (or `defaults`) and key."""

    path: Path | None
    values: Mapping[tuple[str, str], Value]


def find(named: str = "") -> Path | None:
    """The one file that is read: the one that is named, else the project's, else the user's. Raises UsageError."""
    if named:
        path = Path(str(_home(named)))
        if not path.is_file():
            raise UsageError(f"there is no file of settings {path}")
        return path
    return next((path for path in places() if path.is_file()), None)


def places() -> tuple[Path, Path]:
    """Where a file is looked for when none is named."""
    return Path(PROJECT).absolute(), home() / USER


def read(path: Path | None, options: Iterable[Option], shared: Shared) -> Written:
    """Raises UsageError for text that is no TOML, a table or key that nobody knows, a value of the wrong kind."""
    if path is None:
        return Written(None, {})
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text file (byte {error.start} is not UTF-8)") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists within lists within lists
        raise UsageError(f"{path} is no TOML: {error}") from error
    try:
        return Written(path, dict(_checked(tables, _tables(options, shared))))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def in_force(
    options: Iterable[Option], shared: Shared, written: Written, environment: Mapping[str, str] = os.environ
) -> list[Setting]:
    """One for each option. The environment is stronger than the file, and a command's own than what is for many.

    Raises UsageError for a variable that has no value of the right kind.
    """
    return [_setting(option, shared, written, environment) for option in options]


def strangers(options: Iterable[Option], environment: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each variable that begins like a setting of a command and is none."""
    known: dict[str, str] = {option.variable: _variable(option.command) for option in options}
    beginnings = tuple(f"{command}_" for command in known.values())
    odd = sorted(name for name in environment if name.startswith(beginnings) and name not in known)
    return [str(NotFoundError.among("variable", name, list(known))) for name in odd]


def _setting(option: Option, shared: Shared, written: Written, environment: Mapping[str, str]) -> Setting:
    common = is_shared(option, shared)
    for name in (option.variable, *([_variable(option.key)] if common else [])):
        if text := environment.get(name):
            return Setting(option, _home(_parsed(option, name, text)), "environment", name)
    for table in (option.command, *([DEFAULTS] if common else [])):
        if (table, option.key) in written.values:
            value = written.values[table, option.key]
            return Setting(option, _home(value), "file", f"[{table.replace(' ', '.')}]")
    return Setting(option, option.default)


def is_shared(option: Option, shared: Shared) -> bool:
    """Whether what `[defaults]` says of that key is for this option."""
    groups = shared.get(option.key, ())
    return any(option.command == group or option.command.startswith(f"{group} ") for group in groups)


# --- a file


def _tables(options: Iterable[Option], shared: Shared) -> dict[str, dict[str, Option]]:
    """The options by command and key, those that are shared once more under `defaults`."""
    found: dict[str, dict[str, Option]] = {DEFAULTS: {}}
    for option in options:
        found.setdefault(option.command, {})[option.key] = option
        if is_shared(option, shared):
            found[DEFAULTS].setdefault(option.key, option)
    return found


def _checked(
    table: Mapping[str, Any], known: Mapping[str, Mapping[str, Option]], words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, str], Value]]:
    for key, value in table.items():
        command = " ".join((*words, key))
        if isinstance(value, dict) and command not in known and _begin(known, command):
            yield from _checked(value, known, (*words, key))
        elif isinstance(value, dict):
            if command not in known:
                raise NotFoundError.among("table", command.replace(" ", "."), [k.replace(" ", ".") for k in known])
            for name, setting in value.items():
                yield (command, _key(name)), _fitting(command, name, setting, known)
        else:
            raise UsageError(_misplaced(key, words, known))


def _begin(known: Iterable[str], group: str) -> bool:
    return any(command.startswith(f"{group} ") for command in known)


def _misplaced(key: str, words: tuple[str, ...], known: Mapping[str, Mapping[str, Option]]) -> str:
    """A key that stands in no command's table."""
    if any(f"{command} ".startswith(f"{' '.join((*words, key))} ") for command in known):
        return f"{key!r} is a table; write [{'.'.join((*words, key))}] on a line, and its keys below"
    fitting = [f"[{command.replace(' ', '.')}]" for command, options in known.items() if _key(key) in options]
    if not fitting:
        every = sorted({each for options in known.values() for each in options})
        return str(NotFoundError.among("key", key, every))
    where = f"under [{'.'.join(words)}]" if words else "at the top"
    return f"{key!r} stands {where}; put it under {' or '.join(fitting[:4])}"


def _fitting(command: str, name: str, value: object, known: Mapping[str, Mapping[str, Option]]) -> Value:
    table = f"[{command.replace(' ', '.')}]"
    option = known[command].get(_key(name))
    if option is None:
        raise NotFoundError.among(f"key in {table}", name, list(known[command]))
    if option.many:
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return value
    elif isinstance(value, bool | int | float | str) and _is(value, option.kind) and _within(value, option):
        return value
    raise UsageError(f"{name} in {table} is {value!r}; give {_wanted(option)}")


def _is(value: float | str, kind: type) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind is float:
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max
    return isinstance(value, kind)


def _within(value: float | str, option: Option) -> bool:
    """Whether a number is one that the option takes."""
    if isinstance(value, str):
        return True
    return (option.least is None or value >= option.least) and (option.most is None or value <= option.most)


def _wanted(option: Option) -> str:
    if option.many:
        return 'a list of texts, such as ["one", "two"]'
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text in quotes"}
    least = "" if option.least is None else f" of at least {option.least:g}"
    most = "" if option.most is None else f"{' and' if least else ' of'} at most {option.most:g}"
    return f"{words[option.kind]}{least}{most}"


def _key(name: str) -> str:
    return name.replace("_", "-")


# --- the environment


def _variable(words: str) -> str:
    return PREFIX + words.upper().replace(" ", "_").replace("-", "_")


def _parsed(option: Option, name: str, text: str) -> Value:
    """Lists are parted by blanks."""
    if option.many:
        return text.split()
    if option.kind is bool:
        truth = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        if text.strip().lower() in truth:
            return truth[text.strip().lower()]
        raise UsageError(f"{name} is {text!r}; give 1 or 0")
    try:
        value: float | str = option.kind(text)
    except ValueError as error:
        raise UsageError(f"{name} is {text!r}; give {_wanted(option)}") from error
    if not _is(value, option.kind) or not _within(value, option):
        raise UsageError(f"{name} is {text}; give {_wanted(option)}")
    return value


def _home(value: Value) -> Value:
    """A path that begins with `~/` means the user's home, as a shell would have it."""
    if isinstance(value, list):
        return [str(_home(each)) for each in value]
    return str(Path(value).expanduser()) if isinstance(value, str) and value.startswith("~/") else value
