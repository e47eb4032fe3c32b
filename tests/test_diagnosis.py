"""Which program lost what: a diagnosis names the one at fault."""

from collections.abc import Iterable, Sequence
from random import Random

from evolve.domains.memory.diagnosis import ENCODE, MANAGE, RETRIEVE, Diagnosis, diagnose
from evolve.domains.memory.exam import Exam, Question
from evolve.domains.memory.sitting import sit
from knowledge.architecture import (
    Add,
    BankView,
    Ctx,
    Event,
    Expire,
    MemoryArchitecture,
    Op,
    Query,
    Record,
    Retrieval,
    Trigger,
    Verbatim,
    verbatim,
)

LINES = [
    "Anna: What did you buy for the trip to the lake?",
    "Ben: A red tent and two lamps.",
    *(f"Anna: Something else entirely, about trip number {number} to the lake." for number in range(20)),
]
EVENTS = tuple(Event(f"e{number}", "message", text, float(number), scope="s") for number, text in enumerate(LINES))
EXAM = Exam(
    "one",
    EVENTS,
    (Question(Query("What did they buy for the trip to the lake?", 99.0, "qa"), frozenset({"e1"}), category="4"),),
)


class Words(Verbatim):
    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        return Retrieval(bank.lexical(query.text, query.k))


class Deaf(Words):
    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        return [] if event.id == "e1" else super().encode(event, ctx)


class Vague(Words):
    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        del ctx
        return [verbatim(event)._replace(text="Somebody said something.")]


class Forgetful(Words):
    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del trigger, bank, ctx
        return [Expire("e1", "old")]


class Good(Words):
    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del bank, ctx
        return [Add(record._replace(keys=(record.text, "buy trip lake Ben"))) for record in new if record.id == "e1"]


def diagnosed(architecture: MemoryArchitecture) -> Diagnosis:
    return diagnose([EXAM], [sit(architecture, EXAM)], Random(1))


def test_what_is_kept_and_not_found_is_the_fault_of_retrieve() -> None:
    found = diagnosed(Words())
    assert (found.worst, found.failed, found.questions) == (RETRIEVE, 1, 1)
    [miss] = found.misses
    assert "by words" in miss.why
    assert miss.before == LINES[0]
    assert len(miss.instead) == 3


def test_what_no_record_holds_is_the_fault_of_encode() -> None:
    assert diagnosed(Deaf()).faults == {ENCODE: 1}
    assert "no record was made" in diagnosed(Deaf()).text
    assert diagnosed(Vague()).faults == {ENCODE: 1}
    assert "has its words" in diagnosed(Vague()).text


def test_what_was_put_away_is_the_fault_of_manage() -> None:
    found = diagnosed(Forgetful())
    assert found.worst == MANAGE
    assert "expired" in found.text


def test_nothing_is_told_where_nothing_failed() -> None:
    found = diagnosed(Good())
    assert (found.failed, found.misses, dict(found.faults)) == (0, (), {})
    assert "nothing was lost" in found.text


def test_what_is_told_is_drawn_from_all_categories() -> None:
    asked = [Question(Query(f"lake {n}", 99.0), frozenset({"e1"}), category="9" if n == 7 else "4") for n in range(12)]
    exam = EXAM._replace(questions=tuple(asked))
    found = diagnose([exam], [sit(Words(), exam)], Random(3), shown=2)
    assert {miss.category for miss in found.misses} == {"4", "9"}
