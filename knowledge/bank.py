"""The truth of the knowledge base: what happened, what was learnt from it, and every change in order.

Events are never updated. What is known of a record is the last line about it in the log; `apply` brings the tables to
any such line, which is how records are put, changed, rolled back and imported.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from evolve.errors import StorageError
from evolve.types import Experience, Frozen
from knowledge import log as subjects
from knowledge.database import BUSY_SECONDS, Database
from knowledge.distil import CURATED, FAILURE, GUIDE, INSIGHT, TRACE, content_hash, insight_id
from knowledge.layer import Layer
from knowledge.lexicon import Lexicon
from knowledge.log import Log, subject
from knowledge.techniques import TRUSTED, Techniques
from knowledge.vectors import Vectors

ACTIVE, SUPERSEDED, EXPIRED, QUARANTINED, FORGOTTEN, GONE = (
    "active", "superseded", "expired", "quarantined", "forgotten", "gone",
)  # fmt: skip
"""Only active records are found. `gone`: not there (yet) at the point to which the base was rolled back."""
KEPT = (ACTIVE, SUPERSEDED, EXPIRED, QUARANTINED, FORGOTTEN)
STATUSES = (*KEPT, GONE)
LAST = chr(0x10FFFF)
CARD = (
    "r.n, r.id, r.seq, r.status, r.kind, r.task, r.domain, r.stage, r.state, r.technique, r.hardware, r.score,"
    " r.content, r.time"
)
FOUND = "r.status = 'active' AND (r.expires IS NULL OR r.expires > :now)"


class Card(NamedTuple):
    """What must be known of a record to decide whether it is worth reading."""

    n: int
    """Order in which records were first added; never changes."""
    id: str
    seq: int
    status: str
    kind: str
    task: str
    domain: str
    stage: str
    state: str
    technique: str
    hardware: str
    score: float | None
    content: str
    """Hash of the payload; empty when it has none."""
    time: float
    """When it was learnt, Unix seconds."""


class Held(Frozen):
    """A record's state, as the log holds it."""

    experience: Experience
    keys: str
    """The text that it is found by."""
    status: str = ACTIVE
    time: float = 0.0
    """When it was learnt, Unix seconds; filled in when it is put."""


class Bank:
    """Raises StorageError and UsageError as `Database` does."""

    def __init__(self, path: Path, patience: float = BUSY_SECONDS) -> None:
        self._use(Database(path, patience))

    def _use(self, database: Database) -> None:
        self.database = database
        self.path = database.path
        self.log = Log(self.database)
        self.lexicon = Lexicon(self.database)
        self.vectors = Vectors(self.database)
        self.techniques = Techniques(self.database)
        self.layer = Layer(self.database)
        self._depth = 0

    def close(self) -> None:
        self.database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, as `Database.transaction`; what is counted from records is in step when it ends."""
        with self.database.transaction():
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self.techniques.settle(self.seq)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.techniques.stale.clear()

    @contextmanager
    def still(self) -> Iterator["Bank"]:
        """The bank as it is now, whatever is written meanwhile; only to be read."""
        view = Bank(self.path)
        try:
            view.database.run("BEGIN")
            yield view
        finally:
            view.close()

    @property
    def id(self) -> str:
        """Drawn when the bank was made: an index of another bank is recognised by it."""
        return self.meta("id")

    @property
    def seq(self) -> int:
        return self.log.seq

    def meta(self, key: str) -> str:
        """Empty where nothing was noted."""
        found = self.database.row("SELECT value FROM meta WHERE key = ?", key)
        return str(found[0]) if found else ""

    def note(self, key: str, value: str) -> None:
        self.database.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)

    # -- events

    def add_event(
        self,
        event: str,
        *,
        kind: str,
        task: str,
        data: str,
        record: str | None = None,
        parent: str | None = None,
        at: float | None = None,
    ) -> None:
        """Once for each id; what is already there stays as it is. `at`: Unix seconds, now without."""
        self.database.run(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            event, kind, task, time.time() if at is None else at, data, record, parent,
        )  # fmt: skip

    def happened(self, event: str) -> bool:
        return self.database.row("SELECT 1 FROM events WHERE id = ?", event) is not None

    def learnt_from(self, event: str) -> str | None:
        """The record that holds what was learnt from an attempt."""
        found = self.database.row("SELECT record FROM events WHERE id = ?", event)
        return str(found[0]) if found and found[0] else None

    def descendants(self, event: str) -> list[str]:
        """The event itself, and all that continue it, directly or not."""
        rows = self.database.rows(
            "WITH RECURSIVE line (id) AS (SELECT ? UNION"
            " SELECT e.id FROM events e JOIN line ON e.parent = line.id) SELECT id FROM line",
            event,
        )
        return [name for (name,) in rows]

    # -- records

    def put(self, held: Held, *, what: str = "add", why: str) -> int:
        """Add a record, or its next version; the number of the change. Its text needs a vector: see `vectors`."""
        held = held if held.time else held.model_copy(update={"time": time.time()})
        with self.transaction():
            data = held.model_dump_json(exclude_defaults=True)
            name = subject(subjects.RECORD, held.experience.id)
            seq = self.log.append(name, what, why, data)
            self.apply(held.experience.id, seq, data)
        return seq

    def set_status(self, record: str, status: str, *, what: str, why: str) -> bool:
        """False where the record is not there, or has that status already."""
        with self.transaction():
            held = self.held(record)
            if held is None or held.status == status:
                return False
            self.put(held.model_copy(update={"status": status}), what=what, why=why)
        return True

    def touch(self, record: str, *, what: str, why: str) -> None:
        """A new line for a record that stays as it is: whoever follows the log looks at it again."""
        held = self.held(record)
        if held is not None:
            self.put(held, what=what, why=why)

    def apply(self, record: str, seq: int, data: str | None) -> None:
        """Bring the tables to the state `data`, which the log holds at `seq`. Within a transaction."""
        held = Held.model_validate_json(data) if data else None
        before = self._row(record)
        if held is None:
            if before is not None:
                self.database.run("UPDATE records SET seq = ?, status = ? WHERE n = ?", seq, GONE, before.n)
        elif before is None:
            self._insert(seq, held)
        else:
            self._update(before.n, seq, held)
        after = self._row(record)
        if after is None:
            return
        if held is not None and held.status == ACTIVE:
            self.lexicon.put(after.n, held.keys)
        else:
            self.lexicon.drop(after.n)
        self._observe(before, after, seq)

    def _insert(self, seq: int, held: Held) -> None:
        columns = _columns(seq, held)
        marks = ", ".join("?" * len(columns))
        self.database.run(
            f"INSERT INTO records ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608  names of columns
            *columns.values(),
        )

    def _update(self, n: int, seq: int, held: Held) -> None:
        columns = _columns(seq, held)
        self.database.run(
            f"UPDATE records SET {', '.join(f'{name} = ?' for name in columns)} WHERE n = ?",  # noqa: S608
            *columns.values(), n,
        )  # fmt: skip

    def _observe(self, before: Card | None, after: Card, seq: int) -> None:
        """Keep the statistics of techniques in step."""
        if not {TRACE, FAILURE} & {card.kind for card in (before, after) if card}:
            return
        if before is None and after.status in TRUSTED:
            self.techniques.add(after.id, seq)
        elif before is not None and (before.status in TRUSTED or after.status in TRUSTED):
            for card in (before, after):
                self.techniques.stale.add((card.domain, card.state, card.hardware, card.task, card.technique))

    def _row(self, record: str) -> Card | None:
        rows = self.database.rows(f"SELECT {CARD} FROM records r WHERE r.id = ?", record)  # noqa: S608  a constant
        return Card(*rows[0]) if rows else None

    def held(self, record: str) -> Held | None:
        """With its status; None where it is not there."""
        found = self.database.row(
            "SELECT l.data FROM records r JOIN log l ON l.seq = r.seq WHERE r.id = ? AND r.status != ?", record, GONE
        )
        if found is None:
            return None
        try:
            return Held.model_validate_json(found[0])
        except ValidationError as e:
            raise StorageError(f"{record} in {self.path} cannot be read; `evolve kb doctor --fix` may mend it") from e

    def get(self, record: str) -> Experience | None:
        held = self.held(record)
        return held.experience if held else None

    def many(self, records: Sequence[str]) -> list[Experience]:
        """In the order asked for, whatever their status; those that are not there are left out."""
        return [experience for name in records if (experience := self.get(name))]

    def ids(self, status: str = "") -> list[str]:
        """Of every record that is there, or of those with this status; in the order they were added."""
        rows = self.database.rows(
            "SELECT id FROM records WHERE status = coalesce(nullif(?, ''), status) AND status != ? ORDER BY n",
            status, GONE,
        )  # fmt: skip
        return [name for (name,) in rows]

    def with_status(self, status: str) -> list[Card]:
        """The latest changed first."""
        rows = self.database.rows(f"SELECT {CARD} FROM records r WHERE r.status = ? ORDER BY r.seq DESC", status)  # noqa: S608
        return [Card(*row) for row in rows]

    def beginning(self, name: str) -> list[str]:
        """Ids that begin so, in their order; none for no name."""
        rows = self.database.rows(
            "SELECT id FROM records WHERE ? != '' AND id >= ? AND id < ? AND status != ? ORDER BY id LIMIT 20",
            name, name, name + LAST, GONE,
        )  # fmt: skip
        return [found for (found,) in rows]

    def newest(self, limit: int) -> list[str]:
        """Ids of the records that were added last."""
        rows = self.database.rows("SELECT id FROM records WHERE status != ? ORDER BY n DESC LIMIT ?", GONE, limit)
        return [name for (name,) in rows]

    def count(self) -> int:
        """Active records."""
        found = self.database.row("SELECT count(*) FROM records WHERE status = 'active'")
        return int(found[0]) if found else 0

    def same_content(self, task: str, content: str, kind: str) -> str | None:
        """The record that already holds this content of this task; what has expired may be learnt again."""
        found = self.database.row(
            "SELECT id FROM records WHERE task = ? AND content = ? AND kind = ? AND status NOT IN (?, ?)"
            " AND (expires IS NULL OR expires > ?) ORDER BY n LIMIT 1",
            task, content, kind, GONE, EXPIRED, time.time(),
        )  # fmt: skip
        return str(found[0]) if found else None

    def resting_on(self, *, attempts: Iterable[str] = (), tasks: Iterable[str] = ()) -> list[str]:
        """Guides and curated insights that rest on one of these attempts, or on any attempt at these tasks."""
        rows = self.database.rows(
            "SELECT DISTINCT r.id FROM records r JOIN log l ON l.seq = r.seq,"
            " json_each(l.data, '$.experience.sources') AS source"
            " WHERE r.status IN (:active, :superseded, :expired, :forgotten)"
            " AND (r.kind = :guide OR r.kind = :insight AND r.id >= :curated AND r.id < :last)"
            " AND (source.value IN (SELECT value FROM json_each(:attempts)) OR source.value IN"
            " (SELECT id FROM events WHERE task IN (SELECT value FROM json_each(:tasks)))) ORDER BY r.n",
            active=ACTIVE, superseded=SUPERSEDED, expired=EXPIRED, forgotten=FORGOTTEN, guide=GUIDE, insight=INSIGHT,
            curated=CURATED, last=CURATED + LAST, attempts=json.dumps(list(attempts)), tasks=json.dumps(list(tasks)),
        )  # fmt: skip
        return [name for (name,) in rows]

    def barred(self, tasks: frozenset[str]) -> set[str]:
        """Insights and guides that rest on any attempt at these tasks."""
        if not tasks:
            return set()
        counted = {insight_id(group) for group in self.techniques.tried_on(tasks)}
        return counted | set(self.resting_on(tasks=tasks))

    # -- links

    def link(self, source: str, rel: str, target: str, *, why: str, weight: float | None = 1.0) -> None:
        """Tie two records; `weight` None unties them."""
        name = subject(subjects.LINK, json.dumps([source, rel, target]))
        with self.transaction():
            data = None if weight is None else json.dumps({"weight": weight})
            self.log.append(name, "unlink" if data is None else "link", why, data)
            self.apply_link(json.dumps([source, rel, target]), data)

    def apply_link(self, name: str, data: str | None) -> None:
        source, rel, target = json.loads(name)
        if data is None:
            self.database.run("DELETE FROM links WHERE source = ? AND rel = ? AND target = ?", source, rel, target)
        else:
            weight = json.loads(data)["weight"]
            self.database.run("INSERT OR REPLACE INTO links VALUES (?, ?, ?, ?)", source, rel, target, weight)

    def towards(self, record: str, rel: str) -> list[str]:
        """The record itself and all that links of this kind lead to from it, one after the other."""
        return self._reached(record, rel, "source", "target")

    def from_where(self, record: str, rel: str) -> list[str]:
        """The record itself and all from which links of this kind lead to it."""
        return self._reached(record, rel, "target", "source")

    def _reached(self, record: str, rel: str, near: str, far: str) -> list[str]:
        rows = self.database.rows(
            f"WITH RECURSIVE found (id) AS (SELECT ? UNION SELECT l.{far} FROM links l"  # noqa: S608  names of columns
            f" JOIN found ON l.{near} = found.id AND l.rel = ?) SELECT id FROM found",
            record, rel,
        )  # fmt: skip
        return [name for (name,) in rows]

    def links_of(self, source: str) -> list[tuple[str, str]]:
        """(rel, target) of the links that start there."""
        return self.database.rows("SELECT rel, target FROM links WHERE source = ? ORDER BY rel, target", source)

    # -- finding

    def cards(self, records: Iterable[str]) -> list[Card]:
        """Of those that may be found now, in no certain order."""
        rows = self.database.rows(
            f"SELECT {CARD} FROM json_each(:wanted) AS wanted"  # noqa: S608
            f" CROSS JOIN records r ON r.id = wanted.value WHERE {FOUND}",  # CROSS: in this order, by the names
            wanted=json.dumps(list(records)), now=time.time(),
        )  # fmt: skip
        return [Card(*row) for row in rows]

    def found_by(self, texts: Iterable[str]) -> list[tuple[str, str]]:
        """(hash, record) of the active records that are found by these texts, given as hashes."""
        return self.database.rows(
            "SELECT r.keyed, r.id FROM json_each(?) AS wanted CROSS JOIN records r"
            " ON r.keyed = wanted.value AND r.status = 'active'",
            json.dumps(list(texts)),
        )

    def insights(self, domain: str, state: str | None, limit: int) -> list[Card]:
        """Of one bottleneck state, or of all where it is None; the most promising first."""
        which = "" if state is None else "AND r.state = :state"
        rows = self.database.rows(
            f"SELECT {CARD} FROM records r WHERE r.kind = 'insight' AND r.domain = :domain {which} AND {FOUND}"  # noqa: S608
            " ORDER BY r.score DESC, r.n LIMIT :limit",
            domain=domain, state=state, limit=limit, now=time.time(),
        )  # fmt: skip
        return [Card(*row) for row in rows]

    def leaders(self, domain: str, state: str, tasks: Sequence[str]) -> list[str]:
        """The best traces of each of these tasks, overall and out of one bottleneck state."""
        best = (
            f"SELECT r.id FROM records r WHERE {FOUND} AND r.domain = :domain AND r.kind = 'trace'"  # noqa: S608
            " AND r.task = :task{} ORDER BY r.score DESC LIMIT 1"
        )
        found: dict[str, None] = {}
        for task in tasks:
            for which in ("", " AND r.state = :state"):
                rows = self.database.rows(best.format(which), domain=domain, task=task, state=state, now=time.time())
                found.update((name, None) for (name,) in rows)
        return list(found)


def keyed(keys: str) -> str:
    """Hash of the text that a record is found by."""
    return hashlib.sha256(keys.encode()).hexdigest()[:16]


def _columns(seq: int, held: Held) -> dict[str, object]:
    item = held.experience
    return {
        "id": item.id,
        "seq": seq,
        "status": held.status,
        "kind": item.kind,
        "task": item.task,
        "domain": item.domain,
        "stage": item.stage,
        "state": item.state,
        "technique": item.technique,
        "hardware": item.hardware,
        "score": item.metrics.get("expected", item.metrics.get("score")),
        "gain": item.metrics.get("gain"),
        "content": content_hash(item.payload),
        "keyed": keyed(held.keys),
        "source": item.sources[0] if item.sources else "",
        "time": held.time,
        "expires": item.expires,
    }
