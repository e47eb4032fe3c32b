"""A library of programs that worked, found by what they do: Voyager (Wang et al., 2023, arXiv 2305.16291).

Keeps: only what passed becomes a skill; its description is the key, its code the value; a skill of the same name is
written over; the skills whose descriptions are most similar come first. Nothing is ever pruned, as in the original: a
skill that misled whoever was shown it several times in a row stays, but is not written again.
Leaves out: the curriculum and the rounds of prompting, which are the loop's work, and a model as its own judge.
The original keeps neither failures nor messages. Here every event is also kept as it is, and found by its words; a
skill must be a little similar to be shown, so that it is not in the way of questions about something else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from knowledge.architecture import (
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
    Trigger,
    Update,
    filled,
    named,
    verbatim,
)

PARAMS = {
    "skills": Param(5, 1, 20, whole=True),
    "similar": Param(0.15, -1.0, 0.9),
    "misled": Param(3, 1, 20, whole=True),
}
SKILL = "skill"
MOST_CODE = 60_000
LINE = 240
CHANGED = ("text", "sources", "meta", "payload", "valid_from")
"""Of a skill that is written over."""


class Voyager:
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterator[Record]:
        yield verbatim(event)
        if succeeded(event):
            yield skill(event, ctx)

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        del ctx
        for record in new:
            there = bank.get(record.id)
            if there is None:
                yield Add(record)
            elif failures(there) < self._p["misled"]:
                told = record._asdict()
                yield Update(record.id, {name: told[name] for name in CHANGED})

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        text = asked(query)
        similar = bank.dense(text, min(query.k, int(self._p["skills"])), kind=SKILL)
        hits = [hit for hit in similar if hit.score >= self._p["similar"]]
        told = {source for hit in hits if (known := bank.get(hit.id)) for source in known.sources}
        for hit in bank.lexical(text, 2 * query.k):
            record = bank.get(hit.id)
            if record and record.kind != SKILL and not told.issuperset(record.sources):
                hits.append(Hit(hit.id, hit.score, "words"))
        return Retrieval(hits[: query.k])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterator[Op]:
        """Count how often in a row each skill has misled."""
        del ctx
        if trigger.receipt is None or not trigger.reward:
            return
        for record in shown(trigger.receipt.items, bank):
            if record.kind == SKILL:
                yield Update(record.id, {"meta": {"misled": failures(record) + 1 if trigger.reward < 0 else 0}})


def skill(event: Event, ctx: Ctx) -> Record:
    """Named by its task and technique: what does the same to the same is the same skill, however it is written."""
    told = {name: said(event, name) for name in ("task", "domain", "state", "technique", "hardware")}
    name = (told["task"], told["technique"]) if told["technique"] else (event.id,)
    code = said(event, "code", MOST_CODE) or event.text[:MOST_CODE]
    return Record(
        id=named(SKILL, *name),
        text=described(event, code, ctx),
        sources=(event.id,),
        kind=SKILL,
        meta={"scope": event.scope, **told},
        valid_from=event.time,
        payload=code,
    )


def described(event: Event, code: str, ctx: Ctx) -> str:
    try:
        answer = ctx.llm(f"Describe in one sentence what this does, as a key to find it by.\n\n{event.text}\n\n{code}")
    except NoModelError:
        answer = ""
    lines = [line.strip() for line in answer.splitlines() if re.search(r"\w", line)]
    if lines:
        return lines[0][:LINE]
    technique, task, state = said(event, "technique"), said(event, "task"), said(event, "state")
    parts = (technique, task and f"on {task}", state and f"where {state}")
    first = re.split(r"(?<=[.!?])\s|\n", event.text.strip(), maxsplit=1)[0][:LINE]
    return " ".join(part for part in parts if part) if technique else first


def succeeded(event: Event) -> bool | None:
    """Whether it passed and made nothing worse; None where nobody judged."""
    gain, feasible = event.data.get("gain"), event.data.get("feasible")
    if feasible is True and isinstance(gain, int | float):
        return gain >= 0
    return feasible if isinstance(feasible, bool) else None


def said(event: Event, name: str, most: int = LINE) -> str:
    value = event.data.get(name)
    return value[:most] if isinstance(value, str) else ""


def failures(record: Record) -> int:
    count = record.meta.get("misled")
    return count if isinstance(count, int) else 0


def shown(items: Iterable[str], bank: BankView) -> Iterator[Record]:
    return (record for item in items if (record := bank.get(item)) is not None)


def asked(query: Query) -> str:
    return " ".join(
        part for part in (query.text, query.context, *query.where.values()) if part and isinstance(part, str)
    )


def build(params: Mapping[str, float]) -> Voyager:
    return Voyager(filled(PARAMS, params))
