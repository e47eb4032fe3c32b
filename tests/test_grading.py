"""What a memory gets for what it finds: nothing for names, its share for everything, all for what can be read."""

from collections.abc import Iterable, Sequence
from random import Random

import pytest

from evolve.domains.memory.exam import Exam, Question, Reply, Sitting
from evolve.domains.memory.generated import conversations
from evolve.domains.memory.grading import Grades, grade, scores, text_of, visible
from evolve.domains.memory.making import question
from evolve.domains.memory.sitting import sit
from knowledge.architecture import (
    Add,
    BankView,
    Ctx,
    DesignError,
    Event,
    Hit,
    Op,
    Query,
    Record,
    Retrieval,
    Trigger,
    Verbatim,
    verbatim,
)
from knowledge.design import built, seeds
from knowledge.replica import Replica
from knowledge.stems import stems
from knowledge.trial import shown

WORDS = "amber basalt cedar dune ember fjord garnet harbour iris juniper kelp lantern maple nettle onyx prairie".split()  # noqa: SIM905
PHRASES = [" ".join(Random(number).sample(WORDS, 4)) + f" tale{number}" for number in range(40)]


def exam(texts: Sequence[str], gold: Iterable[int], stale: Iterable[int] = ()) -> Exam:
    events = tuple(Event(f"e{number}", "message", text, float(number), scope="s") for number, text in enumerate(texts))
    asked = question(
        "Which tale?", frozenset(f"e{number}" for number in gold), 99.0, category="4",
        stale=frozenset(f"e{number}" for number in stale),
    )  # fmt: skip
    return Exam("small", events, (asked,))


def graded(of: Exam, records: Sequence[Record], text: str | None = None) -> Grades:
    """Of a memory that holds these records and answers with all of them, in this order."""
    bank = Replica()
    for event in of.events:
        bank.tell(event)
    bank.apply([Add(record) for record in records], method="store", now=0.0)
    reply = Reply(Retrieval([Hit(record.id, 1.0) for record in records], text), 0.002)
    return grade(of, Sitting(bank, (reply,) * len(of.questions), (0.001,) * len(of.events)))


def recalls(grades: Grades) -> tuple[float, ...]:
    """Of the only question."""
    every = (grades.recall5, grades.recall10, grades.grounded512, grades.grounded1024, grades.grounded2048)
    return tuple(values[0] for values in every)


def test_verbatim_turns_score_as_the_official_evidence_recall() -> None:
    of = conversations(3, 1)[0]
    sitting = sit(built(seeds()["bm25"]), of)
    grades = grade(of, sitting)
    for k, scored in ((5, grades.recall5), (10, grades.recall10)):
        official = [
            len(asked.gold & {hit.id for hit in reply.found.hits[:k]}) / len(asked.gold)
            for asked, reply in zip(of.questions, sitting.replies, strict=True)
        ]
        assert list(scored) == pytest.approx(official)
    assert 0.3 < scores([grades])["recall@10"] < 0.9


def test_naming_every_event_finds_none() -> None:
    of = exam(PHRASES, gold=[3])
    everything = Record("all", "everything that was ever said", tuple(event.id for event in of.events))
    assert recalls(graded(of, [everything])) == (0, 0, 0, 0, 0)
    assert recalls(graded(of, [everything], text="I remember all of it")) == (0, 0, 0, 0, 0)


def test_a_record_that_holds_everything_finds_no_more_than_its_first_events() -> None:
    whole = "\n".join(PHRASES)
    found = []
    for gold in range(len(PHRASES)):
        of = exam(PHRASES, gold=[gold])
        found.append(graded(of, [Record("all", whole, tuple(event.id for event in of.events))]).recall10[0])
    assert sum(found) == 10


def test_a_list_of_all_words_speaks_for_few_events() -> None:
    of = exam(PHRASES[:30], gold=range(30))
    words = " ".join({word: None for event in of.events for word in stems(event.text)})
    records = [verbatim(event) for event in of.events]
    assert recalls(graded(of, records))[-1] == 1
    assert recalls(graded(of, records, text=words))[-1] < 0.4


def test_one_text_under_many_names_speaks_for_no_more_events_than_one_record_would() -> None:
    of = exam(PHRASES[:30], gold=range(30))
    soup = " ".join({word: None for event in of.events for word in stems(event.text)})
    each = [Record(event.id, soup, (event.id,)) for event in of.events]
    one = Record("all", soup, tuple(event.id for event in of.events))
    assert recalls(graded(of, each))[2:] == recalls(graded(of, [one]))[2:]
    assert recalls(graded(of, each))[-1] < 0.4


def test_two_events_that_said_the_same_are_both_found_by_the_one_text_that_is_shown() -> None:
    of = exam(["The tart burnt on Sunday", "The tart burnt on Sunday", *PHRASES], gold=[0, 1])
    assert graded(of, [verbatim(event) for event in of.events[:2]]).recall5 == (1,)


def test_a_synthesis_counts_by_its_text_and_not_by_its_records() -> None:
    of = exam(PHRASES, gold=[0, 1])
    records = [verbatim(event) for event in of.events[:2]]
    assert graded(of, records).grounded512 == (1,)
    assert graded(of, records, text=PHRASES[1]).grounded512 == (0.5,)
    assert graded(of, records, text=PHRASES[1]).recall5 == (0.5,)
    assert graded(of, records, text="dune " * 600 + PHRASES[1]).grounded512 == (0,)
    assert graded(of, records, text="dune " * 600 + PHRASES[1]).grounded1024 == (0.5,)


def test_a_text_must_say_most_of_what_an_event_says() -> None:
    of = exam(["The walnut tart burnt on Sunday evening", *PHRASES], gold=[0])
    said = {text: graded(of, [Record("r", text, ("e0",))]).recall5[0] for text in (
        "The tart with walnuts burnt on Sunday", "There was a tart on Sunday", "Sunday evening",
    )}  # fmt: skip
    assert list(said.values()) == [1, 0, 0]


def test_an_event_is_not_found_through_a_record_that_does_not_name_it() -> None:
    of = exam(PHRASES, gold=[0])
    assert recalls(graded(of, [Record("r", PHRASES[0], ("e1",))])) == (0, 0, 0, 0, 0)


def test_an_event_without_a_telling_word_is_found_by_what_it_says() -> None:
    of = exam(["How are you?", *PHRASES], gold=[0])
    assert not stems("How are you?")
    assert graded(of, [Record("r", "B: How are you? Fine.", ("e0",))]).recall5 == (1,)
    assert graded(of, [Record("r", "a greeting", ("e0",))]).recall5 == (0,)


def test_a_record_takes_a_place_for_each_event_that_can_be_read_from_it() -> None:
    of = exam(PHRASES, gold=[4])
    three = Record("w", "\n".join(PHRASES[:3]), ("e0", "e1", "e2"))
    empty = Record("x", "nothing of that", ("e7", "e8", "e9"))
    for before, expected in (([three], 1), ([three, empty], 1), ([three, empty, verbatim(of.events[5])], 0)):
        assert graded(of, [*before, verbatim(of.events[4])]).recall5 == (expected,)


def test_an_event_that_was_found_before_counts_once() -> None:
    of = exam(PHRASES, gold=[0, 1])
    again = [Record(f"r{number}", PHRASES[0] + " " * number, ("e0",)) for number in range(5)]
    assert graded(of, [*again, verbatim(of.events[1])]).recall5 == (0.5,)
    assert graded(of, [*again, verbatim(of.events[1])]).recall10 == (1,)


def test_what_is_beyond_the_budget_is_not_read() -> None:
    of = exam([f"{phrase} {'and so on, ' * 100}" for phrase in PHRASES], gold=[3])
    grades = graded(of, [verbatim(event) for event in of.events])
    assert (grades.grounded512, grades.grounded1024) == ((0,), (1,))
    assert grades.tokens == (1024,)


def test_what_is_shown_is_what_a_reader_of_the_memory_is_shown() -> None:
    of = exam(["twice the same", "twice the same", *(phrase * 20 for phrase in PHRASES)], gold=[0])
    bank = Replica()
    for event in of.events:
        bank.tell(event)
    bank.apply([Add(verbatim(event)) for event in of.events], method="store", now=0.0)
    found = Retrieval([Hit(event.id, 1.0) for event in of.events])
    for budget in (3, 100, 512, 2048):
        query = Query("tale", 0.0, budget_tokens=budget)
        assert text_of(found, bank, budget) == shown(query, found, bank).text
    assert [record.id for record, _ in visible(found, bank, 100)][:3] == ["e0", "e1", "e2"]


@pytest.mark.parametrize(
    ("order", "expected"), [((0, 1), 1.0), ((1, 0), 0.0), ((5, 0, 1), 1.0), ((5, 6), 0.0), ((), 0.0)]
)
def test_stale_is_what_is_no_longer_true_before_what_is(order: Sequence[int], expected: float) -> None:
    of = exam(PHRASES, gold=[1], stale=[0])
    assert graded(of, [verbatim(of.events[number]) for number in order]).stale == (expected,)


def test_a_record_with_old_and_present_values_is_as_stale_as_a_reader_who_takes_any_of_them() -> None:
    of = exam(PHRASES, gold=[2], stale=[0, 1])
    for count, share in ((1, 0.0), (2, 0.5), (3, 2 / 3)):
        numbers = [2, 1, 0][:count]
        pile = Record("r", "\n".join(PHRASES[n] for n in numbers), tuple(f"e{n}" for n in numbers))
        assert graded(of, [pile, verbatim(of.events[0])]).stale == (share,)


def test_scores_are_means_over_the_questions_of_all_exams() -> None:
    hit, miss = exam(PHRASES, gold=[0]), exam(PHRASES, gold=[1], stale=[0])
    missing = Exam("second", miss.events, (*miss.questions, miss.questions[0]._replace(category="2")))
    found = scores([graded(one, [verbatim(one.events[0])]) for one in (hit, missing)])
    assert found["questions"] == 3
    assert found["recall@10"] == found["recall@5"] == found["grounded@512"] == pytest.approx(1 / 3)
    assert found["by_category"] == {"2": 0, "4": 0.5}
    assert found["se"] == pytest.approx(1 / 3)
    assert (found["p50_ms"], found["write_ms"]) == (pytest.approx(2), pytest.approx(1))
    assert (found["stale_rate"], found["records"]) == (1, 1)
    assert scores([graded(hit, [])])["stale_rate"] is None


class Watched(Verbatim):
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        self.asked.append(new[0].id)
        return super().store(new, bank, ctx)

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del bank
        self.asked.append(f"{trigger.kind} {ctx.now:g}")
        return ()

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del bank, ctx
        self.asked.append(query.text)
        return Retrieval(())


def test_manage_runs_after_each_scope_and_at_the_end() -> None:
    scopes = "aabccc"
    events = tuple(Event(f"e{n}", "message", "x", float(n), scope=scope) for n, scope in enumerate(scopes))
    watched = Watched()
    sitting = sit(watched, Exam("x", events, (Question(Query("q", 9.0), frozenset({"e0"})),)))
    assert watched.asked == ["e0", "e1", "tick 1", "e2", "tick 2", "e3", "e4", "e5", "close 5", "q"]
    assert len(sitting.write_seconds) == len(events)
    assert len(sitting.replies) == 1


class Broken(Watched):
    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del bank, ctx
        raise KeyError(query.text)


def test_an_architecture_that_raises_has_failed_by_name_of_the_method() -> None:
    with pytest.raises(DesignError, match="retrieve: KeyError"):
        sit(Broken(), exam(PHRASES, gold=[0]))
