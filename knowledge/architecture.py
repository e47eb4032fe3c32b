"""What an evolvable memory is: four programs over a bank that they can only read.

A memory architecture (MemEvolve, section 3: the programs E, U, R, G are its genotype) turns events into records, says
how the bank is to change, picks records for a query and tidies up. It holds no handle on any storage: it returns
operations, and whoever runs it checks, journals and applies them. So the same module works in the host, in a sandbox
and in a replay, and installing another one means replaying the same events into it.

A module of this kind exports `PARAMS` and `build(params)`. It may import the modules named in `IMPORTS` and no others.
Everything that it keeps in its own object must be such that it can be lost: only records, links and `SetState` last.
Nothing here needs more than the standard library, because it is also loaded where untrusted modules run.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None

IMPORTS = frozenset(
    {
        "bisect", "collections", "collections.abc", "dataclasses", "datetime", "functools", "hashlib", "heapq",
        "itertools", "json", "knowledge.architecture", "knowledge.stems", "math", "numpy", "operator", "random", "re",
        "statistics", "typing",
    }
)  # fmt: skip
"""What a module may import."""

ATTEMPTED = ("task", "domain", "stage", "technique", "state", "hardware", "feasible", "gain")
"""Of an attempt's data what a verbatim record can be filtered by."""
ACTIVE, SUPERSEDED, EXPIRED = "active", "superseded", "expired"
LONGEST = 32_000
"""Characters of the text, and as many of the code, that a verbatim record keeps of an event."""
CHARACTERS_PER_TOKEN = 4
"""Roughly, for English and code."""


class DesignError(Exception):
    """An architecture did what none may do. `method` is where: import, build, encode, store, retrieve or manage."""

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(f"{method}: {reason}")
        self.method = method
        self.reason = reason

    def __reduce__(self) -> tuple[type["DesignError"], tuple[str, str]]:
        return DesignError, (self.method, self.reason)  # it crosses processes


class NoModelError(Exception):
    """`ctx.llm` has no model behind it; every architecture must do without one."""


class Event(NamedTuple):
    """Something that happened; never changed afterwards."""

    id: str
    """A handle that says nothing."""
    kind: str
    """`message`, `step`, `trajectory`, `attempt`, `feedback` or `document`."""
    text: str
    time: float
    """When it happened, Unix seconds."""
    actor: str = ""
    """Who spoke or acted."""
    scope: str = ""
    """What it belongs to: a session, a task."""
    parent: str = ""
    """The event it continues."""
    data: Mapping[str, JSON] = {}
    """Of an attempt those of `task`, `domain`, `stage`, `technique`, `state`, `hardware`, `code`, `score`, `gain` and
    `feasible` that are known."""
    trust: float = 1.0


class Link(NamedTuple):
    target: str
    rel: str
    weight: float = 1.0


class Record(NamedTuple):
    """A unit of memory."""

    id: str
    text: str
    sources: tuple[str, ...]
    """The events it rests on."""
    kind: str = "fact"
    """`fact`, `insight`, `rule`, `workflow`, `skill`, `tool`, `summary`, `belief`, `node`, …"""
    keys: tuple[str, ...] = ()
    """What it is found by, instead of `text`."""
    links: tuple[Link, ...] = ()
    meta: Mapping[str, JSON] = {}
    valid_from: float | None = None
    valid_to: float | None = None
    status: str = ACTIVE
    payload: str = ""
    """Code; never executed."""


class Add(NamedTuple):
    """Refused where the id is taken."""

    record: Record


class Update(NamedTuple):
    id: str
    changes: Mapping[str, object]
    """Field of `Record` -> its new value; all but `id` and `links`. `meta` replaces only the keys it names."""


class Supersede(NamedTuple):
    """`new`, which must be there, says now what `old` said; `old` is no longer found."""

    old: str
    new: str
    why: str = ""


class Expire(NamedTuple):
    id: str
    why: str = ""


class AddLink(NamedTuple):
    source: str
    link: Link


class DropLink(NamedTuple):
    source: str
    target: str
    rel: str


class SetState(NamedTuple):
    """Small private state, at most 64 kB of JSON in all; None removes a key."""

    key: str
    value: JSON


class Note(NamedTuple):
    """Said to whoever reads the journal."""

    text: str


Op: TypeAlias = Add | Update | Supersede | Expire | AddLink | DropLink | SetState | Note


class Query(NamedTuple):
    text: str
    now: float
    stage: str = "begin"
    """`begin`, `step`, `draft`, `refine`, `reflect`, `qa`, …"""
    context: str = ""
    scope: str = ""
    role: str = ""
    budget_tokens: int = 1024
    k: int = 10
    where: Mapping[str, JSON] = {}
    """What is known of the asker: of a task at hand `task`, `domain`, `state`, `hardware`."""


class Hit(NamedTuple):
    id: str
    score: float
    """Higher is better; only the order counts for what is shown."""
    why: str = ""


class Retrieval(NamedTuple):
    hits: Sequence[Hit]
    """Best first."""
    text: str | None = None
    """A synthesis to show instead of the records' own texts."""


class Receipt(NamedTuple):
    """What was shown to whom; feedback is given on it."""

    query: Query
    items: tuple[str, ...]


class Trigger(NamedTuple):
    """Why `manage` runs."""

    kind: Literal["tick", "feedback", "close"]
    """`tick`: now and then, such as after a session; `feedback`: an outcome is known; `close`: nothing more comes."""
    receipt: Receipt | None = None
    reward: float | None = None
    """From -1 (misled) to 1 (helped)."""


class Worth(NamedTuple):
    """What showing a record has been worth at a stage, learnt from rewards; higher helped more."""

    q: float = 0.0
    n: int = 0
    lcb: float = 0.0
    ucb: float = 0.0


class BankView(Protocol):
    """Read-only. Only active records are found; `where` compares `kind`, or keys of a record's `meta`."""

    def get(self, record: str) -> Record | None:
        """Whatever its status."""
        ...

    def iter(self, *, status: str = ACTIVE, **where: JSON) -> Iterator[Record]:
        """In the order they were added; links made later by operations are among their `links`."""
        ...

    def lexical(self, text: str, k: int = 50, *, k1: float = 1.2, b: float = 0.75, **where: JSON) -> list[Hit]:
        """BM25 over English stems, best first; records that share no word are left out."""
        ...

    def dense(self, text: str, k: int = 50, **where: JSON) -> list[Hit]:
        """Cosine similarity of embeddings, best first."""
        ...

    def near(self, record: str, rel: str | None = None, hops: int = 1, *, direction: str = "both") -> list[Hit]:
        """What links lead to (`out`), come from (`in`) or both; the score is the product of the weights."""
        ...

    def span(self, start: float, end: float, **where: JSON) -> list[Hit]:
        """Records whose first source happened from `start` to `end`, earliest first."""
        ...

    def events(self, ids: Iterable[str]) -> list[Event]: ...

    def value(self, record: str, stage: str) -> Worth: ...

    def state(self, key: str, default: JSON = None) -> JSON: ...


class Ctx(Protocol):
    """What one call of an architecture is given besides the bank."""

    @property
    def rng(self) -> Random:
        """Seeded anew for each call: a replay draws the same."""
        ...

    @property
    def now(self) -> float: ...

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """One row of length 1 for each text."""
        ...

    def llm(self, prompt: str, *, max_tokens: int = 512) -> str:
        """Raises NoModelError where there is none."""
        ...

    def tokens(self, text: str) -> int: ...


class MemoryArchitecture(Protocol):
    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        """E: what an event is worth keeping as."""
        ...

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        """U: how the bank changes for what was encoded from one event."""
        ...

    def retrieve(self, query: Query, bank: BankView, ctx: Ctx) -> Retrieval:
        """R."""
        ...

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        """G: consolidation, pruning, correction; feedback on what was shown is a trigger of it."""
        ...


class Param(NamedTuple):
    """A number that may be tuned."""

    default: float
    low: float
    high: float
    whole: bool = False
    """Only whole numbers."""


def filled(declared: Mapping[str, Param], given: Mapping[str, float]) -> dict[str, float]:
    """Every declared parameter: as given, else its default.

    Raises ValueError for one that is not declared, or out of its bounds.
    """
    for name, value in given.items():
        if name not in declared:
            raise ValueError(f"there is no parameter {name!r}; there are: {', '.join(declared) or 'none'}")
        known = declared[name]
        if not known.low <= value <= known.high:
            raise ValueError(f"{name} is {value}; it goes from {known.low} to {known.high}")
    values = {name: given.get(name, known.default) for name, known in declared.items()}
    return {name: round(value) if declared[name].whole else value for name, value in values.items()}


def named(*parts: str) -> str:
    """An id that is always the same for the same parts."""
    return hashlib.sha256("\x1f".join(parts).encode(errors="replace")).hexdigest()[:12]


def tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def verbatim(event: Event, **more: JSON) -> Record:
    """The event as it is, as one record: what most architectures begin with. `more` goes into `meta`."""
    kept = {name: event.data[name] for name in ATTEMPTED if name in event.data}
    meta = {"scope": event.scope, "actor": event.actor, **kept, **more}
    code = event.data.get("code")
    return Record(
        id=event.id,
        text=event.text[:LONGEST],
        sources=(event.id,),
        kind=event.kind,
        meta=meta,
        valid_from=event.time,
        payload=code[:LONGEST] if isinstance(code, str) else "",
    )


class Verbatim:
    """Three of the four programs at their plainest: every event is a record, nothing is ever tidied up."""

    def encode(self, event: Event, ctx: Ctx) -> Iterable[Record]:
        del ctx
        return [verbatim(event)]

    def store(self, new: Sequence[Record], bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del bank, ctx
        return [Add(record) for record in new]

    def manage(self, trigger: Trigger, bank: BankView, ctx: Ctx) -> Iterable[Op]:
        del trigger, bank, ctx
        return []
