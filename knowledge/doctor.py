"""Finds what is wrong with a base, and mends what can be: whatever follows from the log is made from it again.

Both make the tables anew in temporary ones of the same names: SQLite takes those first, so the very code that keeps
the tables fills them. Then the two are compared. Damaged truth (events, receipts, the log) cannot be made again.
"""

import json
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from pydantic import ValidationError

from evolve.errors import StorageError
from evolve.types import Experience
from knowledge import log as subjects
from knowledge.bank import GONE, Bank, Held
from knowledge.charge import InCharge
from knowledge.hygiene import Hygiene
from knowledge.ledger import MERGED, Booked, Ledger
from knowledge.log import BASE, parted
from knowledge.schema import TABLES
from knowledge.techniques import SUMS
from knowledge.timeline import Timeline
from knowledge.wire import record_in

MEND = "`evolve kb doctor --fix` makes it from the log again"
COPY = "put a copy of the file back, or import an export into a new base"
REBUILD = "`evolve kb rebuild` makes them again"
NEAR = 1e-9
"""Sums of floats that were added in another order differ by less, in parts of them."""
PARTS = {subjects.LINK: 3, subjects.MEMORY: 2, subjects.STATE: 2, subjects.TOLD: 3}
"""Kind of subjects that are named by a list -> how many names are in it."""
NAMED = 3
"""How many of those concerned a finding names."""


class Finding(NamedTuple):
    what: str
    fix: str
    """What would help."""
    advice: bool = False
    """Nothing is broken, but it is worth knowing."""


class Table(NamedTuple):
    """What follows from the log and the receipts."""

    name: str
    key: str
    """Columns that name a row."""
    same: str
    """Columns that must be equal."""
    near: tuple[str, ...] = ()
    """Columns that must be equal but for rounding."""
    where: str = "true"
    """Rows that say anything."""
    views: tuple[str, str] = ("", "")
    """Of what is there, and of what should be; the tables themselves without."""


RECORD = (
    "n, seq, status, kind, task, domain, stage, state, technique, hardware, score, gain, content, keyed, source,"
    " time, expires"
)
FOLLOWING = (
    Table("records", "id", RECORD, where=f"status != '{GONE}'"),
    Table("records", "id", "n, seq, status", where=f"status = '{GONE}'"),
    Table("links", "source, rel, target", "weight"),
    Table("layer", "architecture, id", "n, item, seq"),
    Table("credits", "attempt", "time, stage, raw, credit, advantage, also, counts"),
    Table("item_values", "item, stage, state", "n", ("q", "total")),
    Table("norms", "stage, what", "n", ("mean", "m2"), where="n > 0"),
    Table(
        "techniques",
        "domain, state, technique, hardware, task",
        "tries, failures, n",
        ("weight", "failed", "gained", "total", "squares"),
        where="tries > 0",
    ),
    Table("words", "rowid", "keys"),
    Table("words", "term", "doc, cnt", views=("temp.found_words", "temp.made_words")),
    Table("terms", "term", "n", where="n != 0"),
)
MADE = tuple(dict.fromkeys(table.name for table in FOLLOWING))


def examine(bank: Bank) -> list[Finding]:
    """Everything that is wrong with the base as it is now, while others go on writing.

    Not covered: missing events, versions before the last, and the index, which mends itself when it is used.
    """
    findings: list[Finding] = []
    with bank.still() as view:
        for check in (_file, _references, _vectors, _tables, _advice):
            try:
                findings += check(view)
            except StorageError as e:
                findings.append(Finding(str(e), COPY))
    return findings


def mend(bank: Bank) -> list[str]:
    """Make what follows from the log again where it differs, all or nothing; what was wrong.

    Where the last line about something cannot be read, the one before it counts again. The index is to be made anew
    afterwards, and insights are distilled again from all techniques.
    """
    with bank.transaction():
        said = _identified(bank) + [_put_back(bank, name) for name in _unreadable(bank) if _named(name)]
        with _made_again(bank):
            wrong = [(table, told) for table in FOLLOWING if (told := _told(bank, table))]
            said += [told for _, told in wrong]
            for name in dict.fromkeys(table.name for table, _ in wrong):
                _replace(bank, name)
        if said:
            seq = bank.log.append(BASE, "mend", "; ".join(said))
            bank.database.run("UPDATE techniques SET changed = ?", seq)
    return said


# -- checks


def _file(bank: Bank) -> Iterator[Finding]:
    told = [row[0] for row in bank.database.rows("PRAGMA integrity_check(10)")]
    if told != ["ok"]:
        yield Finding(f"the file is damaged: {'; '.join(told)}", COPY)
    lost = Counter((table, parent) for table, _, parent, _ in bank.database.rows("PRAGMA foreign_key_check"))
    for (table, parent), count in lost.items():
        yield Finding(f"{count} rows of {table} belong to no {parent}", COPY)
    if not bank.id:
        yield Finding("the base has no id", "`evolve kb doctor --fix` draws another")


REFERENCES = {
    "events tell of records": "SELECT record FROM events WHERE record IS NOT NULL",
    "receipts show records": "SELECT item FROM receipt_items WHERE item NOT GLOB 'mem-*'",  # see `layer.ITEM`
    "credits teach records": "SELECT also FROM credits WHERE also IS NOT NULL",
    "links tie records": "SELECT source FROM links UNION SELECT target FROM links",
}


def _references(bank: Bank) -> Iterator[Finding]:
    for what, select in REFERENCES.items():
        rows = bank.database.rows(f"{select} EXCEPT SELECT substr(subject, 8) FROM log WHERE subject GLOB 'record *'")  # noqa: S608
        if rows:
            yield Finding(f"{what} that never were: {_some([name for (name,) in rows])}", COPY)
    rows = bank.database.rows("SELECT attempt FROM credits EXCEPT SELECT attempt FROM receipts")
    if rows:
        yield Finding(f"credits have no receipt: {_some([name for (name,) in rows])}", COPY)


def _vectors(bank: Bank) -> Iterator[Finding]:
    rows = bank.database.rows(
        "SELECT id FROM records WHERE status = 'active' AND keyed NOT IN (SELECT keyed FROM vectors) ORDER BY n"
    )
    if rows:
        yield Finding(f"records have no vector: {_some([name for (name,) in rows])}", REBUILD)
    rows = bank.database.rows(
        "SELECT embedding FROM vectors GROUP BY embedding HAVING min(length(vector)) != max(length(vector))"
    )
    for (embedding,) in rows:
        yield Finding(f"vectors of the embedding {embedding} differ in length", REBUILD)


def _tables(bank: Bank) -> Iterator[Finding]:
    for name in _unreadable(bank):
        yield Finding(f"the last line of the log about {name} cannot be read", MEND if _named(name) else COPY)
    with _made_again(bank):
        for table in FOLLOWING:
            if told := _told(bank, table):
                yield Finding(told, MEND)


def _advice(bank: Bank) -> Iterator[Finding]:
    hygiene = Hygiene(bank, Ledger(bank))
    for group in hygiene.same():
        yield Finding(
            f"the same is there {len(group)} times: {_some(group)}", "`evolve kb merge` folds it", advice=True
        )
    for ring in hygiene.rings():
        yield Finding(f"merged into each other, so that none is found: {_some(ring)}", f"`evolve kb restore {ring[0]}`")
    if hygiene.alarm:
        yield Finding(hygiene.alarm, "give the runs tasks or techniques that are new to the base", advice=True)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


# -- the tables made again


@contextmanager
def _made_again(bank: Bank) -> Iterator[None]:
    """Temporary tables that hold what should be in those of the same names; nothing else may be written meanwhile."""
    for name in MADE:
        for statement in _definitions(name, "temp"):
            bank.database.run(statement)
    bank.database.run("CREATE VIRTUAL TABLE temp.found_words USING fts5vocab (main, words, row)")
    bank.database.run("CREATE VIRTUAL TABLE temp.made_words USING fts5vocab (temp, words, row)")
    try:
        fill(bank)
        yield
    finally:
        for name in ("found_words", "made_words", *MADE):
            bank.database.run(f"DROP TABLE temp.{name}")


def _definitions(table: str, where: str) -> list[str]:
    """The statements that make a table and its indexes, in the database `main` or `temp`."""
    made = re.compile(rf"(CREATE (?:VIRTUAL )?TABLE )({table}\b)|(CREATE INDEX )(\w+ ON {table}\b)")
    return [
        made.sub(rf"\g<1>\g<3>{where}.\g<2>\g<4>", statement)
        for statement in TABLES.split(";\n")
        if made.search(statement)
    ]


def fill(bank: Bank) -> None:
    """Fill tables that are empty from the log and the receipts, within a transaction."""
    ledger = Ledger(bank)
    timeline = Timeline(bank, ledger)
    for name, seq, data in _last_lines(bank):
        kind, own = parted(name)
        state = data if data is not None and _is_state(kind, own, data) else None
        if kind == subjects.RECORD and state is None:  # it keeps its number
            state = Held(experience=Experience(id=own, kind="", text=""), keys="", status=GONE).model_dump_json()
        if _named(name):
            timeline.apply(name, seq, state)
    rows = bank.database.rows(
        "SELECT item FROM receipt_items JOIN credits USING (attempt) WHERE counts"
        " UNION SELECT also FROM credits WHERE counts AND also IS NOT NULL"
        " UNION SELECT target FROM links WHERE rel = ?",
        MERGED,
    )
    ledger.recount_items(item for (item,) in rows)
    for (stage,) in bank.database.rows("SELECT DISTINCT stage FROM credits"):
        ledger.recount_norms(stage)


def _last_lines(bank: Bank) -> Iterator[tuple[str, int, str | None]]:
    """(subject, seq, data), in the order of their first lines: that is how records got their numbers.

    Raises StorageError where the log and its index disagree.
    """
    rows = bank.database.rows(
        "SELECT subject, max(seq) FROM log WHERE subject != ? GROUP BY subject ORDER BY min(seq)", BASE
    )
    for name, seq in rows:
        found = bank.database.row("SELECT data FROM log WHERE seq = ?", seq)
        if found is None:
            raise StorageError(f"{bank.path} is damaged: line {seq} of the log is in its index alone")
        yield name, seq, found[0]


def _unreadable(bank: Bank) -> list[str]:
    """Subjects of which the log does not say how they are."""
    return [
        name
        for name, _, data in _last_lines(bank)
        if not _named(name) or (data is not None and not _is_state(*parted(name), data))
    ]


def _named(name: str) -> bool:
    kind, own = parted(name)
    if kind not in PARTS:
        return kind in {subjects.RECORD, subjects.CREDIT, subjects.ARCHITECTURE}
    try:
        parts = json.loads(own)
    except ValueError:
        return False
    return isinstance(parts, list) and len(parts) == PARTS[kind] and all(isinstance(part, str) for part in parts)


def _is_state(kind: str, name: str, data: str) -> bool:
    try:
        match kind:
            case subjects.RECORD:
                return Held.model_validate_json(data).experience.id == name
            case subjects.CREDIT:
                return bool(Booked.model_validate_json(data))
            case subjects.LINK:
                return isinstance(json.loads(data)["weight"], int | float)
            case _:
                return _is_kept(kind, name, json.loads(data))
    except (ValidationError, ValueError, KeyError, TypeError):
        return False


def _is_kept(kind: str, name: str, told: Any) -> bool:
    """Of what belongs to memory architectures."""
    match kind:
        case subjects.MEMORY:
            return record_in(told).id == str(json.loads(name)[1])
        case subjects.ARCHITECTURE:
            return bool(InCharge.model_validate(told))
        case _:
            return isinstance(told, dict) and (kind == subjects.TOLD or "value" in told)


def _told(bank: Bank, table: Table) -> str:
    """What is wrong with a table; empty when nothing is."""
    try:
        names = _differing(bank, table)
    except StorageError as e:
        return f"{table.name} cannot be read: {e}"
    return f"{table.name} disagree with the log: {_some(names)}" if names else ""


def _differing(bank: Bank, table: Table) -> list[str]:
    """Rows that are missing, too many, or other than they should be."""
    name, key, same, near, where, views = table
    both = views if any(views) else (f"main.{name}", f"temp.{name}")
    here, made = (f"SELECT {key}, {same} FROM {which} WHERE {where}" for which in both)  # noqa: S608
    different = [f"SELECT {key} FROM ({one} EXCEPT {other})" for one, other in ((here, made), (made, here))]  # noqa: S608
    if near:
        apart = " OR ".join(f"abs(a.{c} - b.{c}) > {NEAR} * (1 + abs(b.{c}))" for c in near)
        different.append(f"SELECT {key} FROM main.{name} a JOIN temp.{name} b USING ({key}) WHERE {apart}")  # noqa: S608
    rows = bank.database.rows(" UNION ".join(different))
    return [" ".join(str(part) for part in row) for row in rows]


# -- mending


def _identified(bank: Bank) -> list[str]:
    if bank.id:
        return []
    bank.note("id", secrets.token_hex(8))
    return ["the base had no id"]


def _put_back(bank: Bank, name: str) -> str:
    """Let the last line that can be read be the last."""
    rows = bank.database.rows("SELECT seq, data FROM log WHERE subject = ? ORDER BY seq DESC", name)
    broken = rows[0][0]
    data = next((data for _, data in rows[1:] if data is None or _is_state(*parted(name), data)), None)
    bank.log.append(name, "mend", f"{broken} cannot be read", data)
    return f"line {broken} about {name} could not be read"


def _replace(bank: Bank, name: str) -> None:
    run = bank.database.run
    match name:
        case "words":
            run("DROP TABLE main.words")
            for statement in _definitions(name, "main"):
                run(statement)
            run("INSERT INTO main.words (rowid, keys) SELECT rowid, keys FROM temp.words")
        case "techniques":  # a row of zeros says that there was something
            run(f"UPDATE main.techniques SET {SUMS.replace(',', ' = 0,')} = 0")  # noqa: S608
            run("INSERT OR REPLACE INTO main.techniques SELECT * FROM temp.techniques")
        case _:
            run(f"DELETE FROM main.{name}")  # noqa: S608
            run(f"INSERT INTO main.{name} SELECT * FROM temp.{name}")  # noqa: S608
