"""A bank with all that works on it, and what must hold of its tables: counted again here in plain Python."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, TypedDict, Unpack

import numpy as np

from evolve.types import Experience
from knowledge.bank import ACTIVE, Bank, Held, keyed
from knowledge.distil import FAILURE, TRACE
from knowledge.hygiene import Hygiene
from knowledge.ledger import MERGED, Booked, Ledger, Line
from knowledge.log import CREDIT, LINK, RECORD, parted
from knowledge.techniques import TRUSTED
from knowledge.timeline import Timeline
from knowledge.values import ALPHA, INFEASIBLE, OVERALL

ROOT = Path(__file__).parent.parent
STATES = ("family:bound", "bound", OVERALL)
State = Held | Booked | float
Numbers = tuple[float, ...]


class Base(NamedTuple):
    bank: Bank
    ledger: Ledger
    timeline: Timeline
    hygiene: Hygiene


def opened(path: Path) -> Base:
    bank = Bank(path)
    ledger = Ledger(bank)
    return Base(bank, ledger, Timeline(bank, ledger), Hygiene(bank, ledger))


@contextmanager
def base_in(folder: Path) -> Iterator[Base]:
    base = opened(folder / "bank.sqlite")
    yield base
    base.bank.close()


class Fields(TypedDict, total=False):
    kind: str
    task: str
    domain: str
    state: str
    technique: str
    hardware: str
    payload: str
    metrics: Mapping[str, float]
    expires: float


def held(name: str, keys: str = "tiling gained", status: str = ACTIVE, **fields: Unpack[Fields]) -> Held:
    told: dict[str, Any] = {"kind": TRACE, "task": "t", "sources": (f"run/{name}",), **fields}
    return Held(experience=Experience(id=name, text=keys, **told), keys=keys, status=status)


def put(bank: Bank, name: str, keys: str = "tiling gained", **fields: Unpack[Fields]) -> None:
    """A record with its vector, and the event `run/NAME` that it was learnt from."""
    with bank.transaction():
        bank.vectors.put(keyed(keys), "ones", np.ones(4, dtype=np.float32))
        bank.add_event(f"run/{name}", kind="attempt", task="t", data="{}", record=name)
        bank.put(held(name, keys, **fields), why="test")


def recall(
    ledger: Ledger, attempt: str, items: Iterable[str], *, stage: str = "draft", states: Sequence[str] = STATES
) -> None:
    ledger.issue(attempt, task="t", stage=stage, states=states, lines=[Line(item, 0.5, 0.0, "{}") for item in items])


def worth(ledger: Ledger, item: str) -> dict[tuple[str, str], Numbers]:
    return {(stage, state): tuple(value) for stage, state, value in ledger.worth(item)}


# -- what the tables must hold


class Shown(NamedTuple):
    """A receipt."""

    states: Sequence[str]
    items: Sequence[str]


class World(NamedTuple):
    """Truths: from the tables that hold them, or from a model of a bank."""

    states: Mapping[str, State]
    """Subject -> its state; subjects that are gone are not there. Records in the order of their first change."""
    receipts: Mapping[str, Shown]

    @property
    def records(self) -> dict[str, Held]:
        return {name: state for name, state in self._of(RECORD) if isinstance(state, Held)}

    @property
    def links(self) -> dict[tuple[str, str, str], float]:
        links = {}
        for name, weight in self._of(LINK):
            assert isinstance(weight, float)
            source, rel, target = json.loads(name)
            links[source, rel, target] = weight
        return links

    @property
    def credits(self) -> dict[str, Booked]:
        """In the order in which they were given."""
        found = [(name, state) for name, state in self._of(CREDIT) if isinstance(state, Booked)]
        return dict(sorted(found, key=lambda item: (item[1].time, item[0])))

    def _of(self, kind: str) -> Iterator[tuple[str, State]]:
        for subject, state in self.states.items():
            found, name = parted(subject)
            if found == kind:
                yield name, state

    def taught(self, attempt: str) -> set[str]:
        """Items that an attempt's credit counts for: those shown, `also`, and what these were merged into."""
        also = self.credits[attempt].also
        items = {*self.receipts[attempt].items, *([also] if also else [])}
        merged = [(source, target) for source, rel, target in self.links if rel == MERGED]
        for _ in merged:
            items |= {target for source, target in merged if source in items}
        return items

    def values(self) -> dict[tuple[str, ...], Numbers]:
        """(item, stage, state) -> (q, total, n)."""
        found: dict[tuple[str, ...], Numbers] = {}
        for attempt, booked in self.credits.items():
            if booked.counts:
                for item in self.taught(attempt):
                    for state in self.receipts[attempt].states:
                        q, total, n = found.get((item, booked.stage, state), (0.0, 0.0, 0))
                        learnt = (q + ALPHA * (booked.credit - q), total + booked.advantage, n + 1)
                        found[item, booked.stage, state] = learnt
        return found

    def norms(self) -> dict[tuple[str, ...], Numbers]:
        """(stage, reward or credit) -> (mean, sum of squared deviations, n)."""
        seen: dict[tuple[str, ...], list[float]] = {}
        for booked in self.credits.values():
            if booked.counts:
                seen.setdefault((booked.stage, "credit"), []).append(booked.credit)
                if booked.raw > INFEASIBLE:
                    seen.setdefault((booked.stage, "reward"), []).append(booked.raw)
        return {
            key: (fmean(all_), sum((one - fmean(all_)) ** 2 for one in all_), len(all_)) for key, all_ in seen.items()
        }

    def techniques(self) -> dict[tuple[str, ...], Numbers]:
        """(domain, state, technique, hardware, task) -> the numbers of `Statistics`."""
        found: dict[tuple[str, ...], Numbers] = {}
        for record in self.records.values():
            item = record.experience
            if item.kind not in {TRACE, FAILURE} or record.status not in TRUSTED:
                continue
            members = {step.strip() for step in item.technique.split(" + ")} - {"", "seed"}
            for member in members:
                gain, failed, part = item.metrics.get("gain"), item.kind == FAILURE, 1 / len(members)
                share = (gain or 0.0) * part
                one = (
                    1,
                    failed,
                    gain is not None,
                    part,
                    failed * part,
                    (gain is not None) * part,
                    part * share,
                    part * share**2,
                )
                key = (item.domain, item.state, member, item.hardware, item.task)
                found[key] = tuple(a + b for a, b in zip(found.get(key, (0.0,) * 8), one, strict=True))
        return found


def read(bank: Bank) -> World:
    """The truths of a bank: its receipts, and the last line of the log about each subject."""
    last = dict(bank.database.rows("SELECT subject, data FROM log WHERE subject != 'base' ORDER BY seq"))
    states = {subject: parsed(subject, data) for subject, data in last.items() if data is not None}
    shown: dict[str, list[str]] = {}
    for attempt, item in bank.database.rows("SELECT attempt, item FROM receipt_items ORDER BY attempt, rank"):
        shown.setdefault(attempt, []).append(item)
    receipts = bank.database.rows("SELECT attempt, states FROM receipts")
    return World(states, {name: Shown(json.loads(where), shown.get(name, [])) for name, where in receipts})


def parsed(subject: str, data: str) -> State:
    match parted(subject)[0]:
        case "record":
            return Held.model_validate_json(data)
        case "credit":
            return Booked.model_validate_json(data)
        case _:
            return float(json.loads(data)["weight"])


def same(found: Mapping[tuple[str, ...], Numbers], wanted: Mapping[tuple[str, ...], Numbers]) -> bool:
    return found.keys() == wanted.keys() and all(
        math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
        for key, numbers in wanted.items()
        for a, b in zip(found[key], numbers, strict=True)
    )


def wrong(bank: Bank, world: World | None = None) -> list[str]:
    """Which tables say something else than the truths do."""
    told = world or read(bank)
    rows = bank.database.rows
    links = {(source, rel, target): weight for source, rel, target, weight in rows("SELECT * FROM links")}
    records = [(item.experience.id, item.status, *_columns(item)) for item in told.records.values()]
    checks = {
        "file": rows("PRAGMA integrity_check") == [("ok",)],
        "foreign keys": not rows("PRAGMA foreign_key_check"),
        "records": sorted(records) == sorted(
            rows(
                "SELECT id, status, kind, task, domain, stage, state, technique, hardware, keyed, coalesce(score, 0),"
                " coalesce(gain, 0), coalesce(expires, 0) FROM records WHERE status != 'gone'"
            )
        ),
        "states": all(bank.held(name) == state for name, state in told.records.items()),
        "links": links == told.links,
        "credits": {attempt: credit.counts for attempt, credit in told.credits.items()}
        == {attempt: bool(counts) for attempt, counts in rows("SELECT attempt, counts FROM credits")},
        "values": same({tuple(row[:3]): row[3:] for row in rows("SELECT * FROM item_values")}, told.values()),
        "norms": same({tuple(row[:2]): row[2:] for row in rows("SELECT * FROM norms WHERE n > 0")}, told.norms()),
        "techniques": same(
            {(*group, task): tuple(sums) for group, task, sums in bank.techniques.all()}, told.techniques()
        ),
        "words": sorted(rows("SELECT r.id FROM words w JOIN records r ON r.n = w.rowid"))
        == sorted((name,) for name, state in told.records.items() if state.status == ACTIVE)
        and rows("SELECT count(*) FROM words") == [(sum(state.status == ACTIVE for state in told.records.values()),)],
    }  # fmt: skip
    return [name for name, fine in checks.items() if not fine]


def _columns(item: Held) -> tuple[object, ...]:
    told = item.experience
    named = (told.kind, told.task, told.domain, told.stage, told.state, told.technique, told.hardware)
    metrics = told.metrics.get("score", 0.0), told.metrics.get("gain", 0.0)
    return *named, keyed(item.keys), *metrics, told.expires or 0.0
