"""A base's history under another architecture: what its answers would have been worth."""

from collections.abc import Mapping, Sequence

import pytest

from evolve.meta.replay import Past, Scorer, as_it_was, past, replayed
from knowledge.architecture import BankView, Ctx, Event, Hit, Op, Query, Receipt, Retrieval, Trigger, Verbatim
from knowledge.embed import HashEmbedding
from knowledge.history import Outcome

EMBED = HashEmbedding().embed


def event(name: str, time: float, *, domain: str = "d", task: str = "t") -> Event:
    return Event(name, "attempt", f"attempt {name}", time, scope=task, data={"domain": domain, "task": task})


def outcome(name: str, asked: float, items: Sequence[str], reward: float, *, task: str = "t", k: int = 2) -> Outcome:
    query = Query("help", asked, stage="refine", scope=task, k=k, where={"domain": "d", "state": "", "task": task})
    return Outcome(name, asked + 0.5, query, tuple(items), reward)


def history(events: Sequence[Event], outcomes: Sequence[Outcome], rests: Mapping[str, tuple[str, ...]] = {}) -> Past:
    return past([*events, *outcomes], lambda item: rests.get(item, (item,)))


def helpful() -> Past:
    """`good` was shown when it went well, `bad` when it did not, by turns."""
    told = [event("good", 0.0), event("bad", 1.0)]
    asked = [outcome(f"a{n}", 10.0 + n, ["good" if n % 2 else "bad"], 1.0 if n % 2 else -1.0, k=1) for n in range(20)]
    return history(told, asked)


class Fixed(Verbatim):
    """Answers with these."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del query, ctx
        return Retrieval([Hit(name, 1.0) for name in self._names if bank.get(name)])


def test_what_helped_is_worth_all_and_what_did_not_is_worth_nothing() -> None:
    assert set(replayed(helpful(), Fixed("good"), EMBED).marks) == {1.0}
    assert set(replayed(helpful(), Fixed("bad"), EMBED).marks) == {0.0}
    assert set(replayed(helpful(), Fixed(), EMBED).marks) == {0.0}


def test_what_was_recalled_in_fact_is_scored_the_same_way() -> None:
    found = as_it_was(helpful())
    assert found.marks == tuple(float(n % 2) for n in (*range(11), *range(12, 19)))  # nothing comes after 11 and 19
    assert found.earlier == 11


def test_the_order_counts_and_only_the_first_k_do() -> None:
    told = [event("good", 0.0), event("fair", 0.5), event("bad", 1.0)]
    rewards = {"good": 1.0, "fair": 0.6, "bad": -1.0}
    asked = [outcome(f"a{n}", 10.0 + n, [list(rewards)[n % 3]], list(rewards.values())[n % 3]) for n in range(30)]
    known = history(told, asked)

    def mark(*names: str) -> float:
        return sum(replayed(known, Fixed(*names), EMBED).marks)

    assert mark("good", "fair") > mark("fair", "good") > mark("bad", "good") > mark("bad", "fair", "good")


def test_an_attempt_is_no_evidence_for_its_own_recall() -> None:
    told = [event("once", 0.0), event("other", 0.0)]
    asked = [*(outcome(f"a{n}", 10.0 + n, ["other"], -1.0) for n in range(4)), outcome("a4", 14.0, ["once"], 1.0)]
    scorer = Scorer(history(told, asked))
    assert scorer.worth(["once"], asked[4]) == 0
    assert scorer.worth(["once"], asked[3]) > 0


def test_only_what_happened_later_in_the_same_part_says_what_an_answer_was_worth() -> None:
    told = [event("good", 0.0), event("bad", 0.0)]
    asked = [
        outcome(f"a{n}", 10.0 + n, ["good" if n in {0, 9} else "bad"], 1.0 if n in {0, 9} else -1.0) for n in range(10)
    ]
    scorer = Scorer(history(told, asked))
    assert scorer.worth(["good"], asked[1]) == 0  # known when it was asked; and that of 9 is for the later part to tell
    assert scorer.worth(["good"], asked[6]) > 0


def test_an_easy_task_says_nothing_about_what_was_recalled_for_it() -> None:
    told = [event("of-easy", 0.0), event("of-hard", 0.0)]
    easy = [outcome(f"e{n}", 10.0 + n, ["of-easy"], 1.0, task="easy") for n in range(6)]
    hard = [outcome(f"h{n}", 10.0 + n, ["of-hard"], -1.0, task="hard") for n in range(6)]
    known = history(told, [*easy, *hard])
    assert replayed(known, Fixed("of-easy"), EMBED).marks == ()


def test_an_item_that_rests_on_many_attempts_shares_what_it_earned() -> None:
    told = [event(f"s{n}", 0.0) for n in range(4)] + [event("bad", 0.0)]
    rests = {"insight": ("s0", "s1", "s2", "s3")}
    asked = [outcome(f"a{n}", 10.0 + n, ["insight" if n % 2 else "bad"], 1.0 if n % 2 else -1.0) for n in range(20)]
    scorer = Scorer(history(told, asked, rests))
    whole, part = scorer.worth(rests["insight"], asked[0]), scorer.worth(["s0"], asked[0])
    assert whole > part > 0


class Watching(Verbatim):
    """Writes down what it knows when it is asked, and what it is told of outcomes."""

    def __init__(self) -> None:
        self.known: list[list[str]] = []
        self.told: list[tuple[tuple[str, ...], float | None]] = []
        self.worth: list[int] = []

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        self.known.append([record.id for record in bank.iter()])
        self.worth.append(bank.value("good", query.stage).n)
        return Retrieval([])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Sequence[Op]:
        del bank, ctx
        if isinstance(trigger.receipt, Receipt):
            self.told.append((trigger.receipt.items, trigger.reward))
        return []


def test_nothing_of_the_future_is_known() -> None:
    watching = Watching()
    told = [event("good", 0.0), event("late", 11.5)]
    asked = [outcome(f"a{n}", 10.0 + n, ["good"], 1.0 - n) for n in range(3)]
    replayed(history(told, asked), watching, EMBED)
    assert watching.known == [["good"], ["good"], ["good", "late"]]
    assert watching.worth == [0, 1, 2]
    assert watching.told == [(("good",), 1.0), (("good",), 0.0), (("good",), -1.0)]


def test_what_is_of_another_domain_is_not_shown() -> None:
    known = helpful()
    foreign = known._replace(events=(known.events[0]._replace(data={"domain": "x"}), known.events[1]))
    assert replayed(foreign, Fixed("good"), EMBED).marks == ()


def test_a_replay_is_the_same_again() -> None:
    assert (
        replayed(helpful(), Fixed("good", "bad"), EMBED).marks == replayed(helpful(), Fixed("good", "bad"), EMBED).marks
    )


def test_a_broken_architecture_says_where() -> None:
    class Broken(Fixed):
        def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
            raise ZeroDivisionError(query, bank, ctx)

    with pytest.raises(Exception, match="retrieve: ZeroDivisionError"):
        replayed(helpful(), Broken(), EMBED)
