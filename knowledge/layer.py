"""What a memory architecture keeps in the bank: records of its own beside the native ones, state, what it knows.

Each is a subject of the log named by JSON: `memory [ARCHITECTURE, RECORD]`, `memory-state [ARCHITECTURE, KEY]`,
`memory-told [ARCHITECTURE, KIND, NAME]`. So history, comparison and going back treat them like everything else. What an
architecture kept stays when another one takes its place.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from evolve.types import Experience
from knowledge.architecture import ACTIVE, JSON, Record, named
from knowledge.database import Database
from knowledge.log import MEMORY, STATE, TOLD, Log, subject
from knowledge.techniques import TRUSTED
from knowledge.wire import record_in, record_out

LAST = chr(0x10FFFF)
ITEM = "mem-"
"""How the names of an architecture's records begin, among all that can be recalled."""
ABOUT = "About"
"""Begins the line of an event's text that says what its task is about; a writer has that in front of it anyway."""
ATTEMPT = "attempt"
"""Kind of a record that is an attempt as it was told."""
COMMON = ("task", "domain", "stage", "technique", "state", "hardware", "recipe", "metrics")
"""Of an experience what its sources say, where they all say the same."""


class Kept(NamedTuple):
    """A record of an architecture, as the log holds it."""

    item: str
    architecture: str
    record: Record
    status: str
    """Its own; `quarantined` and the like where something that it rests on is."""

    @property
    def subject(self) -> str:
        return subject(MEMORY, json.dumps([self.architecture, self.record.id]))


class Barred(NamedTuple):
    """Attempts whose native records are hidden."""

    distrusted: Mapping[str, str]
    """Quarantined, forgotten or gone: nothing that rests on one of these is shown. -> status."""
    idle: frozenset[str]
    """Not found any more for whatever reason: what rests on these alone is not shown."""


def item(architecture: str, record: str) -> str:
    """The name of an architecture's record among all that can be recalled."""
    return ITEM + named(architecture, record)


class Layer:
    """Writes belong within a transaction. Raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._log = Log(database)

    # -- changes

    def put(self, architecture: str, record: Record, *, what: str, why: str) -> None:
        self._put(architecture, record.id, json.dumps(record_out(record)), what, why)

    def _put(self, architecture: str, record: str, data: str | None, what: str, why: str) -> None:
        name = json.dumps([architecture, record])
        self.apply(name, self._log.append(subject(MEMORY, name), what, why, data))

    def put_state(self, architecture: str, key: str, value: JSON, *, why: str) -> None:
        data = None if value is None else json.dumps({"value": value})
        self._log.append(subject(STATE, json.dumps([architecture, key])), "state", why, data)

    def tell(self, architecture: str, kind: str, name: str) -> None:
        """Note that the architecture knows of an attempt, or of the credit for one."""
        self._log.append(subject(TOLD, json.dumps([architecture, kind, name])), "tell", name, "{}")

    def clear(self, architecture: str, why: str) -> None:
        """Let the architecture have kept nothing and know of nothing."""
        for record in self.records(architecture):
            self._put(architecture, record.id, None, "clear", why)
        for kind in (STATE, TOLD):
            for name in self._last(kind, architecture):
                self._log.append(subject(kind, name), "clear", why)

    def apply(self, name: str, seq: int) -> None:
        """Bring the table to a line of the log about a record."""
        architecture, record = json.loads(name)
        self._database.run(
            "INSERT INTO layer (item, architecture, id, seq) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (architecture, id) DO UPDATE SET seq = excluded.seq",
            item(architecture, record), architecture, record, seq,
        )  # fmt: skip

    def erase(self, attempts: Iterable[str], why: str) -> None:
        """Remove every version of every record that rests on one of these attempts from the log.

        Not covered: private state.
        """
        rows = self._database.rows(
            "SELECT DISTINCT l.subject FROM log l, json_each(l.data, '$.sources') AS source"
            " WHERE l.subject >= ? AND l.subject < ? AND source.value IN (SELECT value FROM json_each(?))",
            subject(MEMORY, ""), subject(MEMORY, LAST), json.dumps(list(attempts)),
        )  # fmt: skip
        for (name,) in rows:
            self._database.run("UPDATE log SET data = NULL WHERE subject = ?", name)
            self.apply(name.removeprefix(subject(MEMORY, "")), self._log.append(name, "erase", why))

    # -- looking

    def records(self, architecture: str) -> list[Record]:
        """In the order in which they were first added."""
        rows = self._database.rows(
            "SELECT l.data FROM layer y JOIN log l ON l.seq = y.seq WHERE y.architecture = ? AND l.data IS NOT NULL"
            " ORDER BY y.n",
            architecture,
        )
        return [record_in(json.loads(data)) for (data,) in rows]

    def count(self, architecture: str) -> int:
        """Active records."""
        found = self._database.row(
            "SELECT count(*) FROM layer y JOIN log l ON l.seq = y.seq"
            " WHERE y.architecture = ? AND l.data ->> '$.status' = ?",
            architecture, ACTIVE,
        )  # fmt: skip
        return int(found[0]) if found else 0

    def record(self, architecture: str, record: str) -> Record | None:
        kept = self.find(item(architecture, record))
        return kept.record if kept else None

    def states(self, architecture: str) -> dict[str, JSON]:
        return {
            json.loads(name)[1]: json.loads(data)["value"] for name, data in self._last(STATE, architecture).items()
        }

    def told(self, architecture: str) -> set[tuple[str, str]]:
        """(kind, name) of what the architecture knows of."""
        names = (json.loads(name) for name in self._last(TOLD, architecture))
        return {(kind, name) for _, kind, name in names}

    def _last(self, kind: str, architecture: str) -> dict[str, str]:
        """Name of a subject -> its state, of those that are there; in the order of their first lines."""
        start = subject(kind, f"[{json.dumps(architecture)}, ")
        rows = self._database.rows(
            "SELECT l.subject, l.data FROM (SELECT max(seq) AS last, min(seq) AS first FROM log"
            " WHERE subject >= ? AND subject < ? GROUP BY subject) JOIN log l ON l.seq = last"
            " WHERE l.data IS NOT NULL ORDER BY first",
            start, start + LAST,
        )  # fmt: skip
        return {name.removeprefix(subject(kind, "")): data for name, data in rows}

    def find(self, name: str) -> Kept | None:
        """By the name of the item; None where it is not there."""
        found = self._database.row(
            "SELECT y.architecture, l.data FROM layer y JOIN log l ON l.seq = y.seq WHERE y.item = ?", name
        )
        if found is None or found[1] is None:
            return None
        record = record_in(json.loads(found[1]))
        barred = self.barred(record.sources)
        status = next((barred.distrusted[name] for name in record.sources if name in barred.distrusted), record.status)
        return Kept(name, found[0], record, status)

    def beginning(self, name: str) -> list[str]:
        """Items that begin so."""
        rows = self._database.rows(
            "SELECT item FROM layer y JOIN log l ON l.seq = y.seq WHERE ? != '' AND item >= ? AND item < ?"
            " AND l.data IS NOT NULL ORDER BY item LIMIT 20",
            name, name, name + LAST,
        )  # fmt: skip
        return [found for (found,) in rows]

    def barred(self, attempts: Sequence[str] | None = None) -> Barred:
        """Of these attempts, or of all."""
        which = "" if attempts is None else "AND e.id IN (SELECT value FROM json_each(:attempts))"
        rows = self._database.rows(
            "SELECT e.id, r.status FROM records r CROSS JOIN events e ON e.record = r.id WHERE (r.status IN"  # noqa: S608
            " ('superseded', 'expired', 'quarantined', 'forgotten', 'gone') OR r.rowid IN"
            f" (SELECT n FROM records WHERE expires IS NOT NULL AND expires <= :now)) {which}",
            now=time.time(), **({} if attempts is None else {"attempts": json.dumps(list(attempts))}),
        )  # fmt: skip
        distrusted = {name: status for name, status in rows if status not in TRUSTED}
        return Barred(distrusted, frozenset(name for name, _ in rows))

    def experience(self, kept: Kept) -> Experience:
        """The record as an item that can be in front of a writer."""
        record = kept.record
        origins = self._origins(record.sources)
        common = {name: value for name in COMMON if (value := _agreed(origin.get(name) for origin in origins))}
        kind = record.kind if record.kind != ATTEMPT else _agreed(origin.get("kind") for origin in origins) or ATTEMPT
        tasks = tuple(f"{ABOUT} {task} " for task in {origin.get("task") for origin in origins})
        lines = [line for line in record.text.split("\n") if not line.startswith(tasks)]
        return Experience.model_validate(
            {
                "id": kept.item,
                "kind": kind,
                "text": "\n".join(lines),
                "payload": record.payload,
                "sources": record.sources,
                **common,
            }
        )

    def _origins(self, attempts: Sequence[str]) -> list[dict[str, Any]]:
        """What was natively learnt from these attempts."""
        rows = self._database.rows(
            "SELECT l.data -> '$.experience' FROM json_each(?) AS wanted CROSS JOIN events e ON e.id = wanted.value"
            " JOIN records r ON r.id = e.record JOIN log l ON l.seq = r.seq WHERE l.data IS NOT NULL",
            json.dumps(list(attempts)),
        )
        return [json.loads(data) for (data,) in rows]


def _agreed(values: Iterable[Any]) -> Any:
    """What all say; None where they differ."""
    told = list(values)
    return told[0] if told and all(value == told[0] for value in told) else None
