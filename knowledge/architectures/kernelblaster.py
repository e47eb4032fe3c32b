"""A knowledge base of <bottleneck state, <technique, gain>> that is rewritten as attempts come in.

Source: KernelBlaster, memory-augmented in-context reinforcement learning. Its parameters are the text of the base and
its gradient is a rewrite of that text.
Kept: every attempt as it is; one `insight` for each technique in each state with its tries, failures and mean
logarithmic gain (a chain of techniques shares its gain evenly); one `gradient` for each state that says what to try
next there, what to avoid, and what helped elsewhere and is untried here. Asked from a state, its gradient comes first,
then insights by expected gain, those of other states for what is untried here, then similar attempts.
Left out: extracting states from a profile (the host names them), running the trajectories, confidence scores that a
model gives itself. A model rewrites the gradients when there is one; the numbers stay as they were counted.
`heat` above 0 ranks by chance in proportion to promise, as the original selects; 0 ranks strictly.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

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
    Trigger,
    Update,
    Verbatim,
    filled,
    named,
)

PARAMS = {
    "caution": Param(2.0, 0.0, 10.0),
    "share": Param(0.4, 0.0, 1.0),
    "elsewhere": Param(0.8, 0.0, 1.0),
    "heat": Param(0.0, 0.0, 1.0),
}
"""`caution`: tries of no gain assumed before the first. `share`: of the answer for insights. `elsewhere`: what a gain
in another state is worth in this one."""
INSIGHT, GRADIENT = "insight", "gradient"
SOURCES = 16
"""The latest attempts that an insight names."""
NAMED = 5
"""Techniques of each sort that a gradient names."""
UNCHANGED = "seed"
STEPS = 8
"""Of a chain that are counted."""
NEW = 2
"""Techniques of one attempt that are written down for the first time."""
ASK = "Below is what was measured of optimisations at one bottleneck. Say in three sentences what to try next."
TOKENS = 200


class KernelBlaster(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del ctx
        yield from map(Add, new)
        for event in bank.events(dict.fromkeys(source for record in new for source in record.sources[:1])):
            if isinstance(event.data.get("feasible"), bool):
                yield from self._learnt(event, bank)

    def _learnt(self, event: Event, bank: BankView) -> Iterator[Op]:
        state = _text(event.data.get("state")) or "unknown"
        steps = _steps(_text(event.data.get("technique")))
        unknown = [technique for technique in steps if bank.get(named(INSIGHT, state, technique)) is None]
        for technique in steps:
            if technique in unknown[NEW:]:
                continue
            before = bank.get(named(INSIGHT, state, technique))
            counted = _counted(before, event, members=len(steps))
            meta: dict[str, JSON] = {**counted, "state": state, "technique": technique}
            meta["expected"] = self._expected(counted)
            yield _kept(before, INSIGHT, (state, technique), _insight(state, technique, counted), meta, event)
        if steps:
            before = bank.get(named(GRADIENT, state))
            yield _kept(before, GRADIENT, (state,), self._gradient(state, bank), {"state": state, "told": False}, event)

    def _expected(self, counted: Mapping[str, float]) -> float:
        """What another try should bring, pulled towards nothing by few tries and by failures."""
        n, tries = counted["n"], counted["tries"]
        if not n:
            return 0.0
        return counted["total"] / counted["weight"] * n / (n + self._p["caution"]) * (1 - counted["failures"] / tries)

    def _gradient(self, state: str, bank: BankView) -> str:
        """The insight of the attempt at hand is already counted."""
        ranked = sorted(bank.iter(kind=INSIGHT), key=_promise, reverse=True)
        here = [record for record in ranked if record.meta.get("state") == state]
        known = {record.meta.get("technique") for record in here}
        best = [record for record in here if _promise(record) > 0]
        bad = [str(record.meta.get("technique")) for record in here[len(best) :]]
        others = (each for each in ranked if each.meta.get("technique") not in known and _promise(each) > 0)
        lines = [f"When the bottleneck is {state}:"]
        lines += [f"try next {_listed(best, ', then ')}."] if best else ["nothing has helped yet."]
        untried = _listed(others)
        lines += [f"Untried here, helped elsewhere: {untried}."] if untried else []
        lines += [f"Avoid {', '.join(bad[:NAMED])}."] if bad else []
        return " ".join(lines)

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        state = _text(query.where.get("state"))
        known = [record.id for record in self._of_state(state, bank, ctx)] if state else []
        first = known[: math.ceil(self._p["share"] * query.k)]
        alike = (hit.id for hit in bank.lexical(f"{query.text}\n{query.context}", query.k + len(first)))
        ranked = list(dict.fromkeys([*first, *alike]))[: query.k]
        return Retrieval([Hit(name, 1 / (1 + rank)) for rank, name in enumerate(ranked)])

    def _of_state(self, state: str, bank: BankView, ctx: Ctx) -> list[Record]:
        """Its gradient, then insights by promise; those of other states count less, and only for what is untried."""
        insights = list(bank.iter(kind=INSIGHT))
        tried = {record.meta.get("technique") for record in insights if record.meta.get("state") == state}
        drawn: dict[str, float] = {}
        for record in insights:
            here = record.meta.get("state") == state
            if here or record.meta.get("technique") not in tried:
                promise = _promise(record) * (1.0 if here else self._p["elsewhere"])
                drawn[record.id] = promise + (self._p["heat"] * _gumbel(ctx) if self._p["heat"] else 0.0)
        ranked = sorted((record for record in insights if record.id in drawn), key=lambda record: -drawn[record.id])
        gradient = bank.get(named(GRADIENT, state))
        return ranked if gradient is None or gradient.status != ACTIVE else [gradient, *ranked]

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        if trigger.kind == "feedback":
            return
        for record in bank.iter(kind=GRADIENT, told=False):
            facts = "\n".join(insight.text for insight in bank.iter(kind=INSIGHT, state=record.meta.get("state")))
            try:
                said = ctx.llm(f"{ASK}\n\n{record.text}\n{facts[:8000]}", max_tokens=TOKENS)
            except NoModelError:
                return
            text = f"{record.text}\n{said.strip()}".strip()[:4000]
            yield Update(record.id, {"text": text, "meta": {"told": True}})


def _counted(before: Record | None, event: Event, members: int) -> dict[str, float]:
    """Sums over the tries of a technique, with this one."""
    held = before.meta if before else {}
    tries, failures, n, weight, total = (
        _number(held.get(name)) or 0.0 for name in ("tries", "failures", "n", "weight", "total")
    )
    feasible, gain = bool(event.data.get("feasible")), _number(event.data.get("gain"))
    if feasible and gain is not None:
        n, weight, total = n + 1, weight + 1 / members, total + gain / members / members
    return {"tries": tries + 1, "failures": failures + (not feasible), "n": n, "weight": weight, "total": total}


def _kept(
    before: Record | None, kind: str, about: tuple[str, ...], text: str, meta: Mapping[str, JSON], event: Event
) -> Op:
    if before is None:
        return Add(Record(named(kind, *about), text, (event.id,), kind, meta=meta, valid_from=event.time))
    sources = tuple(dict.fromkeys((*before.sources, event.id)))[-SOURCES:]
    return Update(before.id, {"text": text, "sources": sources, "meta": meta, "valid_from": event.time})


def _insight(state: str, technique: str, counted: Mapping[str, float]) -> str:
    failures = f"{counted['failures']:.0f} of {counted['tries']:.0f} tries failed"
    if not counted["n"]:
        return f"When the bottleneck is {state}, {technique}: no gain is known; {failures}."
    effect = f"gave {_times(counted['total'] / counted['weight'])} on average of {counted['n']:.0f}"
    return f"When the bottleneck is {state}, {technique} {effect}; {failures}."


def _listed(ranked: Iterable[Record], between: str = ", ") -> str:
    """The first of them; a technique that helped in several states once."""
    first: dict[JSON, Record] = {}
    for record in ranked:
        first.setdefault(record.meta.get("technique"), record)
        if len(first) == NAMED:
            break
    return between.join(map(_about, first.values()))


def _about(record: Record) -> str:
    return f"{record.meta.get('technique')} (expected {_times(_promise(record))})"


def _times(gain: float) -> str:
    return f"{math.exp(max(-50.0, min(50.0, gain))):.3g}x"


def _promise(record: Record) -> float:
    return _number(record.meta.get("expected")) or 0.0


def _steps(technique: str) -> list[str]:
    found = (step.strip() for step in technique.split(" + "))
    return list(dict.fromkeys(step for step in found if step and step != UNCHANGED))[:STEPS]


def _gumbel(ctx: Ctx) -> float:
    return -math.log(-math.log(ctx.rng.uniform(1e-9, 1 - 1e-9)))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _text(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""


def build(params: Mapping[str, float]) -> KernelBlaster:
    return KernelBlaster(filled(PARAMS, params))
