from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.types import Experience
from knowledge.bank import Bank, Card, Held, keyed
from knowledge.embed import HashEmbedding
from knowledge.index import open_index
from knowledge.retrieval import Match, Retrieval, one_of_each
from knowledge.values import z_scores

EMBEDDING = HashEmbedding(64)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    bank = Bank(tmp_path / "bank.sqlite")
    yield bank
    bank.close()


@pytest.fixture
def retrieval(tmp_path: Path, bank: Bank) -> Retrieval:
    return Retrieval(bank, open_index(tmp_path / "index", bank, EMBEDDING), EMBEDDING)


def put(bank: Bank, name: str, keys: str, *, task: str = "", score: float | None = None, payload: str = "") -> None:
    metrics = {} if score is None else {"score": score}
    experience = Experience(
        id=name, kind="trace", text=keys, task=task, domain="kernels", payload=payload, metrics=metrics
    )
    with bank.transaction():
        bank.vectors.put(keyed(keys), EMBEDDING.id, EMBEDDING.embed([keys])[0])
        bank.put(Held(experience=experience, keys=keys), why="test")


def everything(card: Card) -> bool:
    return bool(card)


def names(matches: Sequence[Match]) -> list[str]:
    return [match.card.id for match in matches]


def test_a_match_tells_its_parts(bank: Bank, retrieval: Retrieval) -> None:
    put(bank, "both", "tile the inner loop")
    put(bank, "letters", "tiling loops")
    put(bank, "neither", "softmax overflows")
    found = retrieval.around("tile loop", 3, everything)
    assert names(found)[2] == "neither"
    for match in found:
        assert match.fused == match.words + match.meaning
        assert -1.001 <= match.similarity <= 1.001
    assert sum(match.words for match in found) == pytest.approx(0)
    assert sum(match.meaning for match in found) == pytest.approx(0)


def test_what_only_vectors_or_only_words_found_is_measured_by_both(bank: Bank, retrieval: Retrieval) -> None:
    for i in range(40):
        put(bank, f"e{i}", f"row{i} tile loop" if i % 2 else f"row{i} tiling of loops by blocks")
    wide = {match.card.id: match for match in retrieval.around("tile loop", 40, everything)}
    [near] = retrieval.similarities([wide["e7"].card], "tile loop").values()
    assert near == pytest.approx(wide["e7"].similarity)
    narrow = {match.card.id for match in retrieval.around("tile loop", 3, everything)}
    assert narrow < set(wide)


def test_equals_come_in_the_order_in_which_they_were_added_even_after_they_changed(
    bank: Bank, retrieval: Retrieval
) -> None:
    for name in ("c", "b", "a"):
        put(bank, name, "tile the loop")
    before = names(retrieval.around("tile loop", 3, everything))
    assert before == ["c", "b", "a"]
    put(bank, "c", "tile the loop", task="moved")
    assert names(retrieval.around("tile loop", 3, everything)) == before


def test_what_is_not_kept_is_not_found_and_others_take_its_place(bank: Bank, retrieval: Retrieval) -> None:
    for i in range(60):
        put(bank, f"e{i}", f"tile loop {i}", task="new" if i == 59 else "old")
    assert names(retrieval.find("tile loop", 1, lambda card: card.task == "new")) == ["e59"]
    assert len(retrieval.find("tile loop", 7, everything)) == 7
    assert retrieval.find("tile loop", 3, lambda card: card.task == "none") == []


def test_the_same_code_is_found_once_by_its_best_score(bank: Bank, retrieval: Retrieval) -> None:
    put(bank, "slow", "tile the loop", score=1.0, payload="int a;")
    put(bank, "fast", "tile another loop", score=3.0, payload="int a;")
    assert names(retrieval.find("tile loop", 2, everything)) == ["fast"]


def test_leaders_are_asked_for_by_the_tasks_of_the_best_matches_first(bank: Bank, retrieval: Retrieval) -> None:
    for i in range(20):
        put(bank, f"far{i}", f"softmax overflow {i}", task="softmax")
    put(bank, "near", "tile loop of matmul", task="matmul")
    put(bank, "leader", "unrelated entirely", task="matmul")
    asked: list[Sequence[str]] = []

    def more(tasks: Sequence[str]) -> list[str]:
        asked.append(tasks)
        return ["leader", "unknown"]

    found = retrieval.around("tile loop matmul", 2, everything, more=more)
    assert asked[0][0] == "matmul"
    assert names(found)[0] == "near"
    assert "leader" in names(found)
    assert "leader" not in names(retrieval.around("tile loop matmul", 2, lambda c: c.id != "leader", more=more))


def test_an_empty_base_and_a_text_without_words_find_what_there_is(bank: Bank, retrieval: Retrieval) -> None:
    assert retrieval.find("anything", 3, everything) == []
    put(bank, "a", "tile the loop")
    assert names(retrieval.find("", 3, everything)) == ["a"]


@given(st.lists(st.floats(-1e6, 1e6), max_size=20))
def test_z_scores_have_mean_0_and_spread_1_or_are_all_0(values: list[float]) -> None:
    scores = z_scores(values)
    assert sum(scores) == pytest.approx(0, abs=1e-3)
    assert sum(score * score for score in scores) == pytest.approx(len(scores)) or not any(scores)


def test_the_best_score_takes_the_first_place_of_its_sort() -> None:
    def match(name: str, score: float | None) -> Match:
        card = Card(0, name, 0, "active", "trace", "", "", "", "", "", "", score, "", 0.0)
        return Match(card, 0.0, 0.0, 0.0)

    found = [match("a", None), match("b", 2.0), match("other", 9.0), match("c", 1.0)]
    assert names(one_of_each(found, sort=lambda card: str(card.id == "other"))) == ["b", "other"]
