"""Prompts as templates: ours, or those of the same name in a folder of the user's."""

import re
from functools import cached_property
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from evolve.errors import UsageError

if TYPE_CHECKING:
    from jinja2 import Environment


class Templates:
    """`given`: what every template may name beside what it is rendered with."""

    def __init__(self, folder: Path | None = None, **given: object) -> None:
        self._folder = folder
        self._given = given

    def render(self, template: str, **values: object) -> str:
        """Raises UsageError for a template that cannot be read or used."""
        from jinja2 import TemplateError

        try:
            return self._environment.get_template(template).render(**values).strip()
        except TemplateError as error:
            raise UsageError(f"the prompt template {template} cannot be used: {error}") from error

    @cached_property
    def _environment(self) -> "Environment":
        from jinja2 import ChoiceLoader, Environment, FileSystemLoader, FunctionLoader, StrictUndefined

        own = FunctionLoader(_template)
        loader = ChoiceLoader([FileSystemLoader(self._folder), own]) if self._folder else own
        environment = Environment(  # noqa: S701 - prompts are no HTML
            loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
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
    source = resources.files("agents") / "prompts" / name
    return source.read_text(encoding="utf-8") if source.is_file() else None
