"""Decisions recalled by the scenario they were taken in: DiLu (Wen et al., 2023, arXiv 2309.16292).

Keeps: a decision is kept as scenario, reasoning and action, and found by the scenario alone; those of the most similar
scenarios come first, as examples; reflection puts the corrected experience in the place of the failed one.
A failure is corrected as soon as its task, or an attempt that continues it, succeeds; the correction is worded by a
model where there is one. Failures not yet corrected come after all others: the original does not show them at all.
Leaves out: the driving simulator, and reflection by a model on a failure that nothing has yet shown a way out of.
Messages and documents are no decisions; like every other event they are kept as they are and found by their words.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from knowledge.architecture import (
    ACTIVE,
    JSON,
    Add,
    BankView,
    Ctx,
    Event,
    Hit,
    NoModelError,
    Op,
    Param,
    Query,
    Record,
    Retrieval,
    SetState,
    Supersede,
    Trigger,
    filled,
    named,
    verbatim,
)

PARAMS = {
    "shots": Param(3, 1, 20, whole=True),
    "similar": Param(0.15, -1.0, 0.9),
}
DECISION = "decision"
ACTIONS = frozenset({"attempt", "step", "trajectory"})
TASKS = 200
"""How many tasks' open failures are remembered."""
OPEN = 4
"""Failures of one task that a success corrects, the latest."""
LINE = 300
MOST = 20_000
"""Characters of an event, and of its code, that a decision repeats."""
SCENARIO = ("task", "domain", "stage", "state", "hardware")


class DiLu:
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterator[Record]:
        del ctx
        yield verbatim(event)
        if event.kind in ACTIONS:
            yield decision(event)

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        held = bank.state("failed")
        open_: dict[str, JSON] = dict(held) if isinstance(held, dict) else {}
        for record in new:
            if bank.get(record.id) is not None:
                continue
            event = next(iter(bank.events(record.sources[:1])), None)
            won = succeeded(event) if event and record.kind == DECISION else None
            if event is None or won is None:
                yield Add(record)
                continue
            task = named(said(event, "task") or event.scope or event.id)
            before = open_.pop(task, None)
            missed = [str(name) for name in before] if isinstance(before, list) else []
            if won:
                yield from corrected(record, wrong(event, missed, bank), bank, ctx)
            else:
                yield Add(record)
                open_[task] = [*before, record.id][-OPEN:] if isinstance(before, list) else [record.id]
            yield SetState("failed", dict(list(open_.items())[-TASKS:]))

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        parts = (query.text, query.context, *query.where.values())
        text = " ".join(part for part in parts if part and isinstance(part, str))
        shots, hits, late = int(self._p["shots"]), list[Hit](), list[Hit]()
        for hit in bank.dense(text, 4 * shots, kind=DECISION):
            if hit.score >= self._p["similar"]:
                (late if failed(bank.get(hit.id)) else hits).append(hit)
        hits = hits[: min(shots, query.k)]
        told = {source for hit in hits if (known := bank.get(hit.id)) for source in known.sources}
        for hit in bank.lexical(text, 2 * query.k):
            record = bank.get(hit.id)
            if record and record.kind != DECISION and not told.issuperset(record.sources):
                (late if failed(record) else hits).append(hit)
        return Retrieval([*hits, *late][: query.k])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> list[Op]:
        """The memory grows and is corrected as it is written; nothing else is done to it."""
        del trigger, bank, ctx
        return []


def decision(event: Event) -> Record:
    told = {name: said(event, name) for name in (*SCENARIO, "technique")}
    scenario = ", ".join(f"{name} {told[name]}" for name in SCENARIO if told[name]) or first(event.text)
    action = told["technique"] or said(event, "action")
    won = succeeded(event)
    return Record(
        id=named(DECISION, event.id),
        text=f"Scenario: {scenario}\nReasoning: {event.text[:MOST]}" + (f"\nAction: {action}" if action else ""),
        sources=(event.id,),
        kind=DECISION,
        keys=(" ".join(told[name] for name in SCENARIO if told[name]) or scenario,),
        meta={"scope": event.scope, **told, **({} if won is None else {"feasible": won})},
        valid_from=event.time,
        payload=said(event, "code", MOST),
    )


def wrong(event: Event, missed: Sequence[str], bank: BankView) -> list[Record]:
    """Decisions that this success corrects: its parent's and the last ones of its task, where they failed."""
    parents = [named(DECISION, parent.id) for parent in bank.events([event.parent]) if succeeded(parent) is False]
    found = [bank.get(name) for name in dict.fromkeys([*missed, *parents])]
    return [record for record in found if record and record.status == ACTIVE]


def corrected(right: Record, wrong: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
    """One decision in the place of those that failed, found by their scenarios too."""
    lessons = [lesson(right, record, bank, ctx) for record in wrong]
    yield Add(
        right._replace(
            text="\n".join([right.text, *lessons]),
            keys=tuple(dict.fromkeys([*right.keys, *(key for record in wrong for key in record.keys)])),
            sources=tuple(dict.fromkeys([*right.sources, *(source for record in wrong for source in record.sources)])),
        )
    )
    for record in wrong:
        yield Supersede(record.id, right.id, "corrected")


def lesson(right: Record, wrong: Record, bank: BankView, ctx: Ctx) -> str:
    told = " ".join(event.text for event in bank.events(wrong.sources))
    ask = "One decision failed, a later one succeeded. Say in one sentence what was wrong and what to do instead."
    try:
        answer = ctx.llm(f"{ask}\n\nFailed: {wrong.text}\n\nSucceeded: {right.text}")
    except NoModelError:
        answer = ""
    worded = " ".join(answer.split())[:LINE]
    technique = wrong.meta.get("technique")
    return f"Corrected: {worded}" if worded else f"Corrected: not {technique or 'as before'}: {first(told)}"


def first(text: str) -> str:
    return re.split(r"(?<=[.!?])\s|\n", text.strip(), maxsplit=1)[0][:LINE]


def failed(record: Record | None) -> bool:
    return record is not None and record.meta.get("feasible") is False


def succeeded(event: Event) -> bool | None:
    """Whether it passed and made nothing worse; None where nobody judged."""
    gain, feasible = event.data.get("gain"), event.data.get("feasible")
    if feasible is True and isinstance(gain, int | float):
        return gain >= 0
    return feasible if isinstance(feasible, bool) else None


def said(event: Event, name: str, most: int = LINE) -> str:
    value = event.data.get(name)
    return value[:most] if isinstance(value, str) else ""


def build(params: Mapping[str, float]) -> DiLu:
    return DiLu(filled(PARAMS, params))
