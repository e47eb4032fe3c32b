"""An architecture at work: what it is given, what it may answer, and whose fault it is when it goes wrong."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest

from knowledge.architecture import (
    Add,
    BankView,
    Ctx,
    DesignError,
    Event,
    Hit,
    Note,
    Op,
    Query,
    Record,
    Retrieval,
    SetState,
    Trigger,
    Verbatim,
    verbatim,
)
from knowledge.design import Design, built, declared, seeds
from knowledge.replica import Replica
from knowledge.trial import MOST_CHARACTERS, MOST_HITS, MOST_RECORDS, Trial, shown

QUERY = Query("event", 1e6)
T = TypeVar("T")


def event(name: str = "e", text: str = "an event") -> Event:
    return Event(name, "message", text, 10.0)


class Given(Verbatim):
    """Answers what it is told to."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        return self._answer("encode", super().encode(event, ctx), event, ctx)

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        return self._answer("store", super().store(new, bank, ctx), new, bank, ctx)

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        return self._answer("retrieve", Retrieval(bank.lexical(query.text)), query, bank, ctx)

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        return self._answer("manage", super().manage(trigger, bank, ctx), trigger, bank, ctx)

    def _answer(self, method: str, usual: T, *given: object) -> T:
        answer: Any = self._answers.get(method, usual)
        answered: T = answer(*given) if callable(answer) else answer
        return answered


def failing(*_: object) -> None:
    raise KeyError("lost")


def half(*_: object) -> Iterable[Op]:
    yield Note("so far")
    raise KeyError("lost")


def endless(*_: object) -> Iterable[Any]:
    while True:
        yield Note("on")


def used(trial: Trial) -> None:
    trial.ingest(event())
    trial.tick(20.0)
    trial.retrieve(QUERY)


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("encode", failing), ("encode", None), ("encode", 5), ("encode", ["text"]), ("encode", endless),
        ("encode", [Record("r", "t", ("e",))] * (MOST_RECORDS + 1)), ("store", failing), ("store", half),
        ("store", None), ("store", ["text"]), ("store", endless), ("store", [Add(Record("r", "t", ("nowhere",)))]),
        ("manage", failing), ("manage", half), ("manage", None), ("manage", [None]), ("manage", endless),
        ("retrieve", failing), ("retrieve", None), ("retrieve", [Hit("e", 1.0)]), ("retrieve", Retrieval(None)),  # type: ignore[arg-type]
        ("retrieve", Retrieval([("e", 1.0, "")])), ("retrieve", Retrieval([Hit("nowhere", 1.0)])),  # type: ignore[list-item]
        ("retrieve", Retrieval([Hit("e", 1.0), Hit("e", 0.5)])), ("retrieve", Retrieval([Hit("e", math.nan)])),
        ("retrieve", Retrieval([Hit("e", math.inf)])), ("retrieve", Retrieval([Hit("e", "high")])),  # type: ignore[arg-type]
        ("retrieve", Retrieval([Hit(["e"], 1.0)])), ("retrieve", Retrieval([Hit("e", 1.0, 5)])),  # type: ignore[arg-type]
        ("retrieve", Retrieval([Hit("e", 10**400)])), ("retrieve", Retrieval([], 5)),  # type: ignore[arg-type]
        ("retrieve", Retrieval([], "\ud800")), ("retrieve", Retrieval([], "x" * (MOST_CHARACTERS + 1))),
        ("retrieve", Retrieval(half())),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_whatever_an_architecture_does_wrong_is_named_with_the_method(method: str, answer: Any) -> None:
    trial = Trial(Given(**{method: answer}))
    with pytest.raises(DesignError) as fault:
        used(trial)
    assert fault.value.method == method
    assert fault.value.reason


def test_more_hits_than_anyone_reads_are_refused() -> None:
    trial = Trial(Given(retrieve=lambda *_: Retrieval([Hit("e", 1.0)] * (MOST_HITS + 1))))
    with pytest.raises(DesignError, match="more than"):
        trial.retrieve(QUERY)


def test_a_store_that_yields_sees_what_its_earlier_operations_did() -> None:
    def store(new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del ctx
        yield Add(new[0])
        yield SetState("there", len(list(bank.iter())))

    trial = Trial(Given(store=store))
    trial.ingest(event())
    assert trial.bank.state("there") == 1


def test_an_architecture_is_given_nothing_by_which_it_could_change_the_bank() -> None:
    seen: list[Any] = []

    def retrieve(*given: Any) -> Retrieval:
        seen.extend(given)
        return Retrieval(())

    Trial(Given(retrieve=retrieve)).retrieve(QUERY)
    assert {name for name in vars(seen[1]) if not name.startswith("_")} == {
        name for name in vars(BankView) if not name.startswith("_")
    }


def test_numbers_of_numpy_become_plain_scores() -> None:
    trial = Trial(Given(retrieve=Retrieval([Hit("e", np.float32(0.5))])))  # type: ignore[arg-type]
    trial.ingest(event())
    (hit,) = trial.retrieve(QUERY).hits
    assert type(hit.score) is float


def test_chance_is_the_same_in_a_replay_and_another_for_each_call() -> None:
    def drawn(seed: int) -> list[Any]:
        found: list[Any] = []

        def draw(*given: Any) -> Any:
            found.append(given[-1].rng.random())
            return [] if not isinstance(given[0], Query) else Retrieval(())

        trial = Trial(Given(store=draw, manage=draw, retrieve=draw), seed=seed)
        trial.ingest(event("e"))
        trial.ingest(event("f"))
        for query in (QUERY, QUERY._replace(now=2e6), QUERY._replace(stage="draft"), QUERY._replace(text="\ud800")):
            trial.feedback(trial.recall(query).receipt, 1.0)
        trial.tick(10.0)
        trial.tick(10.0, close=True)
        return found

    first = drawn(1)
    assert first == drawn(1)
    assert len(set(first)) == len(first)
    assert not set(first) & set(drawn(2))


def test_feedback_brings_the_receipt_and_the_reward() -> None:
    seen: list[Trigger] = []

    def manage(*given: Any) -> Iterable[Op]:
        seen.append(given[0])
        return []

    trial = Trial(Given(manage=manage))
    trial.ingest(event())
    receipt = trial.recall(QUERY).receipt
    trial.feedback(receipt, -0.5)
    trial.tick(1.0)
    trial.tick(2.0, close=True)
    assert seen == [Trigger("feedback", receipt, -0.5), Trigger("tick"), Trigger("close")]
    assert receipt.items == ("e",)


def test_a_bank_that_is_there_goes_on() -> None:
    trial = Trial(Given())
    trial.ingest(event())
    again = Trial(Given(), trial.bank)
    assert [hit.id for hit in again.recall(QUERY).hits] == ["e"]


class TestShown:
    def bank(self, *texts: str) -> Replica:
        trial = Trial(Given())
        for number, text in enumerate(texts):
            trial.ingest(event(f"e{number}", text))
        return trial.bank

    def shown(self, *texts: str, budget: int = 100, text: str | None = None) -> tuple[str, list[str]]:
        hits = [Hit(f"e{number}", 1.0) for number in range(len(texts))]
        found = shown(QUERY._replace(budget_tokens=budget), Retrieval(hits, text), self.bank(*texts))
        assert found.receipt.items == tuple(hit.id for hit in found.hits)
        assert len(found.text) <= max(0, budget) * 4
        return found.text, [hit.id for hit in found.hits]

    def test_texts_come_in_the_order_of_the_hits_none_twice_and_no_blank_one(self) -> None:
        assert self.shown("b", "a", " \n", "b", "", "c") == ("b\na\nc", ["e0", "e1", "e5"])

    def test_the_last_text_is_cut_off_at_the_budget_and_what_follows_is_not_shown(self) -> None:
        assert self.shown("12345", "123456", "7", budget=2) == ("12345\n12", ["e0", "e1"])
        assert self.shown("1234567", "8", budget=2) == ("1234567", ["e0"])
        assert self.shown("12345678", "9", budget=2) == ("12345678", ["e0"])

    def test_without_a_budget_nothing_is_shown(self) -> None:
        assert self.shown("a", budget=0) == self.shown("a", budget=-5) == ("", [])
        assert self.shown("a", budget=-5, text="synthesis")[0] == ""

    def test_a_synthesis_stands_for_all_hits(self) -> None:
        assert self.shown("a", "b", budget=2, text="a synthesis") == ("a synthe", ["e0", "e1"])


SOURCE = seeds()["bm25"].source


@pytest.mark.parametrize(
    ("source", "params", "method"),
    [
        ("def", {}, "import"), ("\x00", {}, "import"), ("1/0", {}, "import"), ("PARAMS = {}", {}, "import"),
        ("def build(params): ...", {}, "import"), ("PARAMS = {'a': 1}\ndef build(params): ...", {}, "import"),
        ("PARAMS = {}\ndef build(params): ...", {}, "build"), ("PARAMS = {}\ndef build(params): 1/0", {}, "build"),
        (SOURCE, {"k1": 99.0}, "build"), (SOURCE, {"k2": 1.0}, "build"),
        (SOURCE.replace("Param(1.2, 0.2, 3.0)", "Param(1.2, 2.0, 3.0)"), {}, "import"),
        (SOURCE.replace("Param(1.2, 0.2, 3.0)", "Param(1.2, 0.2, float('inf'))"), {}, "import"),
        (SOURCE.replace("Param(1.2, 0.2, 3.0)", "Param('1', 0.2, 3.0)"), {}, "import"),
    ],
)  # fmt: skip
def test_a_module_that_is_no_architecture_is_refused_with_the_reason(
    source: str, params: dict[str, float], method: str
) -> None:
    with pytest.raises(DesignError) as fault:
        built(Design("broken", source, params))
    assert fault.value.method == method


def test_a_design_says_what_may_be_tuned_and_how_long_it_is() -> None:
    design = seeds()["bm25"]
    assert set(declared(design)) == {"k1", "b"}
    longer = design.source.replace("        del ctx\n", "        # why\n\n        del ctx\n        'Says something.'\n")
    assert longer != design.source
    assert design._replace(source=longer).lines == design.lines
    assert design._replace(source=f"{design.source}x = 1\n").lines == design.lines + 1
    with pytest.raises(DesignError, match="SyntaxError"):
        _ = Design("broken", "def").lines


def test_a_verbatim_record_keeps_the_code_apart_from_the_text() -> None:
    told = Event("e", "attempt", "it worked", 1.0, data={"code": "int x;", "technique": "tile"})
    record = verbatim(told, more=1)
    assert (record.text, record.payload, record.meta["technique"], record.meta["more"]) == (
        "it worked",
        "int x;",
        "tile",
        1,
    )
