"""Tips from failures and shortcuts from successes: Mobile-Agent-E (Wang et al., 2025, arXiv 2501.11733).

Keeps: a long-term memory of tips (what to heed) and shortcuts (a sequence of steps with arguments and a precondition)
that two reflectors bring up to date after each task, here whenever the memory is tidied; both are picked by their
words, shortcuts only where their precondition does not contradict what is asked. A technique that has a tip and later
works where it had failed has its tip amended, not removed.
Without a model a tip is what was tried, where, and the reason given; a shortcut is the techniques (else the first
lines) on the way to a success, numbers and quotations made arguments. A model only words the tips.
Leaves out: the agents that perceive, plan and act, and the working memory of one task.
The original keeps nothing else in the long term; here every event is also kept as it is and found by its words.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import dropwhile

from knowledge.architecture import (
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
    Trigger,
    Update,
    Verbatim,
    filled,
    named,
)

PARAMS = {
    "tips": Param(3, 0, 20, whole=True),
    "shortcuts": Param(2, 0, 20, whole=True),
    "steps": Param(2, 2, 6, whole=True),
}
TIP, SHORTCUT = "rule", "workflow"
POOL = 500
"""Records among which tips and shortcuts are looked for."""
LONGEST = 12
LINE = 300
SOURCES = 32


class MobileAgentE(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        parts = (query.text, query.context, *query.where.values())
        text = " ".join(part for part in parts if part and isinstance(part, str))
        state = query.where.get("state")
        tips, shortcuts, others = list[Hit](), list[Hit](), list[Hit]()
        for hit in bank.lexical(text, max(POOL, 2 * query.k)):
            record = bank.get(hit.id)
            if record is None:
                continue
            needed = record.meta.get("state") if record.kind == SHORTCUT else None
            if not (state and needed and state != needed):
                {TIP: tips, SHORTCUT: shortcuts}.get(record.kind, others).append(hit)
        known = [*tips[: int(self._p["tips"])], *shortcuts[: int(self._p["shortcuts"])]]
        return Retrieval([*known, *others][: query.k])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterator[Op]:
        if trigger.kind == "feedback":
            return
        fresh = unreflected(bank)
        if not fresh:
            return
        events = bank.events(dict.fromkeys(record.sources[0] for record in fresh if record.sources))
        yield from reflected_tips(events, bank, ctx)
        yield from self._shortcuts(events, bank)
        yield SetState("reflected", fresh[-1].id)

    def _shortcuts(self, events: Sequence[Event], bank: BankView) -> Iterator[Op]:
        """Of the successes that none of the others goes on from."""
        won = [event for event in events if succeeded(event)]
        continued = {event.parent for event in won}
        made: dict[str, Record] = {}
        for event in won:
            path = way(event, bank)
            steps = [step for link in path for step in steps_of(link)][-LONGEST:]
            if event.id in continued or len(steps) < self._p["steps"]:
                continue
            record = shortcut(path[0], event, steps)
            if (known := made.get(record.id)) is not None:
                record = known._replace(sources=joined(known, event))
            made[record.id] = record
        for record in made.values():
            there = bank.get(record.id)
            yield Add(record) if there is None else Update(there.id, {"sources": joined(there, *record.sources)})


def unreflected(bank: BankView) -> list[Record]:
    last = bank.state("reflected")
    kept = [record for record in bank.iter() if record.kind not in {TIP, SHORTCUT}]
    later = list(dropwhile(lambda record: record.id != last, kept))
    return later[1:] if later else kept


def reflected_tips(events: Sequence[Event], bank: BankView, ctx: Ctx) -> Iterator[Op]:
    """Reflecting on the same event again changes nothing."""
    changed: dict[str, Record] = {}
    for event in events:
        won, where = succeeded(event), place(event)
        name = named("tip", where, said(event, "technique") or first(event.text))
        there = changed.get(name) or bank.get(name)
        if won is None or (won and there is None) or (there and event.id in there.sources):
            continue
        changed[name] = amended(there, event) if won and there else tip(name, where, there, event, ctx)
    for name, record in changed.items():
        if bank.get(name) is None:
            yield Add(record)
        else:
            yield Update(name, {"text": record.text, "sources": record.sources, "meta": record.meta})


def tip(name: str, where: str, there: Record | None, event: Event, ctx: Ctx) -> Record:
    technique = said(event, "technique")
    told = f"Tip: where {where}, beware of {technique or 'this'}: {first(event.text)}" if where else first(event.text)
    failed = (number(there, "failed") if there else 0) + 1
    if failed > 1:
        told += f" (failed {failed} times)"
    try:
        answer = ctx.llm(f"Word a general tip in one sentence so that this is not done wrong again.\n\n{event.text}")
    except NoModelError:
        answer = ""
    text = next((line.strip()[:LINE] for line in answer.splitlines() if re.search(r"\w", line)), told)
    meta: dict[str, JSON] = {"state": said(event, "state"), "technique": technique, "failed": failed}
    return Record(name, text, joined(there, event.id) if there else (event.id,), TIP, meta=meta, valid_from=event.time)


def amended(there: Record, event: Event) -> Record:
    worked = number(there, "worked") + 1
    text = (
        re.sub(r" It has worked .*$", "", there.text)
        + f" It has worked {worked} times, last on {place(event, 'task')}."
    )
    return there._replace(text=text, sources=joined(there, event.id), meta={**there.meta, "worked": worked})


def shortcut(start: Event, end: Event, steps: Sequence[str]) -> Record:
    arguments: list[str] = []

    def argument(_: re.Match[str]) -> str:
        arguments.append(f"x{len(arguments) + 1}")
        return f"{{{arguments[-1]}}}"

    plain = [re.sub(r"\"[^\"]*\"|\b\d+(?:\.\d+)?", argument, step) for step in steps]
    title = "_then_".join(re.sub(r"\W+", "_", re.sub(r"\{\w+\}", "", step)).strip("_")[:24] for step in plain)
    needs = place(start)
    text = f"Shortcut {title}({', '.join(arguments)}). Precondition: {needs or 'none'}. Steps: {'; '.join(plain)}."
    return Record(
        id=named("shortcut", needs, *plain),
        text=text,
        sources=(end.id,),
        kind=SHORTCUT,
        keys=(text, said(end, "task") or first(end.text)),
        meta={"state": said(start, "state"), "domain": said(end, "domain"), "steps": list(plain)},
        valid_from=end.time,
    )


def way(event: Event, bank: BankView) -> list[Event]:
    """From the first event to this one, failures left out."""
    path, seen = [event], {event.id}
    while path[-1].parent not in seen and len(path) < LONGEST and (before := bank.events([path[-1].parent])):
        path.append(before[0])
        seen.add(before[0].id)
    return [link for link in reversed(path) if succeeded(link) is not False]


def steps_of(event: Event) -> list[str]:
    if event.kind == "trajectory":
        return [line.strip()[:LINE] for line in event.text.splitlines() if re.search(r"\w", line)]
    return (said(event, "technique") or first(event.text)).split(" + ")


def place(event: Event, *names: str) -> str:
    return next((told for name in names or ("state", "domain", "task") if (told := said(event, name))), "")


def joined(record: Record, *more: Event | str) -> tuple[str, ...]:
    names = [one if isinstance(one, str) else one.id for one in more]
    return tuple(dict.fromkeys([*record.sources, *names]))[-SOURCES:]


def number(record: Record, name: str) -> int:
    value = record.meta.get(name)
    return value if isinstance(value, int) else 0


def first(text: str) -> str:
    return re.split(r"(?<=[.!?])\s|\n", text.strip(), maxsplit=1)[0][:LINE]


def succeeded(event: Event) -> bool | None:
    """Whether it passed and made nothing worse; None where nobody judged."""
    gain, feasible = event.data.get("gain"), event.data.get("feasible")
    if feasible is True and isinstance(gain, int | float):
        return gain >= 0
    return feasible if isinstance(feasible, bool) else None


def said(event: Event, name: str) -> str:
    value = event.data.get(name)
    return value[:LINE] if isinstance(value, str) else ""


def build(params: Mapping[str, float]) -> MobileAgentE:
    return MobileAgentE(filled(PARAMS, params))
