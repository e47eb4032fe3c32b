"""What every memory architecture must keep to."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from evolve.testing.happenings import KINDS, ODD_TEXTS, happenings, questions, with_text
from evolve.testing.raising import raises
from evolve.testing.reaching import reaches

if TYPE_CHECKING:
    from knowledge.architecture import JSON, Event, Op, Record, Worth
    from knowledge.design import Design
    from knowledge.replica import Replica
    from knowledge.trial import Ask, Trial

FEW_EVENTS, MANY_EVENTS = 48, 5000
MOST_SECONDS = 60.0
"""Of processor time, for the many."""
ASKED_EVERY = 5
"""So many events there is feedback."""
MOST_OPERATIONS = 64
"""For each event, on the average."""


class ArchitectureContract:
    """What every memory architecture must keep to. Runs it in this process: only for modules that can be trusted.

    The look at its text is a lint: what holds a hostile module is the sandbox.
    """

    design: ClassVar["Design"]
    many: ClassVar[int] = MANY_EVENTS

    def test_its_parameters_work_at_both_ends_and_others_are_refused(self) -> None:
        from knowledge.architecture import DesignError
        from knowledge.design import built, declared

        known = declared(self.design)
        for name, param in known.items():
            for value in (param.low, param.high):
                _answers(_lived(self.design._replace(params={name: value}), happenings(1, KINDS, 24)).trial)
        beyond = [{name: param.high + 1} for name, param in known.items()]
        for params in (*beyond, {"no such parameter": 1.0}):
            assert raises(DesignError, partial(built, self.design._replace(params=params))), f"{params} is taken"

    def test_it_does_the_same_under_the_same_seed(self) -> None:
        assert fingerprint(self.design) == fingerprint(self.design)

    def test_it_does_the_same_in_another_process(self) -> None:
        """Where sets and hashes have another order."""
        seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
        there = subprocess.run(
            [sys.executable, "-c", "from evolve.testing import main; main()"],
            input=json.dumps([self.design.name, self.design.source, dict(self.design.params)]),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == fingerprint(self.design)

    def test_its_operations_alone_bring_another_bank_to_the_same_answers(self) -> None:
        from knowledge import wire
        from knowledge.design import built
        from knowledge.replica import Replica
        from knowledge.trial import Trial

        life = _lived(self.design, happenings(2, KINDS, FEW_EVENTS))
        bank = Replica(worth=_worth)
        for event, now, done in life.chapters:
            if event is not None:
                bank.tell(event)
            bank.apply([wire.op_in(op) for op in json.loads(json.dumps(done))], method="store", now=now)
        assert _answers(Trial(built(self.design), bank)) == _answers(life.trial)

    def test_its_object_can_be_lost_at_any_time(self) -> None:
        events = happenings(3, KINDS, FEW_EVENTS)
        kept, lost = _lived(self.design, events), _lived(self.design, events, forgetful=True)
        for one, other in zip(kept.chapters, lost.chapters, strict=True):
            assert _rounded(list(one)) == _rounded(list(other))
        assert _answers(kept.trial) == _answers(lost.trial)

    def test_an_empty_bank_is_asked_and_tidied(self) -> None:
        trial = _trial(self.design)
        for query in questions():
            shown = trial.recall(query)
            assert not shown.hits
            trial.feedback(shown.receipt, -1.0)
        trial.tick(1e9)
        trial.tick(1e9, close=True)

    def test_odd_texts_are_taken_and_asked_for(self) -> None:
        for kind in KINDS:
            events = [
                event._replace(text=text, actor=text[:40], scope=text[:40], data=with_text(event, text))
                for event, text in zip(happenings(4, (kind,), len(ODD_TEXTS)), ODD_TEXTS, strict=True)
            ]
            trial = _lived(self.design, events).trial
            for query in questions():
                for text in ODD_TEXTS:
                    trial.recall(query._replace(text=text, context=text)).text.encode()

    def test_every_kind_of_event_and_trigger_is_taken_by_itself(self) -> None:
        for kind in KINDS:
            life = _lived(self.design, happenings(5, (kind,), 12))
            assert life.chapters
            bare = [event._replace(data={}, actor="", scope="", parent="") for event in happenings(6, (kind,), 12)]
            _answers(_lived(self.design, bare).trial)

    def test_many_events_take_bounded_time_and_operations(self) -> None:
        started, done = time.process_time(), 0
        trial = _trial(self.design)
        for number, event in enumerate(happenings(7, ("message", "message", "message", *KINDS), self.many)):
            done += len(trial.ingest(event))
            if number % 25 == 0:
                done += len(trial.tick(event.time))
            if number % 100 == 0:
                done += len(trial.feedback(trial.recall(questions()[number % 3]).receipt, 1.0))
                spent = time.process_time() - started
                assert spent < MOST_SECONDS, f"{number} events took {spent:.0f} s of {MOST_SECONDS:.0f}"
        _answers(trial)
        assert done <= MOST_OPERATIONS * self.many
        assert time.process_time() - started < MOST_SECONDS

    def test_asking_changes_nothing(self) -> None:
        trial = _lived(self.design, happenings(8, KINDS, FEW_EVENTS)).trial
        first = _answers(trial)
        for query in reversed(questions()):
            trial.recall(query._replace(text=f"{query.text} and something else"))
        assert _answers(trial) == first

    def test_two_of_them_do_not_influence_each_other(self) -> None:
        from knowledge.design import loaded, made
        from knowledge.replica import Replica
        from knowledge.trial import Trial

        module = loaded(self.design)
        streams = [happenings(seed, KINDS, FEW_EVENTS) for seed in (9, 10)]
        pair = [Trial(made(module, self.design.params), Replica(worth=_worth)) for _ in streams]
        lives = [_living(trial, events) for trial, events in zip(pair, streams, strict=True)]
        for _ in zip_longest(*lives):  # both in turns
            pass
        alone = [_answers(_lived(self.design, events).trial) for events in streams]
        assert [_answers(trial) for trial in pair] == alone

    def test_a_model_that_talks_nonsense_does_no_harm(self) -> None:
        def ask(prompt: str, max_tokens: int) -> str:
            return ODD_TEXTS[(len(prompt) + max_tokens) % len(ODD_TEXTS)]

        _answers(_lived(self.design, happenings(11, KINDS, FEW_EVENTS), ask=ask).trial)

    def test_it_reaches_for_nothing_but_its_arguments(self) -> None:
        found = list(reaches(self.design.source))
        assert not found, f"the module uses {', '.join(found)}"


class Chapter(NamedTuple):
    """What one call did."""

    event: "Event | None"
    now: float
    operations: "list[JSON]"


class Life(NamedTuple):
    trial: "Trial"
    chapters: list[Chapter]


def fingerprint(design: "Design") -> str:
    """Of all that a design does with some events and questions."""
    life = _lived(design, happenings(12, KINDS, FEW_EVENTS))
    told = [[chapter.operations for chapter in life.chapters], _answers(life.trial)]
    return hashlib.sha256(json.dumps(_rounded(told)).encode()).hexdigest()


def main() -> None:
    """Print the fingerprint of the design on stdin."""
    from knowledge.design import Design

    sys.stdout.write(fingerprint(Design(*json.load(sys.stdin))))


def _worth(record: "Record", stage: str) -> "Worth":
    """Some are worth something at some stages."""
    from knowledge.architecture import Worth, named

    drawn = int(named(record.id, stage), 16)
    q = drawn % 21 / 10 - 1
    return Worth(q, drawn % 5, q - 0.5, q + 0.5) if drawn % 5 else Worth()


def _trial(design: "Design", bank: "Replica | None" = None, ask: "Ask | None" = None) -> "Trial":
    from knowledge.design import built
    from knowledge.replica import Replica
    from knowledge.trial import Trial, no_model

    return Trial(built(design), Replica(worth=_worth) if bank is None else bank, ask=ask or no_model)


def _lived(design: "Design", events: "Sequence[Event]", *, forgetful: bool = False, ask: "Ask | None" = None) -> Life:
    """`forgetful`: the module is loaded and its object built anew for each event, over the bank that the last left."""
    chapters: list[Chapter] = []
    trial = _trial(design, ask=ask)
    for number, _ in enumerate(events):
        if forgetful:
            trial = _trial(design, trial.bank, ask)
        chapters += _living_one(trial, events, number)
    return Life(trial, chapters)


def _living(trial: "Trial", events: "Sequence[Event]") -> Iterator[Chapter]:
    for number, _ in enumerate(events):
        yield from _living_one(trial, events, number)


def _living_one(trial: "Trial", events: "Sequence[Event]", number: int) -> list[Chapter]:
    """One event, and what comes after it: now and then feedback, and a tick where its scope ends."""
    event = events[number]
    chapters = [Chapter(event, event.time, _told(trial.ingest(event)))]
    last = number == len(events) - 1
    if number % ASKED_EVERY == ASKED_EVERY - 1:
        asked = questions()
        query = asked[number % len(asked)]._replace(now=event.time)
        receipt = trial.recall(query).receipt
        chapters.append(Chapter(None, event.time, _told(trial.feedback(receipt, 1.0 if number % 2 else -1.0))))
    if last or events[number + 1].scope != event.scope:
        chapters.append(Chapter(None, event.time, _told(trial.tick(event.time, close=last))))
    return chapters


def _told(operations: "Sequence[Op]") -> "list[JSON]":
    from knowledge import wire

    return [wire.op_out(op) for op in operations]


def _answers(trial: "Trial") -> "JSON":
    from knowledge import wire

    shown = [(trial.retrieve(query), trial.recall(query)) for query in questions()]
    return _rounded([[wire.retrieval_out(found), each.text, list(each.receipt.items)] for found, each in shown])


def _rounded(value: object) -> "JSON":
    """Numbers to five digits: the same sum in another order is the same."""
    match value:
        case float():
            return float(f"{value:.5g}")
        case dict():
            return {str(key): _rounded(held) for key, held in value.items()}
        case list() | tuple():
            return [_rounded(held) for held in value]
        case _:
            return value  # type: ignore[return-value]
