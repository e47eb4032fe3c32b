"""Writes the package of a new task domain, from the templates in `evolve/scaffold`."""

import keyword
import re
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from evolve.errors import UsageError

TEMPLATES = Path(__file__).parent / "scaffold"
SUFFIX = ".j2"
PLACEHOLDER = "NAME"
"""In the path of a template."""
HIDDEN = {"gitignore": ".gitignore"}
FITTING = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def scaffold(name: str, into: Path, taken: Iterable[str] = ()) -> Path:
    """The new folder `into/name`. `taken`: domains that are there already. Raises UsageError where it cannot be."""
    if fault := _unfit(name, taken):
        raise UsageError(fault)
    folder = into / name
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} is there already; give another name, or another folder by --into")
    try:
        folder.mkdir(parents=True)
        for place, text in _written(name).items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(text)
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be written: {error.strerror}; give another folder by --into"
        ) from error
    return folder


def _unfit(name: str, taken: Iterable[str]) -> str:
    if not FITTING.fullmatch(name) or keyword.iskeyword(name):
        return (
            f"{name!r} cannot be a Python package: give small letters, digits and single underscores, such as my_domain"
        )
    if name in taken:
        return f"a domain called {name!r} is installed already; give another name"
    spec = None if name in sys.builtin_module_names else find_spec(name)
    if name in sys.stdlib_module_names or (spec and spec.origin):
        return f"{name!r} is a Python module already, which would hide the new one; give another name"
    return ""


def _written(name: str) -> dict[Path, str]:
    """Text by place."""
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - no page
    found: dict[Path, str] = {}
    for template in sorted(TEMPLATES.rglob(f"*{SUFFIX}")):
        place = template.relative_to(TEMPLATES).as_posix().removesuffix(SUFFIX).replace(PLACEHOLDER, name)
        text = environment.from_string(template.read_text()).render(name=name, kind=class_name(name))
        found[Path(HIDDEN.get(place, place))] = text
    return found
