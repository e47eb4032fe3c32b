"""Which memory architecture is in charge of a base, and how that changes.

Without one the base chooses by itself (`Selection`). What is learnt natively is learnt either way; an architecture
keeps its layer beside that. One that breaks never ends a run: the one before it takes over, and it is said so.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from random import Random
from threading import RLock
from typing import NamedTuple, TypeAlias, TypeVar

from evolve.errors import EvolveError, UsageError
from evolve.types import Frozen
from knowledge.architecture import DesignError, MemoryArchitecture
from knowledge.bank import Bank
from knowledge.design import Design, built, seeds, signals
from knowledge.genome import Genome, compose
from knowledge.history import History, Moment
from knowledge.installed import Installed
from knowledge.ledger import Ledger, Line
from knowledge.log import ARCHITECTURE, BASE, subject
from knowledge.replica import Embed
from knowledge.selection import Asked

OpenDesign: TypeAlias = Callable[[Design], MemoryArchitecture]
"""Makes an architecture ready to work. Raises DesignError where it is broken, UsageError where it cannot work here."""
SUBJECT = subject(ARCHITECTURE, BASE)
BUILT_IN = "built-in"
ID_CHARACTERS = 12
T = TypeVar("T")
logger = logging.getLogger(__name__)


class InCharge(Frozen):
    """An architecture's place in the log."""

    id: str
    """The same for the same source and parameters."""
    name: str
    source: str
    params: Mapping[str, float] = {}
    genome: Genome | None = None
    """What it was composed of, where it was."""
    why: str = ""
    score: float | None = None
    """What it was chosen by; higher is better."""
    under: int = 0
    """Number of the change that had put the one before it in charge; 0 for none."""

    @property
    def design(self) -> Design:
        return Design(self.name, self.source, self.params)


class Installation(NamedTuple):
    name: str
    """`built-in` where no architecture is installed."""
    id: str = ""
    since: float = 0.0
    """Unix seconds."""
    why: str = ""
    score: float | None = None
    records: int = 0
    """Active ones of its layer."""


def shipped(design: Design) -> MemoryArchitecture:
    """Only what is shipped is built in this process. Raises UsageError for anything else."""
    if not is_shipped(design):
        raise UsageError(
            f"the memory architecture {design.name} is none of those that are shipped "
            f"({', '.join(seeds())}): it needs a sandbox to work in"
        )
    return built(design)


def is_shipped(design: Design) -> bool:
    return any(seed.source == design.source for seed in seeds().values())


def design_id(design: Design) -> str:
    told = json.dumps([design.source, sorted(design.params.items())])
    return hashlib.sha256(told.encode()).hexdigest()[:ID_CHARACTERS]


class Architectures:
    """Safe from several threads; follows what other processes install. Raises StorageError.

    `embed`: opens the base's embedding.
    """

    def __init__(
        self, bank: Bank, ledger: Ledger, embed: Callable[[], Embed], open_design: OpenDesign = shipped
    ) -> None:
        self._bank = bank
        self._ledger = ledger
        self._embed = embed
        self._open_design = open_design
        self._lock = RLock()
        self._opened: Installed | None = None
        self._state: InCharge | None = None
        """Of what is open."""
        self._seq = 0
        """The change that had put in charge what is open, or something under which it is."""
        self._broken: set[str] = set()
        """Architectures that cannot work in this process."""

    def close(self) -> None:
        with self._lock:
            self._drop()
            self._seq = 0

    # -- what is in charge at work; None or nothing where the base chooses by itself

    def recall(self, asked: Asked, rng: Random) -> list[Line] | None:
        return self._with(lambda installed: installed.recall(asked, rng))

    def catch_up(self) -> None:
        """Let the architecture know of all that has happened."""
        self._with(lambda installed: installed.catch_up())

    def tick(self, now: float) -> None:
        self._with(lambda installed: installed.tick(now))

    def _with(self, act: Callable[[Installed], T]) -> T | None:
        while (installed := self._current()) is not None:
            try:
                return act(installed)
            except DesignError as fault:
                with self._lock:
                    if installed is self._opened:  # else another thread was faster, and has closed it under this one
                        _pass_on(fault)
                        self._fall_back(fault)
        return None

    def _current(self) -> Installed | None:
        """Raises no DesignError."""
        if self._newest() == self._seq:
            return self._opened
        with self._lock:
            while (seq := self._newest()) != self._seq:
                self._drop()
                self._open(seq, self._at(seq))
            return self._opened

    def _open(self, seq: int, state: InCharge | None) -> None:
        """Open what is in charge, or the first under it that can be."""
        while state is not None:
            if state.id not in self._broken:
                try:
                    self._opened = self._installed(state)
                    break
                except UsageError as fault:
                    self._leave(state, str(fault))
                except DesignError as fault:
                    self._leave(state, str(fault))
                    self._note_fall(state, str(fault))
            state = self._at(state.under)
        self._state, self._seq = state, seq

    def _installed(self, state: InCharge) -> Installed:
        return Installed(self._bank, self._ledger, state.id, lambda: self.make(state), self._embed())

    def make(self, state: InCharge) -> MemoryArchitecture:
        """As it would work here. Raises DesignError where it is broken, UsageError where it cannot work here."""
        if state.genome is not None and _is_composed(state.design, state.genome):
            return built(state.design)
        return self._open_design(state.design)

    def _drop(self) -> None:
        if self._opened is not None:
            self._opened.close()
        self._opened = self._state = None

    def _fall_back(self, fault: DesignError) -> None:
        """With the lock held."""
        state = self._state
        assert state is not None, "what is open is in charge"
        self._leave(state, str(fault))
        self._note_fall(state, str(fault))
        self._drop()
        self._seq = -1

    def _leave(self, state: InCharge, reason: str) -> None:
        self._broken.add(state.id)
        under = self._at(state.under)
        logger.warning(
            "the memory architecture %s does not work here (%s); %s takes its place",
            state.name, reason, under.name if under else f"the {BUILT_IN} one",
        )  # fmt: skip

    def _note_fall(self, state: InCharge, reason: str) -> None:
        """Put the one before in charge, for everybody."""
        with self._bank.transaction():
            if self.in_charge() == state:
                self._put(self._at(state.under), "fall back", f"{state.name} broke: {reason}")

    # -- which it is

    def moments(self) -> list[Moment]:
        """All that ever happened, as an architecture that is installed is told it, in order."""
        return History(self._bank, self._ledger).moments()

    def sources(self, item: str) -> tuple[str, ...]:
        """The attempts that an item rests on, whoever keeps it; none where it is not there any more."""
        if (native := self._bank.get(item)) is not None:
            return native.sources
        kept = self._bank.layer.find(item)
        return kept.record.sources if kept else ()

    @property
    def embed(self) -> Embed:
        """The base's own embedding."""
        return self._embed()

    def installed(self) -> Installation:
        """As the base has it, whether it can work here or not."""
        row = self._bank.database.row("SELECT time FROM log WHERE seq = ?", self._newest())
        since, state = row[0] if row else 0.0, self.in_charge()
        if state is None:
            return Installation(BUILT_IN, since=since)
        return Installation(state.name, state.id, since, state.why, state.score, self._bank.layer.count(state.id))

    def in_charge(self) -> InCharge | None:
        return self._at(self._newest())

    def previous(self) -> InCharge | None:
        """What `rollback` puts in charge; None for the built-in choice, and where nothing is installed."""
        state = self.in_charge()
        return self._at(state.under) if state else None

    def install(
        self, design: Design, why: str, score: float | None = None, *, genome: Genome | None = None
    ) -> Installation:
        """Put an architecture in charge, after it was told all that ever happened to the base, in order.

        All or nothing. Raises DesignError where it breaks, UsageError where it cannot work here.
        """
        with self._lock:
            embed = self._embed()  # opened outside of the transaction
            state = InCharge(
                id=design_id(design), name=design.name, source=design.source, params=design.params, genome=genome,
                why=why, score=score,
            )  # fmt: skip
            fresh = Installed(self._bank, self._ledger, state.id, lambda: self.make(state), embed, anew=True)
            try:
                with fresh.rehearsed():
                    self._put(state.model_copy(update={"under": self._newest()}), "install", why)
            except DesignError as fault:
                _pass_on(fault)
                raise
            finally:
                fresh.close()
            self._broken.discard(state.id)
        return self.installed()

    def rollback(self, why: str = "") -> Installation:
        """Put the architecture before the present one in charge again, as it was, and tell it what it missed.

        Raises UsageError where none is installed.
        """
        with self._lock, self._bank.transaction():
            state = self.in_charge()
            if state is None:
                raise UsageError("no memory architecture is installed; the built-in choice is in charge")
            under = self._at(state.under)
            self._put(under, "rollback", why or f"from {state.name}")
        self.catch_up()
        return self.installed()

    def _put(self, state: InCharge | None, what: str, why: str) -> None:
        data = state.model_dump_json(exclude_defaults=True) if state else None
        self._bank.log.append(SUBJECT, what, why, data)

    def _newest(self) -> int:
        """Number of the change that said last what is in charge; 0 for none."""
        [(seq,)] = self._bank.database.rows("SELECT max(seq) FROM log WHERE subject = ?", SUBJECT)
        return int(seq or 0)

    def _at(self, seq: int) -> InCharge | None:
        row = self._bank.database.row("SELECT data FROM log WHERE seq = ? AND subject = ?", seq, SUBJECT)
        return _parsed(row[0]) if row else None


def _pass_on(fault: DesignError) -> None:
    """Raise what broke under an architecture: its embedding, its sandbox, the base itself."""
    if isinstance(fault.__cause__, EvolveError):
        raise fault.__cause__ from fault


def _is_composed(design: Design, genome: Genome) -> bool:
    """Whether the text is exactly what these programs of shipped designs give."""
    known = {**signals(), **seeds()}
    return known.keys() >= set(genome.parts) and compose(design.name, genome, known, {}).source == design.source


def _parsed(data: str | None) -> InCharge | None:
    return InCharge.model_validate_json(data) if data else None
