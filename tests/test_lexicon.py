import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evolve.types import Experience
from knowledge.bank import EXPIRED, Bank, Held
from knowledge.lexicon import DEPTH, LENGTH_WEIGHT, LENGTHS, RECORDS, SATURATION, Lexicon

TEXTS = st.lists(st.sampled_from(["tile", "tiles", "loop", "vectorize_rows", "softMax", "gpu", "the", "ü", "7"]))


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    bank = Bank(tmp_path / "bank.sqlite")
    yield bank
    bank.close()


def put(bank: Bank, name: str, keys: str) -> None:
    bank.put(Held(experience=Experience(id=name, kind="trace", text=""), keys=keys), why="test")


def counts(bank: Bank) -> dict[str, int]:
    return dict(bank.database.rows("SELECT term, n FROM terms WHERE n != 0"))


def counted(texts: Sequence[str]) -> dict[str, int]:
    """What `terms` should hold for these stemmed texts."""
    found = Counter(stem for text in texts for stem in set(text.split()))
    if texts:
        found |= {RECORDS: len(texts)}
    if total := sum(len(text.split()) for text in texts):
        found |= {LENGTHS: total}
    return dict(found)


def test_words_are_found_in_any_form_and_in_pieces_of_identifiers(bank: Bank) -> None:
    put(bank, "a", "vectorized inner loops")
    put(bank, "b", "softmaxOfRows overflows")
    assert list(bank.lexicon.search("vectorizing", 5)) == ["a"]
    assert list(bank.lexicon.search("row_overflow", 5)) == ["b"]
    assert bank.lexicon.search("the of and", 5) == {}
    assert bank.lexicon.search("", 5) == {}


def test_scores_are_bm25(bank: Bank) -> None:
    texts = {"a": "tile tile loop", "b": "loop rows columns sums", "c": "rows columns", "d": "rows"}
    for name, keys in texts.items():
        put(bank, name, keys)

    def bm25(name: str, weights: Mapping[str, float]) -> float:
        words = texts[name].split()
        lack = SATURATION * (1 - LENGTH_WEIGHT + LENGTH_WEIGHT * len(words) / (10 / 4))
        return sum(
            weight * words.count(word) * (SATURATION + 1) / (words.count(word) + lack)
            for word, weight in weights.items()
        )

    weights = {"tile": math.log(1 + 3.5 / 1.5), "loop": math.log(1 + 2.5 / 2.5)}
    found = bank.lexicon.search("tile loop rows", 4)  # most have `rows`: it says nothing
    assert found == pytest.approx({name: bm25(name, weights) for name in texts})
    assert list(found) == ["a", "b", "c", "d"]


def test_equals_come_in_the_order_in_which_they_were_added(bank: Bank) -> None:
    for name in ("z", "y", "x", "w"):
        put(bank, name, "tile the loop")
    put(bank, "z", "tile that loop")
    assert list(bank.lexicon.search("tile", 3)) == ["z", "y", "x"]


def test_what_is_hidden_is_not_found_until_it_is_back(bank: Bank) -> None:
    put(bank, "a", "tile the loop")
    bank.set_status("a", EXPIRED, what="expire", why="test")
    assert bank.lexicon.search("tile", 3) == {}
    assert counts(bank) == {}
    put(bank, "a", "tile the loop")
    assert list(bank.lexicon.search("tile", 3)) == ["a"]


def test_the_rarest_words_lead_when_enough_is_less_than_all(bank: Bank) -> None:
    for i in range(200):
        put(bank, f"common{i}", f"tile loop number{i % 7}")
    put(bank, "rare", "tile prefetch")
    put(bank, "second", "swizzle columns")
    found = bank.lexicon.search("tile loop prefetch swizzle", 100, enough=3)
    assert set(found) == {"rare", "second"}
    assert set(bank.lexicon.search("tile loop prefetch swizzle", 300)) > set(found)


def test_those_that_the_rarest_words_lead_to_are_compared_by_all_words(bank: Bank) -> None:
    for i in range(40):
        put(bank, f"other{i}", f"unrolled number{i}" if i < 15 else f"number{i}")
    for i in range(DEPTH):
        put(bank, f"alone{i}", "prefetch swizzle of rows that spill registers at the border of the matrix")
    put(bank, "both", "prefetch swizzle of rows that spill registers at the border of the matrix unrolled")
    assert next(iter(bank.lexicon.search("prefetch swizzle unrolled", DEPTH + 1, enough=6))) == "both"


def test_records_are_scored_by_number_as_they_are_by_search(bank: Bank) -> None:
    for i in range(30):
        put(bank, f"e{i}", f"tile rows number{i % 3} group{i % 5}")
    numbers = {name: n for n, name in bank.database.rows("SELECT n, id FROM records")}
    found = bank.lexicon.search("number1 group2", 30)
    scores = bank.lexicon.query("number1 group2").scores([numbers[name] for name in found])
    assert {name: scores[numbers[name]] for name in found} == found
    assert bank.lexicon.query("number1").scores([]) == bank.lexicon.query("number1").scores([999]) == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(steps=st.lists(st.tuples(st.integers(1, 4), st.none() | TEXTS.map(" ".join)), max_size=12))
def test_counts_are_exact_whatever_is_put_and_dropped(bank: Bank, steps: list[tuple[int, str | None]]) -> None:
    with bank.transaction():
        bank.database.run("DELETE FROM words")
        bank.database.run("DELETE FROM terms")
        for n, keys in steps:
            if keys is None:
                bank.lexicon.drop(n)
            else:
                bank.lexicon.put(n, keys)
    held = [text for (text,) in bank.database.rows("SELECT keys FROM words")]
    last = dict(steps)
    assert len(held) == sum(keys is not None for keys in last.values())
    assert counts(bank) == counted(held)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(text=st.text())
def test_any_text_can_be_put_and_asked_for(bank: Bank, text: str) -> None:
    with bank.transaction():
        bank.lexicon.put(1, text)
    bank.lexicon.search(text, 3, enough=10)
    bank.lexicon.query(text).scores([1])


def test_another_process_sees_the_same(tmp_path: Path, bank: Bank) -> None:
    other = Bank(tmp_path / "bank.sqlite")
    for i in range(50):
        put(bank if i % 2 else other, f"e{i}", f"tile rows number{i % 3} group{i % 5}")
    assert Lexicon(other.database).search("tile group3", 20) == bank.lexicon.search("tile group3", 20)
    other.close()
