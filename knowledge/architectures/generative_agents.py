"""A stream of memories scored by recency, importance and relevance: Generative Agents (Park et al., 2023,
arXiv 2304.03442).

Keeps: an importance from 1 to 10 for each event, by a model or by how much its text tells; a score of recency (.995
to the hours since it was last used), importance and relevance (embedding), each brought to 0..1 and weighted alike;
a reflection when the importance that came in since the last one passes 150, over the last 100 memories, whose insights
cite what they rest on and are memories themselves. A memory is used when feedback comes on its having been shown.
Leaves out: planning, reacting, the summary of a character, and the use that a mere retrieval is in the original, which
here changes nothing. Without a model an insight is what recurs most, in the sentences of those that say it.
On questions about the past (LoCoMo) recency alone spoils the answers; the weights are parameters, and `words`, a weight
for lexical relevance, is none of the original's.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import dropwhile

from knowledge.architecture import (
    Add,
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
from knowledge.stems import stems

PARAMS = {
    "recency": Param(1.0, 0.0, 3.0),
    "importance": Param(1.0, 0.0, 3.0),
    "relevance": Param(1.0, 0.0, 3.0),
    "words": Param(0.0, 0.0, 3.0),
    "decay": Param(0.995, 0.9, 1.0),
    "reflect": Param(150.0, 20.0, 1000.0),
}
INSIGHT = "insight"
STREAM = 100
"""Memories that are reflected on."""
TOPICS = 3
EVIDENCE = 5
INSIGHTS = 5
"""Of one reflection."""
LINE = 240
EVERYTHING = 1_000_000
CITED = re.compile(r"^[\W\d]*(\S.*?)\s*\(because of ([\d,\s and]+)\)", re.MULTILINE)


class GenerativeAgents:
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        return [verbatim(event, importance=rated(event, ctx))]

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del ctx
        return [Add(record) for record in new if bank.get(record.id) is None]

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        text = " ".join(part for part in (query.text, query.context) if part)
        records = list(bank.iter())
        sides = [
            ("recency", [self._p["decay"] ** max(0.0, (query.now - used(record)) / 3600) for record in records]),
            ("importance", [importance(record) for record in records]),
            ("relevance", alike(records, bank.dense(text, EVERYTHING))),
        ]
        if self._p["words"]:
            sides.append(("words", alike(records, bank.lexical(text, EVERYTHING))))
        scores = [0.0] * len(records)
        for name, values in sides:
            weight = self._p[name]
            scores = [score + weight * value for score, value in zip(scores, levelled(values), strict=True)]
        best = sorted(range(len(records)), key=lambda number: (-scores[number], number))
        return Retrieval([Hit(records[number].id, scores[number]) for number in best[: query.k]])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterator[Op]:
        if trigger.receipt is not None:
            for item in trigger.receipt.items:
                if bank.get(item) is not None:
                    yield Update(item, {"meta": {"used": trigger.receipt.query.now}})
            return
        fresh = unreflected(bank)
        if sum(map(importance, fresh)) <= self._p["reflect"]:
            return
        for insight in reflected(fresh[-STREAM:], ctx):
            if bank.get(insight.id) is None:
                yield Add(insight)
        yield SetState("reflected", fresh[-1].id)


def rated(event: Event, ctx: Ctx) -> int:
    try:
        answer = ctx.llm(
            f"From 1 (mundane) to 10 (poignant), how important is this? A number.\n\n{event.text}", max_tokens=8
        )
    except NoModelError:
        answer = ""
    if (number := re.search(r"\d+", answer)) is not None:
        return min(10, max(1, int(number[0][:3])))
    return telling(event.text)


def telling(text: str) -> int:
    """Names, numbers and words that carry meaning, on a scale to 10."""
    names = set(re.findall(r"(?<=[a-z,] )[A-Z]\w+", text))
    return min(10, 1 + len(names) + bool(re.search(r"\d", text)) + len(set(stems(text))) // 5)


def importance(record: Record) -> int:
    value = record.meta.get("importance")
    return value if isinstance(value, int) else telling(record.text)


def used(record: Record) -> float:
    value = record.meta.get("used")
    return float(value) if isinstance(value, int | float) else record.valid_from or 0.0


def alike(records: Sequence[Record], hits: Sequence[Hit]) -> list[float]:
    scores = {hit.id: hit.score for hit in hits}
    return [scores.get(record.id, 0.0) for record in records]


def levelled(values: Sequence[float]) -> list[float]:
    """From 0 for the least to 1 for the most."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]


def unreflected(bank: BankView) -> list[Record]:
    last = bank.state("reflected")
    stream = [record for record in bank.iter() if record.kind != INSIGHT]
    later = list(dropwhile(lambda record: record.id != last, stream))
    return later[1:] if later else stream


def reflected(stream: Sequence[Record], ctx: Ctx) -> list[Record]:
    listed = "\n".join(f"{number}. {record.text}" for number, record in enumerate(stream, 1))
    ask = "What 5 high-level insights can you infer from these? One a line, as: insight (because of 1, 5, 3)"
    try:
        answer = ctx.llm(f"{listed}\n\n{ask}")
    except NoModelError:
        answer = ""
    insights = list[Record]()
    for text, numbers in CITED.findall(answer):
        cited = dict.fromkeys(int(number) for number in re.findall(r"\d{1,6}", numbers))
        grounds = [stream[number - 1] for number in cited if 1 <= number <= len(stream)]
        if grounds and len(insights) < INSIGHTS:
            insights.append(insight(text[:LINE], grounds[: 2 * EVIDENCE]))
    return list({record.id: record for record in insights or recurring(stream)}.values())


def recurring(stream: Sequence[Record]) -> list[Record]:
    """What most memories speak of, who speaks apart, and what the most important of them say of it."""
    words = [set(stems(record.text)) - set(stems(str(record.meta.get("actor")))) for record in stream]
    counts = Counter(word for found in words for word in sorted(found) if len(word) > len("day"))
    topics = [word for word, count in counts.most_common(TOPICS) if count > 1]
    return [
        insight(
            f"Often about {topic}: " + " ".join(sentence(record.text, topic) for record in grounds),
            grounds,
        )
        for topic in topics
        if (grounds := spoken_of(topic, words, stream))
    ]


def spoken_of(topic: str, words: Sequence[set[str]], stream: Sequence[Record]) -> list[Record]:
    having = [record for record, found in zip(stream, words, strict=True) if topic in found]
    return sorted(having, key=lambda record: -importance(record))[:EVIDENCE]


def sentence(text: str, stem: str) -> str:
    parts = re.split(r"(?<=[.!?])\s+|\n", text)
    return next((part for part in parts if stem in stems(part)), text)[:LINE]


def insight(text: str, grounds: Sequence[Record]) -> Record:
    return Record(
        id=named(INSIGHT, text, *(record.id for record in grounds)),
        text=text,
        sources=tuple(dict.fromkeys(source for record in grounds for source in record.sources)),
        kind=INSIGHT,
        links=tuple(Link(record.id, "because") for record in grounds),
        meta={"importance": max(map(importance, grounds))},
        valid_from=max(record.valid_from or 0.0 for record in grounds),
    )


def build(params: Mapping[str, float]) -> GenerativeAgents:
    return GenerativeAgents(filled(PARAMS, params))
