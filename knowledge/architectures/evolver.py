"""EvolveR (Wu and others, 2025, arXiv 2510.16079): principles with a record of how often following them succeeded.

Kept: guiding principles from what succeeded and cautionary ones from what failed, each with triples (what it was,
what was done, what came of it); a principle's worth is (successes + 1) / (uses + 2) over the times that it was shown,
and below a threshold it goes; principles that are near by cosine and say the same are one; a query is answered with
principles, one example that went well, one that did not, and what else is similar.
Left out: training the model on its own trajectories. An event without a known outcome (a plain message) teaches no
principle; it stays as it was told and is found by cosine.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from knowledge.architecture import (
    JSON,
    Add,
    BankView,
    Ctx,
    Event,
    Expire,
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
    "prune": Param(0.3, 0.05, 0.5),
    "uses": Param(3, 1, 10, whole=True),  # before a principle may go
    "merge": Param(0.8, 0.6, 1.0),
    "principles": Param(3, 0, 10, whole=True),
    "near": Param(0.1, 0.0, 0.8),  # cosine from which on a principle or an example is to the point
    "lexical": Param(0.0, 0.0, 1.0),  # of the similarity; the original has cosine alone
}
SOURCES = 16
PRINCIPLE = "Write one sentence: a general principle that this {} teaches, without names or numbers of its own.\n\n{}"
SAME = "Do these two principles say the same? Answer yes or no.\n1. {}\n2. {}\n"


class EvolveR:
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        outcome = worked(event)
        yield verbatim(event, worked=outcome)
        if outcome is not None:
            yield principle(event, ctx, success=outcome)

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        for record in new:
            old = self._twin(record, bank, ctx) if record.meta.get("sense") else None
            if old is None:
                yield Add(record)
                continue
            sources = tuple(dict.fromkeys((*old.sources, *record.sources)))
            yield Update(
                old.id, {"sources": sources[:1] + sources[1:][1 - SOURCES :], "meta": {"seen": number(old, "seen") + 1}}
            )

    def _twin(self, record: Record, bank: BankView, ctx: Ctx) -> Record | None:
        """The principle that says the same."""
        for hit in bank.dense("\n".join(record.keys) or record.text, 16):
            old = bank.get(hit.id)
            if hit.score <= self._p["merge"] or old is None:
                break
            if old.meta.get("sense") == record.meta["sense"] and alike(old, record, ctx):
                return old
        return None

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        found = similar(bank, query.text, 3 * query.k, self._p["lexical"])
        records = {hit.id: record for hit in found if (record := bank.get(hit.id)) is not None}
        near = [hit for hit in found if hit.score >= self._p["near"]]
        guides = [hit for hit in near if records[hit.id].meta.get("sense")]
        guides.sort(key=lambda hit: -hit.score * score(records[hit.id]))
        examples = [hit for hit in near if not records[hit.id].meta.get("sense")]
        chosen = guides[: int(self._p["principles"])]
        for outcome in (True, False):
            chosen += [hit for hit in examples if result(records[hit.id]) is outcome][:1]
        names = {hit.id for hit in chosen}
        lift = max((hit.score for hit in found), default=0.0)
        first = [Hit(hit.id, lift + 1 - place / len(chosen), "chosen") for place, hit in enumerate(chosen)]
        return Retrieval([*first, *(hit for hit in found if hit.id not in names)][: query.k])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterator[Op]:
        """Only principles go; what was told stays."""
        del ctx
        if trigger.receipt is None or trigger.reward is None:
            return
        for name in trigger.receipt.items:
            record = bank.get(name)
            if record is None or not record.meta.get("sense"):
                continue
            uses, successes = number(record, "uses") + 1, number(record, "successes") + (trigger.reward > 0)
            record = record._replace(meta={**record.meta, "uses": uses, "successes": successes})
            yield Update(name, {"meta": {"uses": uses, "successes": successes}})
            if uses >= self._p["uses"] and score(record) < self._p["prune"]:
                yield Expire(name, f"succeeded {successes} times of {uses}")


def principle(event: Event, ctx: Ctx, *, success: bool) -> Record:
    what = ("task", "state", "technique")
    task, state, technique = (str(event.data[name]) if event.data.get(name) else "" for name in what)
    about, done = state or task or event.scope, technique or event.text[:120]
    gain = event.data.get("gain")
    came = f"{math.expm1(gain):+.0%}" if success and isinstance(gain, int | float) and abs(gain) < 10 else ""  # noqa: PLR2004
    advice = f"{done} works {came}".strip() if success else f"avoid {done}"
    text = f"{'Guiding' if success else 'Cautionary'}: {f'when {about}, ' if about else ''}{advice}"
    try:
        asked = PRINCIPLE.format("success" if success else "failure", event.text[:8000])
        text = ctx.llm(asked, max_tokens=100).strip()[:400] or text
    except NoModelError:
        pass
    return Record(
        id=named("principle", event.id),
        text=text,
        sources=(event.id,),
        kind="rule",
        keys=(f"{about} {done}",),
        meta={
            "sense": "guiding" if success else "cautionary",
            "triples": [[about, done, "works" if success else "fails"]],
        },
        valid_from=event.time,
    )


def alike(old: Record, new: Record, ctx: Ctx) -> bool:
    try:
        return ctx.llm(SAME.format(old.text, new.text), max_tokens=5).strip().lower().startswith("yes")
    except NoModelError:
        return old.meta.get("triples") == new.meta.get("triples")


def worked(event: Event) -> bool | None:
    """None where nothing says."""
    feasible, gain = event.data.get("feasible"), event.data.get("gain")
    if feasible is False:
        return False
    if isinstance(gain, int | float):
        return gain > 0
    return True if feasible is True else None


def result(record: Record) -> JSON:
    return record.meta.get("worked", record.meta.get("feasible"))


def number(record: Record, name: str) -> int:
    value = record.meta.get(name, 0)
    return int(value) if isinstance(value, int | float) else 0


def score(record: Record) -> float:
    return (number(record, "successes") + 1) / (number(record, "uses") + 2)


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


def build(params: Mapping[str, float]) -> EvolveR:
    return EvolveR(filled(PARAMS, params))
