"""The model layer, against a provider on the loopback that speaks the OpenAI chat-completions protocol."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agents.model import LiteLLM, ScriptedModel
from evolve.errors import ModelError, UsageError
from evolve.types import Completion, Cost, Message, Prompt
from tests.provider import (
    Behaviour,
    Provider,
    Waits,
    answers,
    drips,
    echoes,
    hangs,
    listening,
    refuses,
    resets,
    says,
)

PROMPT = Prompt(key="run/1/coder/1", messages=(Message(role="user", content="Say hello."),), max_tokens=50)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with listening() as server:
        monkeypatch.setenv("OPENAI_API_BASE", server.address)
        monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        yield server


def test_an_answer_carries_its_text_and_the_usage_its_provider_reports(provider: Provider) -> None:
    provider.behaviours = [says("hello", counts=(12, 5))]
    completion = Waits().model().complete(PROMPT)
    assert completion.text == "hello"
    assert completion.model == "openai/tiny"
    assert (completion.cost.prompt_tokens, completion.cost.completion_tokens) == (12, 5)
    assert completion.cost.seconds > 0
    assert not completion.truncated
    request = provider.requests[0]
    assert request["model"] == "tiny"
    assert request["messages"] == [{"role": "user", "content": "Say hello."}]
    assert request["max_tokens"] == 50


def test_the_price_of_a_server_of_ones_own_is_unknown_rather_than_zero(provider: Provider) -> None:
    provider.behaviours = [says("hello")]
    assert not Waits().model().complete(PROMPT).cost.usd_known


def test_missing_usage_is_estimated_from_the_text_and_its_price_unknown(provider: Provider) -> None:
    provider.behaviours = [says("x" * 400, usage=False)]
    cost = Waits().model().complete(PROMPT).cost
    assert cost.completion_tokens == 100
    assert not cost.usd_known


def test_an_answer_stopped_at_the_token_limit_says_so(provider: Provider) -> None:
    provider.behaviours = [says("hal", finish="length")]
    assert Waits().model().complete(PROMPT).truncated


@pytest.mark.parametrize(
    ("status", "words", "code"),
    [
        (401, "Incorrect API key provided: none.", "invalid_api_key"),
        (403, "Your country is not supported.", ""),
        (404, "The model `tiny` does not exist.", "model_not_found"),
        (400, "Unsupported value: temperature.", "unsupported_value"),
        (429, "You exceeded your current quota.", "insufficient_quota"),
    ],
)
def test_what_no_retry_mends_stops_at_once_in_the_providers_words(
    provider: Provider, status: int, words: str, code: str
) -> None:
    provider.behaviours = [refuses(status, words, code=code)]
    waits = Waits()
    with pytest.raises(ModelError) as failure:
        waits.model().complete(PROMPT)
    assert failure.value.fatal
    assert str(failure.value) == f"openai/tiny at {os.environ['OPENAI_API_BASE']}: {words}"
    assert len(provider.requests) == 1
    assert waits.seconds == []


def test_a_rate_limit_waits_as_long_as_the_provider_asks_and_tells_why(provider: Provider) -> None:
    provider.behaviours = [refuses(429, "Slow down.", after="7"), says("hello")]
    waits = Waits()
    assert waits.model().complete(PROMPT).text == "hello"
    assert len(waits.seconds) == 1
    assert 7 <= waits.seconds[0] <= 8
    assert "Slow down." in waits.reasons[0]


def test_an_overloaded_provider_is_tried_a_bounded_number_of_times_with_growing_pauses(provider: Provider) -> None:
    provider.behaviours = [refuses(503, "Overloaded.")]
    waits = Waits()
    with pytest.raises(ModelError, match=r"Overloaded\. \(after 4 tries\)") as failure:
        waits.model(tries=4).complete(PROMPT)
    assert not failure.value.fatal
    assert len(provider.requests) == 4
    assert len(waits.seconds) == 3
    assert waits.seconds[0] <= 1
    assert waits.seconds[2] >= 2


def test_a_reset_connection_is_tried_again(provider: Provider) -> None:
    provider.behaviours = [resets, says("hello")]
    assert Waits().model().complete(PROMPT).text == "hello"


def test_a_pause_longer_than_the_run_has_left_is_not_begun(provider: Provider) -> None:
    provider.behaviours = [refuses(429, "Come back tomorrow.", after="86400")]
    waits = Waits()
    with pytest.raises(ModelError, match="Come back tomorrow") as failure:
        waits.model(left=60.0).complete(PROMPT)
    assert not failure.value.fatal
    assert waits.seconds == []


@pytest.mark.parametrize("behaviour", [hangs, drips])
def test_a_provider_that_never_finishes_is_cut_off_and_not_asked_again(
    provider: Provider, behaviour: Behaviour
) -> None:
    provider.behaviours = [behaviour]
    with pytest.raises(ModelError, match=r"did not answer within 0\.5 s") as failure:
        Waits().model(timeout=0.5).complete(PROMPT)
    assert not failure.value.fatal
    assert len(provider.requests) <= 1


def test_a_call_is_cut_off_where_the_runs_time_ends(provider: Provider) -> None:
    provider.behaviours = [hangs]
    with pytest.raises(ModelError, match=r"did not answer within 0\.3 s"):
        Waits().model(timeout=600.0, left=0.3).complete(PROMPT)


@pytest.mark.parametrize("body", ["<html>welcome</html>", '{"id": "1", "choices": []}'])
def test_an_answer_that_is_no_completion_fails_without_ending_the_run(provider: Provider, body: str) -> None:
    provider.behaviours = [answers(body)]
    with pytest.raises(ModelError, match="answered with something that is no") as failure:
        Waits().model(tries=2).complete(PROMPT)
    assert not failure.value.fatal
    assert len(provider.requests) <= 3


def test_half_of_a_surrogate_pair_in_an_answer_becomes_a_question_mark(provider: Provider) -> None:
    provider.behaviours = [says("x \ud800 y")]
    assert Waits().model().complete(PROMPT).text == "x ? y"


def test_an_address_where_nobody_listens_is_fatal_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        monkeypatch.setenv("OPENAI_API_BASE", f"http://127.0.0.1:{port}/v1")
        waits = Waits()
        with pytest.raises(ModelError, match=rf"127\.0\.0\.1:{port}.*cannot be reached.*refused") as failure:
            waits.model().complete(PROMPT)
    assert failure.value.fatal
    assert waits.seconds == []


def test_calls_from_several_threads_get_their_own_answers(provider: Provider) -> None:
    provider.behaviours = [echoes]
    model = Waits().model()

    def ask(number: int) -> str:
        return model.complete(Prompt(key="k", messages=(Message(role="user", content=f"number {number}"),))).text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(16))) == [f"number {number}" for number in range(16)]


def test_a_model_without_a_key_is_told_which_variable_would_have_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=r"set OPENAI_API_KEY \(or OPENAI_API_BASE"):
        LiteLLM("openai/gpt-4o").check()
    with pytest.raises(UsageError, match="set ANTHROPIC_API_KEY, or use --model offline"):
        LiteLLM("anthropic/claude-sonnet-4").check()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-something")
    LiteLLM("openai/gpt-4o").check()


def test_a_server_of_ones_own_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:1/v1")
    LiteLLM("openai/tiny").check()


def test_an_address_that_has_a_default_need_not_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OLLAMA_API_BASE", raising=False)
    LiteLLM("ollama/tiny").check()


def test_a_name_without_a_provider_is_told_how_models_are_named(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="unknown model 'tiny': name it PROVIDER/MODEL"):
        LiteLLM("tiny").check()
    assert capfd.readouterr() == ("", "")


def python(program: str, folder: Path) -> str:
    """What a fresh interpreter prints, started in `folder` without our environment."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_dot_env_file_of_the_working_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-a-file\n")
    program = "import os, evolve.provider as p; p.quiet_litellm(); print(os.environ.get('OPENAI_API_KEY'))"
    assert python(program, tmp_path) == "None"


def test_importing_the_writers_loads_neither_litellm_nor_jinja2(tmp_path: Path) -> None:
    program = "import sys, agents.coder, agents.model; print({'litellm', 'jinja2', 'httpx'} & sys.modules.keys())"
    assert python(program, tmp_path) == "set()"


def test_a_scripted_model_answers_in_order_and_keeps_its_prompts() -> None:
    priced = Completion(text="two", model="other", cost=Cost(usd=1.0))
    model = ScriptedModel(["one", priced])
    assert model.complete(PROMPT).text == "one"
    assert model.complete(PROMPT) is priced
    assert model.prompts == [PROMPT, PROMPT]
    with pytest.raises(ModelError, match="no reply number 3"):
        model.complete(PROMPT)


def test_a_scripted_model_may_answer_from_the_prompt_or_fail() -> None:
    assert ScriptedModel(lambda prompt: prompt.key).complete(PROMPT).text == PROMPT.key
    with pytest.raises(ModelError, match="overloaded"):
        ScriptedModel([ModelError("overloaded", fatal=False)]).complete(PROMPT)
