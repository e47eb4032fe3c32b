"""What happened to a base, as a memory architecture is told it: attempts, and how those fared that had recalled.

Native records say what an attempt was about; what they rest on stays out once it is not trusted any more. Not among
it: what others than the judge report, and documents, of which a base has none.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from pydantic import ValidationError

from evolve.types import Attempt, Task
from knowledge import distil
from knowledge.architecture import Event, Query
from knowledge.bank import Bank
from knowledge.layer import ABOUT, ATTEMPT
from knowledge.ledger import Ledger
from knowledge.selection import about
from knowledge.techniques import TRUSTED

FEEDBACK = "feedback"
"""Stage of what others report: no judge measured it, so it is kept apart from what one did."""
BUDGET = 4000
"""Tokens of recalled text in front of a writer."""
CREDIT = "credit"
UNKNOWN = "unknown"
"""Stands for no bottleneck in a signature."""


class Outcome(NamedTuple):
    """How it went for an attempt that had items in front of it."""

    attempt: str
    time: float
    query: Query
    """What it had asked, as far as its receipt tells."""
    items: tuple[str, ...]
    """Of the base, in the order shown."""
    reward: float
    """As the judge gave it, from -1 to 1."""


Moment: TypeAlias = Event | Outcome


def key(moment: Moment) -> tuple[str, str]:
    """(kind, name): two moments of one key are the same."""
    return (ATTEMPT, moment.id) if isinstance(moment, Event) else (CREDIT, moment.attempt)


def query(task: Task | str, *, stage: str, state: str, k: int, now: float, hardware: str = "") -> Query:
    """What an architecture is asked for an attempt at a task; `task` is its id alone where no more is known."""
    name, domain = (task.id, task.domain) if isinstance(task, Task) else (task, "")
    return Query(
        text=about(task, stage, state) if isinstance(task, Task) else f"{name} {state} {stage}",
        now=now,
        stage=stage,
        scope=name,
        k=k,
        budget_tokens=BUDGET,
        where={"task": name, "domain": domain, "state": state, "hardware": hardware},
    )


class History:
    """Raises StorageError."""

    def __init__(self, bank: Bank, ledger: Ledger) -> None:
        self._rows = bank.database.rows
        self._ledger = ledger
        self._tasks: dict[str, Task] = {}
        self._read = 0

    @property
    def last(self) -> int:
        """Number of the newest event."""
        return int(self._rows("SELECT max(rowid) FROM events")[0][0] or 0)

    @property
    def now(self) -> float:
        """When something was last told, Unix seconds: the same for all that is asked before more is told."""
        rows = self._rows("SELECT time FROM events ORDER BY rowid DESC LIMIT 1")
        return float(rows[0][0]) if rows else 0.0

    def since(self, number: int) -> list[str]:
        """Attempts that were told after the event of this number."""
        rows = self._rows("SELECT id FROM events WHERE rowid > ? AND kind = ? ORDER BY rowid", number, ATTEMPT)
        return [name for (name,) in rows]

    def credited(self) -> list[str]:
        """Attempts whose reward counts."""
        return [name for (name,) in self._rows("SELECT attempt FROM credits WHERE counts ORDER BY time, attempt")]

    def of_records(self, records: Iterable[str]) -> list[str]:
        """Attempts from which these native records were learnt."""
        rows = self._rows(
            "SELECT id FROM events WHERE kind = ? AND record IN (SELECT value FROM json_each(?))",
            ATTEMPT, json.dumps(list(records)),
        )  # fmt: skip
        return [name for (name,) in rows]

    def moments(self, attempts: Iterable[str] | None = None, credited: Iterable[str] | None = None) -> list[Moment]:
        """In the order in which they happened: events of these trusted attempts and outcomes of those, or all."""
        found: list[Moment] = [*self.outcomes(credited), *self.events(attempts)]
        return sorted(found, key=lambda moment: moment.time)

    # -- events

    def events(self, attempts: Iterable[str] | None = None, *, trusted: bool = True) -> list[Event]:
        """Of these attempts, or of all; the oldest first. Those that are not trusted have lost their text."""
        which = "true" if attempts is None else "e.id IN (SELECT value FROM json_each(:wanted))"
        if trusted:
            which += f" AND r.status IN {TRUSTED}"
        named = {} if attempts is None else {"wanted": json.dumps(list(attempts))}
        rows = self._rows(
            "SELECT e.id, e.task, e.time, e.parent, r.status, l.data -> '$.experience' FROM events e"  # noqa: S608
            " LEFT JOIN records r ON r.id = e.record LEFT JOIN log l ON l.seq = r.seq"
            f" WHERE e.kind = '{ATTEMPT}' AND {which} ORDER BY e.time, e.rowid",
            **named,
        )
        tasks = self._known_tasks()
        found = []
        for name, task, moment, parent, status, data in rows:
            item = self._learnt(name, data, tasks) if status in TRUSTED else {}
            found.append(self._event(name, task, moment, parent or "", item, tasks))
        return found

    def _event(
        self, name: str, task: str, moment: float, parent: str, item: Mapping[str, Any], tasks: Mapping[str, Task]
    ) -> Event:
        stage, state = item.get("stage", ""), item.get("state", "")
        what = about(tasks[task], stage, state) if task in tasks else f"{task} {state} {stage}"
        metrics = item.get("metrics", {})
        data = {
            "task": task,
            "domain": item.get("domain", ""),
            "stage": stage,
            "technique": item.get("technique", ""),
            "state": state,
            "hardware": item.get("hardware", ""),
            "code": item.get("payload", ""),
            "feasible": item.get("kind") == distil.TRACE,
            "recipe": list(item.get("recipe", ())),
            **{measure: metrics[measure] for measure in ("score", "gain") if measure in metrics},
        }
        text = f"{item['text']}\n{ABOUT} {' '.join(what.split())}" if item else ""
        run = name.rpartition("/")[0]
        return Event(name, ATTEMPT, text, moment, actor=run, scope=task, parent=parent, data=data if item else {})

    def _learnt(self, attempt: str, data: str | None, tasks: Mapping[str, Task]) -> Mapping[str, Any]:
        """What the attempt taught; where a record of the same code was there already, its own words all the same."""
        item: dict[str, Any] = json.loads(data) if data else {}
        if item.get("sources", [""])[0] == attempt:
            return item
        tried = self._attempt(attempt)
        if tried is None or tried.task not in tasks:
            return item
        parent = self._attempt(tried.candidate.parent) if tried.candidate.parent else None
        made = distil.experience(tasks[tried.task], tried, parent, earlier=(), baseline=None)
        return made.model_dump(mode="json")

    def _attempt(self, name: str) -> Attempt | None:
        for (data,) in self._rows("SELECT data FROM events WHERE id = ?", name):
            try:
                return Attempt.model_validate_json(data)
            except ValidationError:  # it was erased
                return None
        return None

    def _known_tasks(self) -> Mapping[str, Task]:
        rows = self._rows("SELECT rowid, task, data FROM events WHERE rowid > ? AND kind = 'task'", self._read)
        self._read = self.last
        for _, name, data in rows:
            try:
                self._tasks[name] = Task.model_validate_json(data)
            except ValidationError:  # of another version
                continue
        return self._tasks

    # -- outcomes

    def outcomes(self, attempts: Iterable[str] | None = None) -> list[Outcome]:
        """Of these attempts, or of all; the oldest first. Only rewards of the judge that count."""
        which = "true" if attempts is None else "c.attempt IN (SELECT value FROM json_each(:wanted))"
        named = {} if attempts is None else {"wanted": json.dumps(list(attempts))}
        rows = self._rows(
            "SELECT c.attempt, c.time, c.raw, r.time, r.task, r.stage, r.states FROM credits c"  # noqa: S608
            f" JOIN receipts r USING (attempt) WHERE c.counts AND r.stage != '{FEEDBACK}' AND {which}"
            " ORDER BY c.time, c.attempt",
            **named,
        )
        tasks, found = self._known_tasks(), []
        for attempt, moment, raw, asked, task, stage, states in rows:
            items = tuple(line.item for line in self._ledger.lines(attempt))
            if items:
                state = json.loads(states)[1]
                state = "" if state == UNKNOWN else state
                told = query(tasks.get(task, task), stage=stage, state=state, k=len(items), now=asked)
                found.append(Outcome(attempt, moment, told, items, max(-1.0, min(1.0, raw))))
        return found
