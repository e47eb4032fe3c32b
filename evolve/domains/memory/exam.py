"""What a memory is examined on: things that happen, then questions whose answers lie in some of them."""

from collections.abc import Iterator
from typing import NamedTuple

from knowledge.architecture import Event, Query, Retrieval
from knowledge.replica import Replica

K = 50
"""Hits that an exam asks for; measures look at the first of them."""
BUDGET = 2048
"""Tokens that an exam asks for at most; measures look at the first of them."""


class Question(NamedTuple):
    query: Query
    gold: frozenset[str]
    """The events that hold the answer. Never leaves the host."""
    stale: frozenset[str] = frozenset()
    """Events that hold an answer which is no longer true."""
    category: str = ""
    answer: str = ""


class Exam(NamedTuple):
    """One stream: the events in order, then the questions. A memory is empty when it begins."""

    name: str
    events: tuple[Event, ...]
    """Their ids are random handles, their scopes say nothing either."""
    questions: tuple[Question, ...]


class Tick(NamedTuple):
    """A chance to tidy up."""

    now: float
    close: bool = False


def steps(exam: Exam) -> Iterator[Event | Tick | Query]:
    """What happens in an exam, in order: a tick after each scope, a closing one at the end, then the questions."""
    last: Event | None = None
    for event in exam.events:
        if last is not None and event.scope != last.scope:
            yield Tick(last.time)
        yield event
        last = event
    if last is not None:
        yield Tick(last.time, close=True)
    for question in exam.questions:
        yield question.query


class Reply(NamedTuple):
    found: Retrieval
    seconds: float


class Sitting(NamedTuple):
    """What one architecture did in one exam."""

    bank: Replica
    """The host's own copy, as it was when the questions were asked."""
    replies: tuple[Reply, ...]
    """One for each question."""
    write_seconds: tuple[float, ...]
    """One for each event: encode, store and what `manage` took after it."""
