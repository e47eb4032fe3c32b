"""The curator: which of a model's insights are kept, and what they rest on."""

import json

import pytest

from agents.curator import Curated, Curator
from agents.model import ScriptedModel
from evolve.types import Attempt, Candidate, Evaluation, Experience, Gates, Profile
from knowledge.distil import CURATED, INSIGHT


def tried(
    number: int,
    *,
    technique: str = "tile",
    gain: float | None = 0.7,
    parent: int | None = None,
    authentic: bool = True,
    feedback: str = "",
) -> Attempt:
    feasible = gain is not None and authentic
    return Attempt(
        id=f"run/{number}",
        task="kernels/sum",
        position=number,
        candidate=Candidate(
            files={"kernel.c": f"int x{number};"}, technique=technique, parent=f"run/{parent}" if parent else None
        ),
        evaluation=Evaluation(
            gates=Gates(authentic=authentic, builds=True, correct=feasible),
            score=2.0 if feasible else None,
            feedback=feedback,
            profile=Profile(bottleneck="branchy", hardware="cpu"),
        ),
        gain=gain if feasible else None,
    )


ATTEMPTS = [
    tried(1),
    tried(2, parent=1),
    tried(3, parent=1, gain=0.9),
    tried(4, technique="unroll", gain=None, feedback="kernel.c:3: undeclared identifier 'z'"),
    tried(5, technique="pack", gain=None),
    tried(6, authentic=False, feedback="prints a verdict and does not compute"),
]


def insight(text: str, *attempts: str) -> dict[str, object]:
    return {"text": text, "attempts": list(attempts)}


def distilled(*insights: dict[str, object], known: tuple[str, ...] = ()) -> Curated:
    reply = json.dumps({"insights": insights})
    there = [Experience(id=f"ins-{place}", kind=INSIGHT, text=text) for place, text in enumerate(known)]
    return Curator(ScriptedModel([reply, reply])).distil("run/6", "kernels", ATTEMPTS, there)


def test_an_insight_names_its_sources_and_what_they_have_in_common() -> None:
    [kept] = distilled(insight("Tiling  helps\nsums.", "a2", "a3")).insights
    assert kept.id.startswith(CURATED)
    assert (kept.kind, kept.text, kept.sources) == (INSIGHT, "Tiling helps sums.", ("run/2", "run/3"))
    assert (kept.domain, kept.state, kept.technique, kept.hardware) == ("kernels", "branchy", "tile", "cpu")
    assert kept.metrics["gain"] == pytest.approx(0.8)
    assert kept.metrics["n"] == 2


def test_a_failure_with_its_reason_is_enough_by_itself() -> None:
    [kept] = distilled(insight("Declare what you use.", "a4")).insights
    assert kept.sources == ("run/4",)
    assert kept.metrics == {"n": 0, "failures": 1}


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (insight("Tiling helps.", "a2"), "rests on one attempt"),
        (insight("Tiling helps.", "a2", "a2"), "rests on one attempt"),
        (insight("Packing fails.", "a5"), "rests on one attempt"),
        (insight("Tiling helps."), "rests on one attempt"),
        (insight("Tiling helps.", "a2", "run/3"), "there is no attempt 'run/3'"),
        (insight("Fraud pays.", "a1", "a6"), "there is no attempt 'a6'"),
        (insight("x" * 301, "a2", "a3"), "more than 300 characters"),
        (insight("To unroll is of no use.", "a2", "a3"), "about 'unroll', but names no attempt that used it"),
        (insight("Tiling gains 5.5 times.", "a2", "a3"), "the number 5.5 is not in the attempts"),
    ],
)
def test_what_does_not_rest_on_what_was_shown_is_not_kept(bad: dict[str, object], complaint: str) -> None:
    curated = distilled(bad)
    assert curated.insights == []
    assert complaint in curated.problem
    assert [each.text for each in distilled(bad, insight("Tiling helps sums.", "a2", "a3")).insights] == [
        "Tiling helps sums."
    ]


def test_measured_numbers_may_be_told() -> None:
    [kept] = distilled(insight("Tiling gained 2.01x and more.", "a2", "a3")).insights
    assert "2.01x" in kept.text


def test_what_is_known_or_said_twice_is_dropped() -> None:
    text = "Tiling helps sums of long rows on this machine a lot."
    again = "Tiling helps sums of long rows on this machine a lot more."
    assert distilled(insight(text, "a2", "a3"), known=(again,)).insights == []
    assert len(distilled(insight(text, "a2", "a3"), insight(again, "a2", "a3")).insights) == 1


def test_nothing_to_learn_is_no_problem() -> None:
    curated = distilled()
    assert curated.insights == []
    assert not curated.problem


def test_frauds_and_what_came_of_them_are_not_shown() -> None:
    model = ScriptedModel([json.dumps({"insights": []})])
    Curator(model).distil("run/6", "kernels", [*ATTEMPTS, tried(7, technique="child of a fraud", parent=6)], [])
    told = model.prompts[0].messages[1].content
    assert "a3: kernels/sum, tile on a1: gained 2.46x" in told
    assert "prints a verdict" not in told
    assert "child of a fraud" not in told


def test_no_attempt_costs_no_call() -> None:
    assert Curator(ScriptedModel([])).distil("run/6", "kernels", ATTEMPTS[-1:], []) == Curated([])
