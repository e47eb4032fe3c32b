"""G-Memory (Zhang and others, 2025, arXiv 2506.07398): interactions, queries and insights, a graph walked both ways.

Kept: three tiers. What happened (interactions) belongs to the task it happened in (queries), tasks at least .7 alike
are linked, insights are linked to the tasks that support them. A query finds the nearest tasks and their neighbours;
from those it goes up to the insights that most of them support, and down to what they did, successes apart from
failures. Every 5 tasks rules are added, edited, agreed with (+1) or spoken against (-1, -3 where there are 10), every
20 the rules of one cluster are merged; feedback gives +1 or -2 to the insights that this very answer had shown.
Changed: clusters are what `similar` links connect, not FINCH. A session of a conversation is a task without success
or failure: it yields no insight without a model, and its turns weigh more when the session is near.
Left out: a model's marks for each trajectory, projection to roles.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from knowledge.architecture import (
    ACTIVE,
    JSON,
    Add,
    AddLink,
    BankView,
    Ctx,
    DropLink,
    Event,
    Expire,
    Hit,
    Link,
    NoModelError,
    Op,
    Param,
    Query,
    Record,
    Retrieval,
    SetState,
    Supersede,
    Trigger,
    Update,
    filled,
    named,
    verbatim,
)
from knowledge.stems import stems

PARAMS = {
    "alike": Param(0.7, 0.3, 0.95),
    "tasks": Param(4, 1, 12, whole=True),  # nearest, before their neighbours
    "floor": Param(0.3, 0.0, 0.8),  # cosine below which a task is not near
    "insights": Param(3, 0, 10, whole=True),
    "successes": Param(2, 0, 6, whole=True),
    "failures": Param(1, 0, 6, whole=True),
    "topic": Param(0.5, 0.0, 2.0),  # what a near task adds to what happened in it, as a share
    "finetune": Param(5, 2, 20, whole=True),
    "merge": Param(20, 5, 100, whole=True),
}
NEIGHBOURS = 10
START = 2
MANY_RULES = 10
FRESH = 200
"""Tasks remembered until they are looked at."""
HEADS = {True: "Worked: ", False: "Failed: ", None: ""}
RECENT = 40
"""Turns of a session that its brief is chosen from."""
MERGED = 0.6
"""Share of words in common from which on two rules are nearly the same."""
NEGATIONS = {"avoid", "not", "never", "no"}
OF, SIMILAR, SUPPORTED = "of", "similar", "supported_by"
RULES = (
    "Rules learnt so far:\n{rules}\n\nWhat happened since:\n{told}\n\n"
    "Answer with lines of these forms and nothing else:\n"
    "ADD: a general rule\nEDIT 2: the rule, reworded\nAGREE 2\nREMOVE 2\n"
)


class Said(NamedTuple):
    """One line about the rules."""

    verb: str
    rule: str
    """The id of one that is there; of another what it is known by."""
    text: str


class GMemory:
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        del ctx
        task = event.data.get("task") or event.scope or event.id
        yield verbatim(event, about=str(task), worked=worked(event), gain=event.data.get("gain"))

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        del ctx
        for record in new:
            yield Add(record)
            about = str(record.meta.get("about") or record.meta.get("task") or record.meta.get("scope") or record.id)
            node = named("query", about)
            if bank.get(node) is None:
                key = about if record.meta.get("task") else record.text[:400]
                meta: dict[str, JSON] = {"about": about, "session": not record.meta.get("task")}
                yield Add(Record(node, key, record.sources, "query", (key,), meta=meta))
                if record.meta.get("task"):  # a session is compared when more than its first turn is known
                    yield from self._neighbours(node, key, bank)
            yield AddLink(record.id, Link(node, OF))
            fresh = listed(bank, "fresh")
            if node not in fresh or outcome_of(record) is not None:
                yield SetState("episodes", number(bank.state("episodes")) + 1)
            if node not in fresh:
                kept: list[JSON] = [*fresh, node]
                yield SetState("fresh", kept[-FRESH:])

    def _neighbours(self, node: str, key: str, bank: BankView) -> Iterator[Op]:
        found = {hit.id: hit.score for hit in bank.dense(key, NEIGHBOURS + 1, kind="query") if hit.id != node}
        near = {name: score for name, score in found.items() if score >= self._p["alike"]}
        record = bank.get(node)
        for link in record.links if record else ():
            if link.rel == SIMILAR and link.target not in near:
                yield DropLink(node, link.target, SIMILAR)
        yield from (AddLink(node, Link(name, SIMILAR, score)) for name, score in list(near.items())[:NEIGHBOURS])

    # -- both ways through the graph

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        near = self._near(query, bank)
        ups = supported(near, bank)[: int(self._p["insights"])]
        known = " ".join(str(query.where[name]) for name in ("task", "state") if query.where.get(name))
        found = self._weighed(bank.lexical(f"{query.text} {known}", 3 * query.k), near, bank)
        downs = self._downs(near, found, bank)
        names = {hit.id for hit in (*ups, *downs)}
        lift = max((hit.score for hit in found), default=0.0)
        first = [Hit(hit.id, lift + 2 - place / 100, hit.why) for place, hit in enumerate((*ups, *downs))]
        return Retrieval([*first, *(hit for hit in found if hit.id not in names)][: query.k])

    def _near(self, query: Query, bank: BankView) -> dict[str, float]:
        """The nearest tasks and their neighbours, one hop on."""
        asked = f"{query.where.get('task') or ''} {query.text}".strip()
        own = named("query", str(query.where.get("task") or ""))
        near = {own: 1.0} if bank.get(own) else {}
        for hit in bank.dense(asked, int(self._p["tasks"]), kind="query"):
            if hit.score >= self._p["floor"]:
                near.setdefault(hit.id, hit.score)
        for task, score in list(near.items()):
            for hit in bank.near(task, SIMILAR):
                near[hit.id] = max(near.get(hit.id, 0.0), score * hit.score)
        return near

    def _downs(self, near: Mapping[str, float], found: Sequence[Hit], bank: BankView) -> list[Hit]:
        """Condensed tasks with an outcome, then single successes and failures of theirs, nearest first."""
        tasks = [Hit(name, score, "a task like it") for name, score in sorted(near.items(), key=lambda pair: -pair[1])]
        best: list[Hit] = []
        for outcome, most in ((True, self._p["successes"]), (False, self._p["failures"])):
            nodes = [hit for hit in tasks if outcome_of(bank.get(hit.id)) is outcome][: int(most)]
            single = [
                hit for hit in found if outcome_of(bank.get(hit.id)) is outcome and within(bank.get(hit.id), near)
            ]
            best += [*nodes, *single[: int(most) - len(nodes)]]
        return best

    def _weighed(self, found: Sequence[Hit], near: Mapping[str, float], bank: BankView) -> list[Hit]:
        weighed = []
        for hit in found:
            record = bank.get(hit.id)
            if record is not None and record.kind != "query":
                share = max((near.get(link.target, 0.0) for link in record.links if link.rel == OF), default=0.0)
                weighed.append(Hit(hit.id, hit.score * (1 + self._p["topic"] * share)))
        return sorted(weighed, key=lambda hit: -hit.score)

    # -- what becomes of rules

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterator[Op]:
        if trigger.kind == "feedback":
            shown = trigger.receipt.items if trigger.receipt and trigger.reward else ()
            rules = [record for name in shown if (record := bank.get(name)) and record.kind == "insight"]
            for rule in rules:
                yield from scored(rule, 1 if (trigger.reward or 0) > 0 else -2)
            return
        episodes = number(bank.state("episodes"))
        if episodes - number(bank.state("finetuned")) >= self._p["finetune"] or trigger.kind == "close":
            fresh = listed(bank, "fresh")
            for node in fresh:
                yield from self._condensed(node, bank)
            yield from finetuned(fresh, bank, ctx)
            yield from (SetState(*told) for told in (("fresh", None), ("finetuned", episodes)))
        if episodes - number(bank.state("merged")) >= self._p["merge"]:
            yield SetState("merged", episodes)
            yield from merged(bank, ctx)

    def _condensed(self, node: str, bank: BankView) -> Iterator[Op]:
        """The task's node says in brief what happened in it."""
        record = bank.get(node)
        parts = interactions(node, bank)
        if record is None or not parts:
            return
        best = brief(parts)
        said = [f"{HEADS[outcome_of(part)]}{part.text[:200]}" for part in best]
        outcomes = {outcome_of(part) for part in best}
        changes: dict[str, object] = {
            "text": "\n".join([str(record.meta.get("about")), *said]),
            "sources": tuple(dict.fromkeys(source for part in best for source in part.sources)),
            "meta": {"worked": True if True in outcomes else False if False in outcomes else None},
        }
        if record.meta.get("session"):
            key = " ".join(said)
            yield Update(node, {**changes, "keys": (key,)})
            yield from self._neighbours(node, key, bank)
        else:
            yield Update(node, changes)


def supported(near: Mapping[str, float], bank: BankView) -> list[Hit]:
    """Up: the insights that rest on these tasks, first those that most of them support."""
    support: dict[str, int] = {}
    for task in near:
        for hit in bank.near(task, SUPPORTED, direction="in"):
            support[hit.id] = support.get(hit.id, 0) + 1
    best = sorted(support, key=lambda name: (-support[name], -marks(bank.get(name))))
    return [Hit(name, float(support[name]), f"{support[name]} tasks support it") for name in best]


def finetuned(nodes: Sequence[str], bank: BankView, ctx: Ctx) -> Iterator[Op]:
    rules = list(bank.iter(kind="insight"))
    against = -3 if len(rules) >= MANY_RULES else -1
    for node in nodes:
        task = bank.get(node)
        if task is not None:
            for said in judged(task, rules, bank, ctx):
                yield from changed(said, task, against, bank)
            yield Update(node, {"meta": {"judged": len(interactions(node, bank))}})


def judged(task: Record, rules: Sequence[Record], bank: BankView, ctx: Ctx) -> list[Said]:
    """What a task says about the rules, by what happened in it since the last time."""
    parts = interactions(task.id, bank)[int(number(task.meta.get("judged"))) :]
    told = "\n".join(f"{HEADS[outcome_of(part)]}{part.text[:300]}" for part in brief(parts))
    shown = list(rules)[-30:]
    numbered = "\n".join(f"{place}. {rule.text}" for place, rule in enumerate(shown, 1))
    try:
        answer = ctx.llm(RULES.format(rules=numbered or "none", told=told), max_tokens=300)
    except NoModelError:
        return counted(parts, str(task.meta.get("about")), bank)
    said = []
    for verb, place, text in re.findall(r"^\W*(ADD|EDIT|AGREE|REMOVE)\b *(\d{0,3})[^\w\n]*(.*)$", answer, re.MULTILINE):
        if verb == "ADD" and text.strip():
            said.append(Said(verb, named("rule", text.strip()), text.strip()[:400]))
        elif place and 0 < int(place) <= len(shown):
            said.append(Said(verb, shown[int(place) - 1].id, text.strip()[:400]))
    return said[:5]


def counted(parts: Sequence[Record], about: str, bank: BankView) -> list[Said]:
    """Without a model: what a technique mostly did in a state is a rule, and speaks against the opposite rule.

    A rule is reworded without its first task when another one agrees.
    """
    times: dict[tuple[str, str], int] = {}
    for part in parts:
        technique, outcome = part.meta.get("technique"), outcome_of(part)
        if technique and outcome is not None:
            key = (str(part.meta.get("state") or ""), str(technique))
            times[key] = times.get(key, 0) + (1 if outcome else -1)
    said = []
    for (state, technique), balance in times.items():
        if balance:
            rule, opposite = (named("rule", state, technique, str(good)) for good in (balance > 0, balance < 0))
            text = f"{'use' if balance > 0 else 'avoid'} {technique}{f' when {state}' if state else ''}"
            known = standing(rule, bank) is not None
            said.append(Said("REMOVE", opposite, ""))
            said.append(Said("ADD", rule, f"{text}, as in {about}"))
            said += [Said("EDIT", rule, text)] if known else []
    return said


def changed(said: Said, task: Record, against: int, bank: BankView) -> Iterator[Op]:
    rule = standing(said.rule, bank)
    if rule is not None:
        if said.verb != "REMOVE":
            yield AddLink(rule.id, Link(task.id, SUPPORTED))
        step = {"REMOVE": against, "EDIT": 0}.get(said.verb, 1)
        yield from scored(rule, step, said.text if said.verb == "EDIT" and rule.id == said.rule else "")
    elif said.verb == "ADD" and bank.get(said.rule) is None:
        meta: dict[str, JSON] = {"score": START}
        links = (Link(task.id, SUPPORTED),)
        yield Add(Record(said.rule, said.text, task.sources[:8], "insight", links=links, meta=meta))
    elif said.verb == "ADD":
        yield Update(said.rule, {"status": ACTIVE, "valid_to": None, "text": said.text, "meta": {"score": START}})
        yield AddLink(said.rule, Link(task.id, SUPPORTED))


def standing(rule: str, bank: BankView) -> Record | None:
    """It, or what it was merged into."""
    record = bank.get(rule)
    if record is None or record.status == ACTIVE:
        return record
    heirs = bank.near(rule, "supersedes", 9, direction="in")
    return bank.get(heirs[0].id) if heirs else None


def scored(rule: Record, step: int, text: str = "") -> Iterator[Op]:
    score = marks(rule) + step
    changes: dict[str, object] = {"meta": {"score": score}}
    yield Update(rule.id, changes | {"text": text} if text else changes)
    if score <= 0:
        yield Expire(rule.id, "spoken against")


def merged(bank: BankView, ctx: Ctx) -> Iterator[Op]:
    """Rules of one cluster of tasks that say nearly the same become one, which starts anew."""
    groups: dict[str, list[list[Record]]] = {}
    insights = list(bank.iter(kind="insight"))
    clusters = clustered(dict.fromkeys(task for rule in insights for task in supporters(rule)), bank)
    for rule in insights:
        homes = [clusters[task] for task in supporters(rule)]
        if homes:
            group = groups.setdefault(max(homes, key=homes.count), [])
            near = next((rules for rules in group if alike(rules[0].text, rule.text)), None)
            group.append([rule]) if near is None else near.append(rule)
    for rules in (rules for group in groups.values() for rules in group if len(rules) > 1):
        ids = sorted(rule.id for rule in rules)
        links = tuple(
            Link(task, SUPPORTED) for task in dict.fromkeys(task for rule in rules for task in supporters(rule))
        )
        sources = tuple(dict.fromkeys(source for rule in rules for source in rule.sources))[:16]
        text = joined([rule.text for rule in rules], ctx)
        one = Record(
            named("merged", str(bank.state("episodes")), *ids),
            text,
            sources,
            "insight",
            links=links,
            meta={"score": START},
        )
        yield Add(one)
        yield from (Supersede(name, one.id, "merged") for name in ids)


def clustered(tasks: Iterable[str], bank: BankView) -> dict[str, str]:
    """Task -> the first that is linked with it."""
    clusters: dict[str, str] = {}
    for task in tasks:
        if task not in clusters:
            linked = (task, *(hit.id for hit in bank.near(task, SIMILAR, NEIGHBOURS)))
            for name in linked:
                clusters.setdefault(name, task)
    return clusters


def supporters(rule: Record) -> list[str]:
    return [link.target for link in rule.links if link.rel == SUPPORTED]


def joined(texts: Sequence[str], ctx: Ctx) -> str:
    plain = "; ".join(dict.fromkeys(texts))[:800]
    try:
        return ctx.llm(f"Say these rules as one, in one sentence and nothing else:\n{plain}")[:400].strip() or plain
    except NoModelError:
        return plain


def alike(one: str, other: str) -> bool:
    a, b = set(re.findall(r"\w+", one.lower())), set(re.findall(r"\w+", other.lower()))
    return (a & NEGATIONS) == (b & NEGATIONS) and len(a & b) >= MERGED * len(a | b)


def interactions(node: str, bank: BankView) -> list[Record]:
    """Down: what happened in a task, in the order in which it was told."""
    return list(filter(None, (bank.get(hit.id) for hit in bank.near(node, OF, direction="in"))))


def brief(parts: Sequence[Record]) -> list[Record]:
    """The few that tell most: the best successes and the last failures, else what shares most words with the rest."""
    good = sorted((part for part in parts if outcome_of(part)), key=lambda part: -number(part.meta.get("gain")))[:3]
    bad = [part for part in parts if outcome_of(part) is False][-2:]
    if good or bad:
        return [*good, *bad]
    recent = parts[-RECENT:]
    words = [set(stems(part.text)) for part in recent]
    common = Counter(word for own in words for word in own)
    weights = [sum(common[word] for word in own) / (len(own) + 8) for own in words]
    chosen = sorted(range(len(recent)), key=lambda place: -weights[place])[:6]
    return [recent[place] for place in sorted(chosen)]


def worked(event: Event) -> bool | None:
    """None where nothing says."""
    feasible, gain = event.data.get("feasible"), event.data.get("gain")
    if feasible is False:
        return False
    if isinstance(gain, int | float):
        return gain > 0
    return True if feasible is True else None


def outcome_of(record: Record | None) -> bool | None:
    told = record.meta.get("worked", record.meta.get("feasible")) if record else None
    return told if isinstance(told, bool) else None


def within(record: Record | None, near: Mapping[str, float]) -> bool:
    return record is not None and any(link.rel == OF and link.target in near for link in record.links)


def number(told: JSON) -> float:
    return told if isinstance(told, int | float) else 0.0


def marks(rule: Record | None) -> float:
    return number(rule.meta.get("score")) if rule else 0.0


def listed(bank: BankView, name: str) -> list[str]:
    told = bank.state(name, [])
    return [str(one) for one in told] if isinstance(told, list) else []


def build(params: Mapping[str, float]) -> GMemory:
    return GMemory(filled(PARAMS, params))
