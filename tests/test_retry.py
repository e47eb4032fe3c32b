"""Which failures are waited for, and how long."""

import random
from datetime import UTC, datetime

import pytest

from evolve.retry import LONGEST_PAUSE, diagnose, pause


class Refusal(Exception):  # noqa: N818 - a provider's
    """What litellm raises, as far as it is read."""

    def __init__(self, text: str, status: int, headers: dict[str, str] | None = None, body: object = None) -> None:
        super().__init__(text)
        self.status_code = status
        self.body = body
        self.litellm_response_headers = headers or {}


def test_a_retry_after_may_be_a_date() -> None:
    now = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    refusal = Refusal("busy", 503, {"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"})
    assert diagnose(refusal, now).asked == 30.0
    refusal = Refusal("busy", 503, {"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"})
    assert diagnose(refusal, now).asked == 0.0


def test_an_unreadable_retry_after_is_none() -> None:
    assert diagnose(Refusal("busy", 429, {"retry-after": "soon"})).asked is None


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("litellm.AuthenticationError: AuthenticationError: OpenAIException - Wrong key.", "Wrong key."),
        (
            'litellm.AuthenticationError: AnthropicException - {"error":{"message":"invalid x-api-key"}}',
            "invalid x-api-key",
        ),
        ("litellm.BadRequestError: OpenAIException - use {braces} with care", "use {braces} with care"),
        ("litellm.APIError: APIError: VertexException - {'odd': 1}", "{'odd': 1}"),
    ],
)
def test_the_providers_sentence_is_freed_of_the_layers_around_it(raw: str, words: str) -> None:
    assert diagnose(Refusal(raw, 401)).words == words


def test_the_providers_sentence_is_taken_from_the_body_that_a_cause_carries() -> None:
    """What an embedding call's error says is a Python dict, which is no JSON."""
    refusal = Refusal("litellm.APIError: APIError: OpenAIException - Error code: 404 - {'message': \"isn't\"}", 404)
    refusal.__cause__ = Refusal("Error code: 404", 404, body={"message": "The model isn't there."})
    assert diagnose(refusal).words == "The model isn't there."


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_overload_is_transient(status: int) -> None:
    failure = diagnose(Refusal("busy", status))
    assert failure.transient
    assert not failure.fatal


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_fatal(status: int) -> None:
    failure = diagnose(Refusal("no", status))
    assert failure.fatal
    assert not failure.transient


def test_pauses_double_up_to_a_limit_and_never_undercut_what_was_asked() -> None:
    rng = random.Random(0)
    for tries in range(1, 12):
        longest = min(LONGEST_PAUSE, 2.0 ** (tries - 1))
        assert longest / 2 <= pause(tries, None, rng) <= longest
        assert pause(tries, 90.0, rng) >= 90.0
