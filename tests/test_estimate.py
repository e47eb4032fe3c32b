from evolve.budget import Ceilings
from evolve.estimate import Past, estimate
from evolve.types import Cost

CHEAP = Past(attempts=10, seconds=100.0, cost=Cost(prompt_tokens=900, completion_tokens=100, usd=0.1))
DEAR = Past(attempts=30, seconds=900.0, cost=Cost(prompt_tokens=8000, completion_tokens=1000, usd=0.6))


def test_without_an_earlier_run_only_the_attempts_are_known() -> None:
    told = estimate(Ceilings(attempts=5), 3, [])
    assert (told.attempts, told.runs, told.seconds, told.tokens, told.usd) == (15, 0, None, None, None)


def test_it_scales_what_an_attempt_used_and_spans_the_cheapest_and_the_dearest_run() -> None:
    told = estimate(Ceilings(attempts=10), 2, [CHEAP, DEAR])
    assert told.runs == 2
    assert told.tokens == (20 * 10_000 / 40, 20 * 100, 20 * 300)
    assert told.seconds == (20 * 1000 / 40, 20 * 10, 20 * 30)
    assert told.usd is not None
    assert round(told.usd.high, 6) == 20 * 0.02


def test_a_run_without_an_attempt_tells_nothing() -> None:
    assert estimate(Ceilings(attempts=10), 2, [Past(0, 5.0, Cost())]).runs == 0


def test_one_unknown_price_makes_the_dollars_unknown_and_not_zero() -> None:
    told = estimate(Ceilings(attempts=10), 2, [CHEAP, DEAR._replace(cost=Cost(prompt_tokens=9, usd_known=False))])
    assert told.usd is None
    assert told.tokens is not None


def test_the_ceiling_that_is_met_first_is_named_with_the_attempts_that_it_leaves() -> None:
    told = estimate(Ceilings(attempts=10, minutes=1, tokens=4000), 1, [CHEAP])
    assert told.ends == "--minutes will end it after about 6 of 10 attempts"
    assert estimate(Ceilings(attempts=10, tokens=1001), 1, [CHEAP]).ends == ""
