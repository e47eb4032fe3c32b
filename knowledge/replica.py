"""A bank in memory: what an architecture sees of one, and what becomes of the operations it returns.

The judge of architectures, replays and the live knowledge base all run architectures over this one class; where a
bank on disk is behind it, that is the truth, and this a copy that follows it.
"""

import heapq
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from reprlib import repr as short
from typing import TYPE_CHECKING, Any, NamedTuple

from knowledge.architecture import (
    ACTIVE,
    EXPIRED,
    JSON,
    SUPERSEDED,
    Add,
    AddLink,
    DesignError,
    DropLink,
    Event,
    Expire,
    Hit,
    Link,
    Note,
    Op,
    Record,
    SetState,
    Supersede,
    Update,
    Worth,
)
from knowledge.embed import HashEmbedding
from knowledge.frozen import frozen
from knowledge.postings import Postings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]
WorthOf = Callable[[Record, str], Worth]
"""What a record is worth at a stage."""
SUPERSEDES = "supersedes"
STATUSES = (ACTIVE, SUPERSEDED, EXPIRED)
DIRECTIONS = ("out", "in", "both")
CHANGEABLE = frozenset(Record._fields) - {"id", "links"}


class Bounds(NamedTuple):
    """What keeps an architecture from growing without end. Beyond them operations are refused."""

    text: int = 65_536
    """Characters of one record in all: keys, code, meta and the names of its sources included."""
    name: int = 1024
    """Characters of an id, a kind, or what a link is about."""
    records: int = 4
    """For each event."""
    characters: int = 32_768
    """Of all records, for each event."""
    links: int = 64
    """For each event."""
    spare: int = 256
    """Records and links on top of that, and events' worth of characters."""
    state: int = 65_536
    """Characters of JSON, all private state together."""
    operations: int = 4096
    """Of one call."""


BOUNDS = Bounds()


def worthless(record: Record, stage: str) -> Worth:
    """Nothing is known of what records are worth."""
    del record, stage
    return Worth()


class Replica:
    """Raises DesignError for an operation that cannot be applied; those before it in the same call stay applied."""

    def __init__(self, *, embed: Embed | None = None, worth: WorthOf = worthless, bounds: Bounds = BOUNDS) -> None:
        self.embed = embed or HashEmbedding().embed
        self._worth = worth
        self._bounds = bounds
        self._events: dict[str, Event] = {}
        self._records: dict[str, Record] = {}
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._kinds: dict[str, dict[str, None]] = {}
        self._hidden: set[int] = set()
        """Numbers of records that are not active."""
        self._sizes: dict[str, int] = {}
        self.size = 0
        """Characters of all records, whatever their status; meta and the names of sources included."""
        self._out: dict[str, dict[tuple[str, str], float]] = {}
        self._into: dict[str, dict[tuple[str, str], float]] = {}
        self._links = 0
        self._states: dict[str, str] = {}
        """As JSON."""
        self._stated = 0
        self._postings = Postings()
        self._vectors: NDArray[np.float32] | None = None
        self._unembedded: dict[int, str] = {}
        """Texts to embed before the next dense search."""

    # -- what happened

    def tell(self, event: Event) -> Event:
        """The event as it is kept: the first one told of this id, only to be read."""
        if event.id not in self._events:
            self._events[event.id] = event._replace(data=frozen(event.data))
        return self._events[event.id]

    def __len__(self) -> int:
        return len(self._records)

    # -- changes

    def apply(self, operations: Iterable[Op], *, method: str, now: float) -> list[Op]:
        """Bring the bank to what the operations say, in order; those that were applied."""
        done: list[Op] = []
        for op in operations:
            if len(done) >= self._bounds.operations:
                raise DesignError(method, f"more than {self._bounds.operations} operations in one call")
            try:
                self._apply(op, now)
            except (ValueError, TypeError, ArithmeticError, RecursionError) as fault:
                raise DesignError(method, f"{type(op).__name__}: {fault}") from fault
            done.append(op)
        return done

    def _apply(self, op: Op, now: float) -> None:
        match op:
            case Add(record):
                self._add(record)
            case Update(name, changes):
                self._change(self._known(name), changes)
            case Supersede(old, new, why):
                self._supersede(self._known(old), self._known(new), why, now)
            case Expire(name, why):
                self._text(why, "a reason")
                self._change(self._known(name), {"status": EXPIRED, "valid_to": now})
            case AddLink(source, link):
                self._connect(self._known(source).id, [link])
            case DropLink(source, target, rel):
                self._unlink(source, target, rel)
            case SetState(key, value):
                self._set(key, value)
            case Note(text):
                self._text(text, "a note")
            case _:
                raise TypeError(f"{short(op)} is no operation")

    def _known(self, name: str) -> Record:
        if name not in self._records:
            raise ValueError(f"there is no record {short(name)}")
        return self._records[name]

    def _add(self, record: Record) -> None:
        if not isinstance(record, Record):
            raise TypeError(f"{short(record)} is no Record")
        if record.id in self._records:
            raise ValueError(f"the id {short(record.id)} is taken")
        if len(self._records) >= self._bounds.spare + self._bounds.records * len(self._events):
            raise ValueError(f"{len(self._records)} records of {len(self._events)} events are more than may be kept")
        links = self._linkable(record.id, record.links)
        record, size = self._valid(record)
        self._numbers[record.id] = len(self._names)
        self._names.append(record.id)
        self._keep(record._replace(links=()), size)
        self._index(record)
        for link in links:
            self._link(record.id, link)

    def _change(self, record: Record, changes: Mapping[str, Any]) -> None:
        if not isinstance(changes, Mapping) or not changes.keys() <= CHANGEABLE:
            raise ValueError(f"changes are of {', '.join(sorted(CHANGEABLE))}")
        if "meta" in changes:
            changes = {**changes, "meta": {**record.meta, **changes["meta"]}}
        new, size = self._valid(record._replace(**changes))
        self._keep(new, size)
        if (new.text, new.keys, new.status) != (record.text, record.keys, record.status):
            self._index(new)

    def _supersede(self, old: Record, new: Record, why: str, now: float) -> None:
        if old.id == new.id:
            raise ValueError(f"the record {short(old.id)} cannot supersede itself")
        self._text(why, "a reason")
        links = self._linkable(new.id, [Link(old.id, SUPERSEDES)])
        self._change(old, {"status": SUPERSEDED, "valid_to": now})
        self._link(new.id, links[0])

    def _keep(self, record: Record, size: int) -> None:
        before = self._records.get(record.id)
        if before is not None and before.kind != record.kind:
            del self._kinds[before.kind][record.id]
        self._records[record.id] = record
        self.size += size - self._sizes.get(record.id, 0)
        self._sizes[record.id] = size
        alike = self._kinds.setdefault(record.kind, {})
        if record.id not in alike:
            alike[record.id] = None
            if before is not None:  # among older ones, in the order they were added
                self._kinds[record.kind] = dict.fromkeys(sorted(alike, key=self._numbers.__getitem__))

    def _valid(self, record: Record) -> tuple[Record, int]:
        """As it can be kept, and how many characters it has."""
        self._name(record.id, "an id")
        self._name(record.kind, "a kind")
        self._text(record.text, "a text")
        self._text(record.payload, "a payload")
        keys, sources = (_texts(given, what) for given, what in ((record.keys, "keys"), (record.sources, "sources")))
        strangers = [source for source in sources if source not in self._events]
        if strangers:
            raise ValueError(f"the source {short(strangers[0])} is no event")
        if record.status not in STATUSES:
            raise ValueError(f"a status is one of {', '.join(STATUSES)}, not {short(record.status)}")
        for moment in (record.valid_from, record.valid_to):
            if moment is not None and not (isinstance(moment, int | float) and math.isfinite(moment)):
                raise ValueError(f"valid_from and valid_to are Unix seconds, not {short(moment)}")
        told = _json(dict(record.meta))
        size = len(record.text) + len(record.payload) + len(told) + sum(map(len, keys)) + sum(map(len, sources))
        self._roomy(record.id, size)
        return record._replace(keys=keys, sources=sources, meta=frozen(json.loads(told))), size

    def _roomy(self, name: str, size: int) -> None:
        if size > self._bounds.text:
            raise ValueError(f"a record of {size} characters; at most {self._bounds.text} are kept")
        total = self.size + size - self._sizes.get(name, 0)
        if total > self._bounds.characters * (self._bounds.spare + len(self._events)):
            raise ValueError(f"{total} characters of {len(self._events)} events are more than may be kept")

    def _index(self, record: Record) -> None:
        number = self._numbers[record.id]
        if record.status != ACTIVE:
            self._hidden.add(number)
            self._postings.drop(number)
            self._unembedded.pop(number, None)
            return
        text = "\n".join(record.keys) or record.text
        self._hidden.discard(number)
        self._postings.put(number, text)
        self._unembedded[number] = text

    def _linkable(self, source: str, links: Iterable[Link]) -> list[Link]:
        """The links, if there is room for them."""
        checked = [self._checked(link) for link in links]
        there = self._out.get(source, {})
        more = {(link.target, link.rel) for link in checked} - there.keys()
        if more and self._links + len(more) > self._bounds.spare + self._bounds.links * len(self._events):
            raise ValueError(f"{self._links + len(more)} links are more than may be kept")
        return checked

    def _checked(self, link: Link) -> Link:
        if not isinstance(link, Link):
            raise TypeError(f"{short(link)} is no Link")
        self._name(link.target, "a link's target")
        self._name(link.rel, "a link's rel")
        if not isinstance(link.weight, int | float) or not math.isfinite(link.weight):
            raise ValueError(f"a link's weight is a number, not {short(link.weight)}")
        return link

    def _connect(self, source: str, links: Iterable[Link]) -> None:
        for link in self._linkable(source, links):
            self._link(source, link)

    def _link(self, source: str, link: Link) -> None:
        there = self._out.setdefault(source, {})
        self._links += (link.target, link.rel) not in there
        there[link.target, link.rel] = link.weight
        self._into.setdefault(link.target, {})[source, link.rel] = link.weight

    def _unlink(self, source: str, target: str, rel: str) -> None:
        if self._out.get(source, {}).pop((target, rel), None) is None:
            raise ValueError(f"{short(source)} has no link {short(rel)} to {short(target)}")
        del self._into[target][source, rel]
        self._links -= 1

    def _set(self, key: str, value: JSON) -> None:
        self._name(key, "a key")
        told = "" if value is None else _json(value)
        before = len(key) + len(self._states[key]) if key in self._states else 0
        stated = self._stated - before + (len(key) + len(told) if told else 0)
        if stated > self._bounds.state:
            raise ValueError(f"{stated} characters of state; at most {self._bounds.state} are kept")
        self._stated = stated
        self._states.pop(key, None)
        if told:
            self._states[key] = told

    def _name(self, value: object, what: str) -> None:
        self._text(value, what, self._bounds.name)

    def _text(self, value: object, what: str, most: int | None = None) -> None:
        text = _encodable(value, what)
        if len(text) > (most or self._bounds.text):
            raise ValueError(f"{what} of {len(text)} characters; at most {most or self._bounds.text} are kept")

    # -- what an architecture sees: `BankView`

    def get(self, record: str) -> Record | None:
        found = self._records.get(record)
        return self._linked(found) if found else None

    def _linked(self, record: Record) -> Record:
        there = self._out.get(record.id)
        if not there:
            return record
        return record._replace(links=tuple(Link(target, rel, weight) for (target, rel), weight in there.items()))

    def iter(self, *, status: str = ACTIVE, **where: JSON) -> Iterator[Record]:
        kind = where.get("kind")
        for name in list(self._kinds.get(kind, ()) if isinstance(kind, str) else self._records):
            record = self._records[name]
            if record.status == status and _fits(record, where):
                yield self._linked(record)

    def lexical(self, text: str, k: int = 50, *, k1: float = 1.2, b: float = 0.75, **where: JSON) -> list[Hit]:
        ranked = [(-score, number) for number, score in self._postings.scores(text, k1, b).items()]
        heapq.heapify(ranked)  # few of many are asked for
        return self._first(k, ((number, -lack) for lack, number in _popped(ranked)), where)

    def dense(self, text: str, k: int = 50, **where: JSON) -> list[Hit]:
        import numpy as np

        matrix = self._embedded()
        if matrix is None:
            return []
        numbers = np.arange(len(matrix))
        if isinstance(kind := where.get("kind"), str):
            numbers = np.array([self._numbers[name] for name in self._kinds.get(kind, ())], dtype=np.intp)
            numbers = numbers[numbers < len(matrix)]  # what was never active has no row
            matrix = matrix[numbers]
        # not `@`: BLAS threads cost far more than the sum, and its rounding depends on how many there are
        scores = np.einsum("ij,j->i", matrix, self.embed([text])[0])
        ranked = np.argsort(-scores, kind="stable")
        return self._first(k, zip(numbers[ranked].tolist(), scores[ranked].tolist(), strict=True), where)

    def _embedded(self) -> "NDArray[np.float32] | None":
        """A row for each record that was ever active, by its number."""
        import numpy as np

        if self._unembedded:
            numbers, texts = list(self._unembedded), list(self._unembedded.values())
            rows = self.embed(texts)
            if self._vectors is None or len(self._vectors) < len(self._names):
                grown = np.zeros((len(self._names) * 2, rows.shape[1]), dtype=np.float32)
                if self._vectors is not None:
                    grown[: len(self._vectors)] = self._vectors
                self._vectors = grown
            self._vectors[numbers] = rows
            self._unembedded.clear()
        return None if self._vectors is None else self._vectors[: len(self._names)]

    def _first(self, k: int, ranked: Iterable[tuple[int, float]], where: Mapping[str, JSON]) -> list[Hit]:
        """The k best of (number, score), given best first, that are active and fit."""
        hits: list[Hit] = []
        for number, score in ranked:
            if len(hits) >= k:
                break
            name = self._names[number]
            if number not in self._hidden and (not where or _fits(self._records[name], where)):
                hits.append(Hit(name, score))
        return hits

    def near(self, record: str, rel: str | None = None, hops: int = 1, *, direction: str = "both") -> list[Hit]:
        best = {record: 1.0}
        edge = [record]
        while edge and hops > 0:
            hops -= 1
            reached: dict[str, float] = {}
            for name in edge:
                for other, weight in self._neighbours(name, rel, direction):
                    score = best[name] * weight
                    if other not in best and score > reached.get(other, -math.inf):
                        reached[other] = score
            best |= reached
            edge = list(reached)
        return [
            Hit(name, score)
            for name, score in sorted(best.items(), key=lambda pair: -pair[1])
            if name != record and (found := self._records.get(name)) is not None and found.status == ACTIVE
        ]

    def _neighbours(self, name: str, rel: str | None, direction: str) -> list[tuple[str, float]]:
        if direction not in DIRECTIONS:
            raise ValueError(f"a direction is one of {', '.join(DIRECTIONS)}, not {short(direction)}")
        out = self._out.get(name, {}).items() if direction != "in" else ()
        into = self._into.get(name, {}).items() if direction != "out" else ()
        # in the order of the records, whenever the links were made: as after a restart
        ordered = sorted(into, key=lambda link: self._numbers[link[0][0]])
        return [(other, weight) for (other, kind), weight in (*out, *ordered) if rel in {None, kind}]

    def span(self, start: float, end: float, **where: JSON) -> list[Hit]:
        timed = [
            (time, number, name)
            for number, (name, record) in enumerate(self._records.items())
            if record.status == ACTIVE
            and record.sources
            and start <= (time := self._events[record.sources[0]].time) <= end
            and _fits(record, where)
        ]
        return [Hit(name, 1.0) for _, _, name in sorted(timed)]

    def events(self, ids: Iterable[str]) -> list[Event]:
        return [self._events[name] for name in ids if name in self._events]

    def value(self, record: str, stage: str) -> Worth:
        found = self._records.get(record)
        return self._worth(found, stage) if found else Worth()

    def state(self, key: str, default: JSON = None) -> JSON:
        """A copy."""
        told = self._states.get(key)
        return default if told is None else json.loads(told)


def _fits(record: Record, where: Mapping[str, JSON]) -> bool:
    return all((record.kind if name == "kind" else record.meta.get(name)) == value for name, value in where.items())


def _popped(heap: list[tuple[float, int]]) -> Iterator[tuple[float, int]]:
    while heap:
        yield heapq.heappop(heap)


def _texts(given: Iterable[str], what: str) -> tuple[str, ...]:
    """Each once."""
    if isinstance(given, str):
        raise TypeError(f"{what} are several strings, not one: {short(given)}")
    return tuple(dict.fromkeys(_encodable(text, f"one of the {what}") for text in given))


def _encodable(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} is a string, not {short(value)}")
    value.encode()  # a lone surrogate raises ValueError
    return value


def _json(value: object) -> str:
    return _encodable(json.dumps(value, allow_nan=False, ensure_ascii=False), "JSON")
