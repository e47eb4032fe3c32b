"""Seeds that give what they keep a structure: each one's own mechanism at work."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from knowledge.architecture import JSON, SUPERSEDED, Event, Query, Receipt, Record
from knowledge.architectures.aeon import Page, grown
from knowledge.design import built, seeds
from knowledge.trial import Ask, Trial, no_model

NAMES = ["hcam", "hindsight", "task_memory", "aeon", "memtool", "hippomm", "slot_ledger"]
BEGIN = 1_700_000_000.0


def at_work(name: str, ask: Ask = no_model, **params: float) -> Trial:
    return Trial(built(seeds()[name]._replace(params=params)), ask=ask)


def said(name: str, text: str, scope: str = "s1", *, time: float = BEGIN, **more: Any) -> Event:
    return Event(name, "message", text, time, scope=scope, **more)


def tell(trial: Trial, lines: Sequence[str], scope: str = "s1") -> list[str]:
    """The ids of the events, one for each line."""
    names = [f"{scope}-{number}" for number in range(len(lines))]
    for number, (name, text) in enumerate(zip(names, lines, strict=True)):
        trial.ingest(said(name, text, scope, time=BEGIN + number))
    return names


def ask_for(trial: Trial, text: str, **more: Any) -> list[str]:
    query = Query(text, BEGIN + 1e6, **{"stage": "qa", **more})
    return [hit.id for hit in trial.retrieve(query).hits]


def record(trial: Trial, name: str) -> Record:
    found = trial.bank.get(name)
    assert found is not None
    return found


def of_kind(trial: Trial, kind: str) -> list[Record]:
    return list(trial.bank.iter(kind=kind))


# -- all of them


TALK = {
    "s1": ["Amara keeps bees behind the mill.", "The hive swarmed on Sunday.", "Honey sells well at the market."],
    "s2": ["Bruno paints boats in the harbour.", "His brushes are made of badger hair."],
    "s3": ["The tide table hangs in the kitchen.", "Celeste reads it every morning at six."],
}


def told_all(trial: Trial) -> list[str]:
    names: list[str] = []
    for scope, lines in TALK.items():
        names += tell(trial, lines, scope)
        trial.tick(BEGIN + 100)
    trial.tick(BEGIN + 200, close=True)
    return names


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("writer", ["bm25", *NAMES])
def test_retrieval_finds_what_any_other_of_them_has_kept(name: str, writer: str) -> None:
    written = at_work(writer)
    told_all(written)
    reader = Trial(built(seeds()[name]), written.bank)
    assert any("badger" in record(reader, hit).text for hit in ask_for(reader, "badger hair brushes", k=3))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answer", [None, "", "|||\n= \n- \n99 0 -1", "\N{GRINNING FACE}" * 9000])
def test_nothing_told_is_lost_whatever_a_model_says(name: str, answer: str | None) -> None:
    trial = at_work(name, no_model if answer is None else lambda _, __: answer)
    names = told_all(trial)
    trial.feedback(Receipt(Query("bees", BEGIN, stage="step"), (next(trial.bank.iter()).id,)), 0.5)
    assert set(names) == {source for one in trial.bank.iter() for source in one.sources}
    assert ask_for(trial, "tide table kitchen")


@pytest.mark.parametrize("name", NAMES)
def test_a_new_object_over_the_same_records_answers_the_same(name: str) -> None:
    trial = at_work(name)
    for scope in range(20):
        tell(trial, [f"Turn {n} of {scope}: the {w} was moved." for n, w in enumerate(WORDS)], f"s{scope}")
        ask_for(trial, "who moved the lamp")
        trial.tick(BEGIN + scope)
    again = Trial(built(seeds()[name]), trial.bank)
    for word in WORDS:
        assert ask_for(trial, f"the {word} in 7", k=20) == ask_for(again, f"the {word} in 7", k=20)


WORDS = ["lamp", "chair", "ladder", "kettle", "barrel", "mirror", "anvil", "saddle"]


# -- hcam


def test_hcam_finds_through_a_summary_a_detail_that_shares_no_word_with_the_question() -> None:
    lines = ["The choir sings in Lisbon in spring.", "Rosa booked the choir a train.", "We leave at six sharp."]
    noise = ["The sun is setting.", "We set the ladder outside.", "Spring sets in late."]
    question = "When does the choir set off for Lisbon?"
    found = {}
    for name, trial in {
        "bm25": at_work("bm25"),
        "hcam": at_work("hcam", beside=0.0, two_away=0.0, chunk_weight=2.0),
    }.items():
        tell(trial, noise, "s0")
        detail = tell(trial, lines, "s1")[2]
        trial.tick(BEGIN, close=True)
        found[name] = ask_for(trial, question, k=3)
    assert detail in found["hcam"]
    assert detail not in found["bm25"]


def test_hcam_chunks_grow_until_they_are_full_and_hold_each_record_once() -> None:
    trial = at_work("hcam", chunk_size=4)
    for number in range(6):
        trial.ingest(said(f"a{number}", f"The {WORDS[number]} is here.", "a"))
        trial.ingest(said(f"b{number}", f"The {WORDS[number]} is there.", "b"))
        if number % 3 == 2:
            trial.tick(BEGIN)
    chunks = of_kind(trial, "summary")
    held = [link.target for chunk in chunks for link in chunk.links]
    assert [len(chunk.links) for chunk in chunks] == [4, 4, 2, 2]
    assert sorted(held) == sorted(f"{scope}{number}" for scope in "ab" for number in range(6))
    assert all(set(chunk.sources) == {link.target for link in chunk.links} for chunk in chunks)


def test_hcam_lets_a_model_word_the_summary_and_finds_it_by_its_members_words() -> None:
    trial = at_work("hcam", lambda _, __: "They talked about animals.")
    told_all(trial)
    (summary, *_) = of_kind(trial, "summary")
    assert summary.text == "They talked about animals."
    assert "s1-2" in ask_for(trial, "hive", k=3)


# -- hindsight


def test_hindsight_keeps_what_it_infers_apart_from_what_it_was_told() -> None:
    trial = at_work("hindsight")
    lines = ["Today I met Odette at work.", "I think Odette bakes bread.", "They say Odette moved here."]
    facts = [f"f{number}" for number in range(3)]
    for name, text in zip(facts, lines, strict=True):
        trial.ingest(said(name, text, actor="Leo"))
    assert of_kind(trial, "observation") == []
    trial.tick(BEGIN)
    (observation,) = of_kind(trial, "observation")
    assert observation.meta["proofs"] == len(lines)
    assert all(f"> {line}" in observation.text for line in lines)
    assert {link.target for link in observation.links if link.rel == "proof"} == set(facts)

    trial.ingest(said("f3", "Now Leo and Odette are friends.", actor="Leo"))
    trial.tick(BEGIN)
    (refined,) = of_kind(trial, "observation")
    assert (refined.id, refined.meta["proofs"]) == (observation.id, 4)
    assert [record(trial, name).text for name in facts] == lines
    assert all(record(trial, name).kind == "world" for name in facts)


def test_hindsight_tells_its_own_deeds_from_facts_about_the_world() -> None:
    trial = at_work("hindsight")
    data: dict[str, JSON] = {"task": "matmul", "technique": "tiling", "gain": 0.7}
    trial.ingest(Event("a1", "attempt", "tiled the loops of matmul", BEGIN, scope="matmul", data=data))
    trial.ingest(said("m1", "matmul wants its loops tiled"))
    assert [record(trial, name).kind for name in ("a1", "m1")] == ["experience", "world"]


@pytest.mark.parametrize(
    ("temporal", "timely", "answers"), [(0, 0, ["m3", "m3"]), (1, 0, ["m5", "m8"]), (0, 6, ["m5", "m8"])]
)
def test_hindsight_answers_for_the_time_that_a_question_names(
    temporal: float, timely: float, answers: list[str]
) -> None:
    trial = at_work("hindsight", temporal=temporal, timely=timely, recency=0.0)
    for month in (3, 5, 8):
        time = datetime(2023, month, 15, tzinfo=UTC).timestamp()
        trial.ingest(said(f"m{month}", "We went sailing on the lake.", time=time))
    assert [ask_for(trial, f"Where did we go in {name} 2023?")[0] for name in ("May", "August")] == answers


LINKED = "Every night Odette snores."


def test_hindsight_follows_an_entity_to_what_shares_no_word_with_the_question() -> None:
    places = {}
    for weight in (0, 6):
        trial = at_work("hindsight", graph=weight, dense=0.0, recency=0.0, alike=1.0)
        lines = [*(f"The {word} stood by the bakery." for word in WORDS), "The bakery belongs to Odette.", LINKED]
        for number, line in enumerate(lines):
            trial.ingest(said(f"f{number}", line, time=BEGIN + number * 200_000))
        shown = [record(trial, name).text for name in ask_for(trial, "Whose is the bakery?", k=20)]
        places[weight] = shown.index(LINKED)
    assert places[6] < 4
    assert places[0] > len(WORDS)


# -- task_memory


def grown_tasks(root_first: int = 0) -> Trial:
    trial = at_work("task_memory", root_first=root_first)
    data: dict[str, JSON] = {"task": "matmul", "domain": "kernels"}
    trial.ingest(Event("plan", "step", "plan the loops", BEGIN, data=data))
    trial.ingest(Event("tile", "step", "tile them by thirty-two", BEGIN + 1, parent="plan", data=data))
    other: dict[str, JSON] = {"task": "softmax", "domain": "kernels"}
    trial.ingest(Event("row", "step", "one row at a time", BEGIN + 2, data=other))
    return trial


def test_task_memory_returns_the_path_from_the_active_node_to_the_root() -> None:
    trial = grown_tasks()
    way = ask_for(trial, "thirty-two")
    texts = [record(trial, name).text.split(":")[0] for name in way]
    assert texts == ["tile them by thirty-two", "plan the loops", "task matmul", "domain kernels"]
    assert ask_for(grown_tasks(root_first=1), "thirty-two") == way[::-1]


def slots(trial: Trial) -> dict[str, JSON]:
    return {str(one.meta["slot"]): one.meta["value"] for one in of_kind(trial, "node") if "slot" in one.meta}


def slot(name: str, text: str, **data: JSON) -> Event:
    return Event(name, "step", text, BEGIN, scope="trip", data=data)


def test_task_memory_propagates_a_replaced_slot_and_rolls_it_back() -> None:
    trial = at_work("task_memory")
    trial.ingest(slot("1", "we go to Porto", slot="city", value="Porto"))
    trial.ingest(slot("2", "hotel near Porto station", slot="hotel", value="near Porto station", depends=["city"]))
    trial.ingest(slot("3", "taxi to near Porto station", slot="taxi", value="near Porto station", depends=["hotel"]))
    trial.ingest(slot("4", "Porto wine as a gift", slot="gift", value="Porto wine"))
    trial.ingest(slot("5", "no, we go to Genoa", slot="city", value="Genoa"))
    after = {"hotel": "near Genoa station", "taxi": "near Genoa station", "gift": "Porto wine"}
    assert slots(trial) == {"city": "Genoa", **after}
    (hotel,) = [one for one in of_kind(trial, "node") if one.meta.get("slot") == "hotel"]
    assert (hotel.text, hotel.sources) == ("hotel near Genoa station", ("2", "5"))
    trial.ingest(Event("6", "message", "Undo the city.", BEGIN, scope="trip"))
    assert slots(trial) == {
        "city": "Porto", "hotel": "near Porto station", "taxi": "near Porto station", "gift": "Porto wine",
    }  # fmt: skip
    assert "we go to Porto" in [one.text for one in of_kind(trial, "node")]


def test_task_memory_gives_what_the_path_depends_on() -> None:
    trial = at_work("task_memory")
    trial.ingest(slot("1", "the ferry sails on Friday", slot="day", value="Friday"))
    trial.ingest(slot("2", "pack the blue tent", slot="tent", value="blue", depends=["day"]))
    assert "the ferry sails on Friday" in [record(trial, name).text for name in ask_for(trial, "tent", k=3)]


# -- aeon


def test_aeon_follows_the_trace_to_what_came_next() -> None:
    found = {}
    for passed in (0.0, 1.0):
        trial = at_work("aeon", trace=passed)
        tell(trial, ["What is the wifi password?", "Marzipan.", "Thanks."], "s1")
        for word in WORDS:
            tell(trial, [f"Nobody knows the password of the {word}."], word)
        found[passed] = ask_for(trial, "wifi password", k=2)
    assert found[1.0] == ["s1-0", "s1-1"]
    assert "s1-1" not in found[0.0]


def test_aeon_finds_by_its_tree_and_in_what_is_not_in_it_yet() -> None:
    trial = at_work("aeon", words=0.0, trace=0.0, beam=2, leaf=8)
    lines = [f"{word} {place} {number}" for word in WORDS for place in WORDS for number in ("one", "two", "three")]
    names = tell(trial, lines)
    assert len(names) % 64 == 0
    new = tell(trial, ["a violin", "a harp"], "s2")
    for place in (0, 60, 191):
        assert ask_for(trial, lines[place], k=1) == [names[place]]
    assert ask_for(trial, "the harp", k=1) == [new[1]]


def leaves(page: Page) -> list[Page]:
    return [leaf for child in page.children for leaf in leaves(child)] or [page]


def test_aeons_tree_holds_every_row_in_one_leaf() -> None:
    matrix = np.random.default_rng(1).normal(size=(500, 16)).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True).astype(np.float32)
    found = leaves(grown(np.arange(500), matrix, 4, 20))
    assert sorted(int(row) for leaf in found for row in leaf.rows) == list(range(500))
    assert max(len(leaf.rows) for leaf in found) <= 20
    alike = grown(np.arange(100), np.full((100, 4), 0.5, dtype=np.float32), 4, 20)
    assert sorted(int(row) for leaf in leaves(alike) for row in leaf.rows) == list(range(100))


# -- memtool


def with_tools() -> Trial:
    trial = at_work("memtool")
    for name, text in {"ruler": "measures lengths", "scale": "weighs parcels", "clock": "tells the hour"}.items():
        trial.ingest(Event(name, "document", text, BEGIN, data={"tool": name}))
    return trial


def turn(trial: Trial, text: str, items: Sequence[str] = (), reward: float = 0.0) -> None:
    trial.feedback(Receipt(Query(text, BEGIN, stage="step"), tuple(items)), reward)


def test_memtool_drops_tools_that_were_not_used_and_keeps_those_that_were() -> None:
    trial = with_tools()
    turn(trial, "parcels", ["ruler", "scale", "clock"])
    assert set(ask_for(trial, "nothing of the kind", stage="step")) == {"ruler", "scale", "clock"}
    for _ in range(3):
        turn(trial, "parcels", ["scale"], 1.0)
        trial.ingest(Event(f"use{_}", "step", "looked at the time", BEGIN, data={"tool": "clock"}))
    assert set(ask_for(trial, "nothing of the kind", stage="step")) == {"scale", "clock"}
    assert ask_for(trial, "lengths", stage="qa") == ["ruler"]


def test_memtool_tops_the_context_up_by_search() -> None:
    trial = with_tools()
    turn(trial, "hour", ["clock"], 1.0)
    assert ask_for(trial, "parcels", stage="step") == ["clock", "scale"]
    assert ask_for(trial, "parcels", stage="step", k=1) == ["clock"]


def test_memtool_lets_a_model_drop_earlier_what_was_not_used() -> None:
    trial = Trial(built(seeds()["memtool"]), with_tools().bank, ask=lambda _, __: "0")
    turn(trial, "parcels", ["ruler", "scale"], 1.0)
    turn(trial, "parcels", ["scale"], 1.0)
    assert ask_for(trial, "nothing of the kind", stage="step") == ["scale"]


# -- hippomm


def test_hippomm_begins_a_segment_with_what_is_new_and_keeps_its_key_items() -> None:
    trial = at_work("hippomm", novel=0.2)
    bees = ["The bees swarm around the hive.", "The bees left the hive.", "The bees left the hive."]
    boats = ["Bruno paints boats red.", "Bruno paints boats blue."]
    first = tell(trial, [*bees, *boats])
    trial.tick(BEGIN, close=True)
    segments = of_kind(trial, "summary")
    assert [[link.target for link in one.links] for one in segments] == [first[:3], first[3:]]
    assert segments[0].text.splitlines() == bees[1::-1]


def test_hippomm_answers_from_a_summary_when_it_covers_the_question_and_from_details_otherwise() -> None:
    trial = at_work("hippomm", novel=0.0)
    tell(trial, ["Amara keeps bees.", "The hive stands by the mill.", "It is quiet there."])
    trial.tick(BEGIN, close=True)
    (summary,) = of_kind(trial, "summary")
    assert ask_for(trial, "Amara bees hive mill")[0] == summary.id
    detailed = ask_for(trial, "Does the hive of Amara need honey and smoke?")
    assert summary.id not in detailed
    assert set(detailed) == {"s1-0", "s1-1", "s1-2"}


# -- slot_ledger


@pytest.mark.parametrize(
    "later",
    [
        "Rosa's locker is 77 now.",
        "77 is Rosa's locker from today.",
        "The locker of Rosa is now 77.",
        "We changed Rosa's locker from 12 to 77.",
        "Rosa has a new locker: 77.",
        "Rosa switched to 77 as her locker.",
        "Good news for Rosa: her locker is 77.",
        "Rosa's locker has been moved to 77.",
    ],
)
def test_slot_ledger_answers_with_the_newest_value(later: str) -> None:
    trial = at_work("slot_ledger")
    old, other, new = tell(trial, ["Rosa's locker is 12.", "Hiro's locker is 30.", later])
    assert ask_for(trial, "What is Rosa's locker?")[0] == new
    assert old not in ask_for(trial, "What is Rosa's locker?")
    assert record(trial, old).status == SUPERSEDED
    assert record(trial, old).text == "Rosa's locker is 12."
    assert (old, "supersedes") in [(link.target, link.rel) for link in record(trial, new).links]
    assert record(trial, other).status == "active"


@pytest.mark.parametrize(
    "mention", ["Somebody asked for Rosa's locker again.", "Rosa's locker is 77?", "Hiro wants a locker like Rosa's."]
)
def test_slot_ledger_takes_a_mention_for_no_statement(mention: str) -> None:
    trial = at_work("slot_ledger")
    old, talk = tell(trial, ["Rosa's locker is 12.", mention])
    assert ask_for(trial, "What is Rosa's locker?") == [old, talk]


def test_slot_ledger_hides_only_the_statement_that_was_replaced() -> None:
    trial = at_work("slot_ledger")
    trial.ingest(said("a", "Ann: My favourite tea is oolong. The dog ate my hat!", actor="Ann"))
    trial.ingest(said("b", "Ann: My favourite tea is sencha.", actor="Ann", time=BEGIN + 1))
    trial.ingest(said("c", "Bob: My favourite tea is rooibos.", actor="Bob", time=BEGIN + 2))
    shown = [record(trial, name).text for name in ask_for(trial, "What is Ann's favourite tea?")]
    assert shown[0] == "Ann: My favourite tea is sencha."
    assert not any("oolong" in text for text in shown)
    assert record(trial, ask_for(trial, "Who ate the hat?")[0]).text == "Ann: The dog ate my hat!"


def test_slot_ledger_goes_by_when_things_happened_and_by_what_events_say_themselves() -> None:
    trial = at_work("slot_ledger")
    for name, value, time in (("late", "8", 20.0), ("early", "4", 10.0)):
        trial.ingest(Event(name, "step", f"threads {value}", time, scope="t", data={"slot": "threads", "value": value}))
    assert ask_for(trial, "threads") == ["late"]


def test_slot_ledger_lets_a_model_find_statements_in_other_words() -> None:
    def model(prompt: str, _: int) -> str:
        return "Rosa | locker | 12" if "12" in prompt else "Rosa | locker | 77"

    trial = at_work("slot_ledger", model)
    _, new = tell(trial, ["They gave Rosa number 12 in the locker room.", "Rosa keeps her things in 77 these days."])
    assert ask_for(trial, "What is Rosa's locker?") == [new]


def test_slot_ledger_looks_at_one_statement_of_a_slot_however_often_it_was_told() -> None:
    trial = at_work("slot_ledger")
    names = tell(trial, [f"The deputy of the depot is Ana{number}." for number in range(20)])
    slot = str(record(trial, names[-1]).meta["slot"])
    assert [name for name, _, _ in trial.bank.near(slot, "slot")] == names[-1:]
    linked = [name for name in names if any(link.rel == "slot" for link in record(trial, name).links)]
    assert linked == names[-1:]


def test_slot_ledger_keeps_the_newest_value_where_an_old_one_is_told_late() -> None:
    trial = at_work("slot_ledger")
    for name, value, time in (("a", "Ana", 1.0), ("b", "Bo", 3.0), ("c", "Chi", 2.0), ("d", "Di", 4.0)):
        trial.ingest(said(name, f"The deputy of the depot is {value}.", time=BEGIN + time))
    assert [record(trial, name).status for name in "abcd"] == [SUPERSEDED] * 3 + ["active"]
    assert ask_for(trial, "Who is the deputy of the depot?")[0] == "d"


def test_task_memory_keeps_what_depends_on_a_slot_small_however_often_it_changes() -> None:
    trial = at_work("task_memory")
    trial.ingest(said("a", "a", data={"slot": "a", "value": "v0"}))
    trial.ingest(said("b", "b takes v0", data={"slot": "b", "value": "v0 and more", "depends": ["a"]}))
    for number in range(1, 60):
        trial.ingest(said(f"c{number}", "changed", data={"slot": "a", "value": f"v{number}"}))
    dependent = next(node for node in of_kind(trial, "node") if node.meta.get("slot") == "b")
    assert (dependent.text, dependent.meta["value"]) == ("b takes v59", "v59 and more")
    assert dependent.sources == ("b", *(f"c{number}" for number in range(53, 60)))
    trial.ingest(said("long", "b takes " + "v59 " * 900, data={"slot": "b", "value": "v59 " * 900, "depends": ["a"]}))
    trial.ingest(said("last", "changed", data={"slot": "a", "value": "w" * 50_000}))
    assert max(len(node.text) for node in of_kind(trial, "node")) <= 4000
