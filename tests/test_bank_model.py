"""Bank, ledger, timeline and hygiene against a plain dictionary: whatever is done to both, they say the same."""

import json
import tempfile
from pathlib import Path
from statistics import fmean, pstdev

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from evolve.errors import UsageError
from evolve.types import DRAFT, REFINE, Experience
from knowledge.bank import ACTIVE, EXPIRED, FORGOTTEN, QUARANTINED, SUPERSEDED
from knowledge.distil import FAILURE, INSIGHT, TRACE
from knowledge.ledger import MERGED, Booked
from knowledge.log import BASE
from knowledge.values import INFEASIBLE, LEAST_SPREAD
from tests.banks import STATES, Base, Shown, State, World, held, opened, recall, wrong

WORDS = ("tiling", "unrolled", "packing", "größer", "行列")
LONG_AGO = 1.0

names = st.sampled_from([f"exp-{i}" for i in range(6)])
attempts = st.sampled_from([f"run/exp-{i}" for i in range(6)] + ["run/x", "run/y"])
groups = st.lists(names, max_size=4, unique=True)
keys = st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join)
sides = st.integers(0, 1)
stages = st.sampled_from([DRAFT, REFINE])
shared = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([TRACE, TRACE, FAILURE, INSIGHT]),
        "domain": st.sampled_from(["d", "e"]),
        "state": st.sampled_from(["", "bound"]),
        "technique": st.sampled_from(["", "seed", "tile", "tile + vectorise", "vectorise + tile + tile"]),
        "metrics": st.sampled_from([{}, {"gain": 0.5}, {"gain": -0.25, "score": 2.0}]),
    }
)


class Banks(RuleBasedStateMachine):
    """Two connections to one file; the model is the list of lines that the log should hold, folded on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "bank.sqlite"
        self.sides = [self.open(), self.open()]
        self.lines: list[tuple[int, str, State | None]] = []
        self.receipts: dict[str, Shown] = {}
        self.events: dict[str, tuple[str, str | None]] = {}
        self.snapshots: dict[str, int] = {}

    def open(self) -> Base:
        base = opened(self.path)
        base.bank.database.run("PRAGMA synchronous = OFF")
        return base

    def teardown(self) -> None:
        for side in self.sides:
            side.bank.close()
        self.folder.cleanup()

    # -- the model

    def at(self, seq: int) -> dict[str, State]:
        """Subject -> state right after a change."""
        states: dict[str, State | None] = {}
        for number, subject, state in self.lines:
            states[subject] = state if number <= seq else states.get(subject)
        return {subject: state for subject, state in states.items() if state is not None}

    @property
    def seq(self) -> int:
        return self.lines[-1][0] if self.lines else 0

    @property
    def world(self) -> World:
        return World(self.at(self.seq), self.receipts)

    def expect(self, changes: dict[str, State | None]) -> None:
        """The log has grown by one line for each of these subjects, and by nothing else."""
        rows = self.sides[0].bank.database.rows("SELECT seq, subject FROM log WHERE seq > ? ORDER BY seq", self.seq)
        assert sorted(subject for _, subject in rows) == sorted(changes)
        self.lines += [(seq, subject, changes[subject]) for seq, subject in rows]

    def found(self) -> set[str]:
        return {name for name, record in self.world.records.items() if record.status == ACTIVE}

    def standing(self) -> set[str]:
        """Those that others may be merged into."""
        there = self.world.records
        return {name for name in self.found() if there[name].experience.expires != LONG_AGO}

    def statuses(self, records: list[str], status: str) -> dict[str, State | None]:
        """What changes when these get a status."""
        there = self.world.records
        return {
            f"record {name}": there[name].model_copy(update={"status": status})
            for name in records
            if name in there and there[name].status != status
        }

    # -- records

    @rule(side=sides, name=names, keys=keys, fields=shared, parent=st.none() | attempts)
    def put(self, side: int, name: str, keys: str, fields: dict[str, object], parent: str | None) -> None:
        bank, made = self.sides[side].bank, held(name, keys, **fields)  # type: ignore[arg-type]
        with bank.transaction():
            bank.add_event(f"run/{name}", kind="attempt", task="t", data="{}", record=name, parent=parent)
            bank.put(made, why="test")
        self.events.setdefault(f"run/{name}", (name, parent))
        found = bank.held(name)
        assert found is not None
        self.expect({f"record {name}": made.model_copy(update={"time": found.time})})

    @rule(side=sides, name=names, keys=keys)
    def new_version(self, side: int, name: str, keys: str) -> None:
        old = self.world.records.get(name)
        if old is not None:
            new = old.model_copy(update={"keys": keys})
            self.sides[side].bank.put(new, what="reword", why="test")
            self.expect({f"record {name}": new})

    @rule(side=sides, records=groups)
    def forget(self, side: int, records: list[str]) -> None:
        there = self.world.records
        left = [name for name in records if name in there and there[name].status != QUARANTINED]
        changes = self.statuses(left, FORGOTTEN)
        done = self.sides[side].hygiene.forget(records, "test")
        assert [f"record {name}" for name in done] == list(changes)
        self.expect(changes)

    @rule(side=sides, records=groups)
    def restore(self, side: int, records: list[str]) -> None:
        there, changes = self.world.records, dict[str, State | None]()
        for name in records:
            if name in there and (there[name].status != ACTIVE or there[name].experience.expires == LONG_AGO):
                lasting = there[name].experience.model_copy(update={"expires": None})
                changes[f"record {name}"] = there[name].model_copy(update={"status": ACTIVE, "experience": lasting})
        done = self.sides[side].hygiene.restore(records, "test")
        assert [f"record {name}" for name in done] == list(changes)
        links = [told for told in self.world.links if told[1] == MERGED and told[0] in done]
        self.expect(changes | {link(*told): None for told in links})

    @rule(side=sides, name=names)
    def quarantine(self, side: int, name: str) -> None:
        changes = self.statuses([name], QUARANTINED)
        assert self.sides[side].bank.set_status(name, QUARANTINED, what="quarantine", why="test") == bool(changes)
        self.expect(changes)

    @rule(side=sides, name=names)
    def let_expire(self, side: int, name: str) -> None:
        old = self.world.records.get(name)
        done = self.sides[side].hygiene.expire([name], LONG_AGO, "test")
        changes: dict[str, State | None] = {}
        if old is not None and old.experience.expires != LONG_AGO:
            past = old.experience.model_copy(update={"expires": LONG_AGO})
            changes[f"record {name}"] = old.model_copy(update={"experience": past})
        assert len(done) == len(changes)
        self.expect(changes)

    @rule(side=sides)
    def mark_expired(self, side: int) -> None:
        due = [
            name
            for name, record in self.world.records.items()
            if record.status == ACTIVE and record.experience.expires == LONG_AGO
        ]
        changes = self.statuses(due, EXPIRED)
        assert sorted(self.sides[side].hygiene.expire_due()) == sorted(due)
        self.expect(changes)

    @rule(side=sides, keep=names, others=groups)
    def merge(self, side: int, keep: str, others: list[str]) -> None:
        if keep not in self.standing():
            with pytest.raises(UsageError):
                self.sides[side].hygiene.merge(keep, others, "test")
            self.expect({})
            return
        fold = [name for name in others if name in self.found() and name != keep]
        changes = self.statuses(fold, SUPERSEDED)
        changes.update({link(name, MERGED, keep): 1.0 for name in fold})
        assert self.sides[side].hygiene.merge(keep, others, "test") == fold
        self.expect(changes)

    @rule(side=sides, old=names, new=names)
    def supersede(self, side: int, old: str, new: str) -> None:
        if new not in self.standing():
            with pytest.raises(UsageError):
                self.sides[side].hygiene.supersede(old, new, "test")
            self.expect({})
            return
        changes: dict[str, State | None] = {}
        if old in self.found() and old != new:
            changes = {**self.statuses([old], SUPERSEDED), link(new, "supersedes", old): 1.0}
        assert self.sides[side].hygiene.supersede(old, new, "test") == bool(changes)
        self.expect(changes)

    @rule(side=sides, records=groups)
    def erase(self, side: int, records: list[str]) -> None:
        known = [name for name in records if any(told == f"record {name}" and state for _, told, state in self.lines)]
        changes: dict[str, State | None] = {f"record {name}": self.stub(name) for name in known}
        assert self.sides[side].hygiene.erase(records, "test") == known
        self.lines = [(seq, told, None if told in changes else state) for seq, told, state in self.lines]
        self.expect(changes)

    def stub(self, name: str) -> State | None:
        """What stays when a record is erased: that it was in quarantine."""
        old = self.world.records.get(name)
        if old is None or old.status != QUARANTINED:
            return None
        bare = Experience(id=name, kind=old.experience.kind, text="", sources=old.experience.sources)
        return old.model_copy(update={"experience": bare, "keys": ""})

    # -- links

    @rule(side=sides, start=names, end=names, weight=st.none() | st.sampled_from([0.5, 1.0]))
    def tie(self, side: int, start: str, end: str, weight: float | None) -> None:
        self.sides[side].bank.link(start, "improves", end, why="test", weight=weight)
        self.expect({link(start, "improves", end): weight})

    # -- receipts and credits

    @rule(side=sides, attempt=attempts, items=groups, states=st.sampled_from([STATES, STATES[1:]]))
    def recall(self, side: int, attempt: str, items: list[str], states: tuple[str, ...]) -> None:
        recall(self.sides[side].ledger, attempt, items, stage=DRAFT, states=states)
        self.receipts.setdefault(attempt, Shown(states, items))
        self.expect({})

    @rule(
        side=sides, attempt=attempts, stage=stages, also=st.none() | names, counts=st.sampled_from([True, True, False]),
        raw=st.sampled_from([INFEASIBLE, 0.0, 0.25, 0.26, 3.0]),
    )  # fmt: skip
    def credit(self, side: int, attempt: str, stage: str, also: str | None, counts: bool, raw: float) -> None:
        taught = self.sides[side].ledger.credit(attempt, stage=stage, raw=raw, also=also, counts=counts)
        if attempt not in self.receipts or attempt in self.world.credits:
            assert taught == 0
            self.expect({})
            return
        before = [one for one in self.world.credits.values() if one.stage == stage and one.counts]
        credit = credited(stage, raw, [one.raw for one in before if one.raw > INFEASIBLE])
        usual = fmean([one.credit for one in before]) if before else 0.0
        booked = Booked(
            time=self.seq, stage=stage, raw=raw, credit=credit, advantage=credit - usual, also=also, counts=counts
        )
        self.expect({f"credit {attempt}": booked})
        assert taught == (len(self.world.taught(attempt)) if counts else 0)

    def taken_back(self, wanted: list[str]) -> dict[str, State | None]:
        there = self.world.credits
        return {
            f"credit {name}": there[name].model_copy(update={"counts": False})
            for name in wanted
            if name in there and there[name].counts
        }

    @rule(side=sides, wanted=st.lists(attempts, max_size=3, unique=True))
    def take_back(self, side: int, wanted: list[str]) -> None:
        changes = self.taken_back(wanted)
        assert self.sides[side].ledger.take_back(wanted, "test") == len(changes)
        self.expect(changes)

    @rule(side=sides, attempt=attempts)
    def revoke(self, side: int, attempt: str) -> None:
        line = [attempt] if attempt in self.events or attempt in self.receipts else []
        for name in line:
            line += [event for event, (_, parent) in self.events.items() if parent == name and event not in line]
        records = dict.fromkeys(self.events[event][0] for event in line if event in self.events)
        there = self.world.records
        own = [name for name in records if name in there and there[name].experience.sources[0] in line]
        changes = self.statuses(own, QUARANTINED)
        back = self.taken_back(line)
        revoked = self.sides[side].hygiene.revoke(attempt, "test")
        assert set(revoked.attempts) == set(line)
        assert {f"record {name}" for name in revoked.records} == changes.keys()
        assert revoked.credits == len(back)
        self.expect(changes | back)

    # -- going back

    @rule(side=sides, name=st.sampled_from(["monday", "tuesday"]))
    def snapshot(self, side: int, name: str) -> None:
        self.snapshots[name] = self.sides[side].timeline.snapshot(name)
        self.expect({BASE: None})
        assert self.snapshots[name] == self.seq

    @rule(side=sides, share=st.floats(0, 1))
    def roll_back(self, side: int, share: float) -> None:
        self.go_to(side, round(share * self.seq))

    @precondition(lambda self: self.snapshots)
    @rule(side=sides, data=st.data())
    def roll_back_to_a_snapshot(self, side: int, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.snapshots)))
        point = self.sides[side].timeline.point(name)
        assert point == self.snapshots[name]
        self.go_to(side, point)

    def go_to(self, side: int, point: int) -> None:
        now, then = self.at(self.seq), self.at(point)
        changes = {name: then.get(name) for name in now | then if now.get(name) != then.get(name)}
        moved = self.sides[side].timeline.rollback(point, "test")
        assert {difference.subject for difference in moved} == changes.keys()
        self.expect(changes)
        assert self.sides[1 - side].timeline.diff(point, self.seq) == []

    @rule(side=sides)
    def reopen(self, side: int) -> None:
        self.sides[side].bank.close()
        self.sides[side] = self.open()

    # -- what must hold

    @initialize(fields=shared, items=groups, stage=stages)
    def start(self, fields: dict[str, object], items: list[str], stage: str) -> None:
        """Something to begin with, so that few steps lead to much."""
        assert self.sides[0].bank.id == self.sides[1].bank.id
        for number, parent in enumerate((None, "run/exp-0", "run/exp-1", None)):
            self.put(0, f"exp-{number}", WORDS[number], fields, parent)
        for attempt, shown in (("run/x", ["exp-0"]), ("run/exp-1", items)):
            self.recall(1, attempt, shown, STATES)
            self.credit(1, attempt, stage, None, True, 0.25)

    @invariant()
    def tables_say_what_the_model_says(self) -> None:
        world = self.world
        for side in self.sides:
            assert wrong(side.bank, world) == []
            assert side.bank.ids() == list(world.records)
            for attempt, shown in self.receipts.items():
                assert [line.item for line in side.ledger.lines(attempt)] == list(shown.items)

    @invariant()
    def only_active_records_are_found(self) -> None:
        for word in WORDS:
            wanted = {
                name for name, one in self.world.records.items() if one.status == ACTIVE and word in one.keys.split()
            }
            assert self.sides[0].bank.lexicon.search(word, 100).keys() == wanted

    @invariant()
    def the_log_only_grows(self) -> None:
        rows = self.sides[1].bank.database.rows("SELECT seq, subject, data IS NULL FROM log ORDER BY seq")
        assert rows == [(seq, subject, int(state is None)) for seq, subject, state in self.lines]


def link(source: str, rel: str, target: str) -> str:
    return f"link {json.dumps([source, rel, target])}"


def credited(stage: str, raw: float, before: list[float]) -> float:
    seen = [*before, raw]
    if stage != REFINE or raw <= INFEASIBLE or not before:
        return raw
    return (raw - fmean(seen)) / max(pstdev(seen), LEAST_SPREAD)


TestBanks = Banks.TestCase
TestBanks.settings = settings(
    max_examples=80, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
