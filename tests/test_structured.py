"""Replies of a given shape: what small models wrap around the object, and what is no answer."""

import json
from typing import Any

import pytest
from pydantic import Field

from agents.analyst import Diagnosis
from agents.model import ScriptedModel
from agents.structured import Questions, Shape, read, schema
from agents.templates import Overrides
from evolve.types import Completion, Task


class Answer(Shape):
    name: str = Field(min_length=1)
    weight: float = Field(ge=0, le=1)


GOOD = '{"name": "tile", "weight": 0.5}'


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f"Sure! Here it is:\n```json\n{GOOD}\n```\nHope that helps.",
        f"```\n{GOOD}",
        f"The answer is {GOOD} because of {{reasons}}.",
        f"<think>perhaps {{}} or {{'a': 1}}</think>{GOOD}",
        '{"name": "tile", "weight": 0.5,}',
        '{"name": "tile", "weight": "0.5", "more": [1, 2]}',
        f'{{"answer": {GOOD}}}',
        '{"name": "", "weight": 7}\n' + GOOD,
        '{\n  "name": "ti\nle",\n  "weight": 0.5\n}'.replace("ti\nle", "tile"),
    ],
)
def test_the_object_is_found_whatever_stands_around_it(reply: str) -> None:
    value, problem = read(reply, Answer)
    assert value == Answer(name="tile", weight=0.5)
    assert not problem


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        ("", "no JSON object"),
        ("tile, I think", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('{"name": "tile"}', "`weight`: Field required"),
        ('{"name": "tile", "weight": NaN}', "`weight`"),
        ('{"name": "tile", "weight": 1.5}', "`weight`: Input should be less than or equal to 1"),
        ('{"name": "\\ud800", "weight": 0.5}', "`name`"),
        ("{" * 20_000, "no JSON object"),
        ('{"a":' * 20_000, "no JSON object"),
    ],
)
def test_what_is_no_answer_is_told_in_a_sentence(reply: str, complaint: str) -> None:
    value, problem = read(reply, Answer)
    assert value is None
    assert complaint in problem


def test_an_answer_that_was_cut_off_says_so() -> None:
    value, problem = read('{"name": "tile", "wei', Answer, truncated=True)
    assert value is None
    assert "cut off" in problem


def test_the_schema_goes_with_the_prompt_and_the_complaint_with_the_repair() -> None:
    model = ScriptedModel([Completion(text='{"name": "tile"', model="m", truncated=True), GOOD])
    questions = Questions(model, "inspector", Overrides(), max_tokens=99, temperature=0.0, **INSPECTED)
    said = questions.ask("run/1", Answer, domain="", **ASKED)
    assert said.value == Answer(name="tile", weight=0.5)
    first, second = model.prompts
    assert first.shape == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "weight": {"type": "number"}},
        "required": ["name", "weight"],
        "additionalProperties": False,
    }
    assert "cut off" in second.messages[-1].content
    assert second.messages[-2].content == '{"name": "tile"'


def test_fields_with_a_default_and_objects_within_are_asked_for_too() -> None:
    asked = schema(Diagnosis)
    assert set(asked["required"]) == set(Diagnosis.model_fields)
    within = asked["$defs"]["Try"]
    assert set(within["required"]) == {"technique", "weight", "why"}
    assert within["additionalProperties"] is False
    assert "default" not in json.dumps(asked)


def test_what_a_check_finds_wrong_is_sent_back_too() -> None:
    model = ScriptedModel([GOOD, GOOD.replace("tile", "unroll")])
    questions = Questions(model, "inspector", Overrides(), max_tokens=99, temperature=0.0, **INSPECTED)
    said = questions.ask("run/1", Answer, domain="", check=lambda answer: "no tiles" * (answer.name == "tile"), **ASKED)
    assert said.value == Answer(name="unroll", weight=0.5)
    assert "no tiles" in model.prompts[1].messages[-1].content


INSPECTED: dict[str, Any] = {"longest_code": 100, "longest_task": 100}
ASKED: dict[str, Any] = {"task": Task(id="a/b", domain="a", prompt="p"), "code": "", "categories": {}}
