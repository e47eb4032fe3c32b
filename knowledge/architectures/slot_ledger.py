"""A ledger of slots: what is told of an owner's attribute replaces what was told of it before.

After the lesson of "Memory Rewriting" (2026, arXiv 2601.15086): agents that retain well often cannot rewrite, so what
counts is how often a stale answer is given. The paper compares trained recurrent and attention memories; this ledger
is none of them, but does in plain data what the ones that rewrite well learn to do.
A statement ("X's Y is now Z", "my Y is Z", "changed the Y of X to Z", `Y = Z`, an event's own `slot` and `value`) is
kept apart from the rest of what was said, so that replacing it hides nothing else; an old one stays in the history.
What states nothing of the kind is kept verbatim. A model, where there is one, finds statements in other wordings.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from knowledge.architecture import (
    JSON,
    Add,
    AddLink,
    BankView,
    Ctx,
    DropLink,
    Event,
    Hit,
    Link,
    NoModelError,
    Op,
    Param,
    Query,
    Record,
    Retrieval,
    Supersede,
    Verbatim,
    filled,
    named,
    verbatim,
)
from knowledge.stems import stems

PARAMS = {
    "k1": Param(1.2, 0.2, 3.0),
    "b": Param(0.75, 0.0, 1.0),
    "asked": Param(2.0, 0.0, 10.0),
    "statements": Param(2, 1, 3, whole=True),
}
SAID = frozenset({"message", "document", "feedback"})
"""Kinds whose text is searched for statements; elsewhere `a = b` is code."""
OWNER = r"(?P<owner>(?i:the) (?:[\w-]+ ){0,2}[\w-]+|(?:[A-Z][\w-]* )*[\w-]+)"
ATTRIBUTE = r"(?:(?:new|current|latest|own) )?(?P<attribute>[\w-]+(?: [\w-]+){0,3}?)"
VALUE = r"(?P<value>[^.;!?\n]*\w[^;!?\n]*)"
BRIEF = r"(?P<value>[^.;!?\n]+)"
SINCE = r"(?: (?:now|today|from|since|as of|these days|at present|again)\b[^.;!?]*)?"
OWN = rf"(?:{OWNER}(?:'s|s'|’s) |(?P<mine>(?i:my|our)) ){ATTRIBUTE}"
OF = rf"(?i:the) {ATTRIBUTE} (?:of|for) {OWNER}"
TO = r"(?:changed|moved|set|switched|updated)(?: over)? to"
BECOMES = rf"(?:(?:is|are|became|(?:has|have) become|will be|(?:has|have) (?:been )?{TO})(?: now| currently)?|=|:=)"
CHANGED = r"(?i:changed?|moved?|set|switch(?:ed)?|updated?|renamed?|reset)"
FORMS = [
    re.compile(form.replace(" ", r"\s+"))
    for form in (
        rf"\b{CHANGED} (?:{OWN}) (?:from [^.;]{{1,60}} )?(?:over )?to {VALUE}",
        rf"\b{CHANGED} {OF} (?:from [^.;]{{1,60}} )?(?:over )?to {VALUE}",
        rf"\b{OWN} {BECOMES} {VALUE}",
        rf"\b{OF} {BECOMES} {VALUE}",
        rf"\b(?:about|on|for|of) {OWNER}: (?:the|their|its|his|her) {ATTRIBUTE} {BECOMES} {VALUE}",
        rf"\b{OWNER} (?:has|have|got|gets) (?:an? )?new {ATTRIBUTE}(?::|,| called| named) {VALUE}",
        rf"\b{OWNER} (?:switched|changed|moved|went) (?:over )?to {BRIEF} as (?:(?:the|its|their) )?{ATTRIBUTE}[.!]?$",
        rf"(?P<value>[^\s.;!?,][^.;!?\n,]*) (?:is|becomes|will be)(?: now)? {OWN}{SINCE}[.!]?$",
        r"^(?P<attribute>[\w.\[\]-]+) (?:=|:=) (?P<value>\S.*)$",
    )
]
NOBODY = frozenset("it that this what there here he she who let how where when everyone someone they".split())  # noqa: SIM905
PASSING = frozenset("new current latest old now".split())  # noqa: SIM905
LONGEST = 100
"""Characters of a value."""
SENTENCE = 300
"""Characters; what is longer states more than one thing."""


class Statement(NamedTuple):
    owner: str
    attribute: str
    value: str

    @property
    def slot(self) -> str:
        attribute = sorted(set(stems(self.attribute)) - PASSING)
        return "slot " + named(" ".join(stems(self.owner)) or self.owner.lower(), " ".join(attribute))


class SlotLedger(Verbatim):
    def __init__(self, params: Mapping[str, float]) -> None:
        self._p = params

    def encode(self, event: Event, ctx: Ctx) -> Iterator[Record]:
        whole = verbatim(event)
        if (told := given(event)) is not None:
            yield _stated(whole, told, whole.text)
            return
        parts = [(sentence, self._told(sentence, event, ctx)) for sentence in sentences(event)]
        found = [(told, sentence) for sentence, told in parts if told is not None][: int(self._p["statements"])]
        rest = [sentence for sentence, told in parts if (told, sentence) not in found]
        if rest:
            yield whole._replace(text=_by(event) + "\n".join(rest)) if found else whole
        for number, (told, sentence) in enumerate(found):
            name = named(event.id, "slot", str(number)) if rest or number else event.id
            yield _stated(whole._replace(id=name), told, _by(event) + sentence)

    def _told(self, sentence: str, event: Event, ctx: Ctx) -> Statement | None:
        if event.kind not in SAID or len(sentence) > SENTENCE or sentence.rstrip().endswith("?"):
            return None
        return stated(sentence, event) or _by_model(sentence, ctx)

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterator[Op]:
        del ctx
        for record in new:
            yield Add(record)
            slot = record.meta.get("slot")
            if not isinstance(slot, str):
                continue
            newest = next((bank.get(hit.id) for hit in bank.near(slot, "slot", direction="in")), None)
            if newest is not None and (newest.valid_from or 0) > (record.valid_from or 0):
                yield Supersede(record.id, newest.id, "told late")
                continue
            if newest is not None:
                yield Supersede(newest.id, record.id, "told anew")
                yield DropLink(newest.id, slot, "slot")
            yield AddLink(record.id, Link(slot, "slot"))

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        """A statement of what the question names counts more; of one slot only the newest is given."""
        del ctx
        asked = set(stems(query.text))
        found: list[tuple[float, Record]] = []
        for hit in bank.lexical(query.text, 4 * query.k + 20, k1=self._p["k1"], b=self._p["b"]):
            record = bank.get(hit.id)
            if record is not None:
                words = set(stems(str(record.meta.get("about") or "")))
                found.append((hit.score * (1 + self._p["asked"] * bool(words and words <= asked)), record))
        newest: dict[JSON, float] = {}
        for _, record in found:
            slot = record.meta.get("slot", record.id)
            newest[str(slot)] = max(newest.get(str(slot), 0.0), record.valid_from or 0.0)
        found = [
            (score, record)
            for score, record in found
            if (record.valid_from or 0.0) >= newest[str(record.meta.get("slot", record.id))]
        ]
        found.sort(key=lambda pair: -pair[0])
        return Retrieval([Hit(record.id, score) for score, record in found[: query.k]])


def given(event: Event) -> Statement | None:
    """What an event says itself that it states."""
    slot, value = event.data.get("slot"), event.data.get("value")
    owner = event.data.get("owner") or event.data.get("entity") or event.data.get("task") or ""
    return Statement(str(owner), slot, str(value)) if isinstance(slot, str) and value is not None else None


def sentences(event: Event) -> list[str]:
    said = event.text.removeprefix(_by(event))
    return [sentence for sentence in re.split(r"(?<=[.!?])\s+|\n+", said) if sentence.strip()] or [event.text]


def stated(sentence: str, event: Event) -> Statement | None:
    for form in FORMS:
        match = form.search(sentence)
        if match is None:
            continue
        parts = match.groupdict()
        owner = (event.actor or event.scope) if parts.get("mine") or "owner" not in parts else parts["owner"] or ""
        value = parts["value"].strip(" .")
        if value and len(value) <= LONGEST and owner.lower() not in NOBODY:
            return Statement(re.sub(r"^the\s+", "", owner, flags=re.IGNORECASE), parts["attribute"], value)
    return None


def _by_model(sentence: str, ctx: Ctx) -> Statement | None:
    """Only with a value that is there."""
    try:
        said = ctx.llm(f"If this states what may change, answer owner | attribute | value; else none.\n{sentence}")
    except NoModelError:
        return None
    for line in said.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) == len(Statement._fields) and all(parts) and parts[-1].lower() in sentence.lower():
            return Statement(*parts)
    return None


def _stated(record: Record, told: Statement, text: str) -> Record:
    about = f"{told.owner} {told.attribute}"
    return record._replace(text=text, meta={**record.meta, "slot": told.slot, "about": about, "value": told.value})


def _by(event: Event) -> str:
    prefix = f"{event.actor}: "
    return prefix if event.actor and event.text.startswith(prefix) else ""


def build(params: Mapping[str, float]) -> SlotLedger:
    return SlotLedger(filled(PARAMS, params))
