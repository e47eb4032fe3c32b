"""Prompts as templates: ours, or those of the same name in a folder of the user's."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from evolve.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from jinja2 import Environment

SUFFIX = ".j2"
BELOW = "|"
SHIPPED = "shipped/"
"""By which a template names the one that it replaces, to extend it: a user's that of the domain, if any, else ours."""


class Overrides(NamedTuple):
    """Folders whose templates replace ours of the same name; the user's come before a domain's."""

    folder: Path | None = None
    domains: Mapping[str, Path] = {}
    """By domain name."""


OURS = Overrides()
"""Nothing is replaced."""


class Templates:
    """`given`: what every template may name beside what it is rendered with."""

    def __init__(self, overrides: Overrides = OURS, **given: object) -> None:
        self._overrides = overrides
        self._given = given
        self._environments: dict[str, Environment] = {}

    def render(self, template: str, *, domain: str = "", **values: object) -> str:
        """Raises UsageError for a template that cannot be read or used."""
        with _usable(template):
            return self._environment(domain).get_template(template).render(**values).strip()

    def _environment(self, domain: str) -> "Environment":
        if domain not in self._environments:
            folders = [folder for folder in (self._overrides.folder, self._overrides.domains.get(domain)) if folder]
            self._environments[domain] = _opened(folders)
            self._environments[domain].globals |= self._given
        return self._environments[domain]


def check(overrides: Overrides) -> None:
    """Raises UsageError for a folder of the user's that is not there or holds a template that replaces nothing.

    A file of any other name is one of his own, if another one there names it.
    """
    folder = overrides.folder
    if folder is None:
        return
    from jinja2 import meta

    if not folder.is_dir():
        raise UsageError(f"there is no folder of prompts {folder}")
    environment = _opened([folder, *overrides.domains.values()])
    there, named = _names(folder), set[str]()
    for name in there:
        with _usable(name):
            tree = environment.parse((folder / name).read_text(encoding="utf-8"))
            environment.get_template(name)
        referenced = set(meta.find_referenced_templates(tree))
        if name in referenced:
            raise UsageError(f"{folder / name} names itself; what it replaces is called {SHIPPED}{name}")
        named |= {other for other in referenced if other}
    known = {
        *_names(resources.files("agents") / "prompts"),
        *(n for d in overrides.domains.values() for n in _names(d)),
    }
    for name in there:
        if name not in known | named:
            found = NotFoundError.among("prompt template", name, sorted(known))
            raise UsageError(f"{folder / name} replaces nothing: {found}")


def _names(folder: "Traversable") -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(SUFFIX)) if folder.is_dir() else []


def _ours() -> "Traversable":
    return resources.files("agents") / "prompts"


@contextmanager
def _usable(template: str) -> Iterator[None]:
    from jinja2 import TemplateError

    try:
        yield
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise UsageError(f"the prompt template {template} cannot be used: {error}") from error


def _opened(folders: "Sequence[Traversable]") -> "Environment":
    """Templates of the first folder that has them; ours are the last one."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    layers = [*folders, _ours()]

    class Layered(Environment):
        def join_path(self, template: str, parent: str) -> str:
            """What `shipped/` names lies below the layer that the naming template is from."""
            if not template.startswith(SHIPPED):
                return template
            _, depth = _found(layers, parent)
            return f"{depth + 1}{BELOW}{template.removeprefix(SHIPPED)}"

    environment = Layered(
        loader=FunctionLoader(lambda name: _found(layers, name)[0]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"fenced": fenced, "clipped": clipped, "in_line": in_line, "language": _language}
    return environment


def _found(layers: "Sequence[Traversable]", name: str) -> tuple[str | None, int]:
    """The template's text and the number of its layer. `2|draft.j2` is looked for from layer 2 on."""
    above, mark, plain = name.rpartition(BELOW)
    for depth in range(int(above) if mark else 0, len(layers)):
        file = layers[depth] / plain
        if file.is_file():
            return file.read_text(encoding="utf-8"), depth
    return None, len(layers)


def fenced(text: str, language: str = "") -> str:
    """A fence that nothing in the text can close."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    mark = "`" * (longest + 1)
    return f"{mark}{language}\n{text.rstrip()}\n{mark}"


def clipped(text: str, characters: int) -> str:
    """The beginning and, a quarter as long, the end."""
    text = text.strip("\n")
    if len(text) <= characters:
        return text
    tail = characters // 5
    return f"{text[: characters - tail]}\n[... {len(text) - characters} characters left out ...]\n{text[-tail:]}"


def in_line(text: str, characters: int = 200) -> str:
    """One line that opens no fence and is cut to a length."""
    line = " ".join(text.replace("`", "'").split())
    return line if len(line) <= characters else f"{line[: characters - 1].rstrip()}…"


def _language(name: str) -> str:
    return PurePosixPath(name).suffix.lstrip(".")
