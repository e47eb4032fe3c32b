"""Prompts as templates: ours, or those of the same name in a folder of the user's."""

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from evolve.errors import UsageError

if TYPE_CHECKING:
    from jinja2 import Environment


SHIPPED = "shipped/"
"""By which a template of the user's or of a domain names ours of the same name, to extend it."""


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
        from jinja2 import TemplateError

        try:
            return self._environment(domain).get_template(template).render(**values).strip()
        except TemplateError as error:
            raise UsageError(f"the prompt template {template} cannot be used: {error}") from error

    def _environment(self, domain: str) -> "Environment":
        if domain not in self._environments:
            self._environments[domain] = self._opened(domain)
        return self._environments[domain]

    def _opened(self, domain: str) -> "Environment":
        from jinja2 import ChoiceLoader, Environment, FileSystemLoader, FunctionLoader, StrictUndefined

        folders = [folder for folder in (self._overrides.folder, self._overrides.domains.get(domain)) if folder]
        environment = Environment(  # noqa: S701 - prompts are no HTML
            loader=ChoiceLoader([*map(FileSystemLoader, folders), FunctionLoader(_template)]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"fenced": fenced, "clipped": clipped, "language": _language}
        environment.globals |= self._given
        return environment


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


def _language(name: str) -> str:
    return PurePosixPath(name).suffix.lstrip(".")


def _template(name: str) -> str | None:
    source = resources.files("agents") / "prompts" / name.removeprefix(SHIPPED)
    return source.read_text(encoding="utf-8") if source.is_file() else None
