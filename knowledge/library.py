"""A knowledge base to look into: search, show, why, statistics. Opening it makes a new one where there is none."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from evolve.errors import NotFoundError, StorageError, UsageError
from evolve.types import Experience
from knowledge import log as subjects
from knowledge.bank import ACTIVE, KEPT, Bank, Card, Held
from knowledge.embed import Embedding
from knowledge.embedding_models import agrees, open_embedding, probe
from knowledge.guides import Counsel, Guide, Guides
from knowledge.hygiene import Hygiene
from knowledge.index import open_index
from knowledge.layer import Kept, item
from knowledge.ledger import Ledger
from knowledge.log import subject
from knowledge.meter import Meter, Total
from knowledge.reasons import Credit, Reasons, Shown, Why, Worth
from knowledge.retrieval import Match, Retrieval
from knowledge.techniques import Statistics
from knowledge.timeline import Timeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BANK = "bank.sqlite"
INDEX = "index"
EMBEDDING, EMBEDDING_ID, PROBE = "embedding", "embedding id", "embedding probe"
"""What the bank notes of its embedding: the name it is opened by, its id, and vectors to know it again."""
LATEST = 20
"""Uses of an experience that are told one by one."""
NAMES = 1000
"""Names among which one that is not there is looked for."""


class Filters(NamedTuple):
    """What a search is limited to; empty means any."""

    task: str = ""
    domain: str = ""
    stage: str = ""
    kind: str = ""
    state: str = ""
    status: str = ACTIVE
    older: float | None = None
    """Seconds: learnt longer ago than this."""
    newer: float | None = None

    def keep(self, card: Card, now: float) -> bool:
        wanted = (self.task, self.domain, self.stage, self.kind, self.state)
        found = (card.task, card.domain, card.stage, card.kind, card.state)
        age = now - card.time
        return (
            all(want in {"", have} for want, have in zip(wanted, found, strict=True))
            and (self.older is None or age >= self.older)
            and (self.newer is None or age <= self.newer)
        )


ANY = Filters()


class Found(NamedTuple):
    experience: Experience
    score: float
    """Cosine similarity to the query, -1 to 1; 1 for an item asked for by id."""
    values: Mapping[str, float]
    """stage -> learnt value over all states (Q; higher helped more)."""
    uses: int
    """Times it was in front of a writer."""
    status: str
    why: str


class Stats(NamedTuple):
    folder: str
    experiences: Mapping[str, int]
    """kind -> how many can be found."""
    hidden: Mapping[str, int]
    """status -> how many are kept but not found."""
    tasks: Mapping[str, int]
    """task -> experiences of its own."""
    events: int
    recalls: int
    credited: int
    values: int
    changes: int
    megabytes: float
    embedding: str
    meter: Mapping[str, Total]
    alarm: str
    """What is wrong with what is stored; empty when nothing is."""


class Library:
    """Safe from several threads, and several processes may open the same folder.

    Raises StorageError when the disk fails, UsageError when the folder cannot be a knowledge base or was made with
    another embedding than the one asked for.
    """

    def __init__(self, folder: Path, *, embedding: str = "", server: str = "") -> None:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file; a knowledge base is a folder")
        self.folder = folder
        self._server = server
        self._opening = RLock()
        self._opened_embedding: Embedding | None = None
        self._opened_retrieval: Retrieval | None = None
        self._bank = Bank(folder / BANK)
        self._ledger = Ledger(self._bank)
        self._meter = Meter(self._bank.database)
        self.timeline = Timeline(self._bank, self._ledger)
        self.hygiene = Hygiene(self._bank, self._ledger)
        try:
            self._named = self._embedding_name(embedding)
        except UsageError:
            self._bank.close()
            raise

    @classmethod
    def open(cls, folder: Path, *, embedding: str = "", server: str = "") -> Self:
        """Open the knowledge base in `folder`, a new one where there is none.

        `embedding`: as in `open_embedding`, the base's own without; `server`: address of a chroma server that is to
        hold the index.
        """
        return cls(folder, embedding=embedding, server=server)

    def close(self) -> None:
        if self._opened_retrieval is not None:
            self._opened_retrieval.close()
        with suppress(StorageError):  # the meter is no truth
            self._meter.flush()
        self._bank.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the embedding, opened when the first text is embedded

    def _embedding_name(self, asked: str) -> str:
        held = self._bank.meta(EMBEDDING)
        if held and asked and asked != held:
            raise UsageError(
                f"{self.folder} is indexed with the embedding {held}; "
                f"`evolve kb rebuild --embedding {asked}` changes that for all that it holds"
            )
        return held or asked or "hash"

    @property
    def _embedding(self) -> Embedding:
        """Raises UsageError where it is not the one that the base was embedded with."""
        if (opened := self._opened_embedding) is not None:  # without the lock: whoever asks may be in a transaction
            return opened
        with self._opening:
            if self._opened_embedding is None:
                self._opened_embedding = self._own_embedding()
            return self._opened_embedding

    def _own_embedding(self) -> Embedding:
        embedding = open_embedding(self._named)
        held = self._bank.meta(PROBE)
        if not held:
            with self._bank.transaction():
                self._adopt(self._named, embedding)
        elif not agrees(held, embedding):
            raise UsageError(
                f"the embedding {self._named} gives other vectors than when {self.folder} was embedded; "
                "`evolve kb rebuild` embeds everything anew"
            )
        return embedding

    def _adopt(self, name: str, embedding: Embedding) -> None:
        """Note which embedding the base is of; what was opened with another is opened again when it is needed."""
        self._bank.note(EMBEDDING, name)
        self._bank.note(EMBEDDING_ID, embedding.id)
        self._bank.note(PROBE, probe(embedding))
        self._named = name
        self._opened_embedding = self._opened_retrieval = None

    @property
    def _retrieval(self) -> Retrieval:
        if (opened := self._opened_retrieval) is not None:
            return opened
        with self._opening:
            if self._opened_retrieval is None:
                mark = hashlib.sha256(self._bank.meta(PROBE).encode()).hexdigest()[:16]
                embedding = self._embedding
                place = self.folder / INDEX
                index = open_index(place, self._bank, embedding, fingerprint=mark, server=self._server)
                self._opened_retrieval = Retrieval(self._bank, index, embedding)
            return self._opened_retrieval

    @property
    def change(self) -> int:
        """Number of the newest line of the log; 0 when there is none."""
        return self._bank.seq

    def ready(self) -> None:
        """Open what the first recall would: raises now what that would raise."""
        assert self._retrieval

    def _vector(self, text: str) -> "NDArray[np.float32]":
        vector: NDArray[np.float32] = self._embedding.embed([text])[0]
        return vector

    # -- looking

    def search(self, query: str, *, k: int = 10, where: Filters = ANY) -> list[Found]:
        """The best matches for a text, learnt values aside; of hidden records the latest, whatever the text."""
        if where.status != ACTIVE:
            return self._found(self.matching(where)[: -k - 1 : -1])
        now = time.time()
        matches = self._retrieval.find(query, k, keep=lambda card: where.keep(card, now))
        hits = {hit.experience.id: hit for hit in self._found([match.card.id for match in matches])}
        return [
            hits[match.card.id]._replace(score=match.similarity, why=_matched(match))
            for match in matches
            if match.card.id in hits
        ]

    def matching(self, where: Filters) -> list[str]:
        """Ids of every record that the filters keep, the oldest first."""
        if where.status not in KEPT:
            raise UsageError(f"unknown status {where.status!r}; there are: {', '.join(KEPT)}")
        now = time.time()
        return [card.id for card in reversed(self._bank.with_status(where.status)) if where.keep(card, now)]

    def named(self, name: str) -> str:
        """The id of a record, by itself or by a beginning that is no other's.

        Raises UsageError where several begin so, NotFoundError where none does.
        """
        known = self._bank.beginning(name) + self._bank.layer.beginning(name)
        if name in known or len(known) == 1:
            return name if name in known else known[0]
        if known:
            raise UsageError(f"{name!r} fits several experiences: {', '.join(known[:8])}")
        raise NotFoundError.among("experience", name, self._bank.newest(NAMES))

    def insights(self, *, hold_out: frozenset[str] = frozenset()) -> list[Experience]:
        """Every insight that rests on no task in `hold_out`, largest gains first."""
        rows = self._bank.database.rows(
            "SELECT id FROM records WHERE kind = 'insight' AND status = 'active' ORDER BY gain DESC, n"
        )
        barred = self._bank.barred(hold_out)
        return self._bank.many([name for (name,) in rows if name not in barred])

    # -- what an analyst is told

    def guide(self, domain: str, state: str, hardware: str = "", *, hold_out: frozenset[str] = frozenset()) -> Guide:
        """What is advised in a bottleneck state, as `Guides.at`."""
        return Guides(self._bank).at(domain, state, hardware, hold_out)

    def guides(self, domain: str = "") -> list[Guide]:
        return Guides(self._bank).all(domain)

    def technique_statistics(
        self, domain: str, state: str, hardware: str = "", *, hold_out: frozenset[str] = frozenset()
    ) -> dict[str, Statistics]:
        """Technique -> how it fared in a bottleneck state, as `Techniques.of`."""
        return self._bank.techniques.of(domain, state, hardware, hold_out)

    def techniques(self, domain: str, *, hold_out: frozenset[str] = frozenset()) -> list[str]:
        """Names of all that were ever tried in a domain, on other tasks than those in `hold_out`."""
        return self._bank.techniques.names(domain, hold_out)

    def states(self, domain: str) -> dict[str, int]:
        """Bottleneck states known in a domain -> uses of techniques that were seen in them."""
        return {guide.state: 0 for guide in self.guides(domain) if guide.state} | self._bank.techniques.states(domain)

    def counsel(self, domain: str, hardware: str = "", *, hold_out: frozenset[str] = frozenset()) -> dict[str, Counsel]:
        """Bottleneck state -> its guide and statistics, of all states of a domain of which there is anything."""
        told = {
            state: Counsel(
                self.guide(domain, state, hardware, hold_out=hold_out),
                self.technique_statistics(domain, state, hardware, hold_out=hold_out),
            )
            for state in self.states(domain)
        }
        return {state: found for state, found in told.items() if found.statistics or found.guide.sources}

    def show(self, experience: str) -> Found:
        """Raises NotFoundError, with the nearest names."""
        [found] = self._found([self.named(experience)])
        return found

    def why(self, name: str) -> Reasons:
        """Why an attempt was given what it was given, or where an experience came from and what became of it.

        Raises NotFoundError for what is neither.
        """
        receipt = self._ledger.receipt(name)
        if receipt is not None:
            return self._why_attempt(name)
        if self._bank.held(name) is None and self._bank.layer.find(name) is None:
            known = self._bank.newest(NAMES) + self._ledger.newest(NAMES)
            raise NotFoundError.among("experience or attempt", name, known)
        return self._why_experience(name)

    def _why_attempt(self, name: str) -> Reasons:
        receipt, booked = self._ledger.receipt(name), self._ledger.booked(name)
        assert receipt is not None
        return Reasons(
            name=name,
            kind="attempt",
            stage=receipt.stage,
            task=receipt.task,
            recalled=tuple(
                Shown(rank=rank, item=line.item, similarity=line.similarity, value=line.value, why=line.reason.text)
                for rank, line in enumerate(self._ledger.lines(name), start=1)
            ),
            credit=booked
            and Credit(attempt=name, stage=booked.stage, reward=booked.raw, credit=booked.credit, counts=booked.counts),
            learnt=self._bank.learnt_from(name) or "",
        )

    def subject_of(self, name: str) -> str:
        """The subject of the log that an item is."""
        kept = self._bank.layer.find(name)
        return kept.subject if kept else subject(subjects.RECORD, name)

    def _why_experience(self, name: str) -> Reasons:
        hit = self.show(name)
        lines = reversed(self._bank.log.lines(self.subject_of(name), limit=LATEST))
        return Reasons(
            name=name,
            kind=hit.experience.kind,
            text=hit.experience.text,
            status=hit.status,
            stage=hit.experience.stage,
            task=hit.experience.task,
            sources=hit.experience.sources,
            links=self._links(name),
            uses=tuple(self._ledger.outcomes(name, LATEST)),
            used=hit.uses,
            worth=tuple(
                Worth(stage=stage, state=state, q=value.q, mean=value.mean, n=value.n)
                for stage, state, value in self._ledger.worth(name)
            ),
            history=tuple(f"{line.seq} {line.what}: {line.why}" for line in lines),
        )

    def _links(self, name: str) -> tuple[tuple[str, str], ...]:
        kept = self._bank.layer.find(name)
        if kept is None:
            return tuple(self._bank.links_of(name))
        return tuple((link.rel, item(kept.architecture, link.target)) for link in kept.record.links)

    def stats(self) -> Stats:
        rows = self._bank.database.rows
        [(recalls, credited, values, events)] = rows(
            "SELECT (SELECT count(*) FROM receipts), (SELECT count(*) FROM credits WHERE counts),"
            " (SELECT count(*) FROM item_values WHERE state = '*'), (SELECT count(*) FROM events)"
        )
        return Stats(
            folder=str(self.folder),
            experiences=dict(
                rows("SELECT kind, count(*) FROM records WHERE status = 'active' GROUP BY kind ORDER BY kind")
            ),
            hidden=dict(
                rows(
                    "SELECT status, count(*) FROM records WHERE status NOT IN ('active', 'gone') GROUP BY 1 ORDER BY 1"
                )
            ),
            tasks=dict(
                rows(
                    "SELECT task, count(*) FROM records WHERE task != '' AND status = 'active'"
                    " GROUP BY task ORDER BY task"
                )
            ),
            events=events,
            recalls=recalls,
            credited=credited,
            values=values,
            changes=self._bank.seq,
            megabytes=self._bank.path.stat().st_size / 1e6,
            embedding=self._named,
            meter=self._meter.totals(),
            alarm=self.hygiene.alarm,
        )

    def _found(self, items: Sequence[str]) -> list[Found]:
        values, uses = self._ledger.by_stage(items), self._ledger.uses(items)
        found = []
        for name in items:
            held: Held | Kept | None = self._bank.held(name) or self._bank.layer.find(name)
            if held is not None:
                worth = {stage: value.q for stage, value in values.get(name, {}).items()}
                experience = held.experience if isinstance(held, Held) else self._bank.layer.experience(held)
                found.append(Found(experience, 1.0, worth, uses.get(name, 0), held.status, ""))
        return found

    def _experience(self, name: str) -> Experience | None:
        """By the name of an item: a native record, or one of a memory architecture."""
        if (native := self._bank.get(name)) is not None:
            return native
        kept = self._bank.layer.find(name)
        return self._bank.layer.experience(kept) if kept else None


def _matched(match: Match) -> str:
    return Why(match.similarity, match.words, match.meaning, 0, 0, 0, "", match.fused, "match", None, 0).text
