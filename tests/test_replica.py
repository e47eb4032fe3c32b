"""The bank in memory that architectures work over: what it takes, what it refuses, what it finds."""

import copy
import json
import math
import pickle
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.architecture import (
    JSON,
    Add,
    AddLink,
    DesignError,
    DropLink,
    Event,
    Expire,
    Link,
    Note,
    Op,
    Record,
    SetState,
    Supersede,
    Update,
    Worth,
)
from knowledge.postings import Postings
from knowledge.replica import Bounds, Replica


def event(name: str, time: float = 0.0, **data: JSON) -> Event:
    return Event(name, "message", f"event {name}", time, data=data)


def bank(count: int = 8, **bounds: int) -> Replica:
    replica = Replica(bounds=Bounds(**bounds))
    for number in range(count):
        replica.tell(event(f"e{number}", float(number)))
    return replica


def record(name: str, text: Any = "some text", **fields: Any) -> Record:
    return Record(name, text, ("e0",))._replace(**fields)


def apply(replica: Replica, *operations: Any) -> list[Op]:
    return replica.apply(operations, method="store", now=100.0)


def ids(hits: Iterable[Any]) -> list[str]:
    return [hit.id for hit in hits]


def kept(replica: Replica, name: str) -> Record:
    found = replica.get(name)
    assert found is not None
    return found


HOSTILE: list[tuple[Any, str]] = [
    ("no op", "no operation"),
    (None, "no operation"),
    (Add("no record"), "no Record"),  # type: ignore[arg-type]
    (Add(record("there")), "taken"),
    (Add(record("x", text=5)), "string"),
    (Add(record("x", text="\ud800")), "surrogate"),
    (Add(record("x", text="y" * 70_000)), "characters"),
    (Add(record("x" * 5000)), "characters"),
    (Add(record("x", keys="one string")), "several strings"),
    (Add(record("x", keys=(1,))), "string"),
    (Add(record("x", sources=("nowhere",))), "no event"),
    (Add(record("x", status="quarantined")), "status"),
    (Add(record("x", valid_from=math.nan)), "Unix seconds"),
    (Add(record("x", valid_to=10**400)), ""),
    (Add(record("x", meta={"a": math.inf})), "JSON"),
    (Add(record("x", meta={"a": object()})), "JSON"),
    (Add(record("x", meta={"a": "\udfff"})), "surrogate"),
    (Add(record("x", meta={"a": "y" * 70_000})), "characters"),
    (Add(record("x", meta=[1])), ""),
    (Add(record("x", links=(("there", "r", 1.0),))), "no Link"),
    (Add(record("x", links=(Link("there", "r", math.nan),))), "weight"),
    (Update("nowhere", {}), "no record"),
    (Update(["there"], {}), ""),  # type: ignore[arg-type]
    (Update("there", {"id": "other"}), "changes"),
    (Update("there", {"links": ()}), "changes"),
    (Update("there", "text"), "changes"),  # type: ignore[arg-type]
    (Update("there", {"meta": 5}), ""),
    (Supersede("there", "nowhere"), "no record"),
    (Supersede("there", "there"), "itself"),
    (Expire("nowhere"), "no record"),
    (Expire("there", why=5), "string"),  # type: ignore[arg-type]
    (AddLink("nowhere", Link("there", "r")), "no record"),
    (AddLink("there", ("there", "r")), "no Link"),  # type: ignore[arg-type]
    (DropLink("there", "nowhere", "r"), "no link"),
    (SetState(5, 1), "string"),  # type: ignore[arg-type]
    (SetState("k", "y" * 70_000), "state"),
    (SetState("y" * 5000, 1), "characters"),
    (SetState("k", math.nan), "JSON"),
    (Note(b"bytes"), "string"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("operation", "reason"), HOSTILE)
def test_what_cannot_be_applied_is_refused_with_the_reason_and_changes_nothing(operation: Any, reason: str) -> None:
    replica = bank()
    apply(replica, Add(record("there", "a text", meta={"a": 1})), SetState("k", 1))
    before = (list(replica.iter()), replica.size, replica.state("k"))
    with pytest.raises(DesignError, match=f"^store: .*{reason}"):
        apply(replica, operation)
    assert (list(replica.iter()), replica.size, replica.state("k")) == before


def test_json_too_deep_for_anyone_is_refused() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for operation in (Add(record("x", meta={"a": deep})), SetState("k", deep), deep, Add(deep)):
        with pytest.raises(DesignError):
            apply(bank(), operation)
    while deep:  # freeing it at once would recurse as deep
        deep = deep.pop()


def test_a_refusal_leaves_what_came_before_it() -> None:
    replica = bank()
    with pytest.raises(DesignError):
        apply(replica, Add(record("one")), Expire("nowhere"), Add(record("two")))
    assert ids(replica.iter()) == ["one"]


def test_a_bank_that_grows_faster_than_what_happened_is_stopped() -> None:
    replica = bank(2, records=2, spare=1)
    with pytest.raises(DesignError, match="5 records of 2 events"):
        apply(replica, *(Add(record(f"r{n}")) for n in range(6)))
    assert len(replica) == 5
    fat = bank(2, characters=100, spare=0)
    with pytest.raises(DesignError, match="characters of 2 events"):
        apply(fat, *(Add(record(f"r{n}", "y" * 60)) for n in range(4)))
    linked = bank(1, links=2, spare=0)
    with pytest.raises(DesignError, match="3 links"):
        apply(linked, Add(record("a")), *(AddLink("a", Link("a", f"r{n}")) for n in range(3)))
    with pytest.raises(DesignError, match="operations in one call"):
        apply(bank(operations=3), *(Note("x") for _ in range(4)))


def test_a_record_whose_links_find_no_room_is_not_there_at_all() -> None:
    replica = bank(1, links=1, spare=4)
    with pytest.raises(DesignError, match="links"):
        apply(replica, Add(record("a", links=tuple(Link("x", f"r{n}") for n in range(9)))))
    assert replica.get("a") is None
    assert not replica.lexical("some text")


def test_nobody_changes_a_bank_through_what_it_gave_or_was_given() -> None:
    replica = bank()
    given: dict[str, Any] = {"votes": 1, "who": ["a"], "deep": {"x": [1]}}
    apply(replica, Add(record("r", meta=given)), SetState("s", ["a"]))
    given["votes"], given["deep"]["x"] = 9, []
    seen: Any = kept(replica, "r").meta
    changes: list[Callable[[], object]] = [
        lambda: seen.update(votes=2),
        lambda: seen.__setitem__("votes", 2),
        lambda: seen["who"].append("b"),
        lambda: seen.pop("votes"),
        seen["deep"]["x"].clear,
        seen["who"].sort,
    ]
    for change in changes:
        with pytest.raises(TypeError, match="only to be read"):
            change()
    state: Any = replica.state("s")
    state.append("b")
    assert kept(replica, "r").meta == {"votes": 1, "who": ["a"], "deep": {"x": [1]}}
    assert replica.state("s") == ["a"]


def test_what_a_bank_gives_can_be_copied_pickled_and_told_as_json() -> None:
    replica = bank()
    apply(replica, Add(record("r", meta={"who": ["a", {"b": 1}]})))
    seen: Any = kept(replica, "r").meta
    for plain in (copy.deepcopy(seen), pickle.loads(pickle.dumps(seen)), json.loads(json.dumps(seen))):
        plain["who"][1]["b"] = 2
        assert plain == {"who": ["a", {"b": 2}]}
    assert {**seen, "more": 1} == {"who": ["a", {"b": 1}], "more": 1}


def test_an_event_is_told_once_and_only_to_be_read() -> None:
    replica = Replica()
    data: dict[str, JSON] = {"task": "t"}
    first = replica.tell(Event("e", "attempt", "first", 1.0, data=data))
    data["task"] = "other"
    assert replica.tell(Event("e", "attempt", "second", 2.0)) is first
    (found,) = replica.events(["e", "nowhere"])
    assert (found.text, found.data) == ("first", {"task": "t"})


def test_an_update_changes_only_the_keys_of_meta_that_it_names() -> None:
    replica = bank()
    apply(replica, Add(record("r", meta={"a": 1, "b": 2})), Update("r", {"meta": {"b": 3}, "text": "new words"}))
    assert kept(replica, "r").meta == {"a": 1, "b": 3}
    assert ids(replica.lexical("words")) == ["r"]
    assert not replica.lexical("some")


def test_what_was_superseded_or_expired_is_kept_but_no_longer_found() -> None:
    replica = bank()
    apply(replica, *(Add(record(name, "red house")) for name in ("old", "new", "gone")))
    assert len(replica.dense("red house")) == 3
    apply(replica, Supersede("old", "new", "moved"), Expire("gone"))
    for found in (replica.lexical("red"), replica.dense("red"), replica.span(0, 9), replica.iter()):
        assert ids(found) == ["new"]
    assert kept(replica, "old").valid_to == 100.0
    assert kept(replica, "new").links == (Link("old", "supersedes"),)
    apply(replica, Update("old", {"status": "active"}))
    assert set(ids(replica.lexical("red"))) == set(ids(replica.dense("red"))) == {"old", "new"}


def test_what_is_added_hidden_is_found_once_it_is_active() -> None:
    replica = bank()
    apply(replica, Add(record("a", "red house")), Add(record("b", "red house", status="expired")))
    assert ids(replica.dense("red")) == ids(replica.lexical("red")) == ["a"]
    apply(replica, Update("b", {"status": "active"}))
    assert ids(replica.dense("red")) == ids(replica.lexical("red")) == ["a", "b"]


def test_a_record_is_found_by_its_keys_instead_of_its_text() -> None:
    replica = bank()
    apply(replica, Add(record("r", "the answer", keys=("question", "other", "question"))))
    assert ids(replica.lexical("question")) == ["r"]
    assert not replica.lexical("answer")
    assert kept(replica, "r").keys == ("question", "other")


@pytest.mark.parametrize("search", ["lexical", "dense"])
def test_k_counts_only_what_fits(search: str) -> None:
    replica = bank()
    for number in range(20):
        kind = "rule" if number % 5 == 0 else "fact"
        apply(replica, Add(record(f"r{number}", f"red house {number}", kind=kind, meta={"n": number % 2})))
    apply(replica, Expire("r0"))
    find = getattr(replica, search)
    assert set(ids(find("red house", 2, kind="rule"))) < {"r5", "r10", "r15"}
    assert len(find("red house", 2, kind="rule")) == 2
    assert set(ids(find("red house", 9, kind="rule", n=1))) == {"r5", "r15"}
    assert find("red house", 9, kind="nothing") == []
    assert find("red house", 0) == find("red house", -1) == []
    assert len(find("red house", 100)) == 19
    scores = [hit.score for hit in find("red house 7", 100)]
    assert scores == sorted(scores, reverse=True)


def test_dense_is_the_cosine() -> None:
    replica = bank()
    apply(replica, Add(record("a", "red house")), Add(record("b", "blue boat")), Add(record("c", "red boat")))
    vectors = replica.embed(["red house", "blue boat", "red boat"])
    asked = replica.embed(["red house by the sea"])[0]
    expected = dict(zip("abc", np.asarray(vectors @ asked, dtype=float), strict=True))
    found = {hit.id: hit.score for hit in replica.dense("red house by the sea")}
    assert found == pytest.approx(expected, abs=1e-6)


def test_iter_keeps_the_order_of_adding_even_where_a_kind_changes() -> None:
    replica = bank()
    apply(replica, *(Add(record(name, kind="fact" if name == "b" else "rule")) for name in "abc"))
    apply(replica, Update("b", {"kind": "rule"}))
    assert ids(replica.iter(kind="rule")) == ids(replica.iter()) == ["a", "b", "c"]
    assert not ids(replica.iter(kind="fact"))


def test_an_iteration_that_is_under_way_sees_the_bank_as_it_becomes() -> None:
    replica = bank()
    apply(replica, *(Add(record(name)) for name in "abc"))
    found = replica.iter()
    assert next(found).id == "a"
    apply(replica, Expire("b"), Update("c", {"text": "changed"}), Add(record("d")))
    assert [each.text for each in found] == ["changed"]


def test_near_goes_through_what_is_not_there_and_over_circles() -> None:
    replica = bank()
    apply(
        replica, *(Add(record(name)) for name in "abcd"),
        AddLink("a", Link("hub", "about", 0.5)), AddLink("b", Link("hub", "about", 0.5)),
        AddLink("b", Link("c", "next")), AddLink("c", Link("a", "next")), AddLink("d", Link("d", "next")),
    )  # fmt: skip
    assert ids(replica.near("a", "about", 1)) == []
    assert [(hit.id, hit.score) for hit in replica.near("a", "about", 2)] == [("b", 0.25)]
    assert ids(replica.near("a", direction="out")) == []
    assert ids(replica.near("a", direction="in")) == ["c"]
    assert set(ids(replica.near("a", hops=10**9))) == {"b", "c"}
    assert ids(replica.near("hub", direction="in")) == ["a", "b"]
    assert replica.near("nowhere") == replica.near("a", hops=0) == replica.near("d") == []
    apply(replica, Expire("b"), DropLink("c", "a", "next"))
    assert replica.near("a") == []


def test_a_link_again_is_its_new_weight() -> None:
    replica = bank(1, links=1, spare=0, records=4)
    apply(replica, Add(record("a")), AddLink("a", Link("b", "r", 0.1)), AddLink("a", Link("b", "r", 0.9)))
    assert kept(replica, "a").links == (Link("b", "r", 0.9),)
    apply(replica, DropLink("a", "b", "r"), AddLink("a", Link("c", "r")))
    assert kept(replica, "a").links == (Link("c", "r"),)


def test_a_span_is_of_the_first_source_both_ends_included() -> None:
    replica = bank()
    apply(replica, *(Add(record(f"r{n}", sources=(f"e{n}", "e0"))) for n in (3, 1, 2)), Add(record("none", sources=())))
    assert ids(replica.span(1, 2)) == ["r1", "r2"]
    assert ids(replica.span(2, 9)) == ["r2", "r3"]


def test_worth_is_asked_of_whoever_knows() -> None:
    replica = Replica(worth=lambda found, stage: Worth(1.0, 2) if (found.id, stage) == ("a", "draft") else Worth())
    replica.tell(event("e0"))
    apply(replica, Add(record("a")))
    assert replica.value("a", "draft") == Worth(1.0, 2)
    assert replica.value("a", "refine") == replica.value("nowhere", "draft") == Worth()


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.tuples(st.sampled_from("xyz"), values), max_size=12))
def test_state_is_counted_as_what_is_left_of_it(settings: list[tuple[str, JSON]]) -> None:
    replica, expected = bank(), dict[str, JSON]()
    for key, value in settings:
        apply(replica, SetState(key, value))
        expected[key] = value
    held = {key: value for key, value in expected.items() if value is not None}
    assert {key: replica.state(key, "nothing") for key in held} == held
    assert replica.state("never", "nothing") == "nothing"
    assert replica._stated == sum(len(key) + len(json.dumps(held[key], ensure_ascii=False)) for key in held)


def test_state_that_was_cleared_makes_room() -> None:
    replica = bank(state=100)
    for _ in range(5):
        apply(replica, SetState("k", "y" * 80), SetState("k", None))
    apply(replica, SetState("j", "y" * 80))
    with pytest.raises(DesignError, match="state"):
        apply(replica, SetState("k", "y" * 80))


texts = st.lists(st.sampled_from(["red", "house", "boats", "sea", "running", "ran"]), max_size=6).map(" ".join)


@given(st.lists(st.tuples(st.integers(0, 4), st.none() | texts), max_size=12), texts)
def test_postings_that_changed_score_like_those_built_afresh(changes: list[tuple[int, str | None]], asked: str) -> None:
    changed, left = Postings(), dict[int, str]()
    for number, text in changes:
        left.pop(number, None)
        if text is None:
            changed.drop(number)
        else:
            changed.put(number, text)
            left[number] = text
    fresh = Postings()
    for number, text in left.items():
        fresh.put(number, text)
    scores = changed.scores(asked, 1.2, 0.75)
    assert scores == pytest.approx(fresh.scores(asked, 1.2, 0.75))
    assert all(score > 0 for score in scores.values())


def test_bm25_prefers_rare_words_and_short_texts() -> None:
    postings = Postings()
    for number, text in enumerate(("red house", "red boat", "red boat and a long story of the sea", "red")):
        postings.put(number, text)
    scores: Mapping[int, float] = postings.scores("red boat", 1.2, 0.75)
    assert sorted(scores, key=lambda number: -scores[number])[:2] == [1, 2]
    assert postings.scores("the and of", 1.2, 0.75) == postings.scores("", 1.2, 0.75) == {}


def test_neighbours_come_in_the_order_of_records_whenever_their_links_were_made() -> None:
    replica = bank()
    apply(replica, *(Add(record(name)) for name in ("hub", "a", "b")))
    apply(replica, AddLink("b", Link("hub", "of")), AddLink("a", Link("hub", "of")))
    assert ids(replica.near("hub")) == ["a", "b"]  # as in a bank that is filled from the records again
    with pytest.raises(ValueError, match="a direction is one of out, in, both, not 'up'"):
        replica.near("hub", direction="up")
