"""What crosses the pipe comes out as it went in, and nothing else comes out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge import wire
from knowledge.architecture import (
    JSON,
    Add,
    AddLink,
    DropLink,
    Event,
    Expire,
    Hit,
    Link,
    Note,
    Op,
    Query,
    Receipt,
    Record,
    Retrieval,
    SetState,
    Supersede,
    Trigger,
    Update,
)

text = st.text(st.characters(codec="utf-8"), max_size=8)
number = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)
value: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
mapping = st.dictionaries(text, value, max_size=3)
several = st.lists(text, max_size=3).map(tuple)
moment = st.none() | number
link = st.builds(Link, text, text, number)
record = st.builds(
    Record,
    text,
    text,
    several,
    text,
    several,
    st.lists(link, max_size=3).map(tuple),
    mapping,
    moment,
    moment,
    text,
    text,
)
event = st.builds(Event, text, text, text, number, text, text, text, mapping, number)
query = st.builds(Query, text, number, text, text, text, text, st.integers(0, 9999), st.integers(0, 99), mapping)
operation: st.SearchStrategy[Op] = st.one_of(
    st.builds(Add, record),
    st.builds(Update, text, mapping),
    st.builds(Supersede, text, text, text),
    st.builds(Expire, text, text),
    st.builds(AddLink, text, link),
    st.builds(DropLink, text, text, text),
    st.builds(SetState, text, value),
    st.builds(Note, text),
)
retrieval = st.builds(Retrieval, st.lists(st.builds(Hit, text, number, text), max_size=4), st.none() | text)
receipt = st.builds(Receipt, query, several)
trigger = st.builds(Trigger, st.sampled_from(wire.TRIGGERS), st.none() | receipt, moment)


def sent(told: JSON) -> Any:
    return json.loads(json.dumps(told, allow_nan=False))


@given(event)
def test_events_come_through(given: Event) -> None:
    assert wire.event_in(sent(wire.event_out(given))) == given


@given(query)
def test_queries_come_through(given: Query) -> None:
    assert wire.query_in(sent(wire.query_out(given))) == given


@given(record)
def test_records_come_through(given: Record) -> None:
    assert wire.record_in(sent(wire.record_out(given))) == given


@given(operation)
def test_operations_come_through(given: Op) -> None:
    found = wire.op_in(sent(wire.op_out(given)))
    assert found == given
    assert type(found) is type(given)


@given(retrieval)
def test_retrievals_come_through(given: Retrieval) -> None:
    assert wire.retrieval_in(sent(wire.retrieval_out(given))) == given


@given(trigger)
def test_triggers_come_through(given: Trigger) -> None:
    assert wire.trigger_in(sent(wire.trigger_out(given))) == given


def test_tuples_inside_an_update_become_lists() -> None:
    change = Update("r", {"keys": ("a", "b"), "meta": {"x": (1, {"y": ()})}})
    assert wire.op_in(sent(wire.op_out(change))) == Update("r", {"keys": ["a", "b"], "meta": {"x": [1, {"y": []}]}})


DECODERS = (wire.event_in, wire.query_in, wire.record_in, wire.op_in, wire.retrieval_in, wire.trigger_in)


@given(value)
def test_decoding_gives_what_it_is_for_or_a_value_error(told: JSON) -> None:
    for decode in DECODERS:
        try:
            found = decode(told)
        except ValueError:
            continue
        assert isinstance(found, tuple)


@pytest.mark.parametrize(
    "told",
    [
        ["Explode", {}],
        ["Add", {}],
        ["Add", {"record": {"id": 5, "text": "", "sources": []}}],
        ["Add", {"record": {"id": "a", "text": "", "sources": "abc"}}],
        ["Add", {"record": {"id": "a", "text": "", "sources": [5]}}],
        ["Add", {"record": {"id": "a", "text": "", "sources": [], "links": [["a", "b"]]}}],
        ["Add", {"record": {"id": "a", "text": "", "sources": [], "meta": []}}],
        ["Add", {"record": {"id": "a", "text": "", "sources": [], "extra": 1}}],
        ["Update", {"id": "a", "changes": []}],
        ["Supersede", {"old": "a", "new": ["b"]}],
        ["Expire", {"id": "a", "why": 5}],
        ["AddLink", {"link": ["a", "b", 1.0]}],
        ["AddLink", {"source": "a", "link": ["a", "b", "1.0"]}],
        ["DropLink", {"source": "a", "target": "b"}],
        ["SetState", {"key": 1, "value": 1}],
        ["Note", {"text": None}],
        ["Note"],
        [["Note"], {}],
        "Note",
        {"Note": {}},
    ],
)
def test_hostile_operations_are_refused(told: JSON) -> None:
    with pytest.raises(ValueError, match=r"."):
        wire.op_in(told)


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        {"hits": None},
        {"hits": [["a", 1.0]]},
        {"hits": [["a", "1.0", ""]]},
        {"hits": [[1, 1.0, ""]]},
        {"hits": [{"id": "a"}]},
        {"hits": [], "text": 5},
    ],
)
def test_hostile_retrievals_are_refused(told: JSON) -> None:
    with pytest.raises(ValueError, match=r"."):
        wire.retrieval_in(told)


def test_what_is_refused_is_named_in_few_words_however_large_or_deep_it_is() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    for told in (deep, ["x" * 10**6, {}], [deep, {}], ["Note", {"text": deep}], list(range(10**6))):
        for decode in DECODERS:
            with pytest.raises(ValueError, match=r".") as refused:
                decode(told)
            assert len(str(refused.value)) < 400
