"""The strategies, each at work in the real loop."""

import json
from pathlib import Path

import pytest

from agents.analyst import Analyst
from agents.inspector import Inspector
from agents.model import ScriptedModel
from agents.writer import Brief, Draft
from evolve.budget import Ceilings
from evolve.config import assemble, new_settings
from evolve.errors import BudgetExceededError, ModelError, NotFoundError
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


def test_a_preset_without_memory_needs_no_embedding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOLVE_HOME", str(tmp_path))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    toy = f"{Path(__file__).parent / 'toy.py'}:Toy"
    asked = new_settings(
        tasks=["toy/a"], tier=None, model="offline", ceilings=Ceilings(attempts=2), parallel=1, sandbox="process",
        kb="", embedding="litellm:openai/text-embedding-3-small", seed=1, hold_out=False, preset="refine",
        domains=[toy],
    )  # fmt: skip
    with assemble(asked, lambda _: None) as (run, made):
        assert run.execute(made) == ""
        assert made.memory.change == 0


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


def test_an_analyst_whose_model_is_gone_for_a_while_costs_no_attempt(tmp_path: Path) -> None:
    def silent(_prompt: Prompt) -> str:
        raise ModelError("overloaded", fatal=False)

    asked = settings(attempts=6).model_copy(update={"preset": "kernelblaster"})
    with parts(tmp_path, asked, offline()) as (run, made):
        assert run.execute(made._replace(analyst=Analyst(ScriptedModel(silent)))) == ""
        verdicts = [each.evaluation.feedback for each in made.journal.attempts()]
    assert len(verdicts) == 6
    assert not any("no answer" in verdict for verdict in verdicts)


def test_nothing_is_rewritten_once_a_run_is_lost(tmp_path: Path) -> None:
    prompts: list[Prompt] = []
    asked = settings(attempts=9, parallel=4).model_copy(update={"preset": "kernelblaster"})
    writer = Lines("4", "6", "8", "10", "12", "14", "16", ModelError("the key is wrong"))
    with parts(tmp_path, asked, writer) as (run, made), pytest.raises(ModelError, match="the key is wrong"):
        run.execute(made._replace(analyst=analyst(prompts)))
    assert not any("revision" in prompt.key for prompt in prompts)


def test_an_attempt_that_is_made_up_for_later_rewrites_the_guides_too(tmp_path: Path) -> None:
    class Short(Lines):
        def write(self, brief: Brief) -> Draft:
            if brief.attempt == "r/6":
                raise BudgetExceededError("no room left")
            return super().write(brief)

    asked = settings(attempts=12, parallel=4).model_copy(update={"preset": "kernelblaster"})
    with parts(tmp_path, asked, Short(*map(str, range(4, 40, 2)))) as (run, made):
        assert run.execute(made._replace(analyst=analyst([]))) == "no room left"
        assert {"r/5", "r/7", "r/8"} <= set(made.memory.guide("toy", "too_timid").sources)
    with parts(tmp_path, asked, offline()) as (run, made):
        run.execute(made._replace(analyst=analyst([])))
        assert "r/6" in made.memory.guide("toy", "too_timid").sources


def test_an_expectation_belongs_to_the_technique_it_was_about(tmp_path: Path) -> None:
    prompts: list[Prompt] = []
    asked = settings(attempts=9).model_copy(update={"preset": "kernelblaster"})
    with parts(tmp_path, asked, Lines(*map(str, range(4, 22, 2)))) as (run, made):
        run.execute(made._replace(analyst=analyst(prompts)))
    revisions = [prompt.messages[-1].content for prompt in prompts if "revision" in prompt.key]
    assert revisions
    assert all("no expectation" in told for told in revisions)


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
