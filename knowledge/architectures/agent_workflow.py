"""Routines that recur in what succeeded: Agent Workflow Memory (Wang et al., 2024, arXiv 2409.07429).

Keeps: workflows are induced from successes as they come (the online setting): the longest run of steps that a new
success has in common with an earlier one of its domain, in order but with gaps, the parts that vary put as {number},
{text} or {name}, if it is half of the shorter; one that is there, or part of one, only gains a source. Shown are the
workflows of the domain asked about, then examples found by their words. A model, where there is one, words the
workflow; its steps count only if there are at least two.
The steps of a success are the lines of a trajectory, or the techniques (else the first lines) on the way from the
first event to it. Leaves out: workflows as new actions of the agent, the offline setting, a model as the judge.
Every event is also kept as it is; of messages and failures the original would keep nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

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
    Trigger,
    Update,
    filled,
    named,
    verbatim,
)

PARAMS = {
    "steps": Param(2, 2, 6, whole=True),
    "share": Param(0.5, 0.0, 1.0),
    "earlier": Param(10, 1, 50, whole=True),
    "workflows": Param(3, 1, 20, whole=True),
}
WORKFLOW = "workflow"
DOMAINS = 20
"""Whose last successes are remembered."""
LONGEST = 20
"""Steps of one success that count, the last."""
LISTED = 20
"""Workflows of a domain that a new one is compared with, the last."""
LINE = 200
SOURCES = 32


class AgentWorkflow:
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        del ctx
        return [verbatim(event, domain=said(event, "domain"))]

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        yield from (Add(record) for record in new if bank.get(record.id) is None)
        for event in bank.events(dict.fromkeys(source for record in new for source in record.sources[:1])):
            if succeeded(event):
                yield from self._induced(event, bank, ctx)

    def _induced(self, event: Event, bank: BankView, ctx: Ctx) -> Iterator[Op]:
        domain = said(event, "domain")
        mine, best, partner = way(event, bank), list[str](), event
        for other in bank.events(reversed(latest(bank, "successes", domain))):
            theirs = way(other, bank)
            enough = max(self._p["steps"], self._p["share"] * min(len(mine), len(theirs)), len(best) + 1)
            if other.id != event.parent and len(shared := common(mine, theirs)) >= enough:
                best, partner = shared, other
        yield added(bank, "successes", domain, event.id, int(self._p["earlier"]))
        if best:
            yield from self._kept(domain, worded(best, (event, partner), ctx), (event, partner), bank)

    def _kept(self, domain: str, steps: list[str], pair: tuple[Event, Event], bank: BankView) -> Iterator[Op]:
        text = f"Workflow{domain and ' for '}{domain}: " + "; ".join(f"{n}. {step}" for n, step in enumerate(steps, 1))
        name = named(WORKFLOW, domain, *steps)
        for known in dict.fromkeys([name, *latest(bank, "workflows", domain)]):
            record = bank.get(known)
            if record and record.status == ACTIVE and within(steps, record.meta.get("steps")):
                sources = dict.fromkeys([*record.sources, *(event.id for event in pair)])
                yield Update(record.id, {"sources": tuple(sources)[-SOURCES:]})
                return
        if bank.get(name) is not None:  # somebody put it away
            return
        tasks = dict.fromkeys(said(event, "task") or first(event.text) for event in reversed(pair))
        yield Add(
            Record(
                id=name,
                text=text,
                sources=tuple(event.id for event in reversed(pair)),
                kind=WORKFLOW,
                keys=(text, *tasks),
                meta={"domain": domain, "steps": list(steps)},
                valid_from=pair[0].time,
            )
        )
        yield added(bank, "workflows", domain, name, LISTED)

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        parts = (query.text, query.context, *query.where.values())
        text = " ".join(part for part in parts if part and isinstance(part, str))
        most, domain = min(query.k, int(self._p["workflows"])), query.where.get("domain")
        if domain:
            same = sorted(bank.iter(kind=WORKFLOW, domain=domain), key=lambda record: -len(record.sources))
            scores = {record.id: 0.0 for record in same}
            scores |= {hit.id: hit.score for hit in bank.lexical(text, most, kind=WORKFLOW, domain=domain)}
            hits = [Hit(name, scores[name], WORKFLOW) for name in sorted(scores, key=lambda name: -scores[name])][:most]
        else:
            hits = bank.lexical(text, most, kind=WORKFLOW)
        found = [(hit, record) for hit in bank.lexical(text, 2 * query.k) if (record := bank.get(hit.id))]
        examples = [(hit, record) for hit, record in found if record.kind != WORKFLOW]
        examples.sort(key=lambda pair: pair[1].meta.get("feasible") is False)
        return Retrieval([*hits, *(hit for hit, _ in examples)][: query.k])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> list[Op]:
        """Workflows are induced as successes come; nothing is ever tidied up."""
        del trigger, bank, ctx
        return []


def latest(bank: BankView, key: str, domain: str) -> list[str]:
    held = bank.state(key)
    names = held.get(named(domain)) if isinstance(held, dict) else None
    return [str(name) for name in names] if isinstance(names, list) else []


def added(bank: BankView, key: str, domain: str, name: str, most: int) -> SetState:
    held = bank.state(key)
    domains: dict[str, JSON] = dict(held) if isinstance(held, dict) else {}
    domains.pop(named(domain), None)
    names: list[JSON] = [*latest(bank, key, domain), name]
    domains[named(domain)] = names[-most:]
    return SetState(key, dict(list(domains.items())[-DOMAINS:]))


def way(event: Event, bank: BankView) -> list[str]:
    """The steps that led to it, without what varies."""
    if event.kind == "trajectory":
        told = [line for line in event.text.splitlines() if re.search(r"\w", line)]
    else:
        path, seen = [event], {event.id}
        while path[-1].parent not in seen and len(path) < LONGEST and (before := bank.events([path[-1].parent])):
            path.append(before[0])
            seen.add(before[0].id)
        passed = [link for link in reversed(path) if succeeded(link) is not False]
        told = [step for link in passed for step in (said(link, "technique") or first(link.text)).split(" + ")]
    return [abstract(step) for step in told[-LONGEST:]]


def abstract(step: str) -> str:
    step = re.sub(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)", "{text}", step.strip())
    step = re.sub(r"^(?:[-*]|\d+[.):])\s+", "", step)
    step = re.sub(r"(?<=[a-z,] )(?:[A-Z]\w*)(?: [A-Z]\w*)*", "{name}", step)
    return re.sub(r"\b\d+(?:\.\d+)?", "{number}", step)[:LINE]


def common(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """The longest sequence of steps that both have, in order."""
    lengths = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, j in product(reversed(range(len(one))), reversed(range(len(other)))):
        skipped = max(lengths[i + 1][j], lengths[i][j + 1])
        lengths[i][j] = lengths[i + 1][j + 1] + 1 if one[i] == other[j] else skipped
    i, j, shared = 0, 0, list[str]()
    while i < len(one) and j < len(other):
        if one[i] == other[j]:
            shared.append(one[i])
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return shared


def within(steps: Sequence[str], longer: object) -> bool:
    return isinstance(longer, list) and len(common(steps, [str(step) for step in longer])) == len(steps)


def worded(steps: list[str], pair: tuple[Event, Event], ctx: Ctx) -> list[str]:
    told = "\n\n".join(event.text for event in pair)
    ask = "These succeeded. Write the routine they share as numbered steps, with {variables} for what varies."
    try:
        answer = ctx.llm(f"{ask}\n\n{told}\n\nShared so far: {'; '.join(steps)}")
    except NoModelError:
        return steps
    found = re.findall(r"^\s*(?:[-*]|\d+[.):])\s+(\S.*)$", answer, re.MULTILINE)
    return [step.strip()[:LINE] for step in found[:LONGEST]] if len(found) > 1 else steps


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


def build(params: Mapping[str, float]) -> AgentWorkflow:
    return AgentWorkflow(filled(PARAMS, params))
