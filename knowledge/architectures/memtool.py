"""Memory as the tools in the context window: searched in, and dropped when they are not used.

MemTool (Lumer et al. 2025, arXiv 2507.21428), its workflow and hybrid modes.
Kept: the context holds a bounded set of tools (here: of any records); what is not used in a window of three turns is
removed from it without being asked; search adds what a step needs; a removed tool stays where search finds it. A
turn ends with feedback or a tick; used is what was shown with a reward, or what a later event names as its `tool`.
Left out: the autonomous mode, where the agent calls add and remove itself. A model, where there is one, may remove
unused tools before the window is over.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from knowledge.architecture import (
    JSON,
    Add,
    BankView,
    Ctx,
    Event,
    Hit,
    NoModelError,
    Note,
    Op,
    Param,
    Query,
    Record,
    Retrieval,
    SetState,
    Trigger,
    filled,
    verbatim,
)

PARAMS = {
    "k1": Param(1.2, 0.2, 3.0),
    "b": Param(0.75, 0.0, 1.0),
    "window": Param(3, 1, 10, whole=True),
    "context": Param(16, 1, 64, whole=True),
}
CONTEXT, TURN, TOOLS = "context", "turn", "tools"
MOST_TOOLS = 200
"""Whose names are known in the private state."""


class MemTool:
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterator[Record]:
        """A document that names a tool describes it; any other event that names one has used it."""
        del ctx
        name = event.data.get("tool")
        if not isinstance(name, str):
            yield verbatim(event)
        elif event.kind == "document":
            yield verbatim(event, tool=name)._replace(kind="tool")
        else:
            yield verbatim(event, used=name)

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        del ctx
        tools = _mapping(bank.state(TOOLS))
        context = _turns(bank)
        for record in new:
            yield Add(record)
            name, used = record.meta.get("tool"), record.meta.get("used")
            if isinstance(name, str):
                tools = {**tools, name[:80]: record.id}
                yield SetState(TOOLS, dict([*tools.items()][-MOST_TOOLS:]))
            tool = tools.get(used[:80]) if isinstance(used, str) else None
            if isinstance(tool, str):
                context.pop(tool, None)
                context[tool] = _turn(bank)
                yield SetState(CONTEXT, self._kept(context))

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        """At a step first what is in the context, the last used first; then, and elsewhere, what search finds."""
        del ctx
        found = bank.lexical(query.text, query.k, k1=self._p["k1"], b=self._p["b"])
        if query.stage != "step":
            return Retrieval(found)
        top = found[0].score if found else 0.0
        context = _turns(bank)
        latest = sorted(context, key=lambda name: -context[name])
        active = [name for name in latest if (record := bank.get(name)) and record.status == "active"][: query.k]
        hits = [Hit(name, top + len(active) - place, "in the context") for place, name in enumerate(active)]
        return Retrieval([*hits, *(hit for hit in found if hit.id not in active)][: query.k])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterator[Op]:
        """What was shown at a step comes into the context; what was not used in the window leaves it."""
        context, turn = _turns(bank), _turn(bank)
        receipt = trigger.receipt
        if receipt is not None:
            helped = (trigger.reward or 0.0) > 0
            for name in receipt.items:
                if helped:
                    context.pop(name, None)
                    context[name] = turn
                elif receipt.query.stage == "step":
                    context.setdefault(name, turn)
        kept = {name: used for name, used in context.items() if turn - used < self._p["window"]}
        idle = [name for name, used in kept.items() if used < turn]
        for name in _given_up(idle, receipt.query.text if receipt else "", bank, ctx):
            del kept[name]
        if dropped := [name for name in context if name not in kept]:
            yield Note(f"dropped {', '.join(dropped)}")
        yield SetState(CONTEXT, self._kept(kept))
        yield SetState(TURN, turn + 1)

    def _kept(self, context: Mapping[str, int]) -> dict[str, JSON]:
        """Those used last, if there are too many; in that order."""
        latest = sorted(context, key=lambda name: context[name])[-int(self._p["context"]) :]
        return {name: context[name] for name in latest}


def _given_up(idle: Sequence[str], task: str, bank: BankView, ctx: Ctx) -> list[str]:
    """Of the tools that were not used this turn those that the model would do without."""
    records = [record for name in idle if (record := bank.get(name))]
    if not records or not task:
        return []
    listed = "\n".join(f"{number}: {record.text[:200]}" for number, record in enumerate(records))
    try:
        answer = ctx.llm(f"Task: {task[:1000]}\nTools:\n{listed}\nNumbers of those no longer needed, or none:")
    except NoModelError:
        return []
    numbers = {int(number) for number in re.findall(r"\b\d{1,3}\b", answer)}
    return [record.id for number, record in enumerate(records) if number in numbers]


def _mapping(told: JSON) -> dict[str, JSON]:
    return told if isinstance(told, dict) else {}


def _turns(bank: BankView) -> dict[str, int]:
    """What is in the context -> the turn it was last used in."""
    return {name: turn for name, turn in _mapping(bank.state(CONTEXT)).items() if isinstance(turn, int)}


def _turn(bank: BankView) -> int:
    turn = bank.state(TURN, 0)
    return turn if isinstance(turn, int) else 0


def build(params: Mapping[str, float]) -> MemTool:
    return MemTool(filled(PARAMS, params))
