import math
import statistics
from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from knowledge.values import HARDLY_TRIED, Known, Norm, Option, Rule, Value, backed_off, choose, normalised, signatures

rewards = st.floats(-1, 1)


def options(**values: float) -> list[Option]:
    """Well tried options of equal match, worth so much by either rule."""
    return [Option(name, "task", Value(q, q * 23, 20)) for name, q in values.items()]


def test_a_value_moves_a_fifth_of_the_way_to_each_reward() -> None:
    once = Value().learnt(1.0, 0.0)
    assert once == Value(0.2, 0.0, 1)
    assert math.isclose(once.learnt(1.0, 0.0).q, 0.36)
    assert math.isclose(once.learnt(-1.0, 0.0).q, -0.04)


def test_the_mean_beyond_the_usual_is_shrunk_towards_nothing() -> None:
    value = Value()
    for _ in range(3):
        value = value.learnt(1.0, 0.6)
    assert math.isclose(value.mean, 0.3)
    assert Value().mean == 0


def test_what_was_tried_often_is_less_uncertain_and_time_makes_it_more_so() -> None:
    assert Value(n=0).uncertainty(10) > Value(n=5).uncertainty(10) > Value(n=50).uncertainty(10)
    assert Value(n=5).uncertainty(1000) > Value(n=5).uncertainty(10)


@given(st.lists(rewards, max_size=50), st.floats(0.01, 1))
def test_values_stay_within_the_rewards(seen: list[float], alpha: float) -> None:
    value = Value()
    for credit in seen:
        value = value.learnt(credit, 0.0, alpha)
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


def test_a_state_counts_for_itself_once_it_is_known_well_and_its_family_before_all_states() -> None:
    exact, family, anywhere = signatures("strided_access", "matmul")
    assert (exact, family, anywhere) == ("matmul:strided_access", "strided_access", "*")
    overall = Value(0.5, 0, 20)
    assert backed_off([(exact, Value(-1, 0, 2)), (family, Value(1, 0, 2)), (anywhere, overall)]) == Known(overall, "*")
    assert backed_off([(exact, Value(-1, 0, 2)), (family, Value(1, 0, 3)), (anywhere, overall)]).state == family
    assert backed_off([(exact, Value(-1, 0, 3)), (family, Value(1, 0, 9)), (anywhere, overall)]).state == exact
    assert backed_off([]) == Known()


def test_by_evokernel_the_most_valued_come_first_and_ties_go_to_the_best_match() -> None:
    chosen = choose(options(a=0.0, b=0.3, c=0.0, d=-0.2), 3, Random(0), rule="evokernel", epsilon=0)
    assert [choice.id for choice in chosen] == ["b", "a", "c"]
    assert [choice.beat for choice in chosen] == ["a", "c", "d"]
    assert {choice.pick for choice in chosen} == {"value"}
    assert [choice.margin for choice in chosen] == [0.3, 0.0, 0.2]


def test_by_bonus_match_decides_while_nothing_is_known() -> None:
    pool = [Option(name, "task", Value(), match) for name, match in (("far", -1.0), ("near", 2.0), ("middle", 0.5))]
    assert [choice.id for choice in choose(pool, 3, Random(0))] == ["near", "middle", "far"]


def test_by_bonus_what_is_hardly_tried_is_hoped_for_more() -> None:
    pool = [Option("old", "task", Value(0, 0.0, 50)), Option("new", "task", Value(0, 0.0, 0))]
    assert choose(pool, 1, Random(0), seen=50)[0].id == "new"


def test_one_slot_is_kept_for_what_was_hardly_tried() -> None:
    pool = [*options(a=0.9, b=0.8, c=0.7), Option("new", "task", Value(-1, -9.0, HARDLY_TRIED - 1))]
    chosen = choose(pool, 3, Random(0), seen=60)
    assert [choice.id for choice in chosen] == ["a", "b", "new"]
    assert [choice.pick for choice in chosen] == ["value", "value", "untried"]
    assert chosen[2].beat == "c"
    assert chosen[2].margin < 0
    assert [choice.id for choice in choose(pool, 1, Random(0), seen=60)] == ["a"]


def test_chance_gives_the_least_valued_their_turn() -> None:
    rng = Random(1)
    first = Counter(choose(options(a=1, b=0, c=-1), 1, rng, rule="evokernel", epsilon=0.3)[0].id for _ in range(3000))
    assert first["a"] > 2200
    assert 200 < first["c"] < 400


def test_no_crowd_takes_all_the_room_while_another_has_something() -> None:
    pool = [Option(f"own{i}", "own", Value(1, 9, 9)) for i in range(4)] + [Option("other", "other", Value(-1, -9, 9))]
    assert [choice.id for choice in choose(pool, 3, Random(0), most=2)] == ["own0", "own1", "other"]
    assert len(choose(pool[:4], 4, Random(0), most=2)) == 4


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), rewards, st.integers(0, 9)), max_size=12),
    st.integers(0, 6),
    st.integers(0, 2**32),
    st.sampled_from(["bonus", "evokernel"]),
)
def test_what_is_chosen_is_distinct_fills_the_slots_and_repeats_with_the_seed(
    pool: list[tuple[str, float, int]], slots: int, seed: int, rule: Rule
) -> None:
    offered = [Option(str(i), crowd, Value(q, q * n, n), q) for i, (crowd, q, n) in enumerate(pool)]
    chosen = choose(offered, slots, Random(seed), rule=rule, most=2)
    assert len({choice.id for choice in chosen}) == len(chosen) == min(slots, len(offered))
    assert chosen == choose(offered, slots, Random(seed), rule=rule, most=2)
