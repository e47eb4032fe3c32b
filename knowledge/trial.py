"""One architecture at work over a bank in memory: events in, queries answered, feedback taken."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from random import Random
from reprlib import repr as short
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from knowledge.architecture import (
    CHARACTERS_PER_TOKEN,
    BankView,
    DesignError,
    Event,
    Hit,
    MemoryArchitecture,
    NoModelError,
    Op,
    Query,
    Receipt,
    Record,
    Retrieval,
    Trigger,
    named,
    tokens,
)
from knowledge.replica import Embed, Replica

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
Ask = Callable[[str, int], str]
"""A model: prompt and most tokens of the answer. Raises NoModelError."""
MOST_HITS = 1000
MOST_CHARACTERS = 1 << 20
"""Of a synthesis."""
MOST_RECORDS = 64
"""That one event is encoded as."""


def no_model(prompt: str, max_tokens: int) -> str:
    del prompt, max_tokens
    raise NoModelError("no model was given")


class Call:
    """`Ctx` of one call."""

    def __init__(self, seed: str, now: float, embed: Embed, ask: Ask) -> None:
        self._seed = seed
        self.now = now
        self._embed = embed
        self._ask = ask

    @cached_property
    def rng(self) -> Random:
        return Random(self._seed)

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        return self._embed(texts)

    def llm(self, prompt: str, *, max_tokens: int = 512) -> str:
        return self._ask(prompt, max_tokens)

    def tokens(self, text: str) -> int:
        return tokens(text)


class View:
    """`BankView` of a bank: an architecture is given nothing by which it could change one."""

    def __init__(self, bank: Replica) -> None:
        self.get = bank.get
        self.iter = bank.iter
        self.lexical = bank.lexical
        self.dense = bank.dense
        self.near = bank.near
        self.span = bank.span
        self.events = bank.events
        self.value = bank.value
        self.state = bank.state


class Shown(NamedTuple):
    """What is put in front of whoever asked."""

    text: str
    hits: tuple[Hit, ...]
    """Those whose text is shown, whole or cut off at the budget; all of them where a synthesis is shown."""
    receipt: Receipt


class Trial:
    """Raises DesignError, naming the method, for whatever the architecture should not have done.

    `bank`: empty without; one that holds what this architecture kept before goes on from there.
    `embed`: how an empty bank embeds.
    """

    def __init__(
        self,
        architecture: MemoryArchitecture,
        bank: Replica | None = None,
        *,
        seed: int = 0,
        embed: Embed | None = None,
        ask: Ask = no_model,
    ) -> None:
        self._architecture = architecture
        self.bank = bank if bank is not None else Replica(embed=embed)
        self._view: BankView = View(self.bank)
        self._seed = seed
        self._ask = ask

    def ingest(self, event: Event) -> list[Op]:
        """The operations that were applied."""
        event = self.bank.tell(event)
        ctx = self._call("ingest", event.id, now=event.time)
        records = self._guarded("encode", lambda: _few(self._architecture.encode(event, ctx)))
        return self._change("store", event.time, lambda: self._architecture.store(records, self._view, ctx))

    def retrieve(self, query: Query) -> Retrieval:
        """What the architecture picks, checked: only records that are there, none twice."""
        ctx = self._call("retrieve", query.stage, str(query.now), query.text, now=query.now)
        return self._guarded(
            "retrieve", lambda: checked(self._architecture.retrieve(query, self._view, ctx), self.bank)
        )

    def recall(self, query: Query) -> Shown:
        found = self.retrieve(query)
        return shown(query, found, self.bank)

    def feedback(self, receipt: Receipt, reward: float) -> list[Op]:
        query = receipt.query
        return self._manage(Trigger("feedback", receipt, reward), query.now, query.stage, query.text)

    def tick(self, now: float, *, close: bool = False) -> list[Op]:
        return self._manage(Trigger("close" if close else "tick"), now)

    def _manage(self, trigger: Trigger, now: float, *about: str) -> list[Op]:
        ctx = self._call(trigger.kind, str(now), *about, now=now)
        return self._change("manage", now, lambda: self._architecture.manage(trigger, self._view, ctx))

    def _call(self, *what: str, now: float) -> Call:
        return Call(named(str(self._seed), *what), now, self.bank.embed, self._ask)

    def _change(self, method: str, now: float, ask: Callable[[], Iterable[Op]]) -> list[Op]:
        """Applied one by one as they come: a generator sees what its earlier operations did."""
        operations = self._guarded(method, lambda: iter(ask()))
        return self._guarded(method, lambda: self.bank.apply(operations, method=method, now=now))

    def _guarded(self, method: str, act: Callable[[], T]) -> T:
        try:
            return act()
        except DesignError:
            raise
        except Exception as fault:  # the boundary to an architecture
            raise DesignError(method, f"{type(fault).__name__}: {fault}"[:500]) from fault


def _few(encoded: Iterable[Record]) -> list[Record]:
    records = list(itertools.islice(encoded, MOST_RECORDS + 1))
    if len(records) > MOST_RECORDS:
        raise DesignError("encode", f"more than {MOST_RECORDS} records of one event")
    for record in records:
        if not isinstance(record, Record):
            raise DesignError("encode", f"{short(record)} is no Record")
    return records


def checked(found: Any, bank: Replica) -> Retrieval:
    """Raises DesignError for what is no retrieval from this bank."""
    if not isinstance(found, Retrieval):
        raise DesignError("retrieve", f"{short(found)} is no Retrieval")
    if not isinstance(found.hits, Iterable):
        raise DesignError("retrieve", f"{short(found.hits)} are no hits")
    given = list(itertools.islice(found.hits, MOST_HITS + 1))
    if len(given) > MOST_HITS:
        raise DesignError("retrieve", f"more than {MOST_HITS} hits")
    hits: dict[str, Hit] = {}
    for each in given:
        hit = _hit(each, bank)
        if hit.id in hits:
            raise DesignError("retrieve", f"the record {short(hit.id)} was given twice")
        hits[hit.id] = hit
    if found.text is not None and not _showable(found.text):
        raise DesignError("retrieve", f"{short(found.text)} is no string of at most {MOST_CHARACTERS} characters")
    return Retrieval(tuple(hits.values()), found.text)


def _hit(hit: Any, bank: Replica) -> Hit:
    """Its score as a Python number."""
    if not isinstance(hit, Hit) or not isinstance(hit.id, str) or bank.get(hit.id) is None:
        raise DesignError("retrieve", f"{short(hit)} is no Hit of a record that is there")
    try:
        score = float(hit.score)
    except (TypeError, ValueError, OverflowError) as fault:
        raise DesignError("retrieve", f"a score is a number, not {short(hit.score)}") from fault
    if not math.isfinite(score):
        raise DesignError("retrieve", f"a score is a number, not {score}")
    if not _showable(hit.why):
        raise DesignError("retrieve", f"why a record was picked is a string, not {short(hit.why)}")
    return Hit(hit.id, score, hit.why)


def _showable(text: object) -> bool:
    return isinstance(text, str) and len(text) <= MOST_CHARACTERS and text == text.encode(errors="replace").decode()


def shown(query: Query, found: Retrieval, bank: Replica) -> Shown:
    """The texts of the hits in their order, no blank one and nothing twice, up to the query's budget of tokens."""
    room = max(0, query.budget_tokens) * CHARACTERS_PER_TOKEN
    if found.text is not None:
        return Shown(found.text[:room], tuple(found.hits), Receipt(query, tuple(hit.id for hit in found.hits)))
    texts: list[str] = []
    seen: set[str] = set()
    hits: list[Hit] = []
    for hit in found.hits:
        record = bank.get(hit.id)
        if room <= 0:
            break
        if record is None or record.text in seen or not record.text.strip():
            continue
        seen.add(record.text)
        texts.append(record.text[:room])
        hits.append(hit)
        room -= len(record.text) + 1
    return Shown("\n".join(texts), tuple(hits), Receipt(query, tuple(hit.id for hit in hits)))
