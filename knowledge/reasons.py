"""Why something was recalled, and what is known of an item or an attempt: for people as text, for programs as JSON."""

from collections.abc import Sequence
from typing import NamedTuple

from evolve.types import Frozen

ARCHITECTURE = "architecture"


class Why(NamedTuple):
    """Why one item was in front of a writer."""

    similarity: float
    """Cosine to what was asked, -1 to 1."""
    words: float
    """Lexical match, in deviations from the mean of what was found."""
    meaning: float
    """Match of the vectors, in deviations too."""
    value: float
    """Learnt at this stage; higher helped more."""
    uncertainty: float
    """What is added for being hardly tried."""
    n: int
    """Times credited."""
    where: str
    """Signature that the value was learnt in, `*` for all; empty when it was never credited."""
    score: float
    """By what it was chosen."""
    pick: str
    """`value`, `chance`, `untried` (a slot kept for such), `match` (values played no part), or `architecture`: an
    installed one picked it, by reasons of its own."""
    beat: str | None
    """What would have come instead."""
    margin: float
    """Score beyond that of the other."""
    said: str = ""
    """What the installed architecture gave as its reason."""

    @property
    def text(self) -> str:
        words = f"{self.said or 'picked'} (score {self.score:.2f})" if self.pick == ARCHITECTURE else self._match
        if self.pick == "match":
            return words
        if self.n:
            where = "all states" if self.where == "*" else self.where
            words += f", value {self.value:+.2f} ± {self.uncertainty:.2f} (n={self.n}, {where})"
        else:
            words += ", untried"
        return words + self._pick

    @property
    def _match(self) -> str:
        return f"similar {self.similarity:.2f} (words {self.words:+.1f}, meaning {self.meaning:+.1f})"

    @property
    def _pick(self) -> str:
        match self.pick:
            case "chance":
                return "; drawn by chance"
            case "untried":
                return "; in the slot kept for what was hardly tried"
            case _ if self.beat is not None:
                return f"; beat {self.beat} by {self.margin:.2f}"
            case _:
                return ""


class Shown(Frozen):
    """One line of a receipt."""

    rank: int
    item: str
    similarity: float
    value: float
    why: str


class Credit(Frozen):
    """How it went for who had the items in front of them."""

    attempt: str
    stage: str
    reward: float
    """As the judge's outcome gave it."""
    credit: float
    """The reward by those before it: what the items were taught."""
    counts: bool
    """False once it was taken back."""


class Worth(Frozen):
    stage: str
    state: str
    """`*` for all."""
    q: float
    mean: float
    n: int


class Reasons(Frozen):
    """What is known about a name: an attempt with its receipt, or an experience with where it came from and went."""

    name: str
    kind: str
    """`attempt`, or the kind of experience."""
    text: str = ""
    status: str = ""
    stage: str = ""
    task: str = ""
    recalled: tuple[Shown, ...] = ()
    """Of an attempt: what was in front of it."""
    credit: Credit | None = None
    """Of an attempt: how it went."""
    learnt: str = ""
    """Of an attempt: the experience that came out."""
    sources: tuple[str, ...] = ()
    """Of an experience: the attempts it rests on."""
    links: tuple[tuple[str, str], ...] = ()
    """Of an experience: (relation, other experience)."""
    uses: tuple[Credit, ...] = ()
    """Of an experience: the latest attempts that had it in front of them and were judged."""
    used: int = 0
    """Of an experience: how often it was in front of somebody."""
    worth: tuple[Worth, ...] = ()
    history: tuple[str, ...] = ()
    """Of an experience: its changes, oldest first."""

    @property
    def lines(self) -> Sequence[str]:
        """For people."""
        return _attempt_lines(self) if self.kind == "attempt" else _experience_lines(self)


def _attempt_lines(found: Reasons) -> list[str]:
    lines = [f"{found.name}: {found.stage} of {found.task}"]
    lines += [f"  {shown.rank}. {shown.item}: {shown.why}" for shown in found.recalled] or ["  nothing was recalled"]
    lines.append(f"outcome: {_credit(found.credit)}" if found.credit else "outcome: not judged yet")
    if found.learnt:
        lines.append(f"learnt from it: {found.learnt}")
    return lines


def _experience_lines(found: Reasons) -> list[str]:
    lines = [f"{found.name}: {found.kind}, {found.status}", f"  {found.text}"]
    lines.append(f"rests on: {', '.join(found.sources) or 'nothing'}")
    lines += [f"{relation} {other}" for relation, other in found.links]
    lines.append(f"in front of a writer {found.used} times")
    lines += [
        f"  worth at {worth.stage}, {'all states' if worth.state == '*' else worth.state}:"
        f" Q {worth.q:+.2f}, beyond the usual {worth.mean:+.2f} (n={worth.n})"
        for worth in found.worth
    ]
    lines += [f"  {use.attempt}: {_credit(use)}" for use in found.uses]
    return [*lines, "history:", *(f"  {change}" for change in found.history)]


def _credit(credit: Credit) -> str:
    taken = "" if credit.counts else ", taken back"
    return f"{credit.stage} reward {credit.reward:+.3f}, taught {credit.credit:+.3f}{taken}"
