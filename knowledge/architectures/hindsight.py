"""Evidence and inference kept apart, recalled by four arms: words, meaning, graph and time.

Hindsight (Latimer et al. 2025, arXiv 2512.12818), as its code was in 2026.
Kept: facts about the world (`world`: messages, documents) and about one's own deeds (`experience`), and observations
drawn from several of them, which count their proofs, quote them and never change them; links by entity, time, meaning
and cause; the arms dense, lexical, graph expansion from the best dense hits, and temporal range, fused by reciprocal
rank (k = 60), then multiplied by recency, temporal fit and proof.
Left out: the narrative rewriting of facts (they stay verbatim), the cross-encoder, opinions and dispositions.
A model, where there is one, names entities and words observations.
"""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

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
    SetState,
    Trigger,
    Update,
    filled,
    named,
    verbatim,
)

PARAMS = {
    "rrf": Param(60, 1, 200),
    "lexical": Param(6, 0, 6),
    "dense": Param(1, 0, 6),
    "graph": Param(1, 0, 6),
    "timely": Param(1, 0, 6),
    "recency": Param(0.1, 0.0, 1.0),
    "temporal": Param(0.2, 0.0, 1.0),
    "proof": Param(0.1, 0.0, 1.0),
    "arm": Param(50, 10, 200, whole=True),
    "seeds": Param(20, 1, 50, whole=True),
    "per_entity": Param(200, 5, 500, whole=True),
    "alike": Param(0.5, 0.1, 1.0),
    "enough": Param(3, 2, 20, whole=True),
}
DAY = 86_400.0
FACTS = ("world", "experience")
QUOTES = 3
PROOFS = 20
LONGEST = 8000
"""Characters of an event that are searched for names."""
NAME = re.compile(r"\b[A-Z][\w'-]*[a-z\d](?: [A-Z][\w'-]*[a-z\d])*")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
A_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in MONTHS)
DATE = re.compile(
    rf"\b(?:(?P<iso>\d{{4}}-\d\d-\d\d)|(?:(?P<day>\d\d?)(?:st|nd|rd|th)? )?(?P<month>{A_MONTH})\b\.?"
    r"(?: (?P<after>\d\d?)(?:st|nd|rd|th)?\b)?(?:,? (?P<year>\d{4}))?|(?:in|of|during) (?P<only>(?:19|20)\d\d))\b",
    re.IGNORECASE,
)
AGO = {"today": (0, 1), "yesterday": (1, 1), "last week": (14, 14), "last month": (62, 62), "last year": (730, 730)}
"""Days before now that it began, and how many it lasted; generously."""


class Hindsight:
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        fact = verbatim(event, entities=[*entities(event, ctx)])
        cause = (Link(event.parent, "caused_by"),) if event.parent else ()
        return [fact._replace(kind=FACTS[event.kind not in {"message", "document"}], links=cause)]

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        """An entity is what links of all its records lead to; it is no record itself."""
        del ctx
        last = bank.get(str(bank.state("last")))
        for record in new:
            alike = bank.dense(record.text, 3) if record.text else []
            yield Add(record)
            for name in _named(record):
                yield AddLink(record.id, Link(hub(name), "entity"))
            for hit in alike:
                if hit.score >= self._p["alike"] and hit.id != record.id:
                    yield AddLink(record.id, Link(hit.id, "semantic", hit.score))
            if last and (apart := abs(_when(record) - _when(last))) < DAY:
                yield AddLink(record.id, Link(last.id, "temporal", max(0.3, 1 - apart / DAY)))
            last = record
        if new:
            yield SetState("last", new[-1].id)

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        p, arm = self._p, int(self._p["arm"])
        dense, lexical = bank.dense(query.text, arm), bank.lexical(query.text, arm)
        asked = interval(query.text, query.now)
        inside = {hit.id for hit in bank.span(*asked)} if asked else set()
        graph = [*itertools.islice(self._expanded(dense[: int(p["seeds"])], bank), arm)]
        timely = [hit for hit in (*lexical, *dense) if hit.id in inside]
        scores: dict[str, float] = {}
        for weight, found in (p["lexical"], lexical), (p["dense"], dense), (p["graph"], graph), (p["timely"], timely):
            for rank, name in enumerate(dict.fromkeys(hit.id for hit in found)):
                scores[name] = scores.get(name, 0.0) + weight / (p["rrf"] + rank + 1)
        for name, score in scores.items():
            record = bank.get(name)
            scores[name] = score * self._boost(record, query.now, name in inside if asked else None) if record else 0.0
        best = sorted(scores, key=lambda name: -scores[name])[: query.k]
        return Retrieval([Hit(name, scores[name]) for name in best])

    def _expanded(self, seeds: Sequence[Hit], bank: BankView) -> Iterator[Hit]:
        """What the seeds lead to; an entity that many records share leads to each of them less."""
        found: dict[str, float] = {}
        hubs: dict[str, float] = {}
        for seed in seeds:
            record = bank.get(seed.id)
            for link in record.links if record else ():
                if link.rel == "entity":
                    hubs[link.target] = max(hubs.get(link.target, 0.0), seed.score)
                elif link.rel != "supersedes":
                    found[link.target] = found.get(link.target, 0.0) + seed.score * link.weight
        for name, score in hubs.items():
            shared = bank.near(name, "entity", direction="in")
            for hit in shared[-int(self._p["per_entity"]) :]:
                found[hit.id] = found.get(hit.id, 0.0) + score / math.sqrt(1 + len(shared))
        for name in sorted(found, key=lambda name: -found[name]):
            record = bank.get(name)
            if record and record.status == "active":
                yield Hit(name, found[name])

    def _boost(self, record: Record, now: float, timely: bool | None) -> float:
        p = self._p
        recent = min(1.0, max(0.1, 1 - (now - _when(record)) / (365 * DAY)))
        fit = 0.5 if timely is None else float(timely)
        proofs = record.meta.get("proofs")
        proof = min(1.0, 0.5 + math.log(max(1, proofs if isinstance(proofs, int) else 1)) / 10)
        boosts = (p["recency"], recent), (p["temporal"], fit), (p["proof"], proof)
        return math.prod(1 + weight * (value - 0.5) for weight, value in boosts)

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterator[Op]:
        """What was said of one entity by one actor often enough becomes an observation, and grows with its proofs."""
        if trigger.kind == "feedback":
            return
        since = bank.state("consolidated", 0)
        new = map(bank.get, (hit.id for hit in bank.span(since if isinstance(since, int | float) else 0, math.inf)))
        touched = {
            (_whose(record), name): record.id for record in new if record and record.kind in FACTS
            for name in _named(record) if name != _whose(record)
        }  # fmt: skip
        most = int(self._p["per_entity"])
        for subject, name in touched:
            sharing = map(bank.get, (hit.id for hit in bank.near(hub(name), "entity", direction="in")[-most:]))
            proofs = [fact for fact in sharing if fact and fact.kind in FACTS and _whose(fact) == subject]
            if len(proofs) >= self._p["enough"]:
                yield from _observed(subject, name, proofs, bank, ctx)
        yield SetState("consolidated", ctx.now)


def _observed(subject: str, name: str, proofs: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
    quoted = proofs[-QUOTES:]
    quotes = "\n".join(f"> {proof.text[:300]}" for proof in quoted)
    try:
        said = ctx.llm(f"In one sentence: what do these say of {subject or 'it'} and {name}?\n{quotes}").strip()[:500]
    except NoModelError:
        said = ""
    text = f"{said or ', '.join(filter(None, (subject, name)))} ({len(proofs)} times)\n{quotes}"
    sources = tuple(dict.fromkeys(source for proof in quoted for source in proof.sources))
    observation = named("observation", subject, name)
    if bank.get(observation):
        yield Update(observation, {"text": text, "sources": sources, "meta": {"proofs": len(proofs)}})
    else:
        meta: dict[str, JSON] = {"entities": [name], "actor": subject, "proofs": len(proofs)}
        began = proofs[0].valid_from
        yield Add(Record(observation, text, sources, "observation", meta=meta, valid_from=began))
        yield AddLink(observation, Link(hub(name), "entity"))
    for proof in proofs[-PROOFS:]:
        yield AddLink(observation, Link(proof.id, "proof"))


def entities(event: Event, ctx: Ctx) -> list[str]:
    """Who and what an event names: words with a capital inside a sentence, its task and technique."""
    known = [event.data.get(part) for part in ("task", "technique")]
    found = [part for part in known if isinstance(part, str)]
    for match in NAME.finditer(event.text[:LONGEST]):
        before = event.text[max(0, match.start() - 8) : match.start()].rstrip(" \"'(*-")
        if before and before[-1] not in ".!?:\n" and match[0].lower() not in MONTHS:
            found.append(match[0])
    try:
        lines = ctx.llm(f"Name the people, places and things in this, one a line:\n{event.text[:LONGEST]}").splitlines()
        found += [line.strip(" -*") for line in lines if line.strip(" -*") in event.text]
    except NoModelError:
        pass
    return list(dict.fromkeys(name for name in found if 1 < len(name) <= 80))[:12]  # noqa: PLR2004


def hub(name: str) -> str:
    return f"entity {name.lower()}"


def interval(text: str, now: float) -> tuple[float, float] | None:
    """The time a question is about, where it names one; Unix seconds."""
    for words, (began, days) in AGO.items():
        if words in text.lower():
            start = now - now % DAY - began * DAY
            return start, start + days * DAY
    match = DATE.search(text)
    return _of(match, datetime.fromtimestamp(now, UTC)) if match else None


def _of(match: re.Match[str], now: datetime) -> tuple[float, float] | None:
    month = [known[:3] for known in MONTHS].index(match["month"][:3].lower()) + 1 if match["month"] else 0
    day = int(match["day"] or match["after"] or 0)
    try:
        if match["iso"]:
            start, lasted = datetime.fromisoformat(match["iso"]).replace(tzinfo=UTC), 1
        elif match["only"]:
            start, lasted = datetime(int(match["only"]), 1, 1, tzinfo=UTC), 366
        else:
            year = int(match["year"]) if match["year"] else now.year - (month > now.month)
            start, lasted = datetime(year, month, day or 1, tzinfo=UTC), 1 if day else 31
        ended = start + timedelta(days=lasted)
    except (ValueError, OverflowError):  # no such day, or none after it
        return None
    return start.timestamp(), ended.timestamp()


def _named(record: Record) -> list[str]:
    found = record.meta.get("entities")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _whose(record: Record) -> str:
    return str(record.meta.get("task") or record.meta.get("actor") or "")


def _when(record: Record) -> float:
    return record.valid_from or 0.0


def build(params: Mapping[str, float]) -> Hindsight:
    return Hindsight(filled(PARAMS, params))
