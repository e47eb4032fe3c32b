"""A memory architecture at work in a base: it is told what happens, keeps its layer, and picks what is recalled.

It works on a copy in memory that follows the log, so several processes may have the same one installed.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from threading import RLock

from knowledge import log as subjects
from knowledge.architecture import (
    ACTIVE,
    JSON,
    Add,
    AddLink,
    DesignError,
    DropLink,
    Event,
    Expire,
    Hit,
    MemoryArchitecture,
    Note,
    Op,
    Receipt,
    Record,
    Retrieval,
    SetState,
    Supersede,
    Update,
)
from knowledge.bank import Bank
from knowledge.history import CREDIT, History, Moment, Outcome, key, query
from knowledge.inherited import Inherited
from knowledge.layer import ATTEMPT, item
from knowledge.ledger import Ledger, Line
from knowledge.log import parted, subject
from knowledge.reasons import ARCHITECTURE, Why
from knowledge.replica import BOUNDS, CHANGEABLE, Embed, Replica, WorthOf
from knowledge.selection import Asked
from knowledge.trial import Trial, shown
from knowledge.values import OVERALL
from knowledge.wire import record_in

TICK_EVERY = 20
"""Events of what is caught up with at once, between two chances to tidy up."""
AT_ONCE = 20
"""Moments that are told in one transaction: others, who wait for its end, wait no longer than for these."""
WHY_CHARACTERS = 300
LARGEST = 1e6
"""Score that a receipt can hold."""


class Masked(Replica):
    """A bank some of whose records are not to be found for the moment; `get` and what was linked still reach them."""

    def __init__(self, embed: Embed, worth: WorthOf) -> None:
        super().__init__(embed=embed, worth=worth)
        self.masked: frozenset[str] = frozenset()

    def iter(self, *, status: str = ACTIVE, **where: JSON) -> Iterator[Record]:
        return (record for record in super().iter(status=status, **where) if record.id not in self.masked)

    def lexical(self, text: str, k: int = 50, *, k1: float = 1.2, b: float = 0.75, **where: JSON) -> list[Hit]:
        return self._open(super().lexical(text, k + len(self.masked), k1=k1, b=b, **where))[:k]

    def dense(self, text: str, k: int = 50, **where: JSON) -> list[Hit]:
        return self._open(super().dense(text, k + len(self.masked), **where))[:k]

    def near(self, record: str, rel: str | None = None, hops: int = 1, *, direction: str = "both") -> list[Hit]:
        return self._open(super().near(record, rel, hops, direction=direction))

    def span(self, start: float, end: float, **where: JSON) -> list[Hit]:
        return self._open(super().span(start, end, **where))

    def age(self, record: str) -> int:
        """Higher for what was added later."""
        return self._numbers[record]

    def _open(self, hits: list[Hit]) -> list[Hit]:
        return [hit for hit in hits if hit.id not in self.masked] if self.masked else hits


class _Changes:
    """What a batch of operations has changed: each is written once, whatever happened to it in between."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[str, str]] = {}
        """Record -> (what, why), in the order in which they were first touched."""
        self.states: dict[str, str] = {}
        """Key -> why."""
        self.notes: list[str] = []
        self.told: list[tuple[str, str]] = []
        """What the architecture knows of by now."""

    def note(self, operations: Iterable[Op], why: str) -> None:
        for op in operations:
            match op:
                case Add(record):
                    self.records[record.id] = ("add", why)
                case Update(name, _):
                    self._touch(name, "update", why)
                case Supersede(old, new, told):
                    self._touch(new, "link", f"supersedes {old}: {told or why}")
                    self._touch(old, "supersede", f"by {new}: {told or why}")
                case Expire(name, told):
                    self._touch(name, "expire", told or why)
                case AddLink(name, _) | DropLink(name, _, _):
                    self._touch(name, "link", why)
                case SetState(name, _):
                    self.states[name] = why
                case Note(text):
                    self.notes.append(text)

    def _touch(self, record: str, what: str, why: str) -> None:
        if self.records.get(record, ("",))[0] != "add":
            self.records[record] = (what, why)


class Installed:
    """Safe from several threads. Raises DesignError for what the architecture should not have done, and StorageError.

    `build`: makes the architecture, whose own object may be thrown away at any time. `anew`: as if it had kept nothing.
    """

    def __init__(
        self,
        bank: Bank,
        ledger: Ledger,
        architecture: str,
        build: Callable[[], MemoryArchitecture],
        embed: Embed,
        *,
        anew: bool = False,
    ) -> None:
        self._id = architecture
        self._bank = bank
        self._build = build
        self._embed = embed
        self._history = History(bank, ledger)
        self._inherited = Inherited(bank, ledger, architecture)
        self._lock = RLock()
        self._architecture: MemoryArchitecture | None = None
        self._whole = True
        """Whether all that ever happened is to be looked at for what the architecture does not know."""
        self._load(anew=anew)
        self._stale = False

    def close(self) -> None:
        """Let go of what `build` had opened, if that can be closed."""
        close: Callable[[], None] | None = getattr(self._architecture, "close", None)
        self._architecture = None
        if close is not None:
            close()

    # -- before an attempt

    def recall(self, asked: Asked, rng: Random) -> list[Line]:
        with self._lock:
            self.catch_up()
            self._replica.masked = self._hidden(asked)
            try:
                hits = self._picked(asked, rng)
            finally:
                self._replica.masked = frozenset()
            return [self._line(hit, asked.stage) for hit in hits]

    def _picked(self, asked: Asked, rng: Random) -> Sequence[Hit]:
        now = self._history.now
        question = query(asked.task, stage=asked.stage, state=asked.state, hardware=asked.hardware, k=asked.k, now=now)
        assert self._architecture is not None
        trial = Trial(self._architecture, self._replica, seed=rng.getrandbits(32), embed=self._embed)
        found = trial.retrieve(question).hits
        for hit in found:
            if not isinstance(hit.score, int | float) or not math.isfinite(hit.score):
                raise DesignError("retrieve", f"a score is a number, not {hit.score!r:.80}")
        open_ = [hit for hit in found if hit.id not in self._replica.masked]
        return shown(question, Retrieval(open_[: asked.k]), self._replica).hits

    def _hidden(self, asked: Asked) -> frozenset[str]:
        """Records that rest on what is not trusted, held out, or of another domain; or on nothing that is found."""
        barred = self._bank.layer.barred()
        own = {asked.task.domain, ""}
        apart = [names for (task, domain), names in self._places.items() if task in asked.hold_out or domain not in own]
        closed = {name for names in apart for name in names} | barred.distrusted.keys()
        hidden = {record for name in closed for record in self._resting.get(name, ())}
        for name in barred.idle - closed:
            for record in self._resting.get(name, ()):
                kept = self._replica.get(record)
                if kept is not None and barred.idle.issuperset(kept.sources):
                    hidden.add(record)
        return frozenset(hidden)

    def _line(self, hit: Hit, stage: str) -> Line:
        record = self._replica.get(hit.id)
        assert record is not None
        worth = self._inherited.worth(record, stage)
        score = max(-LARGEST, min(LARGEST, float(hit.score)))
        why = Why(
            similarity=round(score, 4),
            words=0.0,
            meaning=0.0,
            value=round(worth.q, 4),
            uncertainty=round((worth.ucb - worth.lcb) / 2, 4),
            n=worth.n,
            where=OVERALL if worth.n else "",
            score=round(score, 4),
            pick=ARCHITECTURE,
            beat=None,
            margin=0.0,
            said=" ".join(str(hit.why).split())[:WHY_CHARACTERS],
        )
        return Line(item(self._id, hit.id), score, worth.q, json.dumps(why._asdict()))

    # -- after it

    def catch_up(self) -> None:
        """Tell the architecture what happened since, here and elsewhere, and keep what it makes of it."""
        with self._lock:
            if self._stale:
                self._load()
                self._stale = False
            if not self._whole and (self._seq, self._number) == (self._bank.seq, self._history.last):
                return
            left: list[Moment] = []
            events = 0
            while True:
                with self._changing() as changes:
                    left += self._news()
                    events = self._take_in(left[:AT_ONCE], changes, events)
                    del left[:AT_ONCE]
                    self._whole = bool(left)  # if it ends here, the rest is still to be looked for
                if not left:
                    return
                self._whole = False

    @contextmanager
    def rehearsed(self) -> Iterator[None]:
        """A transaction that begins when all that ever happened was told, and in which the layer is made of that."""
        changes = _Changes()
        first = self._news()
        events = self._take_in(first, changes, 0)
        with self._bank.transaction():
            later = self._news()
            self._take_in(later, changes, events)
            if moments := first + later:
                self._changed(changes, self._trial.tick(moments[-1].time), "tick")
            self._bank.layer.clear(self._id, "install")
            self._write(changes)
            yield

    def tick(self, now: float) -> None:
        """Let the architecture tidy up."""
        with self._lock:
            self.catch_up()
            with self._changing() as changes:
                self._take_in(self._news(), changes, 0)  # what came in between
                self._changed(changes, self._trial.tick(now), "tick")

    @contextmanager
    def _changing(self) -> Iterator[_Changes]:
        """A transaction in which what the architecture changes is written when it ends."""
        self._stale = True  # until it has been written
        with self._bank.transaction():
            self._follow()
            changes = _Changes()
            yield changes
            self._write(changes)
            seq, number = self._bank.seq, self._history.last
        self._seq, self._number = seq, number
        self._stale = False

    def _take_in(self, moments: Sequence[Moment], changes: _Changes, events: int) -> int:
        """`events`: how many were told before these at once; how many are by now."""
        for moment in moments:
            name = key(moment)
            if name in self._told:
                continue
            if isinstance(moment, Outcome):
                self._feed_back(moment, changes)
            else:
                self._ingest(moment, changes)
                events += 1
                if events % TICK_EVERY == 0:
                    self._changed(changes, self._trial.tick(moment.time), "tick")
            self._told.add(name)
            changes.told.append(name)
        return events

    def _ingest(self, event: Event, changes: _Changes) -> None:
        self._hear(event)
        self._changed(changes, self._trial.ingest(event), event.id)

    def _feed_back(self, outcome: Outcome, changes: _Changes) -> None:
        items = tuple(dict.fromkeys(name for shown in outcome.items if (name := self._mine(shown))))
        if items:
            operations = self._trial.feedback(Receipt(outcome.query, items), outcome.reward)
            self._changed(changes, operations, f"{outcome.attempt} reward {outcome.reward:+.3f}")

    def _mine(self, shown: str) -> str | None:
        """The record that an item stands for: itself, else the one that shares most of its sources, the latest."""
        if shown in self._items:
            return self._items[shown]
        kept, native = self._bank.layer.find(shown), self._bank.get(shown)
        sources = set(kept.record.sources if kept else native.sources if native else ())
        shared = {record for source in sources for record in self._resting.get(source, ())}

        def share(name: str) -> tuple[float, int]:
            own = self._sources[name]
            return len(own & sources) / len(own | sources), self._replica.age(name)

        return max(shared, key=share, default=None)

    def _changed(self, changes: _Changes, operations: Sequence[Op], why: str) -> None:
        changes.note(operations, why)
        self._index(op.record.id if isinstance(op, Add) else op.id for op in operations if isinstance(op, Add | Update))

    def _write(self, changes: _Changes) -> None:
        for name, (what, why) in changes.records.items():
            record = self._replica.get(name)
            assert record is not None
            self._bank.layer.put(self._id, record, what=what, why=why)
        for name, why in changes.states.items():
            self._bank.layer.put_state(self._id, name, self._replica.state(name), why=why)
        for text in changes.notes:
            self._bank.log.append(subjects.BASE, "note", text)
        for told in changes.told:
            self._bank.layer.tell(self._id, *told)

    # -- the copy in memory

    def _load(self, *, anew: bool = False) -> None:
        """Fill the copy from the bank."""
        self._seq, self._number = self._bank.seq, self._history.last
        layer = self._bank.layer
        records, states = ([], {}) if anew else (layer.records(self._id), layer.states(self._id))
        self._told = set() if anew else layer.told(self._id)  # last: it has all that the records rest on
        self._replica = Masked(self._embed, self._inherited.worth)
        self._places: dict[tuple[str, str], list[str]] = {}
        """(task, domain) -> attempts."""
        self._resting: dict[str, set[str]] = {}
        """Attempt -> records that rest on it."""
        self._sources: dict[str, frozenset[str]] = {}
        """The same the other way round."""
        self._items: dict[str, str] = {}
        for event in self._history.events((name for kind, name in self._told if kind == ATTEMPT), trusted=False):
            self._hear(event)
        self._bring([*(Add(record) for record in records), *(SetState(name, told) for name, told in states.items())])
        self._index(record.id for record in records)
        self._inherited.forget()
        self._begin()
        self._whole = True

    def _begin(self) -> None:
        self.close()
        self._architecture = self._build()
        self._trial = Trial(self._architecture, self._replica, embed=self._embed)

    def _hear(self, event: Event) -> None:
        self._replica.tell(event)
        self._places.setdefault((event.scope, str(event.data.get("domain", ""))), []).append(event.id)

    def _index(self, records: Iterable[str]) -> None:
        for name in records:
            record = self._replica.get(name)
            before, after = self._sources.get(name, frozenset()), frozenset(record.sources if record else ())
            self._items[item(self._id, name)] = name
            self._sources[name] = after
            for source in before - after:
                self._resting[source].discard(name)
            for source in after:
                self._resting.setdefault(source, set()).add(name)

    def _bring(self, operations: Sequence[Op]) -> None:
        for start in range(0, len(operations), BOUNDS.operations):
            self._replica.apply(operations[start : start + BOUNDS.operations], method="store", now=time.time())

    # -- following the log

    def _news(self) -> list[Moment]:
        """What the architecture may not know yet."""
        if self._whole:
            self._whole = False
            attempts, credited = self._history.since(0), self._history.credited()
        else:
            changed = [parted(name) for name in self._bank.log.changed(self._seq)]
            records = [name for kind, name in changed if kind == subjects.RECORD]
            attempts = [*self._history.since(self._number), *self._history.of_records(records)]
            credited = [name for kind, name in changed if kind == subjects.CREDIT]
        return self._history.moments(
            [name for name in attempts if (ATTEMPT, name) not in self._told],
            [name for name in credited if (CREDIT, name) not in self._told],
        )

    def _follow(self) -> None:
        """Take over what others wrote."""
        changed = [parted(name) for name in self._bank.log.changed(self._seq)]
        if {kind for kind, _ in changed} & {subjects.CREDIT, subjects.LINK}:
            self._inherited.forget()
        own = [(kind, name) for kind, name in changed if kind in subjects.LAYER and json.loads(name)[0] == self._id]
        if own and self._followed(own):
            self._begin()  # what it had in mind may be of before
        elif own:
            self._load()

    def _followed(self, changed: Sequence[tuple[str, str]]) -> bool:
        """False where something is less than it was: only what was added can be taken over."""
        states = {name: self._bank.log.at(subject(kind, name), self._bank.seq) for kind, name in changed}
        if None in states.values():
            return False
        named = [(kind, json.loads(name), json.loads(states[name] or "")) for kind, name in changed]
        told = [(name[1], name[2]) for kind, name, _ in named if kind == subjects.TOLD]
        for event in self._history.events((name for kind, name in told if kind == ATTEMPT), trusted=False):
            self._hear(event)
        self._told.update(told)
        operations: list[Op] = [
            SetState(name[1], data["value"]) for kind, name, data in named if kind == subjects.STATE
        ]
        for record in [record_in(data) for kind, _, data in named if kind == subjects.MEMORY]:
            renewed = _renewed(self._replica.get(record.id), record)
            if renewed is None:
                return False
            operations += renewed
        self._bring(operations)
        self._index(name[1] for kind, name, _ in named if kind == subjects.MEMORY)
        return True


def _renewed(before: Record | None, after: Record) -> list[Op] | None:
    """What makes the one record the other; None where nothing can: no operation takes a key of `meta` away."""
    if before is None:
        return [Add(after)]
    had = [(link.target, link.rel) for link in before.links]
    kept = [end for link in after.links if (end := (link.target, link.rel)) in had]
    if before.meta.keys() - after.meta.keys() or kept != had:  # where one was made anew, it comes last
        return None
    changes = {name: value for name, value in after._asdict().items() if name in CHANGEABLE}
    return [Update(after.id, changes), *(AddLink(after.id, link) for link in after.links)]
