import math
import statistics
from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from knowledge.values import Norm, Option, Value, backed_off, choose, learnt, normalised

rewards = st.floats(-1, 1)


def options(**values: float) -> list[Option]:
    return [Option(name, "task", Value(q, 1)) for name, q in values.items()]


def test_a_value_moves_a_fifth_of_the_way_to_each_reward() -> None:
    once = learnt(Value(), 1.0)
    assert once == Value(0.2, 1)
    assert math.isclose(learnt(once, 1.0).q, 0.36)
    assert math.isclose(learnt(once, -1.0).q, -0.04)


@given(st.lists(rewards, max_size=50), st.floats(0.01, 1))
def test_values_stay_within_the_rewards(seen: list[float], alpha: float) -> None:
    value = Value()
    for credit in seen:
        value = learnt(value, credit, alpha)
    assert -1 <= value.q <= 1
    assert value.n == len(seen)


@given(st.lists(rewards, min_size=2, max_size=40))
def test_the_running_norm_is_the_mean_and_the_deviation_of_what_it_saw(seen: list[float]) -> None:
    norm = Norm()
    for raw in seen:
        norm, _ = normalised(norm, raw)
    assert math.isclose(norm.mean, statistics.fmean(seen), abs_tol=1e-9)
    assert math.isclose(norm.deviation, statistics.pstdev(seen), abs_tol=1e-6)


def test_the_first_reward_stays_and_noise_is_not_blown_up() -> None:
    norm, first = normalised(Norm(), 0.4)
    assert first == 0.4
    _, second = normalised(norm, 0.401)
    assert abs(second) < 0.1


def test_a_state_counts_for_itself_once_it_is_known_well() -> None:
    overall = Value(0.5, 20)
    assert backed_off(Value(-1, 2), overall) == overall
    assert backed_off(Value(-1, 3), overall) == Value(-1, 3)


def test_without_chance_the_most_valued_come_first_and_ties_go_to_the_best_match() -> None:
    chosen = choose(options(a=0.0, b=0.3, c=0.0, d=-0.2), 3, Random(0), epsilon=0)
    assert [choice.id for choice in chosen] == ["b", "a", "c"]
    assert [choice.beat for choice in chosen] == ["a", "c", "d"]
    assert not any(choice.drawn for choice in chosen)


def test_chance_gives_the_least_valued_their_turn() -> None:
    rng = Random(1)
    first = Counter(choose(options(a=1, b=0, c=-1), 1, rng, epsilon=0.3)[0].id for _ in range(3000))
    assert first["a"] > 2200
    assert 200 < first["c"] < 400


def test_no_crowd_takes_all_the_room_while_another_has_something() -> None:
    pool = [Option(f"own{i}", "own", Value(1, 1)) for i in range(4)] + [Option("other", "other", Value(-1, 1))]
    assert [choice.id for choice in choose(pool, 3, Random(0), epsilon=0, most=2)] == ["own0", "own1", "other"]
    assert len(choose(pool[:4], 4, Random(0), epsilon=0, most=2)) == 4


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), rewards), max_size=12),
    st.integers(0, 6),
    st.integers(0, 2**32),
    st.floats(0, 1),
)
def test_what_is_chosen_is_distinct_fills_the_slots_and_repeats_with_the_seed(
    pool: list[tuple[str, float]], slots: int, seed: int, epsilon: float
) -> None:
    offered = [Option(str(i), crowd, Value(q, 1)) for i, (crowd, q) in enumerate(pool)]
    chosen = choose(offered, slots, Random(seed), epsilon=epsilon, most=2)
    assert len({choice.id for choice in chosen}) == len(chosen) == min(slots, len(offered))
    assert chosen == choose(offered, slots, Random(seed), epsilon=epsilon, most=2)
