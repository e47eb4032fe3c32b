"""Rules that experience votes on, and experiences to go with them: ExpeL (Zhao et al., 2023, arXiv 2308.10144).

Keeps: a success and a failure at the same task are set side by side and give rules; a rule begins with two votes, is
upvoted, edited (which also counts as a vote) or downvoted by later pairs, and goes at none; what is shown is the
rules that bear on the query, most votes first, then the most similar experiences (.3 words, .7 embedding), failures
last. A model sees the last 20 rules that were touched. Without a model the lesson of a pair is that one technique
worked where another did not, or one technique in one state and not in another, or, where no technique is known, the
words that only one of the two texts has.
Leaves out: rules from several successes without a failure, the harsher removal when the list is full, the gathering
of experience itself. Added: feedback on a rule that was shown is a vote.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from knowledge.architecture import (
    ACTIVE,
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
    SetState,
    Trigger,
    Update,
    filled,
    named,
    verbatim,
)
from knowledge.stems import stems

PARAMS = {
    "votes": Param(2, 1, 5, whole=True),
    "rules": Param(10, 0, 50, whole=True),
    "words": Param(0.3, 0.0, 1.0),
}
RULE = "rule"
TASKS = 200
"""How many tasks' last success and failure are remembered."""
SOURCES = 32
Change: TypeAlias = Add | Update | Expire
OPERATIONS = 3
"""That a model may order at once."""
LISTED = 20
LINE = 400
AVOIDED = 16
"""Techniques that one rule speaks against, the last."""
SAID = re.compile(r"^[^\w\n]*(ADD|EDIT|AGREE|UPVOTE|REMOVE|DOWNVOTE)\b[^\w\n]*(.*)$", re.IGNORECASE | re.MULTILINE)
NUMBERED = re.compile(r"(\d{1,3})\W*(.*)")
PROMPT = """Two attempts at one task. This one succeeded:
{won}

This one failed:
{lost}

Rules so far:
{rules}

Change the rules so that they hold in general. Answer with at most 3 lines, each one of:
ADD: <new rule>
EDIT <number>: <better wording>
AGREE <number>
REMOVE <number>"""


class ExpeL:
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        del ctx
        return [verbatim(event)]

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        yield from (Add(record) for record in new if bank.get(record.id) is None)
        for event in bank.events(dict.fromkeys(source for record in new for source in record.sources[:1])):
            won, place = succeeded(event), said(event, "task") or event.scope
            if won is None or not place:
                continue
            task = named(place)
            held = bank.state("pairs")
            pairs = dict(held) if isinstance(held, dict) else {}
            before = pairs.pop(task, None)
            last = before if isinstance(before, list) and len(before) == len("ab") else ["", ""]
            pairs[task] = [event.id, last[1]] if won else [last[0], event.id]
            yield SetState("pairs", dict(list(pairs.items())[-TASKS:]))
            for other in bank.events([str(last[1 if won else 0])]):
                yield from self._learnt(*((event, other) if won else (other, event)), bank, ctx)

    def _learnt(self, won: Event, lost: Event, bank: BankView, ctx: Ctx) -> list[Op]:
        held = bank.state("rules")
        names = [str(name) for name in held] if isinstance(held, list) else []
        rules = [rule for name in names if (rule := bank.get(name)) and rule.status == ACTIVE]
        listed = "\n".join(f"{number}. {rule.text}" for number, rule in enumerate(rules, 1)) or "none"
        try:
            answer = ctx.llm(PROMPT.format(won=won.text, lost=lost.text, rules=listed))
        except NoModelError:
            answer = ""
        changes = self._proposed(answer, rules, (won.id, lost.id), bank) or self._compared(won, lost, bank)
        touched = [change.record.id if isinstance(change, Add) else change.id for change in changes]
        last: list[JSON] = [*dict.fromkeys([*touched, *names])]
        return [*changes, SetState("rules", last[:LISTED])]

    def _proposed(self, answer: str, rules: Sequence[Record], pair: tuple[str, str], bank: BankView) -> list[Change]:
        """What a model's answer says to do, as far as it makes sense; no rule twice."""
        done: dict[str, Change] = {}
        for word, rest in SAID.findall(answer):
            kind, text = word.upper(), " ".join(rest.split())[:LINE]
            if kind == "ADD":
                if text:
                    done.setdefault(named(RULE, text), self._added(named(RULE, text), text, {}, pair, bank))
            elif (told := NUMBERED.match(text)) and 1 <= int(told[1]) <= len(rules):
                rule = rules[int(told[1]) - 1]
                by = -1 if kind in {"REMOVE", "DOWNVOTE"} else 1
                done.setdefault(rule.id, self._voted(rule, by, pair, told[2] if kind == "EDIT" else ""))
        return list(done.values())[:OPERATIONS]

    def _compared(self, won: Event, lost: Event, bank: BankView) -> list[Change]:
        """The same without a model."""
        pair = (won.id, lost.id)
        where, good, bad = contrast(won, lost)
        if not good:
            return []
        name, text = named(RULE, where, good), rule_text(where, good, [bad])
        there, contrary = bank.get(name), bank.get(named(RULE, where, bad))
        changes = [self._voted(contrary, -1, pair)] if contrary and contrary.status == ACTIVE else []
        if there is None or there.status != ACTIVE:
            return [*changes, self._added(name, text, {"state": said(won, "state"), "avoid": [bad]}, pair, bank)]
        known = there.meta.get("avoid")
        avoid = known[1 - AVOIDED :] if isinstance(known, list) else []
        if bad in avoid:
            return [*changes, self._voted(there, 1, pair)]
        text = rule_text(where, good, [*map(str, avoid), bad])
        return [*changes, self._voted(there, 1, pair, text, {"avoid": [*avoid, bad]})]

    def _added(self, name: str, text: str, meta: Mapping[str, JSON], pair: tuple[str, str], bank: BankView) -> Change:
        there = bank.get(name)
        if there is not None and there.status == ACTIVE:
            return self._voted(there, 1, pair)
        rule = Record(name, text, pair, RULE, meta={**meta, "votes": int(self._p["votes"])})
        if there is None:
            return Add(rule)
        return Update(name, {"status": ACTIVE, "valid_to": None, "text": text, "sources": pair, "meta": rule.meta})

    def _voted(
        self, rule: Record, by: int, pair: Sequence[str], text: str = "", more: Mapping[str, JSON] | None = None
    ) -> Change:
        votes = self._votes(rule) + by
        if votes <= 0:
            return Expire(rule.id, "no votes are left")
        sources = tuple(dict.fromkeys([*rule.sources, *pair]))[-SOURCES:]
        return Update(
            rule.id, {"text": text or rule.text, "sources": sources, "meta": {**(more or {}), "votes": votes}}
        )

    def _votes(self, rule: Record) -> int:
        votes = rule.meta.get("votes")
        return votes if isinstance(votes, int) else int(self._p["votes"])

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        del ctx
        parts = (query.text, query.context, *query.where.values())
        text = " ".join(part for part in parts if part and isinstance(part, str))
        found = [
            (hit, rule) for hit in bank.lexical(text, int(self._p["rules"]), kind=RULE) if (rule := bank.get(hit.id))
        ]
        rules = [hit for hit, rule in sorted(found, key=lambda pair: -self._votes(pair[1]))]
        words, pool = self._p["words"], 4 * query.k
        lexical = bank.lexical(text, pool)
        best = lexical[0].score if lexical else 1.0
        scores = {hit.id: (1 - words) * hit.score for hit in bank.dense(text, pool)}
        for hit in lexical:
            scores[hit.id] = scores.get(hit.id, 0.0) + words * hit.score / best
        records = [(name, record) for name in scores if (record := bank.get(name)) and record.kind != RULE]
        records.sort(key=lambda pair: (pair[1].meta.get("feasible") is False, -scores[pair[0]]))
        return Retrieval([*rules, *(Hit(name, scores[name]) for name, _ in records)][: query.k])

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterator[Op]:
        """Whoever was shown a rule has a vote."""
        del ctx
        if trigger.receipt is None or not trigger.reward:
            return
        for item in trigger.receipt.items:
            rule = bank.get(item)
            if rule and rule.kind == RULE and rule.status == ACTIVE:
                yield self._voted(rule, 1 if trigger.reward > 0 else -1, ())


def contrast(won: Event, lost: Event) -> tuple[str, str, str]:
    """Under what circumstances, what only the success had, what only the failure had; all empty for no difference."""
    good, bad = said(won, "technique"), said(lost, "technique")
    state, other = said(won, "state"), said(lost, "state")
    if good and bad and good != bad:
        place = state or said(won, "domain") or said(won, "task")
        return f"Where {place}" if place else "", good, bad
    if good and bad:
        return (f"With {good}", state, other) if state and other and state != other else ("", "", "")
    place = said(won, "task") or won.scope[:LINE]
    return f"At {place}" if place else "", only(won.text, lost.text), only(lost.text, won.text)


def only(text: str, other: str, most: int = 5) -> str:
    known = set(stems(other))
    words = dict.fromkeys(re.findall(r"[^\W\d_]{3,}", text.lower()))
    return " ".join([word for word in words if (found := stems(word)) and known.isdisjoint(found)][:most])


def rule_text(where: str, good: str, bad: Sequence[str]) -> str:
    against = f"; {', '.join(filter(None, bad))} does not" if any(bad) else ""
    return f"{where}{where and ': '}{good} works{against}."


def succeeded(event: Event) -> bool | None:
    """Whether it passed and made nothing worse; None where nobody judged."""
    gain, feasible = event.data.get("gain"), event.data.get("feasible")
    if feasible is True and isinstance(gain, int | float):
        return gain >= 0
    return feasible if isinstance(feasible, bool) else None


def said(event: Event, name: str) -> str:
    value = event.data.get(name)
    return value[:LINE] if isinstance(value, str) else ""


def build(params: Mapping[str, float]) -> ExpeL:
    return ExpeL(filled(PARAMS, params))
