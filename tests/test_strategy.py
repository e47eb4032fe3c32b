"""The strategies, each at work in the real loop."""

import json
from pathlib import Path

import pytest

from agents.analyst import Analyst
from agents.inspector import Inspector
from agents.model import ScriptedModel
from evolve.errors import NotFoundError
from evolve.strategy import PRESETS, preset
from evolve.types import DRAFT, REFINE, Attempt, Prompt
from tests.test_orchestrator import Lines, offline, parts, settings


def attempts_of(folder: Path, name: str, *texts: str, attempts: int) -> list[Attempt]:
    asked = settings(attempts=attempts).model_copy(update={"preset": name})
    with parts(folder, asked, Lines(*texts)) as (run, made):
        run.execute(made)
        return list(made.journal.attempts())


def test_best_of_n_drafts_to_the_end_and_is_told_nothing(tmp_path: Path) -> None:
    writer = Lines("3", "4", "6", "6")
    asked = settings(attempts=4).model_copy(update={"preset": "best-of-n"})
    with parts(tmp_path, asked, writer) as (run, made):
        run.execute(made)
        assert {each.candidate.stage for each in made.journal.attempts()} == {DRAFT}
        assert made.memory.stats().experiences == {}
        assert made.memory.change == 0
    for brief in writer.briefs:
        assert (brief.parent, brief.last, brief.recalled, brief.tried) == (None, None, [], frozenset())


def test_refining_climbs_from_the_best_and_hears_of_the_last_failure(tmp_path: Path) -> None:
    writer = Lines("4", "8", "6", "7", "10")
    asked = settings(attempts=5).model_copy(update={"preset": "refine"})
    with parts(tmp_path, asked, writer) as (run, made):
        run.execute(made)
        assert made.memory.stats().experiences == {}
    assert [brief.parent.id if brief.parent else None for brief in writer.briefs] == [None, "r/1", "r/2", "r/2", "r/2"]
    assert writer.briefs[4].last is not None
    assert "not even" in writer.briefs[4].last.evaluation.feedback


def test_evokernel_leaves_a_start_that_brought_nothing(tmp_path: Path) -> None:
    found = attempts_of(tmp_path, "evokernel", "4", "8", "10", *["7"] * 12, attempts=15)
    assert [each.candidate.parent for each in found[:4]] == [None, "r/1", "r/2", "r/3"]
    assert {each.candidate.parent for each in found[4:]} > {"r/3"}


def test_evokernel_shows_what_was_made_of_the_same_start_before(tmp_path: Path) -> None:
    writer = Lines("4", "7", "9", "11")
    with parts(tmp_path, settings(attempts=4), writer) as (run, made):
        run.execute(made)
    assert [each.id for each in writer.briefs[3].children] == ["r/2", "r/3"]


def test_trajectories_take_turns_and_go_on_even_from_what_is_no_improvement(tmp_path: Path) -> None:
    texts = ("4", "10", "6", "9", "8", *map(str, range(12, 42, 2)))
    found = attempts_of(tmp_path, "kernelblaster", *texts, attempts=20)
    assert [each.candidate.stage for each in found[:4]] == [DRAFT, DRAFT, REFINE, REFINE]
    assert [each.candidate.parent for each in found[:6]] == [None, None, "r/1", "r/2", "r/3", "r/2"]


def test_kernelblaster_without_a_model_draws_from_what_the_base_has_seen(tmp_path: Path) -> None:
    asked = settings(attempts=20).model_copy(update={"preset": "kernelblaster"})
    with parts(tmp_path, asked, offline()) as (run, made):
        run.execute(made)
        chosen = {number: fact for number, fact in made.journal.facts("advice/").items() if "add_" in fact}
        assert len(chosen) > 10
        later = list(made.journal.attempts())[10:]
        assert made.memory.techniques("toy")
    assert later
    assert all(each.candidate.technique for each in later)


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(NotFoundError, match="evokernel"):
        preset("evokernal")
    assert list(PRESETS) == ["evokernel", "kernelblaster", "best-of-n", "refine"]


DIAGNOSED = {
    "state": "small", "confidence": 0.2, "new_state": "too_timid", "held_back": "The steps are small.",
    "ideas": [{"technique": "add_8", "weight": 0.9, "why": "larger"}, {"technique": "add_2", "weight": 0.2}],
    "stop": [{"technique": "add_1", "why": "odd numbers are wrong"}],
}  # fmt: skip
REVISED = {
    "analysis": "add_8 did as hoped.", "text": "Large even steps pay.",
    "adjust": [{"technique": "add_8", "weight": 1.0, "why": "paid"}],
    "new": [{"technique": "add_6", "weight": 0.5, "why": "even"}],
    "stop": [{"technique": "add_3", "why": "odd"}],
}  # fmt: skip


def analyst(prompts: list[Prompt]) -> Analyst:
    def answer(prompt: Prompt) -> str:
        prompts.append(prompt)
        return json.dumps(REVISED if "revision" in prompt.key else DIAGNOSED)

    return Analyst(ScriptedModel(answer))


def test_the_textual_gradient_is_applied_and_read_by_later_steps(tmp_path: Path) -> None:
    asked = settings(attempts=9).model_copy(update={"preset": "kernelblaster"})
    prompts: list[Prompt] = []
    with parts(tmp_path, asked, offline()) as (run, made):
        run.execute(made._replace(analyst=analyst(prompts)))
        guide = made.memory.guide("toy", "too_timid")
        assert guide.text == "Large even steps pay."
        assert guide.hopes["add_6"] == 0.5
        assert guide.hopes["add_8"] == 1.0
        assert "add_3" in guide.stops
        assert set(guide.sources) <= {each.id for each in made.journal.attempts()}
        assert len(made.memory.why(guide.id).history) > 1
    last = next(prompt for prompt in reversed(prompts) if "revision" not in prompt.key)
    assert "too_timid: " in last.messages[-1].content


def test_every_step_of_a_trajectory_counts_in_the_state_it_met(tmp_path: Path) -> None:
    asked = settings(attempts=9).model_copy(update={"preset": "kernelblaster"})
    with parts(tmp_path, asked, offline()) as (run, made):
        run.execute(made._replace(analyst=analyst([])))
        counted = made.memory.technique_statistics("toy", "too_timid")
        advised = [each for each in made.journal.attempts() if each.candidate.parent]
        fresh = {each.candidate.id: each for each in advised if not each.evaluation.feedback.startswith("the same")}
    assert len(advised) > 4
    steps = sum(len({*each.candidate.technique.split(" + ")}) for each in fresh.values())
    assert sum(each.tries for each in counted.values()) == steps > 1


def test_an_analyst_who_is_silent_costs_no_attempt(tmp_path: Path) -> None:
    asked = settings(attempts=6).model_copy(update={"preset": "kernelblaster"})
    with parts(tmp_path, asked, offline()) as (run, made):
        run.execute(made._replace(analyst=Analyst(ScriptedModel(lambda _prompt: "I do not know."))))
        assert [
            each.evaluation.feedback
            for each in made.journal.attempts()
            if "nothing to judge" in each.evaluation.feedback
        ] == []
        assert made.journal.judged() == 6


def test_what_the_inspector_rejects_is_no_success_and_is_not_learnt_from(tmp_path: Path) -> None:
    def answer(prompt: Prompt) -> str:
        cheat = {"verdict": "reject", "category": "hard_coded", "line": "66666666", "reason": "a constant"}
        return json.dumps(cheat if "66666666" in prompt.messages[-1].content else {"verdict": "honest"})

    asked = settings(attempts=3)
    with parts(tmp_path, asked, Lines("4", "66666666", "8")) as (run, made):
        run.execute(made._replace(inspector=Inspector(ScriptedModel(answer))))
        verdicts = [each.evaluation for each in made.journal.attempts()]
        best = made.journal.best("toy/a")
    assert [verdict.feasible for verdict in verdicts] == [True, False, True]
    assert verdicts[1].gates.authentic is False
    assert "inspector" in verdicts[1].feedback
    assert best is not None
    assert best.candidate.files["x.txt"] == "8"
