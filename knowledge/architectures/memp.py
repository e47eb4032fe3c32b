"""Memp (Fang and others, 2025, arXiv 2508.06433): procedures, corrected where following them failed.

Kept: of each trajectory or attempt that worked a script (what to do for what) with its concrete steps; found by the
similarity of what they were for; the outcome goes back to the very procedures that had been provided: those that
helped are strengthened, those that misled are corrected by what did work, or marked as not to be followed as they are.
Left out: building a procedure from several trajectories at once; other keys than the task and its state.
The original keeps nothing of a trajectory that failed and nothing that is no trajectory: here both stay as they were
told, beside the procedures, and are found in the same way.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
    Verbatim,
    filled,
    named,
    verbatim,
)

PARAMS = {
    "reinforce": Param(0.1, 0.0, 0.5),  # what a procedure that always helped is above one that was never tried
    "lexical": Param(0.0, 0.0, 1.0),  # of the similarity; the original has cosine alone
    "corrections": Param(3, 1, 8, whole=True),
}
STEPS = 8
WIDTH = 200
SCRIPT = "Say in two sentences, as a procedure that can be followed again, what was done here and what for:\n\n"
ADJUST = (
    "A procedure was followed and failed. Write it anew, corrected, in at most 150 words and nothing else.\n"
    "Procedure:\n{procedure}\n\nIt failed for:\n{query}\n\nWhat worked instead: {instead}\n"
)


class Memp(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        yield verbatim(event)
        if event.kind in {"attempt", "trajectory", "step"} and worked(event):
            yield procedure(event, ctx)

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del bank, ctx
        return [Add(record) for record in new]

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        asked = " ".join([query.text, *(str(query.where[name]) for name in ("task", "state") if query.where.get(name))])
        found = similar(bank, asked, 2 * query.k, self._p["lexical"])
        weighed = [Hit(hit.id, hit.score + self._p["reinforce"] * strength(bank.get(hit.id))) for hit in found]
        return Retrieval(sorted(weighed, key=lambda hit: -hit.score)[: query.k])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        if trigger.receipt is None or not trigger.reward:
            return
        for name in trigger.receipt.items:
            record = bank.get(name)
            if record is None:
                continue
            count = "helped" if trigger.reward > 0 else "failed"
            yield Update(name, {"meta": {count: number(record, count) + 1}})
            if trigger.reward < 0 and record.kind == "workflow":
                yield self._adjusted(record, trigger.receipt.query, bank, ctx)

    def _adjusted(self, record: Record, query: Query, bank: BankView, ctx: Ctx) -> Op:
        better = instead(record, query, bank)
        technique = str(better.meta.get("technique") or better.text) if better else ""
        known: Any = record.meta.get("corrections", [])
        script = str(record.meta.get("script") or record.text)
        says = f"Failed for {query.text[:WIDTH]!r}"
        says += f": there {technique[:WIDTH]} worked." if better else ": not to be followed as it is."
        corrections = [says, *(said for said in known if said != says)][: int(self._p["corrections"])]
        try:
            prompt = ADJUST.format(procedure=script, query=query.text[:WIDTH], instead=technique or "not known")
            script = ctx.llm(prompt).strip()[: STEPS * WIDTH] or script
        except NoModelError:
            pass
        sources = tuple(dict.fromkeys((*record.sources, *(better.sources if better else ()))))[: 2 * STEPS]
        text = "\n".join([script, *corrections])
        return Update(
            record.id, {"text": text, "sources": sources, "meta": {"script": script, "corrections": corrections}}
        )


def procedure(event: Event, ctx: Ctx) -> Record:
    what = ("task", "state", "technique")
    task, state, technique = (str(event.data[name]) if event.data.get(name) else "" for name in what)
    aim = " ".join(filter(None, (task, state))) or event.text[:WIDTH]
    try:
        script = ctx.llm(SCRIPT + event.text[:8000]).strip()[: STEPS * WIDTH]
    except NoModelError:
        script = ""
    script = script or f"For {aim}: {technique or steps(event.text)[0]}"
    listed = [f"{place}. {step}" for place, step in enumerate(steps(event.text), 1)]
    meta = {"task": task, "state": state, "technique": technique, "script": "\n".join([script, *listed])}
    return Record(
        id=named("procedure", event.id),
        text="\n".join([script, *listed]),
        sources=(event.id,),
        kind="workflow",
        keys=(f"{aim} {technique}".strip(),),
        meta=meta,
        valid_from=event.time,
    )


def steps(text: str) -> list[str]:
    """Its numbered or listed lines, else its sentences; at least one."""
    listed = re.findall(r"^\s*(?:\d+[.)]|[-*])\s+(.+)$", text, re.MULTILINE)
    found = listed or re.split(r"(?<=[.!?;])\s+|\n+", text)
    return [step.strip()[:WIDTH] for step in found if step.strip()][:STEPS] or ["nothing"]


def instead(record: Record, query: Query, bank: BankView) -> Record | None:
    """Another procedure that worked for what was asked: of the same task or state, nearest first."""
    known = {record.meta.get(name) or query.where.get(name) for name in ("task", "state")} - {None, ""}
    for hit in bank.lexical(query.text, 20, kind="workflow"):
        other = bank.get(hit.id)
        if other is None or other.meta.get("technique") in {record.meta.get("technique"), None, ""}:
            continue
        agrees = not known or known & {other.meta.get("task"), other.meta.get("state")}
        if agrees and number(other, "failed") <= number(other, "helped"):
            return other
    return None


def worked(event: Event) -> bool:
    feasible, gain = event.data.get("feasible"), event.data.get("gain")
    return feasible is not False and (gain > 0 if isinstance(gain, int | float) else feasible is True)


def number(record: Record, name: str) -> int:
    value = record.meta.get(name, 0)
    return int(value) if isinstance(value, int | float) else 0


def strength(record: Record | None) -> float:
    """From -1 (always misled) to 1 (always helped), 0 where it was never shown."""
    if record is None:
        return 0.0
    helped, failed = number(record, "helped"), number(record, "failed")
    return (helped - failed) / (helped + failed + 1)


def similar(bank: BankView, text: str, k: int, lexical: float) -> list[Hit]:
    """Cosine, and words by their share, each against its best."""
    if not lexical:
        return bank.dense(text, k)
    scores: dict[str, float] = {}
    for share, hits in ((1 - lexical, bank.dense(text, 3 * k)), (lexical, bank.lexical(text, 3 * k))):
        best = max((hit.score for hit in hits), default=1.0) or 1.0
        for hit in hits:
            scores[hit.id] = scores.get(hit.id, 0.0) + share * hit.score / best
    return [Hit(name, score) for name, score in sorted(scores.items(), key=lambda pair: -pair[1])[:k]]


def build(params: Mapping[str, float]) -> Memp:
    return Memp(filled(PARAMS, params))
