"""`evolve config`: what is in force and where it comes from; and how that reaches the commands."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from evolve.cli.options import MOMENTARY, SHARED, Json
from evolve.cli.output import DASH, print_json, print_table
from evolve.errors import NotFoundError, UsageError
from evolve.preferences import Option, Setting, Value, find, in_force, places, read, strangers

if TYPE_CHECKING:
    from typer.core import TyperCommand, TyperGroup

NAME = "config"
PATH = "path"
"""What `evolve config` is asked for the file's own path by."""

File = Annotated[
    str,
    typer.Option(
        "--config",
        envvar="EVOLVE_CONFIG",
        metavar="FILE",
        help="Settings in TOML; without, .evolve.toml here or config.toml in EVOLVE_HOME.",
    ),
]


def register(app: typer.Typer) -> None:
    app.callback()(configured)
    app.command(NAME)(config)


def configured(context: typer.Context, file: File = "") -> None:
    """Every command begins with what the file and the environment say."""
    if context.invoked_subcommand == NAME:
        return
    try:
        context.default_map = _by_command(_settings(context, file))
    except UsageError as error:
        if "--help" not in sys.argv:
            raise
        sys.stderr.write(f"evolve: {error}\n")


def config(
    context: typer.Context,
    command: Annotated[
        list[str] | None, typer.Argument(help="Such as run, or kb search; `path` for where the file is.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Of every command, and what is as it comes as well.")] = False,
    json: Json = False,
) -> None:
    """Show the settings in force and where each comes from.

    Flags are stronger than the environment, and that than the file in TOML. Neither changes a run that has begun.
    """
    words = " ".join(command or ())
    named = str(context.find_root().params.get("file") or "")
    if words == PATH:
        _print_path(named, json=json)
        return
    settings = _settings(context, named)
    asked = [each for each in settings if not words or f"{each.option.command} ".startswith(f"{words} ")]
    if not asked:
        known = sorted({each.option.command for each in settings})
        raise NotFoundError.among("command with settings", words, known)
    path = find(named)
    for sentence in strangers([each.option for each in settings]):
        sys.stderr.write(f"evolve: {sentence}\n")
    shown = [each for each in asked if words or every or each.source != "default"]
    if json:
        print_json({"file": str(path) if path else None, "settings": [_as_json(each) for each in shown]})
    else:
        _print(path, shown, whole=bool(words or every))


def _print_path(named: str, *, json: bool) -> None:
    path = find(named)
    if json:
        print_json({"file": str(path) if path else None, "places": [str(place) for place in places()]})
        return
    if path is None:
        sys.stderr.write(f"evolve: {_nowhere()}\n")
    sys.stdout.write(f"{path or places()[-1]}\n")


def _nowhere() -> str:
    return f"there is no file of settings: neither {' nor '.join(map(str, places()))}"


def _print(path: Path | None, shown: list[Setting], *, whole: bool) -> None:
    """`whole`: one row for each option of each command; else what is for many commands is one row."""
    sys.stdout.write(f"{path or _nowhere()}\n")
    if not shown:
        sys.stdout.write("everything is as it comes; `evolve config run` shows how\n")
        return
    rows = [(each.option.path if whole else each.path, _shown(each.value), each.where or each.source) for each in shown]
    print_table(("setting", "value", "from"), list(dict.fromkeys(rows)))


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(value) or DASH
    return DASH if value is None or value == "" else str(value)


def _as_json(setting: Setting) -> dict[str, Any]:
    return {
        "command": setting.option.command,
        "key": setting.option.key,
        "value": setting.value,
        "source": setting.source,
        "where": setting.where or None,
    }


def _settings(context: typer.Context, named: str) -> list[Setting]:
    known = list(options(context.find_root().command))
    return in_force(known, SHARED, read(find(named), known, SHARED))


def _by_command(settings: list[Setting]) -> dict[str, Any]:
    """Nested by the words of the commands; what is as it comes is left out."""
    found: dict[str, Any] = {}
    for setting in settings:
        if setting.source != "default":
            table = found
            for word in setting.option.command.split():
                table = table.setdefault(word, {})
            table[setting.option.name] = setting.value
    return found


# --- what commands can be told


def options(command: "TyperGroup | TyperCommand | Any", words: tuple[str, ...] = ()) -> Iterator[Option]:
    """Every setting of every command, in the order they are declared in."""
    within: Mapping[str, Any] = getattr(command, "commands", {})
    for name, each in within.items():
        yield from options(each, (*words, name))
    if within or not words or command.callback is None:
        return
    hints = get_type_hints(command.callback)
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name in hints and parameter.name not in MOMENTARY:
            yield _option(" ".join(words), parameter, hints[parameter.name])


def _option(command: str, parameter: Any, hint: object) -> Option:
    kind, many = _kind(hint)
    key = max(parameter.opts, key=len).lstrip("-")
    default = str(parameter.default) if isinstance(parameter.default, Path) else parameter.default
    return Option(command, parameter.name, key, kind, many, default, parameter.min, parameter.max)


def _kind(hint: object) -> tuple[type, bool]:
    """The plain kind of an annotation, and whether it is a list of them."""
    if get_origin(hint) in {Union, UnionType}:
        return _kind(next(each for each in get_args(hint) if each is not NoneType))
    if get_origin(hint) is list:
        return _kind(get_args(hint)[0])[0], True
    return (hint, False) if isinstance(hint, type) and hint in {bool, int, float} else (str, False)
