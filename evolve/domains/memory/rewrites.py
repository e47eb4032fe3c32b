"""A stream in which things change: the same few facts are told again and again, and only the last telling is true.

Recall by words alone finds an old telling as readily as the last one.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from random import Random
from typing import NamedTuple

from evolve.domains.memory.exam import Exam, Question
from evolve.domains.memory.making import handle, question
from evolve.domains.memory.words import listed
from knowledge.architecture import Event

NAME = "rewrites"
OWNERS = listed("""
Amara, Bruno, Celeste, Dmitri, Esther, Farid, Greta, Hiro, Imani, Jonas, Katya, Leo, Mirela, Nadir, Odette,
Pavel, Quentin, Rosa, Soren, Tilda, the archive, the bakery, the clinic, the depot, the harbour office, the
library, the night shift, the north branch, the press room, the workshop
""")
SLOTS = {
    "phone extension": "number",
    "parking bay": "number",
    "locker": "number",
    "mentor": "person",
    "deputy": "person",
    "usual supplier": "firm",
    "favourite cafe": "firm",
    "meeting room": "room",
    "door code": "number",
    "backup contact": "person",
}
"""What is told of an owner -> what kind of thing it is."""
TELLINGS = (
    "{owner}'s {slot} is {value}.",
    "{owner}'s {slot} is {value} now.",
    "The {slot} of {owner} has been changed to {value}.",
    "Please note that {owner} has a new {slot}: {value}.",
    "From this week on {value} is {owner}'s {slot}.",
    "{owner} switched to {value} as {slot}.",
    "Correction about {owner}: the {slot} is {value} after all.",
    "Moved {owner}'s {slot} over to {value}, the old one is gone.",
    "The {slot} for {owner} is {value}.",
    "{owner} now has {value} as {slot}.",
    "{value} replaces whatever {owner} had as {slot}.",
    "For {owner}, use {value} as the {slot} from Monday.",
    "{owner} got {value} assigned as {slot}.",
    "New {slot} at {owner}: {value}.",
    "{owner} has {slot} {value} these days.",
    "{value} took over as {slot} of {owner}.",
)
ASKINGS = (
    "What is {owner}'s {slot} now?",
    "What is the current {slot} of {owner}?",
    "Which {slot} does {owner} have at present?",
    "Tell me {owner}'s {slot}.",
)
CHATTER = (
    "{owner} complained about the {slot} again.",
    "Someone asked for {owner}'s {slot}, nobody knew it.",
    "A form about the {slot} was filled in for {owner}.",
    "{owner} and {other} talked about the {slot} over lunch.",
    "{other} wants the same {slot} as {owner} has.",
    "The list with every {slot} hangs by the door.",
)
BEGINNINGS = listed("Al, Bel, Cor, Den, El, Far, Gar, Hol, Ir, Jas, Kel, Lor, Mer, Nor, Or, Pel, Quil, Ren, Tor, Val")
ENDINGS = listed("ander, bruk, caster, dine, ford, grove, ham, iston, kirk, lan, mont, nell, over, pool, stad, wick")
STEP = 3600.0
"""Seconds from one event to the next."""
BEGIN = 1_700_000_000.0
SCOPE = 20
"""Events that belong together."""


class Telling(NamedTuple):
    owner: str
    slot: str
    value: str
    version: int


def stream(seed: int, *, slots: int = 120, chatter: int = 160) -> Exam:
    """About three tellings of each slot; every slot is asked for once."""
    rng = Random(f"{seed}/{NAME}")
    chosen = rng.sample(list(product(OWNERS, SLOTS)), slots)
    told: list[Telling | None] = [
        *_ordered([telling for owner, slot in chosen for telling in _tellings(owner, slot, rng)], rng)
    ]
    for _ in range(chatter):
        told.insert(rng.randrange(len(told) + 1), None)
    events = list(_events(told, chosen, rng))
    return Exam(NAME, tuple(events), tuple(_questions(told, events, rng)))


def _tellings(owner: str, slot: str, rng: Random) -> list[Telling]:
    versions = rng.choice((2, 2, 3, 3, 4, 5))
    values = dict.fromkeys(_value(SLOTS[slot], rng) for _ in range(versions))
    return [Telling(owner, slot, value, version) for version, value in enumerate(values)]


def _value(kind: str, rng: Random) -> str:
    word = rng.choice(BEGINNINGS) + rng.choice(ENDINGS)
    match kind:
        case "number":
            return str(rng.randrange(1000, 9999))
        case "person":
            return f"{rng.choice(BEGINNINGS)}a {word}"
        case "firm":
            return f"{word} & {rng.choice(('Sons', 'Daughters', 'Company', 'Partners'))}"
        case _:
            return f"{word} {rng.choice(('Hall', 'Suite', 'Loft', 'Annex'))}"


def _ordered(tellings: list[Telling], rng: Random) -> list[Telling]:
    """Shuffled, but the versions of one slot in their order."""
    places = tellings.copy()
    rng.shuffle(places)
    left = {(one.owner, one.slot): iter([two for two in tellings if two[:2] == one[:2]]) for one in tellings}
    return [next(left[one.owner, one.slot]) for one in places]


def _events(told: Sequence[Telling | None], slots: Sequence[tuple[str, str]], rng: Random) -> Iterator[Event]:
    scope = ""
    for number, telling in enumerate(told):
        if number % SCOPE == 0:
            scope = handle(rng)
        if telling is None:
            owner, slot = rng.choice(slots)
            text = rng.choice(CHATTER).format(owner=owner, slot=slot, other=rng.choice(OWNERS))
        else:
            wording = rng.choice(TELLINGS[:1] + TELLINGS[3:] if telling.version == 0 else TELLINGS)
            text = wording.format(owner=telling.owner, slot=telling.slot, value=telling.value)
        yield Event(handle(rng), "message", text[0].upper() + text[1:], BEGIN + number * STEP, scope=scope)


def _questions(told: Sequence[Telling | None], events: Sequence[Event], rng: Random) -> Iterator[Question]:
    now = events[-1].time + STEP
    of: dict[tuple[str, str], list[tuple[Event, str]]] = {}
    for telling, event in zip(told, events, strict=True):
        if telling is not None:
            of.setdefault((telling.owner, telling.slot), []).append((event, telling.value))
    for (owner, slot), versions in of.items():
        *old, (new, value) = versions
        text = rng.choice(ASKINGS).format(owner=owner, slot=slot)
        stale = frozenset(event.id for event, _ in old)
        yield question(text, frozenset({new.id}), now, category=NAME, answer=value, stale=stale)
