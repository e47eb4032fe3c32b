"""A provider that misbehaves on purpose: how each case ends, after how many calls, in bounded time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agents.model import LiteLLM
from evolve.budget import Budget, Ceilings, LostReplyError, MeteredModel, check_ceilings
from evolve.errors import BudgetExceededError, ModelError, UsageError
from evolve.journal import Journal
from evolve.types import Completion, Cost, Message, Prompt
from tests.command import evolve, last_json
from tests.provider import (
    Behaviour,
    Provider,
    Waits,
    answers,
    breaks_after,
    circles,
    drips,
    ends_after,
    fails_after,
    fingerprint,
    hangs,
    hangs_after,
    listening,
    refuses,
    refuses_option,
    resets,
    says,
    speaks_anthropic,
    whole_only,
)

ASKED = "Say hello, at length and with good manners, to all who read this."
PROMPT = Prompt(key="r/1/coder/1", messages=(Message(role="user", content=ASKED),), max_tokens=50)
SHAPED = PROMPT.model_copy(update={"shape": {"type": "object", "properties": {"a": {"type": "string"}}}})
TEXT = "Hello to everybody, with the very best of manners that I have. " * 3
SHORT = 0.4
"""Seconds; stands for the time-outs."""
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """What litellm loads at its first call takes longer than the time-outs here."""
    with pytest.MonkeyPatch.context() as patch, listening() as server:
        patch.setenv("OPENAI_API_BASE", server.address)
        server.behaviours = [says("Hello.")]
        LiteLLM("openai/tiny").complete(PROMPT)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with listening() as server:
        monkeypatch.setenv("OPENAI_API_BASE", server.address)
        for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        yield server


class Case(NamedTuple):
    name: str
    behaviours: list[Behaviour]
    calls: int
    words: str = ""
    """Of the failure; empty where the call succeeds."""
    fatal: bool = False
    waits: int = 0


BUSY = refuses(429, "Slow down.")
CASES = [
    Case("429 with Retry-After", [refuses(429, "Slow down.", after="2"), says(TEXT)], calls=2, waits=1),
    Case("429 without Retry-After", [BUSY, BUSY, says(TEXT)], calls=3, waits=2),
    Case("429 for ever", [BUSY], calls=4, waits=3, words=r"Slow down\. \(after 4 tries\)"),
    Case("429 for a day", [refuses(429, "Tomorrow.", after="86400")], calls=1, words="it asked to wait 86400 s"),
    Case("500 once", [refuses(500, "Oops."), says(TEXT)], calls=2, waits=1),
    Case("500 for ever", [refuses(500, "Oops.")], calls=4, waits=3, words=r"Oops\. \(after 4 tries\)"),
    Case("529 for ever", [refuses(529, "Overloaded.")], calls=4, waits=3, words=r"Overloaded\. \(after 4 tries\)"),
    Case("hangs before the first byte", [hangs], calls=1, words=f"did not answer within {2 * SHORT:g} s"),
    Case("drips bytes that say nothing", [drips], calls=1, words=f"did not answer within {2 * SHORT:g} s"),
    Case("hangs in the middle", [hangs_after(TEXT)], calls=1, words=f"fell silent for {SHORT:g} s in its answer"),
    Case("slow but alive", [says(TEXT[:60], pause=SHORT / 3)], calls=1),
    Case("connection reset", [resets, says(TEXT)], calls=2, waits=1),
    Case("connection lost in the middle", [breaks_after(TEXT), says(TEXT)], calls=2, waits=1),
    Case("stream ends without a reason", [ends_after(TEXT), says(TEXT)], calls=2, waits=1),
    Case("streams never end with a reason", [ends_after(TEXT)], calls=3, waits=2),
    Case("error in the middle", [fails_after(TEXT, "Overloaded."), says(TEXT)], calls=2, waits=1),
    Case("HTML", [answers("<html>hi</html>", "text/html")], calls=5, waits=3, words="<html>hi</html>"),
    Case("not JSON", [answers("data: {nonsense\n\n")], calls=4, waits=3, words="no completion"),
    Case("no JSON in a stream", [answers("data: {nonsense\n\n", "text/event-stream")], 4, "no completion", waits=3),
    Case("JSON that is no completion", [answers('{"id": "1", "choices": []}')], calls=2, words="no completion"),
    Case(
        "wrong key", [refuses(401, "Incorrect API key.", code="invalid_api_key")], 1, "Incorrect API key.", fatal=True
    ),
    Case("no money", [refuses(429, "No credit.", code="insufficient_quota")], 1, "No credit.", fatal=True),
    Case("unknown model", [refuses(404, "No `tiny` here.", code="model_not_found")], 1, "No `tiny` here.", fatal=True),
    Case("context too long", [refuses(400, "Too long.", code="context_length_exceeded")], calls=1, words="Too long."),
    Case("refuses streams", [refuses_option("stream", says(TEXT))], calls=2),
    Case("takes no notice of streams", [whole_only(TEXT)], calls=2),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_misbehaviour_ends_in_bounded_calls_and_time(
    provider: Provider, case: Case, record_property: Callable[[str, object], None]
) -> None:
    provider.behaviours = case.behaviours
    waits = Waits()
    model = waits.model(tries=4, timeout=2 * SHORT, idle=SHORT)
    started = time.perf_counter()
    if case.words:
        with pytest.raises(ModelError, match=case.words) as failure:
            model.complete(PROMPT)
        assert failure.value.fatal is case.fatal
    else:
        assert model.complete(PROMPT).text in (TEXT, TEXT[:60])
    seconds = time.perf_counter() - started
    record_property("measured", f"{len(provider.requests)} calls, {seconds:.2f} s")
    assert len(provider.requests) == case.calls
    assert len(waits.seconds) == case.waits
    assert seconds < 20


# -- what a provider turned out not to do is remembered


@pytest.mark.parametrize("status", [400, 422])
def test_a_provider_that_refuses_streams_is_asked_for_one_once(provider: Provider, status: int) -> None:
    provider.behaviours = [refuses_option("stream", says(TEXT), status=status)]
    model = Waits().model()
    assert [model.complete(PROMPT).text for _ in range(3)] == [TEXT] * 3
    assert [bool(request.get("stream")) for request in provider.requests] == [True, False, False, False]


def test_a_stream_without_usage_is_estimated_and_the_next_reply_comes_whole(provider: Provider) -> None:
    provider.behaviours = [says(TEXT, usage=False), says(TEXT)]
    model = Waits().model()
    assert model.complete(PROMPT).cost.estimated
    assert not model.complete(PROMPT).cost.estimated
    assert [bool(request.get("stream")) for request in provider.requests] == [True, False]


def test_one_lost_connection_does_not_end_streaming(provider: Provider) -> None:
    provider.behaviours = [says(TEXT), ends_after(TEXT), ends_after(TEXT), says(TEXT)]
    model = Waits().model()
    assert [model.complete(PROMPT).text for _ in range(2)] == [TEXT] * 2
    assert all(request["stream"] for request in provider.requests)


def test_a_shape_is_sent_as_a_json_schema(provider: Provider) -> None:
    provider.behaviours = [says('{"a": "b"}')]
    Waits().model().complete(SHAPED)
    Waits().model().complete(PROMPT)
    shaped, plain = provider.requests
    assert shaped["response_format"]["type"] == "json_schema"
    assert shaped["response_format"]["json_schema"]["schema"] == SHAPED.shape
    assert "response_format" not in plain


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_server_that_knows_no_shapes_is_asked_for_one_once(provider: Provider, status: int) -> None:
    provider.behaviours = [refuses_option("response_format", says("{}"), status=status)]
    model = Waits().model()
    assert [model.complete(SHAPED).text for _ in range(2)] == ["{}"] * 2
    assert ["response_format" in request for request in provider.requests] == [True, False, False]
    assert all(request["stream"] for request in provider.requests)


def test_a_stream_in_another_protocol_is_read_metered_and_priced_alike(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.behaviours = [speaks_anthropic(TEXT, whole=False), speaks_anthropic(TEXT)]
    monkeypatch.setenv("ANTHROPIC_API_BASE", provider.address.removesuffix("/v1"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
    model = Waits().model(name="anthropic/claude-sonnet-4-5")
    lost, whole = model.complete(PROMPT), model.complete(PROMPT)
    assert lost.text == whole.text == TEXT
    assert (whole.cost.prompt_tokens, whole.cost.completion_tokens) == (25, 50)
    assert whole.cost.usd_known
    assert model.price is not None
    assert whole.cost.usd == pytest.approx(model.price.of(25, 50))
    assert lost.cost.usd > whole.cost.usd
    assert not lost.cost.usd_known
    assert len(provider.requests) == 3


# -- what it cost


@pytest.mark.parametrize("counts", [(-5, -3), (0, 0), (20, 0), (10_000_000, 50), (20, 9_000_000), (1, 1)])
def test_usage_that_cannot_be_is_replaced_by_an_estimate_that_says_so(
    provider: Provider, counts: tuple[int, int]
) -> None:
    provider.behaviours = [says(TEXT, counts=counts)]
    cost = Waits().model().complete(PROMPT).cost
    assert cost.estimated
    assert not cost.usd_known
    assert (cost.prompt_tokens, cost.completion_tokens) == (-(-len(ASKED) // 4), -(-len(TEXT) // 4))


def test_thoughts_that_are_not_shown_are_believed_up_to_what_the_reply_had_room_for(provider: Provider) -> None:
    provider.behaviours = [says("Hello.", counts=(20, 50))]
    cost = Waits().model().complete(PROMPT).cost
    assert (cost.prompt_tokens, cost.completion_tokens, cost.estimated) == (20, 50, False)


def test_that_something_was_estimated_reaches_the_sum_of_the_run(tmp_path: Path) -> None:
    book = Journal.open(tmp_path / "journal.db", create=True)
    assert not book.spent().estimated
    book.record_call(PROMPT, Completion(text="x", model="m", cost=Cost(completion_tokens=1, estimated=True)))
    assert book.spent().estimated


def metered(folder: Path, ceilings: Ceilings, model: LiteLLM) -> tuple[Journal, Budget, MeteredModel]:
    book = Journal.open(folder / "journal.db", create=True)
    budget = Budget(ceilings, book)
    return book, budget, MeteredModel(model, book, budget)


def test_what_was_sent_of_a_lost_reply_is_paid_for(provider: Provider, tmp_path: Path) -> None:
    provider.behaviours = [breaks_after(TEXT), says(TEXT)]
    book, budget, model = metered(tmp_path, Ceilings(attempts=1), Waits().model())
    cost = model.complete(PROMPT).cost
    assert cost.estimated
    assert 1.5 * len(TEXT) / 4 < cost.completion_tokens
    assert (book.spent().completion_tokens, budget.spent.completion_tokens) == (cost.completion_tokens,) * 2


def test_a_reply_that_broke_off_is_tried_again_only_where_that_can_be_paid_for(
    provider: Provider, tmp_path: Path
) -> None:
    provider.behaviours = [breaks_after(TEXT)]
    book = Journal.open(tmp_path / "journal.db", create=True)
    room = len(ASKED) // 3 + PROMPT.max_tokens
    budget = Budget(Ceilings(attempts=1, tokens=room + len(TEXT) // 4), book)
    provider_model = LiteLLM("openai/tiny", short_of=budget.short_of, sleep=lambda _seconds: None)
    with pytest.raises(LostReplyError, match="leaves no room for another try"):
        MeteredModel(provider_model, book, budget).complete(PROMPT)
    assert len(provider.requests) == 1
    assert budget.spent.completion_tokens > 0


def test_replies_that_were_all_lost_are_paid_for_and_asked_again(provider: Provider, tmp_path: Path) -> None:
    provider.behaviours = [hangs_after(TEXT), says(TEXT)]
    book, budget, model = metered(tmp_path, Ceilings(attempts=1), Waits().model(idle=SHORT))
    with pytest.raises(LostReplyError):
        model.complete(PROMPT)
    assert book.spent().completion_tokens == budget.spent.completion_tokens > 0
    assert model.complete(PROMPT).text == TEXT
    assert len(book.calls("r/1")) == 2


@pytest.fixture
def _listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of a provider that is not ours, whose price is on the list."""
    for name in ("OPENAI_API_BASE", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "none")


@pytest.mark.usefixtures("_listed")
def test_the_first_calls_count_with_what_they_may_cost_by_the_list(tmp_path: Path) -> None:
    price = LiteLLM("openai/gpt-4o").price
    assert price is not None
    prompt = PROMPT.model_copy(update={"max_tokens": 10_000})
    one = price.of(len(ASKED) // 3, 10_000)
    budget = metered(tmp_path, Ceilings(attempts=1, usd=2.5 * one), LiteLLM("openai/gpt-4o"))[1]
    for _ in range(2):
        with budget.reserve(prompt, price):
            budget.settle(Cost(usd=0.9 * one))
    with pytest.raises(BudgetExceededError, match="could pass the budget"), budget.reserve(prompt, price):
        pass


@pytest.mark.usefixtures("_listed")
def test_a_ceiling_of_dollars_is_refused_where_a_price_is_unknown() -> None:
    known, unknown = LiteLLM("openai/gpt-4o"), LiteLLM("openai/tiny")
    check_ceilings(Ceilings(attempts=1, usd=1.0), [known])
    check_ceilings(Ceilings(attempts=1, tokens=1), [known, unknown])
    with pytest.raises(UsageError, match="nobody knows the price of openai/tiny; give --tokens instead"):
        check_ceilings(Ceilings(attempts=1, usd=1.0), [known, unknown])


def test_a_server_of_ones_own_has_no_list_price_whatever_its_models_are_called(provider: Provider) -> None:
    del provider
    assert LiteLLM("openai/gpt-4o").price is None


# -- through the command line

MANY = f"{ROOT / 'tests' / 'toy.py'}:Many"
DRAFT = "technique: more\n```\n{}\n```\n"


def command(home: Path, provider: Provider, *words: str) -> subprocess.CompletedProcess[str]:
    model = () if "--model" in words else TINY
    return evolve(home, "run", *words, *model, *COMMON, "--json", environment={"OPENAI_API_BASE": provider.address})


COMMON = ("--domain", MANY, "--sandbox", "process", "--preset", "refine", "--seed", "1")
TINY = ("--model", "openai/tiny")


def drafts(request: dict[str, Any]) -> Behaviour:
    return says(DRAFT.format(100 + 2 * (len(json.dumps(request)) % 50)))


def test_a_wrong_key_ends_the_run_at_once_in_the_providers_words(provider: Provider, tmp_path: Path) -> None:
    provider.behaviours = [refuses(401, "Incorrect API key provided.", code="invalid_api_key")]
    done = command(tmp_path, provider, "n0", "--attempts", "9", "--parallel", "1")
    assert done.returncode == 2
    assert "Incorrect API key provided." in done.stderr
    assert "Traceback" not in done.stderr
    assert len(provider.requests) == 1


def test_a_run_rides_out_rate_limits_lost_replies_and_garbage(provider: Provider, tmp_path: Path) -> None:
    provider.behaviours = [
        refuses(429, "Slow down.", after="0.1"),
        breaks_after(TEXT),
        says("I would rather not."),
        says(DRAFT.format(40)),
        says(DRAFT.format(60)),
    ]
    done = command(tmp_path, provider, "n0", "--attempts", "2", "--parallel", "1")
    assert done.returncode == 0, done.stderr
    assert "for the provider" in done.stderr
    assert "Slow down." in done.stderr
    assert last_json(done)["tasks"]["many/n0"]["score"] == 60.0
    assert len(provider.requests) == 5


def test_a_context_too_long_costs_its_attempt_and_three_in_a_row_the_run(provider: Provider, tmp_path: Path) -> None:
    provider.behaviours = [refuses(400, "Too long.", code="context_length_exceeded")]
    done = command(tmp_path, provider, "n0", "--attempts", "9", "--parallel", "1")
    assert done.returncode == 3, done.stderr
    assert "Too long." in done.stderr
    assert len(provider.requests) == 3


def test_a_run_goes_on_without_the_model_that_is_gone_and_says_so_once(provider: Provider, tmp_path: Path) -> None:
    gone = refuses(404, "There is no `gone` here.", code="model_not_found")
    provider.route = lambda request: gone if request["model"] == "gone" else drafts(request)
    models = ("--model", "openai/gone,openai/tiny")
    done = command(tmp_path, provider, "n0", "n1", "--attempts", "1", "--parallel", "1", *models)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("There is no `gone` here.; the run goes on with openai/tiny") == 1
    assert [request["model"] for request in provider.requests] == ["gone", "tiny", "tiny"]
    journal = Journal.open(next(tmp_path.glob("runs/*/journal.db")))
    first, second = (json.loads(journal.fact(f"model/{plan.id}")) for plan in journal.all_planned())
    journal.close()
    assert first["model"] == second["model"] == "openai/tiny"
    assert first["why"].startswith("instead of openai/gone")


@pytest.mark.slow
def test_a_provider_that_hangs_is_left_where_the_runs_time_ends(provider: Provider, tmp_path: Path) -> None:
    provider.behaviours = [hangs]
    started = time.perf_counter()
    done = command(tmp_path, provider, "n0", "--attempts", "9", "--parallel", "1", "--minutes", "0.05")
    assert "Traceback" not in done.stderr
    assert len(provider.requests) == 1
    assert time.perf_counter() - started < 60


def test_a_run_killed_with_ten_replies_in_flight_pays_for_none_of_the_answered_again(
    provider: Provider, tmp_path: Path
) -> None:
    silent: list[str] = []

    def first_five_answer(request: dict[str, Any]) -> Behaviour:
        silent.append(fingerprint(request))
        return drafts(request) if len(silent) <= 5 else hangs

    provider.route = first_five_answer
    home = {"EVOLVE_HOME": str(tmp_path), "OPENAI_API_BASE": provider.address}
    words = ["run", *(f"many/n{n}" for n in range(10)), *COMMON, *TINY, "--attempts", "1", "--parallel", "10"]
    run = subprocess.Popen([sys.executable, "-m", "evolve", *words], cwd=ROOT, env=os.environ | home, text=True)
    try:
        answered = _wait_for_answers(tmp_path, provider, answers=5, asked=10)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    provider.route = drafts
    resumed = evolve(tmp_path, "resume", next((tmp_path / "runs").iterdir()).name, "--json", environment=home)
    assert resumed.returncode == 0, resumed.stderr
    assert last_json(resumed)["attempts"] == 10
    assert len(provider.asked) == 10
    assert sorted(provider.asked.values()) == [1] * 5 + [2] * 5
    assert {prompt for prompt, count in provider.asked.items() if count == 1} == answered


def test_the_second_ctrl_c_does_not_wait_for_a_provider_that_hangs(provider: Provider, tmp_path: Path) -> None:
    provider.behaviours = [hangs]
    home = {"EVOLVE_HOME": str(tmp_path), "OPENAI_API_BASE": provider.address}
    words = ["run", "many/n0", *COMMON, *TINY, "--attempts", "1", "--parallel", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "evolve", *words], cwd=ROOT, env=os.environ | home, text=True, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509  a shell may have started us deaf
    ) as run:  # fmt: skip
        assert run.stderr is not None
        while not provider.requests and run.poll() is None:
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        assert any("Ctrl-C again leaves them" in line for line in run.stderr)
        run.send_signal(signal.SIGINT)
        told = run.stderr.read()
    name = next((tmp_path / "runs").iterdir()).name
    assert run.returncode == 130
    assert "Traceback" not in told
    assert f"evolve resume {name}" in told
    provider.behaviours = []
    provider.route = drafts
    assert evolve(tmp_path, "resume", name, environment=home).returncode == 0


def test_a_model_that_goes_in_circles_is_not_asked_again(provider: Provider) -> None:
    provider.behaviours = [circles]
    with pytest.raises(ModelError, match="repeats itself") as caught:
        Waits().model().complete(PROMPT)
    assert not caught.value.fatal
    assert len(provider.requests) == 1


def _wait_for_answers(home: Path, provider: Provider, *, answers: int, asked: int) -> set[str]:
    """The prompts that the journal holds answers to, once as many are there and as many have been asked."""
    for _ in range(600):
        found = list(home.glob("runs/*/journal.db"))
        if found and len(provider.requests) >= asked:
            journal = Journal.open(found[0])
            calls = journal.all_calls()
            journal.close()
            if len(calls) == answers:
                return {
                    fingerprint({"messages": [message.model_dump() for message in prompt.messages]})
                    for prompt, _ in calls
                }
        time.sleep(0.05)
    raise AssertionError("the run did not get as far")
