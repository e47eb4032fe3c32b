"""Conversations in LoCoMo's format are read as they are, and what is none is named by line or key."""

import json
from pathlib import Path
from typing import Any

import pytest

from evolve.domains.memory.exam import BUDGET, Exam, K
from evolve.domains.memory.locomo import read
from evolve.errors import UsageError


def turn(name: str, speaker: str, text: str, **more: str) -> dict[str, str]:
    return {"dia_id": name, "speaker": speaker, "text": text, **more}


def asked(text: str, evidence: list[str], category: int, **more: Any) -> dict[str, Any]:
    return {"question": text, "evidence": evidence, "category": category, **more}


def sample() -> dict[str, Any]:
    """Session 10 comes before session 2 where names are sorted as text."""
    return {
        "sample_id": "conv-1",
        "conversation": {
            "speaker_a": "Ada",
            "speaker_b": "Bo",
            "session_10": [turn("D10:1", "Bo", "The kiln broke.")],
            "session_10_date_time": "9:05 am on 1 June, 2023",
            "session_2": [
                turn("D2:1", "Ada", "Look!", blip_caption="a photo of a vase", img_url="x"),
                turn("D2:2", "Bo", "What a blue!"),
            ],
            "session_2_date_time": "1:56 pm on 8 May, 2023",
            "session_3_date_time": "1:56 pm on 9 May, 2023",
        },
        "qa": [
            asked("What did Ada show?", ["D2:1"], 4, answer="a vase"),
            asked("What went wrong, and when?", ["D2:1; D:10:01", "D2:02"], 1, answer=2023),
            asked("Who never spoke?", ["D2:1"], 5, adversarial_answer="Cy"),
            asked("What is not in it?", ["D9:9", "D"], 3, answer="x"),
        ],
        "observation": {},
    }


def written(folder: Path, content: object) -> Path:
    file = folder / "data.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def one(folder: Path, seed: int = 0) -> Exam:
    return read(written(folder, [sample()]), seed=seed)[0]


def test_turns_are_events_in_the_order_of_their_sessions(tmp_path: Path) -> None:
    exam = one(tmp_path)
    assert exam.name == "conv-1"
    assert [event.text for event in exam.events] == [
        "Ada: Look! [shares a photo of a vase]", "Bo: What a blue!", "Bo: The kiln broke.",
    ]  # fmt: skip
    assert [event.actor for event in exam.events] == ["Ada", "Bo", "Bo"]
    times = [event.time for event in exam.events]
    assert times[0] == 1683554160  # 8 May 2023, 13:56 UTC
    assert times == sorted(set(times))


def test_ids_and_scopes_say_nothing_and_are_the_same_each_time(tmp_path: Path) -> None:
    exam = one(tmp_path)
    handles = [name for event in exam.events for name in (event.id, event.scope)]
    assert len(set(handles)) == 3 + 2
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in handles)
    assert one(tmp_path) == exam
    assert one(tmp_path, seed=1).events[0].id != exam.events[0].id


def test_evidence_is_read_however_it_is_written(tmp_path: Path) -> None:
    exam = one(tmp_path)
    first, second, third = (event.id for event in exam.events)
    assert [(set(question.gold), question.category, question.answer) for question in exam.questions] == [
        ({first}, "4", "a vase"), ({first, second, third}, "1", "2023"),
    ]  # fmt: skip


def test_what_nothing_answers_is_not_asked(tmp_path: Path) -> None:
    texts = {question.query.text for question in one(tmp_path).questions}
    assert texts == {"What did Ada show?", "What went wrong, and when?"}


def test_questions_are_asked_after_everything_was_said(tmp_path: Path) -> None:
    exam = one(tmp_path)
    for question in exam.questions:
        assert question.query.now > exam.events[-1].time
        assert (question.query.k, question.query.budget_tokens, question.query.stage) == (K, BUDGET, "qa")


def spoilt(*where: str | int, value: object = None) -> list[Any]:
    """Two conversations of which the second is not as it should be, at this key."""
    content: list[Any] = [sample(), sample()]
    inner: Any = content[1]
    for step in where[:-1]:
        inner = inner[step]
    if value is None:
        del inner[where[-1]]
    else:
        inner[where[-1]] = value
    return content


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[\n  {\n    'x'\n", "line 3 is no JSON"),
        ({"conversations": []}, "all of it: Input should be a valid list"),
        ([], "holds no conversation"),
        ([3], "[0]: "),
        (spoilt("conversation", "session_2", 1, "dia_id"), "[1].conversation.session_2[1].dia_id: Field required"),
        (spoilt("conversation", "session_2", 1, "dia_id", value="two"), "[1].conversation.session_2[1].dia_id: "),
        (spoilt("conversation", "session_2", value="none"), "[1].conversation.session_2: "),
        (spoilt("conversation", "session_10_date_time"), "[1].conversation.session_10_date_time: a date such as"),
        (spoilt("conversation", "session_2_date_time", value="8 May"), "[1].conversation.session_2_date_time: a date"),
        (spoilt("conversation", value={"speaker_a": "Ada"}), "[1].conversation: there is no session_1"),
        (spoilt("qa", 0, "category", value=6), "[1].qa[0].category: "),
        (spoilt("qa", 1, "evidence", value="D1:1"), "[1].qa[1].evidence: "),
        (spoilt("sample_id"), "[1].sample_id: Field required"),
    ],
)
def test_another_shape_is_named_by_its_line_or_key(tmp_path: Path, content: object, named: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(written(tmp_path, content))
    assert named in str(refused.value)
    assert "data.json" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.json cannot be read: No such file"):
        read(tmp_path / "missing.json")
    (tmp_path / "image").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="image is no text file"):
        read(tmp_path / "image")
