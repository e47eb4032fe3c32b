"""The run's journal: everything that happened in a run, durable the moment it happened.

One SQLite file (WAL) in the run's folder. Each step of an attempt has its own columns, written once, so that a run
killed between any two of them goes on from the last one: planned → drafted → judged → learned.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from pydantic import BaseModel, ValidationError

from evolve import policy
from evolve.errors import StorageError, UsageError
from evolve.types import Attempt, Candidate, Completion, Cost, Evaluation, Prompt

APPLICATION = 0x65766F6C
"""SQLite's application_id of our files: `evol`."""
SCHEMA = 1
EVER = 2**62
"""Later than any position."""

M = TypeVar("M", bound=BaseModel)

_TABLES = """
CREATE TABLE attempts (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, round INTEGER NOT NULL,
    task TEXT NOT NULL, stage TEXT NOT NULL, parent TEXT,
    candidate TEXT, draft TEXT, cost TEXT,
    evaluation TEXT, score REAL, judged_seconds REAL, repeat_of TEXT,
    gain REAL, reward REAL, improved INTEGER, learned INTEGER NOT NULL DEFAULT 0);
CREATE INDEX attempts_by_score ON attempts (task, score DESC);
CREATE INDEX attempts_by_content ON attempts (task, candidate);
CREATE INDEX attempts_unlearned ON attempts (learned) WHERE learned = 0;
CREATE TABLE bests (task TEXT PRIMARY KEY, attempt TEXT NOT NULL, first_feasible INTEGER NOT NULL);
CREATE TABLE confirmations (attempt TEXT PRIMARY KEY, evaluation TEXT NOT NULL);
CREATE TABLE calls (
    key TEXT PRIMARY KEY, attempt TEXT NOT NULL, model TEXT NOT NULL, prompt TEXT NOT NULL, completion TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, usd REAL NOT NULL, usd_known INTEGER NOT NULL);
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Planned(NamedTuple):
    id: str
    position: int
    round: int
    task: str
    stage: str
    parent: str | None


class Judgement(NamedTuple):
    verdict: Evaluation
    seconds: float
    repeat_of: str | None
    """The attempt that had been judged with the same content; its verdict was taken over."""


class Learnt(NamedTuple):
    order: int
    """Among all that was learnt from, from 1; runs of earlier versions have 1 everywhere."""
    gain: float | None
    reward: float
    improved: bool


class Earned(NamedTuple):
    """What one attempt was worth, and what its writer's calls cost."""

    model: str
    stage: str
    reward: float
    cost: Cost


class Standing(NamedTuple):
    """One task's place in the run."""

    task: str
    planned: int
    judged: int
    best: str | None
    """Attempt id."""
    first_feasible: int | None
    """How many attempts on this task it took to get a feasible candidate."""


class Journal:
    """Safe from several threads of one process; the run's lock keeps other processes out."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> Self:
        """Raises UsageError when the file is not a journal of ours or is damaged."""
        if not create and not path.is_file():
            raise UsageError(f"{path.parent} is no run folder: it holds no {path.name}; `evolve runs` lists the runs")
        try:
            db = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            db.row_factory = sqlite3.Row
            if create:
                db.executescript(f"PRAGMA application_id={APPLICATION}; PRAGMA user_version={SCHEMA};")
                db.execute("PRAGMA journal_mode=WAL")
                db.executescript(_TABLES)
            _check(db, path)
            db.execute("PRAGMA synchronous=NORMAL")
        except sqlite3.DatabaseError as error:
            raise _damaged(path, error) from error
        return cls(db, path)

    def close(self) -> None:
        self._db.close()

    # --- planning

    def plan(self, run: str, number: int, wanted: list[tuple[str, str, str | None]]) -> list[Planned]:
        """Append attempts (task, stage, parent) to round `number`; a round that is already there is returned."""
        with self._transaction():
            there = self._all("SELECT * FROM attempts WHERE round=? ORDER BY position", number)
            if not there:
                first = int(self._one("SELECT COALESCE(MAX(position), 0) FROM attempts")[0]) + 1
                for position, (task, stage, parent) in enumerate(wanted, start=first):
                    self._db.execute(
                        "INSERT INTO attempts (position, id, round, task, stage, parent) VALUES (?,?,?,?,?,?)",
                        (position, f"{run}/{position}", number, task, stage, parent),
                    )
                there = self._all("SELECT * FROM attempts WHERE round=? ORDER BY position", number)
        return [_planned(row) for row in there]

    def planned(self, attempt: str) -> Planned:
        return _planned(self._attempt(attempt))

    def in_round(self, number: int) -> list[Planned]:
        return [_planned(row) for row in self._all("SELECT * FROM attempts WHERE round=? ORDER BY position", number)]

    def all_planned(self) -> list[Planned]:
        return [_planned(row) for row in self._all("SELECT * FROM attempts ORDER BY position")]

    def numbered(self, position: int) -> Planned:
        """The attempt with this number. Raises UsageError where there is none."""
        rows = self._all("SELECT * FROM attempts WHERE position=?", position)
        if not rows:
            last = self._one("SELECT COUNT(*) FROM attempts")[0]
            raise UsageError(f"this run has no attempt {position}; give a number from 1 to {last}")
        return _planned(rows[0])

    def unlearned(self) -> list[Planned]:
        """Attempts that have not run their whole course, oldest first."""
        return [_planned(row) for row in self._all("SELECT * FROM attempts WHERE learned=0 ORDER BY position")]

    def rounds(self) -> int:
        return int(self._one("SELECT COALESCE(MAX(round), 0) FROM attempts")[0])

    def first_of_round(self, number: int) -> int:
        """The position of a round's first attempt: what was there before it, all of the round may know.

        One past the last position where the round is not planned yet.
        """
        row = self._one(
            "SELECT COALESCE((SELECT MIN(position) FROM attempts WHERE round=?),"
            " (SELECT COALESCE(MAX(position), 0) + 1 FROM attempts))",
            number,
        )
        return int(row[0])

    # --- what an attempt leaves behind, step by step

    def draft(self, attempt: str) -> Candidate | None:
        return self._model(Candidate, self._attempt(attempt)["draft"], attempt)

    def record_draft(
        self, attempt: str, candidate: Candidate, cost: Cost, *, verdict: Evaluation | None = None
    ) -> None:
        """`verdict` where there is nothing to judge: it is on record together with the draft."""
        self._execute(
            "UPDATE attempts SET candidate=?, draft=?, cost=?, evaluation=? WHERE id=? AND draft IS NULL",
            candidate.id,
            candidate.model_dump_json(),
            cost.model_dump_json(),
            verdict.model_dump_json() if verdict else None,
            attempt,
        )

    def evaluation(self, attempt: str) -> Evaluation | None:
        return self._model(Evaluation, self._attempt(attempt)["evaluation"], attempt)

    def record_evaluation(
        self, attempt: str, evaluation: Evaluation, *, seconds: float, repeat_of: str | None = None
    ) -> None:
        self._execute(
            "UPDATE attempts SET evaluation=?, score=?, judged_seconds=?, repeat_of=?"
            " WHERE id=? AND evaluation IS NULL",
            evaluation.model_dump_json(),
            evaluation.score,
            seconds,
            repeat_of,
            attempt,
        )

    def judgement(self, attempt: str) -> Judgement | None:
        row = self._attempt(attempt)
        verdict = self._model(Evaluation, row["evaluation"], attempt)
        return Judgement(verdict, row["judged_seconds"] or 0.0, row["repeat_of"]) if verdict else None

    def judged_before(self, task: str, candidate: str, before: int = EVER) -> tuple[str, Evaluation] | None:
        """The first attempt of this run that had the same content judged, with its verdict.

        `before`: only attempts that were planned before this position.
        """
        rows = self._all(
            "SELECT * FROM attempts WHERE task=? AND candidate=? AND position<? AND evaluation IS NOT NULL"
            " ORDER BY position LIMIT 1",
            task,
            candidate,
            before,
        )
        if not rows:
            return None
        verdict = self._model(Evaluation, rows[0]["evaluation"], rows[0]["id"])
        return (rows[0]["id"], verdict) if verdict else None

    def learnt(self, attempt: str) -> Learnt | None:
        """What the run made of a judged attempt, None while it has not learnt from it."""
        row = self._attempt(attempt)
        return Learnt(row["learned"], row["gain"], row["reward"], bool(row["improved"])) if row["learned"] else None

    def record_learned(self, attempt: str, *, gain: float | None, reward: float, improved: bool) -> None:
        """The last step: the attempt has been credited and absorbed; it becomes the best if it improved."""
        with self._transaction():
            row = self._attempt(attempt)
            self._db.execute(
                "UPDATE attempts SET gain=?, reward=?, improved=?,"
                " learned=(SELECT MAX(learned) + 1 FROM attempts) WHERE id=?",
                (gain, reward, improved, attempt),
            )
            if improved:
                count = self._one(
                    "SELECT COUNT(*) FROM attempts WHERE task=? AND position<=?", row["task"], row["position"]
                )
                self._db.execute(
                    "INSERT INTO bests VALUES (?,?,?) ON CONFLICT (task) DO UPDATE SET attempt=excluded.attempt",
                    (row["task"], attempt, count[0]),
                )

    # --- reading it back

    def attempt(self, attempt: str) -> Attempt | None:
        """A judged attempt, None while it is not."""
        row = self._attempt(attempt)
        candidate = self._model(Candidate, row["draft"], attempt)
        evaluation = self._model(Evaluation, row["evaluation"], attempt)
        if candidate is None or evaluation is None:
            return None
        cost = self._model(Cost, row["cost"], attempt) or Cost()
        return Attempt(
            id=row["id"],
            task=row["task"],
            position=row["position"],
            candidate=candidate,
            evaluation=evaluation,
            cost=cost,
            gain=row["gain"],
        )

    def attempts(self) -> Iterator[Attempt]:
        """The judged attempts in order."""
        for row in self._all("SELECT id FROM attempts WHERE evaluation IS NOT NULL ORDER BY position"):
            found = self.attempt(row["id"])
            if found:
                yield found

    def best(self, task: str) -> Attempt | None:
        rows = self._all("SELECT attempt FROM bests WHERE task=?", task)
        return self.attempt(rows[0]["attempt"]) if rows else None

    def ranked(self, task: str, limit: int) -> list[str]:
        """Feasible, learned attempts of different content: the best first, then by score."""
        rows = self._all(
            "SELECT id FROM attempts LEFT JOIN bests ON bests.attempt = id WHERE attempts.task=? AND score IS NOT NULL"
            " AND learned>0 AND repeat_of IS NULL ORDER BY bests.attempt IS NULL, score DESC, position LIMIT ?",
            task,
            limit,
        )
        return [row["id"] for row in rows]

    def scores(self, attempts: list[str]) -> dict[str, float]:
        """Of those that are feasible."""
        rows = self._all(
            "SELECT id, score FROM attempts WHERE id IN (SELECT value FROM json_each(?)) AND score IS NOT NULL",
            json.dumps(attempts),
        )
        return {row["id"]: row["score"] for row in rows}

    def course(self, task: str) -> list[tuple[str, bool]]:
        """The task's attempts in order, and whether each is feasible."""
        rows = self._all("SELECT id, score FROM attempts WHERE task=? ORDER BY position", task)
        return [(row["id"], row["score"] is not None) for row in rows]

    def children(self, parent: str, before: int) -> list[Attempt]:
        """What was made of an attempt by those planned before position `before`, oldest first."""
        rows = self._all(
            "SELECT id FROM attempts WHERE parent=? AND position<? AND learned>0 ORDER BY position", parent, before
        )
        return [made for row in rows if (made := self.attempt(row["id"])) is not None]

    def learned_since(self, order: int) -> list[Attempt]:
        """Those that were learnt from after so many others, in that order."""
        rows = self._all("SELECT id FROM attempts WHERE learned>? ORDER BY learned, position", order)
        return [made for row in rows if (made := self.attempt(row["id"])) is not None]

    def tried(self, task: str, before: int = EVER) -> frozenset[str]:
        """Ids of the candidates that attempts planned before this position wrote."""
        rows = self._all(
            "SELECT DISTINCT candidate FROM attempts WHERE task=? AND position<? AND candidate IS NOT NULL",
            task,
            before,
        )
        return frozenset(row["candidate"] for row in rows)

    def last(self, task: str, before: int) -> Attempt | None:
        """The newest judged attempt on the task that was planned before position `before`."""
        rows = self._all(
            "SELECT id FROM attempts WHERE task=? AND position<? AND evaluation IS NOT NULL"
            " ORDER BY position DESC LIMIT 1",
            task,
            before,
        )
        return self.attempt(rows[0]["id"]) if rows else None

    def recent_feedback(self, limit: int, *, before: int) -> list[str]:
        """Of the newest judged attempts of the run, whatever their task."""
        rows = self._all(
            "SELECT id FROM attempts WHERE position<? AND evaluation IS NOT NULL ORDER BY position DESC LIMIT ?",
            before,
            limit,
        )
        verdicts = [self.evaluation(row["id"]) for row in rows]
        return [verdict.feedback for verdict in verdicts if verdict]

    def standing(self, task: str) -> Standing:
        row = self._one("SELECT COUNT(*), COUNT(evaluation) FROM attempts WHERE task=?", task)
        best = self._all("SELECT attempt, first_feasible FROM bests WHERE task=?", task)
        return Standing(
            task,
            row[0],
            row[1],
            best[0]["attempt"] if best else None,
            best[0]["first_feasible"] if best else None,
        )

    def first(self, task: str) -> int:
        """The position of the task's first attempt."""
        return int(self._one("SELECT MIN(position) FROM attempts WHERE task=?", task)[0])

    def judged(self) -> int:
        return int(self._one("SELECT COUNT(evaluation) FROM attempts")[0])

    # --- winners, re-measured

    def confirmation(self, attempt: str) -> Evaluation | None:
        rows = self._all("SELECT evaluation FROM confirmations WHERE attempt=?", attempt)
        return self._model(Evaluation, rows[0]["evaluation"], attempt) if rows else None

    def record_confirmation(self, attempt: str, evaluation: Evaluation) -> None:
        self._execute("INSERT OR IGNORE INTO confirmations VALUES (?,?)", attempt, evaluation.model_dump_json())

    def winner(self, task: str) -> tuple[Attempt | None, Evaluation | None, bool]:
        """The best of the re-measured candidates with that verdict, and True; else the provisional best, and False."""
        verdicts = {attempt: self.confirmation(attempt) for attempt in self.ranked(task, policy.FINALISTS)}
        confirmed = {attempt: verdict for attempt, verdict in verdicts.items() if verdict}
        chosen = policy.winner(confirmed)
        if chosen:
            return self.attempt(chosen), confirmed[chosen], True
        best = None if confirmed else self.best(task)
        return best, best.evaluation if best else None, False

    # --- paid calls

    def completion(self, key: str) -> Completion | None:
        rows = self._all("SELECT completion FROM calls WHERE key=?", key)
        return self._model(Completion, rows[0]["completion"], key) if rows else None

    def record_call(self, prompt: Prompt, completion: Completion) -> None:
        cost = completion.cost
        self._execute(
            "INSERT OR IGNORE INTO calls VALUES (?,?,?,?,?,?,?,?,?)",
            prompt.key,
            prompt.key.rsplit("/", 2)[0],
            completion.model,
            prompt.model_dump_json(),
            completion.model_dump_json(),
            cost.prompt_tokens,
            cost.completion_tokens,
            cost.usd,
            cost.usd_known,
        )

    def calls(self, attempt: str) -> list[tuple[Prompt, Completion]]:
        """Made for the attempt, in the order in which they were answered."""
        return self._calls(
            self._all("SELECT key, prompt, completion FROM calls WHERE attempt=? ORDER BY rowid", attempt)
        )

    def all_calls(self) -> list[tuple[Prompt, Completion]]:
        """Of the whole run, in the order in which they were answered."""
        return self._calls(self._all("SELECT key, prompt, completion FROM calls ORDER BY rowid"))

    def _calls(self, rows: list[sqlite3.Row]) -> list[tuple[Prompt, Completion]]:
        found = []
        for row in rows:
            prompt = self._model(Prompt, row["prompt"], row["key"])
            completion = self._model(Completion, row["completion"], row["key"])
            if prompt and completion:
                found.append((prompt, completion))
        return found

    def spent(self) -> Cost:
        row = self._one(
            "SELECT COALESCE(SUM(prompt_tokens),0), COALESCE(SUM(completion_tokens),0), COALESCE(SUM(usd),0),"
            " COALESCE(MIN(usd_known),1),"
            " COALESCE(MAX(json_valid(completion) AND json_extract(completion, '$.cost.estimated')),0) FROM calls"
        )
        return Cost(
            prompt_tokens=row[0],
            completion_tokens=row[1],
            usd=row[2],
            usd_known=bool(row[3]),
            estimated=bool(row[4]),
        )

    # --- who wrote what, and what it was worth

    def earned(self, attempt: str) -> list[Earned]:
        """What the attempts of the rounds before that of `attempt` were worth, where it is on record who wrote them."""
        rows = self._all(
            "SELECT stage, reward, json_extract(facts.value, '$.model') AS wrote,"
            " COALESCE(SUM(prompt_tokens),0), COALESCE(SUM(completion_tokens),0), COALESCE(SUM(usd),0),"
            " COALESCE(MIN(usd_known),1) FROM attempts JOIN facts ON facts.key = 'model/' || id"
            " LEFT JOIN calls ON calls.key > id || '/coder/' AND calls.key < id || '/coder0' AND calls.model = wrote"
            " WHERE learned>0 AND reward IS NOT NULL AND round < (SELECT round FROM attempts WHERE id=?)"
            " GROUP BY position ORDER BY position",
            attempt,
        )
        return [
            Earned(
                row["wrote"],
                row["stage"],
                row["reward"],
                Cost(prompt_tokens=row[3], completion_tokens=row[4], usd=row[5], usd_known=bool(row[6])),
            )
            for row in rows
        ]

    def ahead(self, attempt: str) -> int:
        """How many attempts of the same round are at the same stage and were planned before it."""
        row = self._one(
            "SELECT COUNT(*) FROM attempts AS own JOIN attempts AS other USING (round, stage)"
            " WHERE own.id=? AND other.position < own.position",
            attempt,
        )
        return int(row[0])

    # --- facts about the run: seconds worked, how it ended

    def fact(self, key: str, default: str = "") -> str:
        rows = self._all("SELECT value FROM facts WHERE key=?", key)
        return str(rows[0]["value"]) if rows else default

    def facts(self, beginning: str) -> dict[str, str]:
        """Every fact whose key begins so."""
        rows = self._all("SELECT key, value FROM facts WHERE substr(key, 1, ?) = ?", len(beginning), beginning)
        return {row["key"]: row["value"] for row in rows}

    def record_fact(self, key: str, value: str) -> None:
        self._execute("INSERT INTO facts VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value=excluded.value", key, value)

    # --- plumbing

    @contextmanager
    def as_of_now(self) -> Iterator[None]:
        """Everything read within is of one moment, whatever the process that works on the run writes meanwhile.

        Not for writing, and not within one another.
        """
        with self._lock, _storage_errors(self._path):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("ROLLBACK")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, _storage_errors(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _execute(self, sql: str, *values: object) -> None:
        with self._transaction():
            self._db.execute(sql, values)

    def _all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with self._lock, _storage_errors(self._path):
            return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: object) -> sqlite3.Row:
        return self._all(sql, *values)[0]

    def _attempt(self, attempt: str) -> sqlite3.Row:
        rows = self._all("SELECT * FROM attempts WHERE id=?", attempt)
        if not rows:
            raise UsageError(f"this run has no attempt {attempt!r}; attempts are numbered from 1")
        return rows[0]

    def _model(self, kind: type[M], text: str | None, where: str) -> M | None:
        if text is None:
            return None
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            raise UsageError(
                f"the journal {self._path} is damaged at {where} ({kind.__name__.lower()}: "
                f"{error.errors()[0]['msg']}); restore the file from a copy or start a new run"
            ) from error


def _planned(row: sqlite3.Row) -> Planned:
    return Planned(row["id"], row["position"], row["round"], row["task"], row["stage"], row["parent"])


def _check(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise UsageError(f"{path} is no journal of evolve; `evolve runs` lists the runs that are there")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA:
        raise UsageError(f"{path} was written by another version of evolve (format {version}, this one reads {SCHEMA})")
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise _damaged(path, sqlite3.DatabaseError(verdict))


def _damaged(path: Path, error: sqlite3.DatabaseError) -> UsageError | StorageError:
    if isinstance(error, sqlite3.OperationalError):
        return StorageError(f"the journal {path} cannot be used: {error}; is the disk full or the folder read-only?")
    words = " ".join(str(error).split())
    return UsageError(f"the journal {path} is damaged ({words}); restore the file from a copy or start a new run")


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from error
