"""Questions that a model answers with one JSON object: what the roles beside the coder have in common.

Reads the object alone, in a fence or among prose, as small models give it. Not covered: an object that is no JSON
(single quotes, unquoted names); the one repair turn is for that.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.reply import blocks
from agents.templates import OURS, Overrides, Templates, clipped, in_line
from evolve.types import Cost, Message, Model, Prompt

TURNS = 2
"""The answer, and one repair of an unusable one."""
LONGEST_REPLY = 3_000
"""Characters of an unusable reply that are shown to its author again."""
LONGEST_PROBLEM = 300
MOST_OBJECTS = 32
"""Braces in a reply that are tried as the beginning of an object."""
MOST_ERRORS = 3
PROPERTIES = "properties"
UNENFORCED = frozenset({"title", "default", "description", "minLength", "minItems", "minimum", "maximum"})
"""Keywords that some providers refuse in a schema."""
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_TRAILING = re.compile(r",(?=\s*[}\]])")


class Shape(BaseModel):
    """What a reply must look like; fields that were not asked for are dropped."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


T = TypeVar("T", bound=Shape)


class Said(NamedTuple, Generic[T]):
    value: T | None
    cost: Cost
    problem: str = ""
    """Why there is no value, in a sentence."""


def nothing_wrong(_value: object) -> str:
    return ""


class Questions:
    """Of one role to one model. `given`: what every template of the role may name.

    Raises UsageError for a prompt template that cannot be read; what the model raises passes through.
    """

    def __init__(
        self,
        model: Model,
        role: str,
        prompts: Overrides = OURS,
        *,
        max_tokens: int,
        temperature: float,
        **given: object,
    ) -> None:
        self._model = model
        self._role = role
        self._templates = Templates(prompts, **given)
        self._max_tokens = max_tokens
        self._temperature = temperature

    @property
    def name(self) -> str:
        return self._model.name

    def ask(
        self,
        key: str,
        shape: type[T],
        *,
        domain: str,
        check: Callable[[T], str] = nothing_wrong,
        **values: object,
    ) -> Said[T]:
        """At most two calls, keyed `KEY/ROLE/1` and `…/2`, made from the templates `ROLE_system.j2` and `ROLE.j2`.

        `check`: what is wrong with an answer that has the shape, in a sentence its author can repair it from.
        """
        system = self._templates.render(f"{self._role}_system.j2", domain=domain)
        asked = self._templates.render(f"{self._role}.j2", domain=domain, **values)
        messages: tuple[Message, ...] = (
            Message(role="system", content=system),
            Message(role="user", content=asked),
        )
        cost, problem = Cost(), ""
        for turn in range(1, TURNS + 1):
            completion = self._model.complete(
                Prompt(
                    key=f"{key}/{self._role}/{turn}",
                    messages=messages,
                    max_tokens=self._max_tokens,
                    temperature=self._temperature,
                    shape=schema(shape),
                )
            )
            cost += completion.cost
            value, problem = read(completion.text, shape, truncated=completion.truncated)
            problem = problem or (check(value) if value is not None else "")
            if value is not None and not problem:
                return Said(value, cost)
            messages += self._repair(completion.text, problem, domain)
        return Said(None, cost, problem)

    def _repair(self, text: str, problem: str, domain: str) -> tuple[Message, ...]:
        said = Message(role="assistant", content=clipped(text, LONGEST_REPLY) or "(nothing)")
        request = self._templates.render("shape_repair.j2", domain=domain, problem=in_line(problem, LONGEST_PROBLEM))
        return (said, Message(role="user", content=request))


def schema(shape: type[Shape]) -> dict[str, Any]:
    """As providers enforce it: every field is there, nothing else is. Limits and defaults are ours to apply."""
    asked = _strict(shape.model_json_schema())
    assert isinstance(asked, dict)
    return asked


def _strict(node: object) -> object:
    if not isinstance(node, dict):
        return node
    kept = {key: _strict(value) for key, value in node.items() if key not in UNENFORCED | {PROPERTIES}}
    if PROPERTIES not in node:
        return kept
    fields = {name: _strict(field) for name, field in node[PROPERTIES].items()}
    return {**kept, PROPERTIES: fields, "required": list(fields), "additionalProperties": False}


def read(text: str, shape: type[T], *, truncated: bool = False) -> tuple[T | None, str]:
    """The first object of the reply that has the shape, or a sentence on why there is none.

    `truncated`: the provider stopped the reply at its token limit.
    """
    problem = "there is no JSON object in the reply"
    for number, found in enumerate(objects(_THOUGHT.sub("", text))):
        try:
            return shape.model_validate(found), ""
        except ValidationError as error:
            problem = problem if number else _complaint(error)
    if truncated:
        return None, "the reply was cut off at the token limit before the object ended; be shorter"
    return None, problem


def objects(text: str) -> Iterator[dict[str, Any]]:
    """Of the whole text, of its fenced blocks, then of the rest; each before those that it wraps."""
    for part in (text, *(block.code for block in blocks(text))):
        yield from _with_wrapped(_decoded(part.strip()))
    start = text.find("{")
    for _ in range(MOST_OBJECTS):
        if start < 0:
            return
        found, end = _decoded_at(text, start)
        yield from _with_wrapped(found)
        start = text.find("{", end)


def _with_wrapped(found: object) -> Iterator[dict[str, Any]]:
    if isinstance(found, dict):
        yield found
        yield from (value for value in found.values() if isinstance(value, dict))


def _decoded(text: str) -> object:
    if not text.startswith("{"):
        return None
    found, _ = _decoded_at(_TRAILING.sub("", text), 0)
    return found


def _decoded_at(text: str, start: int) -> tuple[object, int]:
    """The object that begins there, None where none does, and where to look for the next."""
    try:
        return json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, start + 1


def _complaint(error: ValidationError) -> str:
    told = (f"`{'.'.join(map(str, each['loc']))}`: {each['msg']}" for each in error.errors(include_url=False))
    return "; ".join([line for line, _ in zip(told, range(MOST_ERRORS), strict=False)])
