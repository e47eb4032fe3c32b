"""Recorded runs, run again from their journals: the same decisions, or the first that is other."""

import json
import os
import re
import socket
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest

from agents.coder import Coder
from agents.model import ScriptedModel
from evolve.budget import Ceilings, MeteredModel
from evolve.config import assemble, new_settings, open_kb
from evolve.errors import ModelError, UsageError
from evolve.journal import Journal
from evolve.parts import Listener, Parts, Step
from evolve.replay import Replayed, replay
from evolve.run import JOURNAL, Run, Settings
from evolve.strategy import PRESETS
from evolve.types import Prompt
from tests.command import evolve, last_json
from tests.provider import listening, refuses, says

TOY = f"{Path(__file__).with_name('toy.py')}:Toy"
KERNELS = Path(__file__).with_name("quick.py")
MODEL = "openai/tiny"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVOLVE_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    return tmp_path


def asked(*tasks: str, attempts: int, parallel: int = 1, **others: Any) -> Settings:
    given: dict[str, Any] = {
        "tier": None, "model": "offline", "ceilings": Ceilings(attempts=attempts), "parallel": parallel,
        "sandbox": "process", "kb": "", "embedding": "", "seed": 1, "hold_out": False, "domains": [TOY],
    }  # fmt: skip
    return new_settings(tasks=list(tasks), **(given | others))


Change = Callable[[Parts], Parts]


def recorded(
    settings: Settings, change: Change = lambda parts: parts, run: Run | None = None, listen: Listener = lambda _: None
) -> Run:
    with assemble(settings, listen, run) as (made, parts):
        made.execute(change(parts))
    return made


def scripted(answer: Callable[[Prompt], str]) -> Change:
    """The models of the run are replaced by this function; an exception that it raises is the model's."""

    def change(parts: Parts) -> Parts:
        model = ScriptedModel(answer, name=MODEL)
        return parts._replace(writer=Coder(MeteredModel(model, parts.journal, parts.budget)))

    return change


def number(prompt: Prompt) -> str:
    """What a model of few words writes for the toy: another number for each attempt."""
    found = re.search(r"/(\d+)/coder/", prompt.key)
    assert found
    return f"technique: guess\n```x.txt\n{2 * int(found[1])}\n```"


def rewrite(run: Run, statement: str, *values: object) -> None:
    with sqlite3.connect(run.folder / JOURNAL) as db:
        assert db.execute(statement, values).rowcount == 1
    db.close()


def told(found: Replayed) -> str:
    assert found.difference is not None
    return str(found.difference)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_parallel_run_makes_the_same_decisions_again(preset: str) -> None:
    run = recorded(asked("a", "b", attempts=12, parallel=6, preset=preset))
    assert replay(run) == Replayed(24, 0, None)


def test_attempts_of_one_round_are_not_told_what_the_others_wrote(home: Path) -> None:
    """However they meet: here all of a round write before any is judged, and then one after the other."""
    together = Barrier(6)

    def at_once(step: Step) -> None:
        if step.phase == "judge":
            with suppress(BrokenBarrierError):  # of a round that has fewer to judge
                together.wait(2)

    def drafts(run: Run) -> list[Any]:
        journal = Journal.open(run.folder / JOURNAL)
        found = [each.candidate.files for each in journal.attempts()]
        journal.close()
        return found

    barred = recorded(asked("a", attempts=12, parallel=6, kb=str(home / "one")), listen=at_once)
    free = recorded(asked("a", attempts=12, parallel=6, kb=str(home / "two")))
    assert drafts(barred) == drafts(free)
    assert replay(barred).difference is None


def test_a_run_that_began_with_a_rich_knowledge_base_is_replayed_with_what_it_held_then() -> None:
    recorded(asked("a", attempts=10))
    run = recorded(asked("b", attempts=10, seed=2))
    recorded(asked("a", "b", attempts=8, seed=3))
    with open_kb("") as memory:
        memory.hygiene.forget([each.experience.id for each in memory.search("add", k=5)], "by hand")
    assert replay(run) == Replayed(10, 0, None)


def test_a_replay_leaves_no_trace_in_the_run_and_its_knowledge_base() -> None:
    run = recorded(asked("a", attempts=4))
    with open_kb("") as memory:
        before = memory.stats()
    files = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    assert replay(run).difference is None
    with open_kb("") as memory:
        after = memory.stats()
    assert (after.changes, after.recalls, after.events) == (before.changes, before.recalls, before.events)
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == files


def test_a_knowledge_base_that_is_gone_is_named_as_the_likely_reason(home: Path) -> None:
    recorded(asked("a", attempts=10, kb=str(home / "warm")))
    run = recorded(asked("b", attempts=6, kb=str(home / "warm"), seed=2))
    (home / "warm").rename(home / "elsewhere")
    found = replay(run)
    assert "recalled" in told(found)
    assert re.search("knowledge base in .*warm is gone", found.doubts[0])


def test_what_was_erased_since_is_named_as_the_likely_reason() -> None:
    recorded(asked("a", attempts=10))
    run = recorded(asked("b", attempts=6, seed=2))
    with open_kb("") as memory:
        memory.hygiene.erase([each.experience.id for each in memory.search("add", k=50)], "by law")
    found = replay(run)
    assert found.difference is not None
    assert any("erased" in doubt for doubt in found.doubts)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE attempts SET stage='draft' WHERE position=5", r"attempt \S+/5: plan: recorded toy/a, draft"),
        (
            "UPDATE attempts SET gain=gain+1e-12 WHERE position=(SELECT MIN(position) FROM attempts WHERE gain > 0)",
            r"attempt \S+/\d: learnt: recorded gain \d\.\d+",
        ),
        ("UPDATE attempts SET improved=1-improved WHERE position=6", r"attempt \S+/6: learnt: .*improved"),
        (
            "UPDATE attempts SET draft=json_set(draft, '$.files.\"x.txt\"', '1') WHERE position=4",
            r"attempt \S+/4: candidate, x.txt:\n(.*\n)*-1\n\+\d+",
        ),
        (
            "UPDATE attempts SET draft=json_set(draft, '$.recalled', json('[\"none\"]')) WHERE position=4",
            r"attempt \S+/4: recalled: recorded none, replayed \S+",
        ),
        (
            "UPDATE confirmations SET evaluation=json_set(evaluation, '$.score', 1e9) WHERE rowid=2",
            "",
        ),
    ],
    ids=["plan", "gain", "improved", "candidate", "recalled", "confirmation"],
)
def test_the_first_decision_that_is_other_is_named(statement: str, expected: str) -> None:
    run = recorded(asked("a", attempts=8, parallel=2))
    rewrite(run, statement)
    found = replay(run)
    if expected:
        assert re.search(expected, told(found)), told(found)
    else:  # what was measured is no decision: both winners follow from it
        assert found.difference is None


@pytest.mark.parametrize("preset", ["evokernel", "kernelblaster"])
def test_no_model_is_asked_again(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for code nor for advice: what a role cannot read is asked for once more and then left out, both times."""
    with listening() as provider:
        text = "technique: guess\n```x.txt\n{}\n```"
        provider.behaviours = [says(text.format(2 * place)) for place in range(1, 60)]
        monkeypatch.setenv("OPENAI_API_BASE", provider.address)
        run = recorded(asked("a", attempts=8, parallel=2, model=MODEL, preset=preset))
        asked_before = len(provider.requests)
        found = replay(run)
        assert len(provider.requests) == asked_before
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9/v1")
    assert replay(run) == found == Replayed(8, asked_before, None)


def test_two_models_are_chosen_between_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "technique: guess\n```x.txt\n{}\n```"
    with listening() as provider:
        provider.behaviours = [says(text.format(2 * place)) for place in range(1, 40)]
        monkeypatch.setenv("OPENAI_API_BASE", provider.address)
        run = recorded(asked("a", attempts=12, parallel=3, model="openai/one,openai/two", preset="refine"))
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9/v1")
    assert replay(run).difference is None
    journal = Journal.open(run.folder / JOURNAL)
    chosen = {key: json.loads(value)["model"] for key, value in journal.facts("model/").items()}
    journal.close()
    assert len(chosen) == 12
    last = max(chosen, key=lambda key: int(key.rsplit("/", 1)[1]))
    other = {"openai/one": "openai/two", "openai/two": "openai/one"}[chosen[last]]
    rewrite(run, "UPDATE facts SET value=json_set(value, '$.model', ?) WHERE key=?", other, last)
    assert re.search(r"/12: model: recorded .*replayed", told(replay(run)))


def test_a_model_that_was_gone_is_gone_again(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "technique: guess\n```x.txt\n{}\n```"
    with listening() as provider:
        provider.route = lambda request: (
            refuses(401, "wrong key")
            if request["model"] == "one" and len(provider.requests) > 4
            else says(text.format(2 * len(provider.requests)))
        )
        monkeypatch.setenv("OPENAI_API_BASE", provider.address)
        run = recorded(asked("a", attempts=12, parallel=3, model="openai/one,openai/two", preset="refine"))
    journal = Journal.open(run.folder / JOURNAL)
    assert any("which failed" in value for value in journal.facts("model/").values())
    assert journal.judged() == 12
    journal.close()
    assert replay(run).difference is None


def test_a_model_that_had_no_answer_in_place_of_one_that_was_gone_has_none_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    behaviours = iter([refuses(400, "the prompt is too long"), *(says(f"```x.txt\n{2 * n}\n```") for n in range(2, 9))])
    with listening() as provider:
        provider.route = lambda request: refuses(401, "wrong key") if request["model"] == "one" else next(behaviours)
        monkeypatch.setenv("OPENAI_API_BASE", provider.address)
        run = recorded(asked("a", attempts=3, model="openai/one,openai/two", preset="refine"))
    assert replay(run) == Replayed(3, 2, None)


def test_the_network_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorded(asked("a", attempts=4, model=MODEL), scripted(number))

    def refuse(*_: object) -> None:
        raise AssertionError("a replay opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert replay(run) == Replayed(4, 4, None)


def test_a_reply_that_was_tampered_with_shows_in_what_was_made_of_it() -> None:
    run = recorded(asked("a", attempts=4, model=MODEL), scripted(number))
    rewrite(run, "UPDATE calls SET completion=replace(completion, '\\n6\\n', '\\n16\\n') WHERE key LIKE '%/3/coder/1'")
    assert re.search(r"attempt \S+/3: candidate, x.txt:\n(.*\n)*-6\n\+16", told(replay(run)))


def test_a_prompt_that_is_other_is_shown_as_a_difference() -> None:
    run = recorded(asked("a", attempts=4, model=MODEL), scripted(number))
    rewrite(run, "UPDATE calls SET prompt=replace(prompt, 'large even', 'small even') WHERE key LIKE '%/2/coder/1'")
    said = told(replay(run))
    assert re.search(r"attempt \S+/2: prompt: call \S+/2/coder/1: message 2 \(user\) differs", said)
    assert re.search(r"^-.*small even.*\n\+.*large even", said, re.MULTILINE)


def test_a_call_that_failed_fails_again() -> None:
    def answer(prompt: Prompt) -> str:
        if "/2/coder/" in prompt.key:
            raise ModelError("overloaded", fatal=False)
        return number(prompt)

    run = recorded(asked("a", attempts=4, model=MODEL), scripted(answer))
    journal = Journal.open(run.folder / JOURNAL)
    assert "overloaded" in [each.evaluation.feedback for each in journal.attempts()][1]
    journal.close()
    assert replay(run) == Replayed(4, 3, None)


def test_a_run_that_failed_and_was_resumed_learnt_in_another_order_and_is_replayed_in_that() -> None:
    failing = True

    def answer(prompt: Prompt) -> str:
        if failing and "/5/coder/" in prompt.key:
            raise ModelError("401: wrong key")
        return number(prompt)

    settings = asked("a", attempts=9, parallel=3, model=MODEL)
    with assemble(settings, lambda _: None) as (run, parts), pytest.raises(ModelError):
        run.execute(scripted(answer)(parts))
    assert replay(run) == Replayed(5, 5, None)
    failing = False
    recorded(settings, scripted(answer), run)
    journal = Journal.open(run.folder / JOURNAL)
    learnt = [found.order for plan in journal.all_planned() if (found := journal.learnt(plan.id))]
    journal.close()
    assert learnt == [1, 2, 3, 4, 6, 5, 7, 8, 9]
    assert replay(run) == Replayed(9, 9, None)


def test_an_interrupted_run_is_replayed_as_far_as_it_came() -> None:
    def interrupt(step: Step) -> None:
        if step.phase == "judge" and step.plan and step.plan.position == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recorded(asked("a", attempts=9, parallel=2), listen=interrupt)
    (folder,) = (Path(os.environ["EVOLVE_HOME"]) / "runs").iterdir()
    found = replay(Run.open(folder))
    assert found.difference is None
    assert found.attempts in {5, 6}  # whether the other of the round had written is a matter of chance


def test_a_run_of_an_earlier_version_that_goes_on_is_not_taken_for_one_that_noted_where_its_base_stood() -> None:
    run = recorded(asked("a", attempts=2))
    rewrite(run, "DELETE FROM facts WHERE key='kb_change'")
    with assemble(run.settings, lambda _step: None, run):
        pass
    with pytest.raises(UsageError, match="does not say where its knowledge base stood"):
        replay(run)


def test_what_cannot_be_replayed_is_refused_in_a_sentence() -> None:
    run = recorded(asked("a", attempts=2))
    rewrite(run, "DELETE FROM facts WHERE key='kb_change'")
    with pytest.raises(UsageError, match="does not say where its knowledge base stood"):
        replay(run)
    with pytest.raises(UsageError, match="--meta-every"):
        replay(Run(run.folder, run.settings.model_copy(update={"meta_every": 4})))


@pytest.mark.parametrize("judge", ["Compiled", pytest.param("Quick", marks=pytest.mark.slow)])
def test_real_kernels_are_neither_built_nor_run_again(judge: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorded(asked("relu", "saxpy", attempts=2, parallel=2, domains=[f"{KERNELS}:{judge}"]))
    monkeypatch.setenv("PATH", "")  # there is no compiler any more
    assert replay(run) == Replayed(4, 0, None)


def test_the_command_says_whether_it_was_the_same(home: Path) -> None:
    """In another process, where sets are in another order, and without a key."""
    run = recorded(asked("a", attempts=6, parallel=3, model=MODEL), scripted(number))
    same = evolve(home, "run", "--replay", run.settings.run, environment={"PYTHONHASHSEED": "7"})
    assert (same.returncode, same.stdout) == (0, "the same: 6 attempts, 6 calls\n"), same.stderr
    rewrite(run, "UPDATE attempts SET stage='refine' WHERE position=1")
    other = evolve(home, "run", "--replay", run.settings.run, "--json")
    assert other.returncode == 1
    said = last_json(other)
    assert set(said) == {"same", "attempts", "calls", "difference", "doubts"}
    assert said["difference"]["what"] == "plan"


def test_what_was_sent_is_shown_byte_for_byte(home: Path) -> None:
    run = recorded(
        asked("a", attempts=2, model=MODEL),
        scripted(lambda prompt: "…" if prompt.key.endswith("1") else number(prompt)),
    )
    journal = Journal.open(run.folder / JOURNAL)
    prompts = [prompt for prompt, _ in journal.calls(f"{run.settings.run}/2")]
    journal.close()
    assert len(prompts) == 2
    shown = evolve(home, "show", run.settings.run, "--prompt", "2")
    rest = shown.stdout.encode()
    for prompt in prompts:
        rest = rest[rest.index(b"=== ") :].partition(b"\n")[2]
        for message in prompt.messages:
            head, _, rest = rest.partition(b"\n")
            content = message.content.encode()
            assert head.decode() == f"--- {prompt.key} · {message.role} · {len(content)} bytes"
            assert rest.startswith(content + b"\n")
            rest = rest[len(content) + 1 :]
    assert not rest
    as_json = last_json(evolve(home, "show", run.settings.run, "--prompt", "2", "--json"))
    assert [Prompt.model_validate(each) for each in as_json] == prompts


def test_an_attempt_without_a_prompt_is_refused_in_a_sentence(home: Path) -> None:
    run = recorded(asked("a", attempts=1))
    shown = evolve(home, "show", run.settings.run, "--prompt", "1")
    assert (shown.returncode, shown.stderr.count("\n")) == (2, 1)
    assert "written without one" in shown.stderr
    assert "give a number from 1 to 1" in evolve(home, "show", run.settings.run, "--prompt", "7").stderr
