"""A base's own history under another memory architecture: what would have been recalled, and what is that worth?

Nothing is run again. Every judged recall of the past is asked anew of the candidate, at its place in the history and
from nothing but what had happened until then, and its answer is scored by what recalling such experiences turned out
to be worth afterwards (off-policy, as nDCG): what had happened before is what the answer was made of, and would score
luck as foresight. What was never recalled again is worth nothing here: that favours the incumbent.
"""

import bisect
import heapq
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import islice
from statistics import fmean
from typing import NamedTuple

from knowledge.architecture import JSON, Add, Event, MemoryArchitecture, Op, Query, Receipt, Record, Worth
from knowledge.history import Moment, Outcome
from knowledge.installed import TICK_EVERY
from knowledge.replica import Embed, Replica
from knowledge.trial import Trial, shown
from knowledge.values import KNOWN_WELL, SHRINKAGE, Value

SourcesOf = Callable[[str], tuple[str, ...]]
"""Of an item of the base: the attempts it rests on."""
AROUND = 3
"""Attempts before one, and as many after it, that it is compared with."""
EARLIER = 0.6
"""Share of the recalls that candidates are chosen on; the rest is scored by what happened in the rest alone."""
LARGEST = 1.0
"""What one experience can be worth at most."""


class Use(NamedTuple):
    """That an experience was recalled, and how it went."""

    attempt: str
    time: float
    """When it was known how it went."""
    state: str
    """The bottleneck that it was recalled for."""
    weight: float
    """Its share of the item that was shown."""
    credit: float
    """The reward beyond that of the attempts around it on the same task."""


class Past(NamedTuple):
    events: tuple[Event, ...]
    outcomes: tuple[Outcome, ...]
    """The judged recalls, in the order in which they were asked."""
    shown: tuple[tuple[tuple[str, ...], ...], ...]
    """For each recall and each item that it gave: the attempts that item rests on."""
    uses: Mapping[tuple[str, str], tuple[Use, ...]]
    """(attempt, stage) -> how it went when what rests on this attempt was recalled."""

    @property
    def split(self) -> float:
        """When the first recall of the later part was asked."""
        later = self.outcomes[round(len(self.outcomes) * EARLIER) :]
        return later[0].query.now if later else math.inf


class Replayed(NamedTuple):
    """What an architecture would have given."""

    marks: tuple[float, ...]
    """nDCG of each judged recall that says something, in their order; 0 to 1, higher is better."""
    earlier: int
    """How many of them are of the earlier part."""
    tokens: float
    """Mean of what is shown."""
    ms: float
    """Mean of a recall."""


def past(moments: Iterable[Moment], sources_of: SourcesOf) -> Past:
    """`moments` in the order in which they happened."""
    told = list(moments)
    events = tuple(moment for moment in told if isinstance(moment, Event))
    outcomes = tuple(
        sorted((moment for moment in told if isinstance(moment, Outcome)), key=lambda outcome: outcome.query.now)
    )
    given = tuple(tuple(sources_of(item) for item in outcome.items) for outcome in outcomes)
    uses: dict[tuple[str, str], list[Use]] = defaultdict(list)
    for outcome, items, credit in zip(outcomes, given, _credits(outcomes), strict=True):
        for sources in items:
            for source in sources:
                use = Use(outcome.attempt, outcome.time, _state(outcome), 1 / len(sources), credit)
                uses[source, outcome.query.stage].append(use)
    return Past(events, outcomes, given, {key: tuple(found) for key, found in uses.items()})


def _state(outcome: Outcome) -> str:
    return str(outcome.query.where.get("state") or "")


def _credits(outcomes: Sequence[Outcome]) -> list[float]:
    """An easy task, and the first steps of any, reward whatever is recalled: what is beyond that says something."""
    lines: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, outcome in enumerate(outcomes):
        lines[outcome.query.scope, outcome.query.stage].append(number)
    found = [0.0] * len(outcomes)
    for line in lines.values():
        for place, number in enumerate(line):
            around = [*line[max(0, place - AROUND) : place], *line[place + 1 : place + 1 + AROUND]]
            if around:
                found[number] = outcomes[number].reward - fmean(outcomes[other].reward for other in around)
    return found


class Scorer:
    """What answers would have been worth; made once for all architectures, since the best answers are the same."""

    def __init__(self, history: Past) -> None:
        self._history = history
        self._split = history.split

    def marks(self, answers: Sequence[Sequence[tuple[str, ...]]]) -> tuple[float, ...]:
        """Of one answer for each judged recall: the attempts that each item rests on, in their order.

        Left out are recalls before which nothing was known that was worth anything later: the same for all answers.
        """
        asked = zip(self._history.outcomes, answers, self._ideals, strict=True)
        return tuple(min(1.0, self._gained(outcome, answer) / ideal) for outcome, answer, ideal in asked if ideal > 0)

    @property
    def earlier(self) -> int:
        """How many marks are of the earlier part."""
        asked = zip(self._history.outcomes, self._ideals, strict=True)
        return sum(ideal > 0 and outcome.query.now < self._split for outcome, ideal in asked)

    def _gained(self, outcome: Outcome, answer: Sequence[tuple[str, ...]]) -> float:
        seen: set[str] = set()
        gains = []
        for sources in islice(answer, outcome.query.k):
            gains.append(self.worth([name for name in sources if name not in seen], outcome))
            seen.update(sources)
        return _discounted(gains)

    @cached_property
    def _ideals(self) -> list[float]:
        """Of each recall: the gain of the best answer from what had been learnt in its domain when it was asked."""
        recalled: dict[tuple[JSON, str], list[Event]] = defaultdict(list)
        stages = {outcome.query.stage for outcome in self._history.outcomes}
        for event in self._history.events:
            for stage in stages:
                if (event.id, stage) in self._history.uses:
                    recalled[event.data.get("domain"), stage].append(event)
        found = []
        for outcome in self._history.outcomes:
            useful = recalled[outcome.query.where.get("domain"), outcome.query.stage]
            known = useful[: bisect.bisect_left(useful, outcome.query.now, key=lambda event: event.time)]
            worths = (self.worth([event.id], outcome) for event in known)
            found.append(_discounted(heapq.nlargest(outcome.query.k, worths)))
        return found

    def worth(self, sources: Iterable[str], outcome: Outcome) -> float:
        """At this recall's stage, from the uses after it in its part, without its own; shrunk towards nothing, and
        never less. Uses for the same bottleneck alone, where there are enough of them.
        """
        begin = outcome.query.now
        end = self._split if begin < self._split else math.inf
        uses = [
            use
            for name in sources
            for use in self._history.uses.get((name, outcome.query.stage), ())
            if begin < use.time <= end and use.attempt != outcome.attempt
        ]
        here = [use for use in uses if use.state == _state(outcome)]
        uses = here if len(here) >= KNOWN_WELL else uses
        weight = sum(use.weight for use in uses)
        total = sum(use.weight * use.credit for use in uses)
        return min(LARGEST, max(0.0, total / (weight + SHRINKAGE)))


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


class Tally:
    """What was known of experiences at a point of the history."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], Value] = {}
        self._seen: dict[str, list[float]] = defaultdict(list)

    def learn(self, outcome: Outcome, items: Sequence[tuple[str, ...]]) -> None:
        stage = outcome.query.stage
        before = self._seen[stage]
        advantage = outcome.reward - (fmean(before) if before else 0.0)
        for source in dict.fromkeys(name for sources in items for name in sources):
            known = self._values.get((source, stage), Value())
            self._values[source, stage] = known.learnt(outcome.reward, advantage)
        before.append(outcome.reward)

    def worth(self, record: Record, stage: str) -> Worth:
        found = [value for name in record.sources if (value := self._values.get((name, stage)))]
        n = sum(value.n for value in found)
        if not n:
            return Worth()
        value = Value(sum(each.q * each.n for each in found) / n, sum(each.total for each in found), n)
        doubt = value.uncertainty(len(self._seen[stage]))
        return Worth(value.q, n, value.mean - doubt, value.mean + doubt)


class _Answer(NamedTuple):
    sources: tuple[tuple[str, ...], ...]
    tokens: int
    seconds: float


class _Walk:
    """One architecture through one history."""

    def __init__(self, history: Past, architecture: MemoryArchitecture, embed: Embed) -> None:
        self._history = history
        self._tally = Tally()
        self._bank = Replica(embed=embed, worth=self._tally.worth)
        self._trial = Trial(architecture, self._bank, embed=embed)
        self._resting: dict[str, dict[str, None]] = defaultdict(dict)
        self._domains = {event.id: event.data.get("domain") for event in history.events}

    def answers(self) -> list[_Answer]:
        """In the order of the recalls. What happens at one time: first what was told, then what was asked."""
        rank = {"event": 0, "outcome": 1, "ask": 2}
        steps = [(event.time, rank["event"], n) for n, event in enumerate(self._history.events)]
        for n, outcome in enumerate(self._history.outcomes):
            steps += [(outcome.query.now, rank["ask"], n), (outcome.time, rank["outcome"], n)]
        found: dict[int, _Answer] = {}
        for _, kind, n in sorted(steps):
            if kind == rank["event"]:
                self._hear(n)
            elif kind == rank["ask"]:
                found[n] = self._answer(self._history.outcomes[n].query)
            else:
                self._learn(n)
        return [found[n] for n in range(len(self._history.outcomes))]

    def _hear(self, n: int) -> None:
        event = self._history.events[n]
        done = self._trial.ingest(event)
        if (n + 1) % TICK_EVERY == 0:
            done += self._trial.tick(event.time)
        self._index(done)

    def _index(self, done: Iterable[Op]) -> None:
        for op in done:
            if isinstance(op, Add):
                for source in op.record.sources:
                    self._resting[source][op.record.id] = None

    def _answer(self, query: Query) -> _Answer:
        started = time.perf_counter()
        found = self._trial.retrieve(query)
        own = [hit for hit in found.hits if self._may_be_shown(hit.id, query)]
        given = shown(query, found._replace(hits=own[: query.k], text=None), self._bank)
        seconds = time.perf_counter() - started
        records = [record for hit in given.hits if (record := self._bank.get(hit.id))]
        return _Answer(tuple(record.sources for record in records), len(given.text) // 4, seconds)

    def _may_be_shown(self, name: str, query: Query) -> bool:
        record = self._bank.get(name)
        return record is not None and all(
            self._domains.get(source) == query.where.get("domain") for source in record.sources
        )

    def _learn(self, n: int) -> None:
        outcome, items = self._history.outcomes[n], self._history.shown[n]
        self._tally.learn(outcome, items)
        mine = tuple(dict.fromkeys(name for sources in items if (name := self._mine(set(sources)))))
        if mine:
            self._index(self._trial.feedback(Receipt(outcome.query, mine), outcome.reward))

    def _mine(self, sources: set[str]) -> str | None:
        """The record that has most sources in common with an item."""
        shared = dict.fromkeys(name for source in sorted(sources) for name in self._resting.get(source, ()))
        records = [record for name in shared if (record := self._bank.get(name))]
        best = max(records, key=lambda record: _overlap(set(record.sources), sources), default=None)
        return best.id if best else None


def _overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def replayed(history: Past, architecture: MemoryArchitecture, embed: Embed, scorer: Scorer | None = None) -> Replayed:
    """Raises DesignError for what the architecture should not have done."""
    answers = _Walk(history, architecture, embed).answers()
    scorer = scorer or Scorer(history)
    return Replayed(
        marks=scorer.marks([answer.sources for answer in answers]),
        earlier=scorer.earlier,
        tokens=fmean(answer.tokens for answer in answers) if answers else 0.0,
        ms=1e3 * fmean(answer.seconds for answer in answers) if answers else 0.0,
    )


def as_it_was(history: Past, scorer: Scorer | None = None) -> Replayed:
    """What was recalled in fact."""
    scorer = scorer or Scorer(history)
    return Replayed(scorer.marks(history.shown), scorer.earlier, tokens=0.0, ms=0.0)
