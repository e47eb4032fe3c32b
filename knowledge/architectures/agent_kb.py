"""Agent KB (Tang and others, 2025, arXiv 2507.06229): units of query, plan and experience; reason, retrieve, refine.

Kept: what was tried for a task is one unit of (query, plan, experience), near-equal units are one; retrieval reasons
about what is asked (with a model), mixes z-scores of words and of embeddings half and half, and refines: a student
picks, a teacher checks it. Without a model the refinement is a gate on disagreement: what was met in another state or
task than the asker's is shown only after what agrees with it, and a plan that failed not beside one that worked.
Left out: the second retrieval, for steps; scores of each field apart. What has no plan (a plain message) makes no
unit in the original; here it stays as it was told and competes with the units on equal terms.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

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
    "lexical": Param(0.5, 0.0, 1.0),
    "pool": Param(4, 1, 12, whole=True),  # candidates for each one asked for
    "equal": Param(0.95, 0.8, 1.0),  # cosine from which on two units are one
    "agree": Param(1.0, 0.0, 4.0),  # z-score that a task or state in common is worth
}
SOURCES = 16
WIDTH = 240
REASON = "Write the ten words that an answer to this would most likely contain, in one line:\n\n"
STUDENT = "Which of these would help with the task? Numbers only, best first, at most {k}.\nTask: {task}\n\n{listed}"
TEACHER = (
    "A student chose these for the task. Strike those that would mislead. Numbers of those to keep only, best first.\n"
    "Task: {task}\n\n{listed}"
)


class AgentKb:
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        del ctx
        yield verbatim(event)
        if event.kind in {"attempt", "trajectory", "step"}:
            yield unit(event)

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del ctx
        for record in new:
            old = self._equal(record, bank) if "plan" in record.meta else None
            if old is None:
                yield Add(record)
                continue
            sources = tuple(dict.fromkeys((*old.sources, *record.sources)))
            seen = old.meta.get("seen", 1)
            meta = {"seen": seen + 1 if isinstance(seen, int) else 2}
            yield Update(old.id, {"sources": sources[:1] + sources[1:][1 - SOURCES :], "meta": meta})

    def _equal(self, record: Record, bank: BankView) -> Record | None:
        """A unit with the same query and plan and the same outcome."""
        for hit in bank.dense("\n".join(record.keys) or record.text, 4, kind=record.kind):
            old = bank.get(hit.id)
            if old is not None and hit.score >= self._p["equal"] and told(old) == told(record):
                return old
        return None

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        pool = int(self._p["pool"]) * query.k
        asked = reasoned(query, ctx)
        words, cosines = z(bank.lexical(asked, pool)), z(bank.dense(asked, pool))
        share = self._p["lexical"]
        scores = {
            name: share * words.get(name, min(words.values(), default=0.0))
            + (1 - share) * cosines.get(name, min(cosines.values(), default=0.0))
            for name in dict.fromkeys(chain(words, cosines))
        }
        found = [Hit(name, score) for name, score in sorted(scores.items(), key=lambda pair: -pair[1])]
        gated = self._gated(found, query, bank)
        return Retrieval(refined(gated, query, bank, ctx)[: query.k])

    def _gated(self, found: Sequence[Hit], query: Query, bank: BankView) -> list[Hit]:
        """What agrees with the asker's task and state rises, what disagrees falls; a failed plan gives way."""
        records = {hit.id: record for hit in found if (record := bank.get(hit.id)) is not None}
        proven = {plan(record) for record in records.values() if record.meta.get("feasible") is True} - {("", "")}
        gated = []
        for hit in found:
            record = records[hit.id]
            worth = hit.score + self._p["agree"] * agreement(record, query)
            if record.meta.get("feasible") is False and plan(record) in proven:
                worth -= self._p["agree"]
            gated.append(Hit(hit.id, worth))
        return sorted(gated, key=lambda hit: -hit.score)

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del trigger, bank, ctx
        return []


def unit(event: Event) -> Record:
    what = ("task", "state", "technique")
    task, state, technique = (str(event.data[name]) if event.data.get(name) else "" for name in what)
    sentences = [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+", event.text) if part.strip()] or [""]
    query = " ".join(filter(None, (task, state))) or event.scope
    done = technique or sentences[0][:WIDTH]
    text = f"Query: {query}\nPlan: {done}\nExperience: {sentences[-1][:WIDTH]}"
    record = verbatim(event, plan=done)
    return record._replace(
        id=named("unit", event.id), text=text, kind="workflow", keys=(f"{query} {done} {sentences[-1][:WIDTH]}",)
    )


def plan(record: Record) -> tuple[str, str]:
    return str(record.meta.get("state") or ""), str(record.meta.get("technique") or "")


def told(record: Record) -> tuple[object, ...]:
    return tuple(record.meta.get(name) for name in ("task", "state", "plan", "feasible"))


def agreement(record: Record, query: Query) -> int:
    """Of task and state, those that are as the asker's less those that are not; what is not known counts nothing."""
    pairs = [(record.meta.get(name), query.where.get(name)) for name in ("task", "state")]
    return sum(1 if mine == asked else -1 for mine, asked in pairs if mine and asked)


def reasoned(query: Query, ctx: Ctx) -> str:
    known = " ".join(str(query.where[name]) for name in ("task", "state") if query.where.get(name))
    asked = f"{query.text} {known}".strip()
    try:
        return f"{asked} {ctx.llm(REASON + asked, max_tokens=60)[:WIDTH]}"
    except NoModelError:
        return asked


def z(hits: Sequence[Hit]) -> dict[str, float]:
    if not hits:
        return {}
    mean = sum(hit.score for hit in hits) / len(hits)
    spread = (sum((hit.score - mean) ** 2 for hit in hits) / len(hits)) ** 0.5 or 1.0
    return {hit.id: (hit.score - mean) / spread for hit in hits}


def refined(found: list[Hit], query: Query, bank: BankView, ctx: Ctx) -> list[Hit]:
    """As the student and then the teacher order them; what neither named follows, so that nothing is lost by it."""
    for prompt in (STUDENT, TEACHER):
        shown = found[: 2 * query.k]
        records = [bank.get(hit.id) for hit in shown]
        listed = "\n".join(f"{place}. {record.text[:WIDTH]}" for place, record in enumerate(records, 1) if record)
        try:
            answer = ctx.llm(prompt.format(k=query.k, task=query.text[:2000], listed=listed), max_tokens=100)
        except NoModelError:
            return found
        places = dict.fromkeys(int(number) - 1 for number in re.findall(r"\b\d{1,3}\b", answer))
        chosen = [shown[place] for place in places if 0 <= place < len(shown)]
        names = {hit.id for hit in chosen}
        ranked = [*chosen, *(hit for hit in found if hit.id not in names)]
        found = [Hit(hit.id, float(len(ranked) - place)) for place, hit in enumerate(ranked)]
    return found


def build(params: Mapping[str, float]) -> AgentKb:
    return AgentKb(filled(PARAMS, params))
