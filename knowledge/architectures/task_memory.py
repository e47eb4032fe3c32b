"""A tree of task nodes: what is recalled is the way from where one stands up to the root.

Task Memory Engine (Ye 2025, arXiv 2504.08525; its graph form 2505.19436).
Kept: nodes with a slot, its value, a parent, dependencies and a history; `update_value` keeps what a slot was before,
`replace_slot_and_propagate` rewrites what depends on it, and so on down; rollback brings the value before back.
Retrieval gives the path from the active node to the root and what the nodes on it depend on, then what else matches.
Every task or session is a node, and what happened in it hangs below, verbatim, or below the event it continues.
Left out: sub-step decomposition, and the keyword rules of the published code. What a message does to a slot is told by
its data (`slot`, `value`, `depends`, `rollback`), by "set S to V", "S = V" and "roll back S", or by the model.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from knowledge.architecture import (
    JSON,
    Add,
    AddLink,
    BankView,
    Ctx,
    Event,
    Hit,
    Link,
    NoModelError,
    Op,
    Param,
    Query,
    Record,
    Retrieval,
    Update,
    Verbatim,
    filled,
    named,
    verbatim,
)

PARAMS = {
    "k1": Param(1.2, 0.2, 3.0),
    "b": Param(0.75, 0.0, 1.0),
    "root_first": Param(0, 0, 1, whole=True),
    "paths": Param(1, 1, 5, whole=True),
    "history": Param(20, 1, 40, whole=True),
}
PARENT, DEPENDS = "parent", "depends"
DEEPEST = 20
BRIEF = 4000
"""Characters; what is longer says more than the value of a slot."""
QUOTE = 300
"""Characters kept of what was said before."""
LONGEST = 500
"""Characters of a value."""
SOURCES = 8
"""Events that what was said anew rests on, the first and the latest."""
SET = re.compile(r"^(?:\S+: )?(?:set|change|make|use) ([\w .-]{1,40}?) (?:to|=) (.{1,200}?)[.!]?$", re.IGNORECASE)
IS = re.compile(r"^([\w.-]{1,40})\s*:?=\s*(.{1,200})$")
BACK = re.compile(r"^(?:\S+: )?(?:undo|revert|roll back) (?:the )?([\w .-]{1,40}?)[.!]?$", re.IGNORECASE)


class TaskMemory(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterator[Record]:
        """The nodes above it, which are mostly there, and then what the event says: of a slot, or verbatim."""
        above = ""
        for step, name in _steps(event):
            links = (Link(above, PARENT),) if above else ()
            above = node_id(step, name)
            text = f"{step} {name}: {event.text[:300]}"
            yield Record(above, text, (event.id,), "node", (name,), links, valid_from=event.time)
        record = verbatim(event)
        parents = [Link(name, PARENT) for name in (event.parent, above) if name]
        slot, value = told(event, ctx)
        if slot and value is not None and len(event.text) <= BRIEF:
            listed = event.data.get("depends")
            after = [str(name) for name in listed] if isinstance(listed, list) else []
            record = record._replace(
                id=node_id("slot", above, slot),
                kind="node",
                meta={**record.meta, "slot": slot, "value": value, "history": []},
            )
            parents += [Link(node_id("slot", above, name), DEPENDS) for name in after if name != slot]
        elif slot and value is None:
            record = record._replace(meta={**record.meta, "rollback": node_id("slot", above, slot)})
        yield record._replace(links=tuple(parents))

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        del ctx
        for record in new:
            node = bank.get(record.id)
            if node is None:
                yield Add(record)
            elif isinstance(record.meta.get("value"), str):
                yield from self._updated(node, record, bank)
            undone = bank.get(str(record.meta.get("rollback")))
            if undone is not None:
                yield from self._rolled_back(undone, bank)

    def _updated(self, node: Record, new: Record, bank: BankView) -> Iterator[Op]:
        """`update_value`, or `replace_slot_and_propagate` where something depends on it."""
        past = [node.meta.get("value"), node.text[:QUOTE], *node.sources]
        history: list[JSON] = [*_history(node), [*past]][-int(self._p["history"]) :]
        meta = {**new.meta, "history": history}
        yield Update(node.id, {"text": new.text, "sources": new.sources, "meta": meta, "valid_from": new.valid_from})
        for link in new.links:
            yield AddLink(node.id, link)
        yield from self._propagated(node, str(new.meta.get("value")), new.sources, bank, {node.id})

    def _propagated(self, node: Record, value: str, why: Sequence[str], bank: BankView, seen: set[str]) -> Iterator[Op]:
        """What was said in terms of the node's old value is said in terms of the new one."""
        before = str(node.meta.get("value"))
        for hit in bank.near(node.id, DEPENDS, direction="in"):
            dependent = bank.get(hit.id)
            if dependent is None or hit.id in seen or not before or before == value:
                continue
            seen.add(hit.id)
            text = _reworded(dependent.text, before, value)[:BRIEF]
            own = _reworded(str(dependent.meta.get("value") or ""), before, value)[:LONGEST]
            if text != dependent.text or own != dependent.meta.get("value"):
                past = [dependent.meta.get("value"), dependent.text[:QUOTE], *dependent.sources]
                history: list[JSON] = [*_history(dependent), [*past]][-int(self._p["history"]) :]
                first, *later = dict.fromkeys((*dependent.sources, *why))
                sources = (first, *later[1 - SOURCES :])
                yield Update(hit.id, {"text": text, "meta": {"value": own, "history": history}, "sources": sources})
                yield from self._propagated(dependent, own, why, bank, seen)

    def _rolled_back(self, node: Record, bank: BankView) -> Iterator[Op]:
        match _history(node):
            case [*earlier, [value, str() as text, *sources]]:
                meta = {"value": value, "history": earlier}
                yield Update(node.id, {"text": text, "sources": tuple(map(str, sources)), "meta": meta})
                yield from self._propagated(node, str(value), node.sources, bank, {node.id})

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        found = bank.lexical(query.text, 2 * query.k, k1=self._p["k1"], b=self._p["b"])
        here = [hit.id for hit in found if _scope(bank.get(hit.id)) == query.scope] if query.scope else []
        standing = [*here, *(hit.id for hit in found), node_id("task", query.scope or str(query.where.get("task")))]
        way: dict[str, str] = {}
        for name in [name for name in dict.fromkeys(standing) if bank.get(name)][: int(self._p["paths"])]:
            way |= dict.fromkeys(self._way(name, bank), f"on the way up from {name}")
        top = found[0].score if found else 0.0
        hits = [Hit(name, top + len(way) - place, why) for place, (name, why) in enumerate(way.items())]
        return Retrieval([*hits, *(hit for hit in found if hit.id not in way)][: query.k])

    def _way(self, name: str, bank: BankView) -> list[str]:
        """From a node to the root, or the other way round; then what is depended on along it."""
        way: list[Record] = []
        node = bank.get(name)
        while node is not None and node not in way and len(way) < DEEPEST:
            way.append(node)
            node = next((up for link in node.links if link.rel == PARENT and (up := bank.get(link.target))), None)
        if self._p["root_first"]:
            way.reverse()
        needed = [bank.get(link.target) for node in way for link in node.links if link.rel == DEPENDS]
        return [*dict.fromkeys(node.id for node in (*way, *needed) if node is not None and node.status == "active")]


def told(event: Event, ctx: Ctx) -> tuple[str, str | None]:
    """A slot and its value; no value: back to the one before; no slot: the event is about none."""
    slot, value, back = (event.data.get(name) for name in ("slot", "value", "rollback"))
    if isinstance(back, str):
        return back, None
    if isinstance(slot, str) and value is not None:
        return slot, str(value)[:LONGEST]
    if event.kind == "message":
        if match := SET.match(event.text) or IS.match(event.text):
            return match[1].strip(), match[2].strip()
        if match := BACK.match(event.text):
            return match[1].strip(), None
        return _by_model(event, ctx)
    return "", None


def _by_model(event: Event, ctx: Ctx) -> tuple[str, str | None]:
    """Only with a value that was said."""
    try:
        answer = ctx.llm(
            f"Does this set a variable of the task? Answer `name = value`, else none.\n{event.text[:2000]}"
        )
    except NoModelError:
        return "", None
    match = IS.match(answer.strip().strip("`"))
    return (match[1], match[2]) if match and match[2].lower() in event.text.lower() else ("", None)


def _steps(event: Event) -> list[tuple[str, str]]:
    """The way down from the root to where the event happened."""
    task, domain = event.data.get("task"), event.data.get("domain")
    named_so = [("domain", domain), ("task", task or event.scope)]
    return [(step, name) for step, name in named_so if isinstance(name, str) and name]


def node_id(*path: str) -> str:
    return named("node", *(part.lower() for part in path))


def _history(node: Record) -> list[JSON]:
    past = node.meta.get("history")
    return past if isinstance(past, list) else []


def _reworded(text: str, old: str, new: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _: new, text)


def _scope(record: Record | None) -> JSON:
    return record.meta.get("scope") if record else None


def build(params: Mapping[str, float]) -> TaskMemory:
    return TaskMemory(filled(PARAMS, params))
