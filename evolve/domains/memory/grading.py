"""What a sitting is worth: how much of what holds the answers was found, and could be read.

A record's word for its sources is not enough. An event counts as found only where the text that is shown has most of
what the event says; and a word of that text speaks for one event, as many times as it is there. So naming every
event finds none, and neither a list of all words nor a text that holds everything finds more than its share.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from evolve.domains.memory.exam import BUDGET, Exam, Question, Sitting
from knowledge.architecture import CHARACTERS_PER_TOKEN, Event, Record, Retrieval, tokens
from knowledge.replica import Replica
from knowledge.stems import stems

LEAST = 0.6
"""Of the weight of an event's words a text must have to count for it."""
SMALL, MIDDLE, LARGE = 512, 1024, 2048
"""Tokens shown."""


class Grades(NamedTuple):
    """Of one exam. What is a tuple has one entry for each question, but for `write_seconds`: one for each event."""

    exam: str
    categories: tuple[str, ...]
    recall5: tuple[float, ...]
    """Share of the gold events among the first 5 events that were found; 0 to 1."""
    recall10: tuple[float, ...]
    grounded512: tuple[float, ...]
    """Share of the gold events that can be read from the first 512 tokens."""
    grounded1024: tuple[float, ...]
    grounded2048: tuple[float, ...]
    stale: tuple[float | None, ...]
    """1 where what is no longer true was found before what is, less where with it; None where nothing is stale."""
    tokens: tuple[int, ...]
    """Shown at a budget of 1,024."""
    seconds: tuple[float, ...]
    write_seconds: tuple[float, ...]
    records: int
    characters: int


def grade(exam: Exam, sitting: Sitting) -> Grades:
    ground = Ground(exam.events)
    marks = [
        _mark(question, reply.found, sitting.bank, ground)
        for question, reply in zip(exam.questions, sitting.replies, strict=True)
    ]
    return Grades(
        exam=exam.name,
        categories=tuple(question.category for question in exam.questions),
        recall5=tuple(mark.recall5 for mark in marks),
        recall10=tuple(mark.recall10 for mark in marks),
        grounded512=tuple(mark.grounded512 for mark in marks),
        grounded1024=tuple(mark.grounded1024 for mark in marks),
        grounded2048=tuple(mark.grounded2048 for mark in marks),
        stale=tuple(mark.stale for mark in marks),
        tokens=tuple(mark.tokens for mark in marks),
        seconds=tuple(reply.seconds for reply in sitting.replies),
        write_seconds=sitting.write_seconds,
        records=len(sitting.bank),
        characters=sitting.bank.size,
    )


class Ground:
    """Which events a text speaks for."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._texts = {event.id: event.text for event in events}
        self._words = {event.id: tuple(_counted(event.text)) for event in events}
        common = Counter(word for words in self._words.values() for word in words)
        self._idf = {word: math.log(1 + len(events) / times) for word, times in common.items()}
        self._needed = {name: LEAST * self._weight(words) for name, words in self._words.items()}
        self._whole: dict[tuple[str, ...], tuple[str, ...]] = {}
        """(text, *sources) -> what was found: the same records are shown for many questions."""

    def _weight(self, words: Iterable[str]) -> float:
        return sum(self._idf[word] for word in words)

    def of(self, sources: Sequence[str], text: str) -> tuple[str, ...]:
        """Those of the sources that the text speaks for, in their order, each once."""
        key = (text, *sources)
        if key not in self._whole:
            self._whole[key] = tuple(self._found(dict.fromkeys(sources), text))
        return self._whole[key]

    def _found(self, sources: Iterable[str], text: str) -> Iterator[str]:
        left, said = _counted(text).copy(), set[tuple[str, ...]]()
        for source in sources:
            words = self._words.get(source, ())
            there = [word for word in words if left[word] > 0]
            if words in said:
                yield source  # two events said the same
            elif there and self._weight(there) >= self._needed[source]:
                left.subtract(there)
                said.add(words)
                yield source
            elif source in self._texts and not words and self._texts[source] in text:
                yield source  # an event without a word that says anything


@lru_cache(maxsize=1 << 13)
def _counted(text: str) -> Counter[str]:
    """Only to be read: the same texts come up in one exam after the other."""
    return Counter(stems(text))


class Seen(NamedTuple):
    """A hit within what is shown."""

    record: Record
    events: tuple[str, ...]
    """Those of its sources that can be read."""


class _Mark(NamedTuple):
    recall5: float
    recall10: float
    grounded512: float
    grounded1024: float
    grounded2048: float
    stale: float | None
    tokens: int


def _mark(question: Question, found: Retrieval, bank: Replica, ground: Ground) -> _Mark:
    hits = list(seen(found, bank, ground, BUDGET))
    places = list(_places(hits))
    return _Mark(
        recall5=_share(question.gold, places[:5]),
        recall10=_share(question.gold, places[:10]),
        grounded512=_share(question.gold, _events(seen(found, bank, ground, SMALL))),
        grounded1024=_share(question.gold, _events(seen(found, bank, ground, MIDDLE))),
        grounded2048=_share(question.gold, _events(seen(found, bank, ground, LARGE))),
        stale=_stale(question, hits),
        tokens=tokens(text_of(found, bank, MIDDLE)),
    )


def seen(found: Retrieval, bank: Replica, ground: Ground, budget: int) -> Iterator[Seen]:
    """The hits within a budget of tokens. A text speaks once for all that name it, a synthesis for all hits."""
    if found.text is None:
        shown = list(visible(found, bank, budget))
    else:
        synthesis = found.text[: budget * CHARACTERS_PER_TOKEN]
        shown = [(record, synthesis) for hit in found.hits if (record := bank.get(hit.id))]
    named: dict[str, dict[str, None]] = {}
    for record, text in shown:
        named.setdefault(text, {}).update(dict.fromkeys(record.sources))
    read = {text: set(ground.of(tuple(sources), text)) for text, sources in named.items()}
    for record, text in shown:
        yield Seen(record, tuple(source for source in record.sources if source in read[text]))


def visible(found: Retrieval, bank: Replica, budget: int) -> Iterator[tuple[Record, str]]:
    """The records within a budget of tokens and as much of their text as is shown; a text is shown once."""
    room = budget * CHARACTERS_PER_TOKEN
    texts: set[str] = set()
    for hit in found.hits:
        record = bank.get(hit.id)
        if record is None:
            continue
        if record.text not in texts:
            if room <= 0:
                break
            texts.add(record.text)
            yield record, record.text[:room]
            room -= len(record.text) + 1
        elif room > 0:
            yield record, record.text


def text_of(found: Retrieval, bank: Replica, budget: int) -> str:
    """All that is shown at a budget of tokens."""
    if found.text is not None:
        return found.text[: budget * CHARACTERS_PER_TOKEN]
    return "\n".join(dict.fromkeys(text for _, text in visible(found, bank, budget)))


def _places(hits: Iterable[Seen]) -> Iterator[str | None]:
    """The events in the order they are found; a hit that brings no other event takes a place too."""
    before: set[str] = set()
    for hit in hits:
        fresh = [event for event in hit.events if event not in before]
        before.update(fresh)
        yield from fresh or (None,)


def _events(hits: Iterable[Seen]) -> set[str]:
    return {event for hit in hits for event in hit.events}


def _share(gold: frozenset[str], found: Iterable[str | None]) -> float:
    return len(gold.intersection(found)) / len(gold) if gold else 0.0


def _stale(question: Question, hits: Iterable[Seen]) -> float | None:
    """By the first hit that says either; of one that says both, the share that is no longer true."""
    if not question.stale:
        return None
    for hit in hits:
        now, old = (len(known.intersection(hit.events)) for known in (question.gold, question.stale))
        if now or old:
            return old / (now + old)
    return 0.0


def scores(grades: Sequence[Grades]) -> dict[str, Any]:
    """Means over all questions of all exams; `p50_ms` of a query is the median, `write_ms` is for one event.

    `se` is the standard error of `recall@10`, `by_category` is of `recall@10`, `stale_rate` None where nothing was
    stale. `records` is the mean over exams.
    """
    recall10 = [value for part in grades for value in part.recall10]
    stale = [value for part in grades for value in part.stale if value is not None]
    return {
        "recall@5": _mean(value for part in grades for value in part.recall5),
        "recall@10": _mean(recall10),
        "se": statistics.stdev(recall10) / math.sqrt(len(recall10)) if len(recall10) > 1 else 0.0,
        "grounded@512": _mean(value for part in grades for value in part.grounded512),
        "grounded@1024": _mean(value for part in grades for value in part.grounded1024),
        "grounded@2048": _mean(value for part in grades for value in part.grounded2048),
        "tokens": _mean(value for part in grades for value in part.tokens),
        "p50_ms": 1e3 * statistics.median([value for part in grades for value in part.seconds] or [0.0]),
        "write_ms": 1e3 * _mean(value for part in grades for value in part.write_seconds),
        "stale_rate": _mean(stale) if stale else None,
        "by_category": _by_category(grades),
        "records": _mean(part.records for part in grades),
        "questions": len(recall10),
    }


def _by_category(grades: Sequence[Grades]) -> Mapping[str, float]:
    kinds: dict[str, list[float]] = {}
    for part in grades:
        for category, value in zip(part.categories, part.recall10, strict=True):
            kinds.setdefault(category, []).append(value)
    return {category: _mean(values) for category, values in sorted(kinds.items())}


def _mean(values: Iterable[float]) -> float:
    kept = list(values)
    return sum(kept) / len(kept) if kept else 0.0
