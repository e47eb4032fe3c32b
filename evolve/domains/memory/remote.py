"""An architecture that nobody trusts, at work on a bank that matters: each call runs in a sandbox on a copy of it.

A call costs a process and as many bytes as the bank holds, so this is for few and small banks. Inside there is no
model; what a record is worth is known for the stage of the query alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from evolve.domains.memory.confined import LIMITS, Answer, Step, conversed
from evolve.domains.memory.exam import Tick
from evolve.types import Limits, Sandbox
from knowledge import wire
from knowledge.architecture import (
    JSON,
    Add,
    AddLink,
    BankView,
    Ctx,
    DesignError,
    Event,
    Op,
    Query,
    Record,
    Retrieval,
    SetState,
    Trigger,
    verbatim,
)
from knowledge.design import Design
from knowledge.replica import BOUNDS, STATUSES

KEYS = "remote/keys"
"""Private state that names the other keys of private state."""


class Remote:
    """A `MemoryArchitecture`. What it returns is for its caller to check, as of any other."""

    def __init__(
        self, design: Design, sandbox: Sandbox, *, limits: Limits = LIMITS, close: Callable[[], None] = lambda: None
    ) -> None:
        """`close` is called when the architecture is no longer needed."""
        self.close = close
        self._design = design
        self._sandbox = sandbox
        self._limits = limits

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        """Only says which event it is: the sandbox encodes and stores in one."""
        del ctx
        return [verbatim(event)]

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        for event in bank.events(record.id for record in new):
            yield from self._changes(event, bank, ctx)

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        return wire.retrieval_in(self._asked(query, bank, ctx).content)

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        step = trigger if trigger.receipt else Tick(ctx.now, close=trigger.kind == "close")
        yield from self._changes(step, bank, ctx)

    def _changes(self, step: Step, bank: BankView, ctx: Ctx) -> Iterator[Op]:
        told = self._asked(step, bank, ctx).content.get("ops")
        if not isinstance(told, list):
            raise DesignError("store", f"the answer has no list of operations: {told!r:.80}")
        operations = [wire.op_in(op) for op in told]
        yield from operations
        keys = [op.key for op in operations if isinstance(op, SetState)]
        if keys:
            known = dict.fromkeys([*_keys(bank), *keys])
            yield SetState(KEYS, [key for key in known if bank.state(key) is not None])

    def _asked(self, step: Step, bank: BankView, ctx: Ctx) -> Answer:
        past = list(snapshot(bank))
        sources = dict.fromkeys(name for op in past if isinstance(op, Add) for name in op.record.sources)
        events = bank.events(sources)
        chunks = [past[start : start + BOUNDS.operations] for start in range(0, len(past), BOUNDS.operations)]
        kept = [Answer({"ops": []}, 0.0) for _ in events]
        kept += [Answer({"ops": [wire.op_out(op) for op in chunk]}, 0.0) for chunk in chunks]
        course = [*events, *(Tick(ctx.now) for _ in chunks), step]
        worth = _worth(step, bank) if isinstance(step, Query) else {}
        return conversed(self._design, course, self._sandbox, kept=kept, worth=worth, limits=self._limits)[-1]


def snapshot(bank: BankView) -> Iterator[Op]:
    """Operations that bring an empty bank to this one, as far as it can be seen. Events are apart."""
    records = [record for status in STATUSES for record in bank.iter(status=status)]
    yield from (Add(record._replace(links=())) for record in records)
    yield from (AddLink(record.id, link) for record in records for link in record.links)
    yield from (SetState(key, bank.state(key)) for key in (*_keys(bank), KEYS) if bank.state(key) is not None)


def _keys(bank: BankView) -> list[str]:
    told = bank.state(KEYS, [])
    return [key for key in told if isinstance(key, str)] if isinstance(told, list) else []


def _worth(query: Query, bank: BankView) -> dict[str, JSON]:
    worths = {record.id: bank.value(record.id, query.stage) for record in bank.iter()}
    return {"stage": query.stage, "of": {name: list(worth) for name, worth in worths.items() if worth.n}}
