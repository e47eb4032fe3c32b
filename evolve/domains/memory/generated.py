"""Conversations made up in code: two people over many months, and questions on what they told each other.

Made so that architectures rank roughly as they do on LoCoMo. What a question asks for is mostly in the answer to a
turn that has its words; the same things come up in several sessions; a question often says it in other words.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from evolve.domains.memory.exam import Exam, Question
from evolve.domains.memory.making import MULTI_HOP, OPEN_DOMAIN, SINGLE_HOP, TEMPORAL, handle, question
from evolve.domains.memory.words import (
    ADJECTIVES,
    DISHES,
    FRIENDS,
    OCCASIONS,
    PEOPLE,
    PETS,
    RELATIVES,
    SPOTS,
    TOPICS,
    TOWNS,
    Topic,
)
from knowledge.architecture import Event

SESSIONS = 15
EXCHANGES = 8
"""Of each session: a turn and what it is answered with."""
TURN = timedelta(seconds=40)
BEGIN = datetime(2024, 1, 6, 18, 30, tzinfo=UTC)
BESIDE = 0.1
"""How often the turn that asked is evidence as well."""
OTHER_NAME = 0.45
"""How often a question calls a topic by another name."""
MAINLY = 0.65
"""How often an exchange is about the first topic of its session."""
SHARES = (50, 15, 5, 30)
"""Of facts, happenings, traits and chatter among the exchanges."""
OCCASIONS_EACH = 3
"""Of each session; what is told there is told in connection with one of them."""
IN_TELLING, IN_LEAD, UNSAID = 65, 20, 15
"""Where the occasion is mentioned, if it is."""
NAMED = 0.35
"""How often who tells says the topic again."""
RECALLED = 0.8
"""How often a question mentions the occasion."""
ECHOED = 0.35
"""How often who asked says the answer again."""
ASKED = 0.85
"""How much of what was told is asked for."""


class Kind(NamedTuple):
    """One kind of thing that is told: how it is asked for in the conversation, told, and asked for later."""

    name: str
    leads: tuple[str, ...]
    tellings: tuple[str, ...]
    askings: tuple[str, ...]
    together: tuple[str, ...] = ()
    """Asks for all that was told of this kind."""


KINDS = (
    Kind(
        "thing",
        ("What have you been busy with in {topic} lately?", "Did you finish anything in {topic}?"),
        (
            "I've just finished a {adjective} {value}! It took ages.",
            "A {adjective} {value}, and I'm quite proud of it.",
        ),
        ("What did {who} finish in {topic}?", "What {adjective} thing came out of {who}'s {topic}?"),
        ("What has {who} completed in {topic} so far?", "Which things did {who} do in {topic}?"),
    ),
    Kind(
        "spot",
        ("Where do you go for {topic} these days?", "Have you found a place for your {topic}?"),
        ("Mostly {value}. It's quiet and they let me stay late.", "I've moved to {value}, the light is so good there."),
        ("Where does {who} go for {topic}?", "At which place does {who} spend time on {topic}?"),
        ("Which places has {who} used for {topic}?",),
    ),
    Kind(
        "friend",
        ("Do you do {topic} on your own?", "Who keeps you company with {topic}?"),
        ("No, {value} comes along most weeks and we laugh a lot.", "Luckily {value} shares it with me now."),
        ("Who keeps {who} company with {topic}?", "Who joins {who} in {topic}?"),
        ("Who has been with {who} for {topic}?",),
    ),
    Kind(
        "relative",
        ("How did you get into {topic} in the first place?", "What made you start with {topic}?"),
        (
            "My {value} showed me when I was nine. I was hopeless!",
            "I blame my {value}, who never stopped talking of it.",
        ),
        ("Who got {who} into {topic}?", "Because of whom did {who} start {topic}?"),
    ),
    Kind(
        "tool",
        ("Do you need much gear for {topic}?", "Have you bought anything new for {topic}?"),
        ("My {relative} gave me a {value} for my birthday.", "I treated myself to a {value} after payday."),
        ("What gear did {who} get for {topic}?", "What new equipment for {topic} does {who} own?"),
        ("What equipment does {who} have for {topic}?",),
    ),
    Kind(
        "town",
        ("You look rested! Have you been away?", "Did you travel anywhere over the weekend?"),
        ("We travelled to {value} for four days, mostly walking.", "Yes, {value}! It rained but nobody minded."),
        ("Where did {who} spend four days?", "Which town did {who} see in the rain?"),
        ("Which towns has {who} travelled to?", "Where has {who} been on trips?"),
    ),
    Kind(
        "dish",
        ("What did you cook for the guests?", "Anything good on your table this week?"),
        ("I cooked {value} and there was none left.", "My {relative}'s {value}. I'll send you the recipe."),
        ("What did {who} serve that was all eaten?", "Which recipe of a relative did {who} cook?"),
        ("Which dishes has {who} cooked?",),
    ),
    Kind(
        "pet",
        ("How is everyone at home?", "Is there news from your house?"),
        ("Noisy! We took in a {animal} and named it {value}.", "There's a {animal} now. The children call it {value}."),
        ("What is {who}'s {animal} called?", "What is the name of the {animal} that {who} took in?"),
        ("What are the names of {who}'s pets?",),
    ),
)
HAPPENINGS = (
    ("won a small prize", "win an award for {topic}"),
    ("signed up for a weekend course", "enrol in a class on {topic}"),
    ("gave my first talk about it", "speak in public about {topic}"),
    ("sprained my wrist and had to stop", "get hurt during {topic}"),
    ("met the author of my favourite handbook", "meet a writer on {topic}"),
    ("sold something for the first time", "earn money with {topic}"),
    ("taught a group of beginners", "teach others {topic}"),
    ("cleaned out the whole shelf and started over", "start again with {topic}"),
)
"""What one says -> how it is asked for."""
NEWS = ("Is there any news about {topic}?", "Did something happen with {topic}?", "{topic} going well?")
BESIDES = ("just before", "right after", "because of", "in spite of", "with")
MOMENTS = (("yesterday", 1), ("three days ago", 3), ("last week", 7), ("two weeks ago", 14), ("a month ago", 30))
TRAITS = (
    ("Festival crowds wear me out, I always leave early.", "Would {who} enjoy a packed festival?"),
    ("I still keep every letter that anyone ever sent me.", "Is {who} a sentimental person?"),
    ("I count my coins twice before I pay for anything.", "Would {who} pay for a luxury hotel?"),
    ("The doctor says I must not lift anything until autumn.", "Could {who} help somebody move house in July?"),
    ("I switch the lamps off whenever I leave, it drives them mad.", "Does {who} care for the environment?"),
    ("I answered all forty messages of work before breakfast.", "Is {who} likely to be reliable at work?"),
    ("Milk and cream do not agree with me at all.", "Should somebody bring {who} ice cream?"),
    ("I checked the door three times and went back anyway.", "Might {who} be an anxious person?"),
)
CHATTER = (
    ("What is the hardest part of {topic}?", "Getting the {word} right, and then the {other}."),
    ("I thought of you, there was a programme on {topic}.", "Did they say anything about {word}?"),
    ("My week was all {word} and no sleep.", "Oh no. Let the {other} wait for once."),
    ("Is the {word} still giving you trouble?", "A little, but the {other} has improved since then."),
    ("I read that {word} matters more than {other}.", "People who do {topic} argue about that for hours."),
    ("Somebody at work asked me about {topic}.", "Tell them to begin with the {word}."),
    ("You sound tired today.", "The {word} kept me up. It is worth it, though."),
    ("Show me some of your {topic} when I visit!", "Gladly. Mind the {word} when you come in."),
)
GREETINGS = (
    ("Hey {you}! Good to hear from you.", "Hi {me}! It has been too long."),
    ("{you}, how are things?", "Can't complain, {me}. And with you?"),
    ("Hello {you}, do you have a minute?", "Always, {me}. What's up?"),
)
PARTINGS = (
    ("I have to run. Talk soon, {you}!", "Take care, {me}!"),
    ("That was lovely, {you}. Same time next week?", "Sure, {me}. Bye!"),
)
ECHOES = (
    "{value}? That sounds great, {who}!",
    "Wow, {value}. I'm happy for you, {who}.",
    "Ha, {value}! Keep me posted.",
)


class Fact(NamedTuple):
    """Something that was told and can be asked for."""

    asked: str
    answer: str
    gold: frozenset[str]
    category: str
    together: str = ""
    """How it is asked for along with others of its kind; empty where it is not."""


def conversations(seed: int, count: int) -> list[Exam]:
    """`count` of them, the same ones for the same seed; each has about 300 turns and 70 questions."""
    return [_Talk(Random(f"{seed}/{number}")).exam(f"generated-{number + 1}") for number in range(count)]


class _Talk:
    """One conversation, as it is being made."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._two = rng.sample(PEOPLE, 2)
        self._topics = rng.sample(TOPICS, 7)
        self._traits = rng.sample(TRAITS, 5)
        self._together = {kind.name: rng.choice(kind.together) for kind in KINDS if kind.together}
        self._scope = ""
        self._now = BEGIN
        self._occasions: Sequence[str] = ()
        self._events: list[Event] = []
        self._facts: list[Fact] = []

    def exam(self, name: str) -> Exam:
        for number in range(SESSIONS):
            self._session(BEGIN + timedelta(days=number * 9 + self._rng.randrange(6)))
        return Exam(name, tuple(self._events), tuple(self._questions()))

    def _session(self, begin: datetime) -> None:
        rng = self._rng
        self._scope, self._now = handle(rng), begin
        self._occasions = rng.sample(OCCASIONS, OCCASIONS_EACH)
        main, other = rng.sample(self._topics, 2)
        self._small_talk(GREETINGS)
        for _ in range(EXCHANGES):
            me, you = rng.sample(self._two, 2)
            topic = main if rng.random() < MAINLY else other
            tell = rng.choices((self._fact, self._happening, self._trait, self._chatter), SHARES)[0]
            tell(me, you, topic)
        self._small_talk(PARTINGS)

    def _say(self, who: str, text: str) -> str:
        """The handle of the turn."""
        self._now += TURN
        name = handle(self._rng)
        event = Event(name, "message", f"{who}: {text}", self._now.timestamp(), actor=who, scope=self._scope)
        self._events.append(event)
        return name

    def _small_talk(self, kinds: Sequence[tuple[str, str]]) -> None:
        me, you = self._rng.sample(self._two, 2)
        first, second = self._rng.choice(kinds)
        self._say(me, first.format(me=me, you=you))
        self._say(you, second.format(me=me, you=you))

    def _chatter(self, me: str, you: str, topic: Topic) -> None:
        first, second = self._rng.choice(CHATTER)
        word, other = self._rng.sample(topic.words, 2)
        names = {"topic": topic.names[0], "word": word, "other": other}
        self._exchange(me, you, first.format(**names), second.format(**names))

    def _fact(self, me: str, you: str, topic: Topic) -> None:
        rng = self._rng
        kind = rng.choice(KINDS)
        animal = rng.choice(tuple(PETS))
        value = rng.choice(_values(kind.name, topic, animal))
        known = {"adjective": rng.choice(ADJECTIVES), "animal": animal, "relative": rng.choice(RELATIVES)}
        telling = rng.choice(kind.tellings).format(value=value, **known)
        if "{topic}" in kind.leads[0] and rng.random() < NAMED:
            telling = f"As for {topic.names[0]}: {telling}"
        lead, told, occasion = self._exchange(me, you, rng.choice(kind.leads).format(topic=topic.names[0]), telling)
        if rng.random() < ECHOED:
            self._say(me, rng.choice(ECHOES).format(value=value, who=you))
        asked = rng.choice(kind.askings).format(who=you, topic=self._called(topic), **known)
        gold = frozenset({told, lead} if rng.random() < BESIDE else {told})
        together = self._together.get(kind.name, "").format(who=you, topic=topic.names[0])
        self._facts.append(Fact(self._recalled(asked, occasion), value, gold, SINGLE_HOP, together))

    def _exchange(self, me: str, you: str, lead: str, telling: str) -> tuple[str, str, str]:
        """Handles of the two turns, and the occasion."""
        occasion = self._rng.choice(self._occasions)
        if (where := self._rng.choices((lead, telling, ""), (IN_LEAD, IN_TELLING, UNSAID))[0]) == lead:
            lead = f"{lead[:-1]}, {self._rng.choice(BESIDES)} the {occasion}?"
        elif where:
            telling = f"{telling[:-1]}, {self._rng.choice(BESIDES)} the {occasion}."
        return self._say(me, lead), self._say(you, telling), occasion

    def _recalled(self, asked: str, occasion: str) -> str:
        return f"{asked[:-1]} around the {occasion}?" if self._rng.random() < RECALLED else asked

    def _called(self, topic: Topic) -> str:
        return self._rng.choice(topic.names[1:] if self._rng.random() < OTHER_NAME else topic.names[:1])

    def _happening(self, me: str, you: str, topic: Topic) -> None:
        rng = self._rng
        said, asked = rng.choice(HAPPENINGS)
        moment, days = rng.choice(MOMENTS)
        lead = rng.choice(NEWS).format(topic=topic.names[0])
        _, told, occasion = self._exchange(me, you, lead, f"Yes! I {said} {moment}.")
        date = self._now - timedelta(days=days)
        text = self._recalled(f"When did {you} {asked.format(topic=self._called(topic))}?", occasion)
        self._facts.append(Fact(text, f"{date.day} {date:%B %Y}", frozenset({told}), TEMPORAL))

    def _trait(self, me: str, you: str, topic: Topic) -> None:
        if not self._traits:
            self._chatter(me, you, topic)
            return
        said, asked = self._traits.pop()
        self._say(me, self._rng.choice(GREETINGS)[0].format(me=me, you=you))
        told = self._say(you, said)
        self._facts.append(Fact(asked.format(who=you), said, frozenset({told}), OPEN_DOMAIN))

    def _questions(self) -> list[Question]:
        now = (self._now + TURN).timestamp()
        asked = [fact for fact in self._facts if self._rng.random() < ASKED]
        asked += _together(self._facts)
        self._rng.shuffle(asked)
        return [question(fact.asked, fact.gold, now, category=fact.category, answer=fact.answer) for fact in asked]


def _values(kind: str, topic: Topic, animal: str) -> Sequence[str]:
    match kind:
        case "thing":
            return topic.things
        case "tool":
            return topic.tools
        case "pet":
            return PETS[animal]
        case _:
            return {"spot": SPOTS, "friend": FRIENDS, "relative": RELATIVES, "town": TOWNS, "dish": DISHES}[kind]


def _together(facts: Sequence[Fact]) -> Iterator[Fact]:
    """What was told at several times, asked for at once."""
    alike: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.together:
            alike.setdefault(fact.together, []).append(fact)
    for asked, some in alike.items():
        if len(some) > 1:
            gold = frozenset().union(*(fact.gold for fact in some))
            yield Fact(asked, ", ".join(dict.fromkeys(fact.answer for fact in some)), gold, MULTI_HOP)
