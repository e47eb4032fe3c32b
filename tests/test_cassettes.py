"""Recorded calls: told apart strictly, carried as text, and a real model's replies through the real loop."""

from pathlib import Path

import pytest

from evolve.budget import Unanswered
from evolve.cassette import Call, Cassette, difference, read_calls, write_calls
from evolve.errors import ModelError, ReplayError, UsageError
from evolve.journal import Journal
from evolve.replay import Replayed, replay
from evolve.run import JOURNAL, Run
from evolve.types import Attempt, Completion, Cost, Message, Prompt
from tests.record import ATTEMPTS, COMMAND, FOLDER, NAME, TASKS, Terse, evolved, give_aways

RECORDED = FOLDER / f"{NAME}.jsonl"


def prompt(text: str = "one\ntwo\nthree", key: str = "r/1/coder/1") -> Prompt:
    return Prompt(key=key, messages=(Message(role="system", content="you write"), Message(role="user", content=text)))


CALL = Call(prompt=prompt(), completion=Completion(text="yes", model="m", cost=Cost(prompt_tokens=5)))


def test_the_same_prompt_gets_the_same_reply() -> None:
    cassette = Cassette([CALL])
    assert cassette.complete(prompt()) == CALL.completion
    assert cassette.answered == {"r/1/coder/1"}


def test_another_prompt_under_a_recorded_key_is_refused_with_what_is_other() -> None:
    with pytest.raises(ReplayError, match=r"call r/1/coder/1: message 2 \(user\) differs\n") as refusal:
        Cassette([CALL]).complete(prompt("one\n2\nthree"))
    assert str(refusal.value).splitlines()[-4:] == [" one", "-two", "+2", " three"]
    lenient = Cassette([CALL], strict=False)
    assert lenient.complete(prompt("something else")) == CALL.completion


def test_a_long_difference_is_cut_short() -> None:
    told = difference(prompt("\n".join("abcdefgh" * 9)), prompt("\n".join("ijklmnop" * 9)))
    assert len(told.splitlines()) < 30
    assert "more lines" in told


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"max_tokens": 7}, "max_tokens was 4096, now 7"),
        ({"temperature": 0.0}, "temperature was 0.7, now 0.0"),
        ({"shape": {"type": "object"}}, "shape was None, now {'type': 'object'}"),
        ({"messages": prompt().messages[:1]}, "2 messages were recorded, 1 are asked"),
        ({"messages": prompt("one\ntwo\nthree\n").messages}, "only in how lines end"),
        ({}, ""),
    ],
    ids=["length", "temperature", "shape", "fewer", "end", "same"],
)
def test_every_part_of_a_prompt_counts(changed: dict[str, object], expected: str) -> None:
    told = difference(prompt(), prompt().model_copy(update=changed))
    assert expected in told
    assert bool(told) == bool(expected)


def test_a_call_that_was_not_recorded_is_refused_with_those_that_were() -> None:
    with pytest.raises(ReplayError, match=r"no call r/1/coder/2 was recorded; there are: r/1/coder/1"):
        Cassette([CALL]).complete(prompt(key="r/1/coder/2"))


@pytest.mark.parametrize("fatal", [False, True])
def test_a_call_that_failed_fails_in_the_same_way(fatal: bool) -> None:
    cassette = Cassette([], unanswered={"r/1/coder/1": Unanswered(why="529: overloaded", fatal=fatal)})
    with pytest.raises(ModelError, match="529: overloaded") as failure:
        cassette.complete(prompt())
    assert failure.value.fatal == fatal


def test_a_cassette_survives_as_text(tmp_path: Path) -> None:
    strange = prompt("line\u2028separator, \u0000, “quotes” and\r\n\n")
    calls = [CALL, CALL.model_copy(update={"prompt": strange.model_copy(update={"key": "r/1/coder/2"})})]
    write_calls(tmp_path / "two.jsonl", calls)
    assert read_calls(tmp_path / "two.jsonl") == calls
    assert Cassette.read(tmp_path / "two.jsonl").keys == ("r/1/coder/1", "r/1/coder/2")


def test_a_file_that_is_no_cassette_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(f"{CALL.model_dump_json()}\n{{}}\n")
    with pytest.raises(UsageError, match="line 2 holds no call"):
        Cassette.read(tmp_path / "x.jsonl")
    with pytest.raises(UsageError, match="cannot be read"):
        Cassette.read(tmp_path / "absent.jsonl")


# --- what a small model once said, through the parser, the writer and the loop of today


@pytest.fixture(scope="module")
def cassette() -> Cassette:
    if not RECORDED.is_file():
        pytest.skip(f"there is no {RECORDED.name}; record it: {COMMAND}")
    return Cassette.read(RECORDED, strict=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cassette: Cassette) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVOLVE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("OPENAI_API_KEY", "none")
        return evolved(Terse(cassette))


@pytest.fixture(scope="module")
def attempts(run: Run) -> list[Attempt]:
    journal = Journal.open(run.folder / JOURNAL)
    found = list(journal.attempts())
    journal.close()
    return found


def test_every_recorded_reply_is_asked_for_again(cassette: Cassette, run: Run) -> None:
    assert run
    assert cassette.answered == set(cassette.keys), f"record anew: {COMMAND}"


def test_what_a_small_model_wrote_becomes_candidates_that_compile(attempts: list[Attempt]) -> None:
    assert len(attempts) == ATTEMPTS * len(TASKS)
    assert sum(attempt.evaluation.feasible for attempt in attempts) >= 1
    for attempt in attempts:
        assert attempt.candidate.files or attempt.evaluation.feedback.startswith("nothing to judge")


def test_what_the_provider_counted_is_the_cost_of_the_attempt(attempts: list[Attempt]) -> None:
    told = {call.prompt.key: call.completion.cost for call in read_calls(RECORDED)}
    for attempt in attempts:
        own = [cost for key, cost in told.items() if key.startswith(f"{attempt.id}/coder/")]
        assert attempt.cost.completion_tokens == sum(cost.completion_tokens for cost in own) > 0
        assert not attempt.cost.usd_known  # a model of one's own has no price


def test_a_run_of_recorded_replies_can_be_replayed(run: Run, cassette: Cassette) -> None:
    found = replay(run)
    assert found.difference is None, str(found.difference)
    assert found == Replayed(ATTEMPTS * len(TASKS), len(cassette.keys), None)


def test_a_cassette_says_nothing_of_where_it_was_recorded(cassette: Cassette) -> None:
    assert cassette.keys
    assert give_aways(RECORDED.read_text()) == []


def test_the_recorded_prompts_are_those_of_today(run: Run) -> None:
    """Skipped where they are not: the replies are still worth having, but not an answer to what is asked now."""
    today = {call.prompt.key: call.prompt for call in _asked(run)}
    for call in read_calls(RECORDED):
        if stale := difference(call.prompt, today[call.prompt.key]):
            pytest.skip(f"stale: {call.prompt.key}: {stale}\nrecord anew: {COMMAND}")


def _asked(run: Run) -> list[Call]:
    from tests.record import calls_of

    return calls_of(run)
