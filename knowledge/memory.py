"""The knowledge base as a run sees it: recall before an attempt, credit and absorb after it, reflect now and then."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from types import TracebackType
from typing import NamedTuple, Self

from evolve.errors import NotFoundError, UsageError
from evolve.types import Attempt, Experience, Recalled, Task
from knowledge import distil
from knowledge.bank import Bank, Card
from knowledge.embed import Embedding, HashEmbedding
from knowledge.index import Index
from knowledge.ledger import Ledger, Line
from knowledge.retrieval import FACTOR, Match, Retrieval, one_of_each
from knowledge.values import INFEASIBLE, POOL_FACTOR, Choice, Option, Value, choose

BANK = "bank.sqlite"
INDEX = "index"
PROMPT_CHARACTERS = 400
"""How much of a task's prompt says what the task is about."""
INSIGHTS = 64
"""Insights that compete for the slot kept for them."""
ENOUGH = 1000
"""Records that the words of one recall may lead to, at 4 microseconds each."""
LEAST_SLOTS, SLOTS_PER_INSIGHT = 3, 4
"""From three slots on, one in four is kept for an insight; insights then take no others."""


class Found(NamedTuple):
    experience: Experience
    score: float
    """Cosine similarity to the query, -1 to 1; 1 for an item asked for by id."""
    values: Mapping[str, float]
    """stage -> learnt value over all states."""
    uses: int
    """Times it was in front of a writer."""


class Stats(NamedTuple):
    folder: str
    experiences: Mapping[str, int]
    """kind -> count."""
    tasks: Mapping[str, int]
    """task -> experiences of its own."""
    recalls: int
    credited: int
    values: int
    changes: int
    megabytes: float
    embedding: str


class Memory:
    """Safe from several threads, and several processes may open the same folder.

    Raises StorageError when the disk fails, UsageError when the folder cannot be a knowledge base.
    """

    def __init__(self, folder: Path, embedding: Embedding | None = None) -> None:
        self.folder = folder
        self._embedding = embedding or HashEmbedding()
        self._bank = Bank(folder / BANK)
        self._ledger = Ledger(self._bank)
        self._index = Index(folder / INDEX, self._bank, self._embedding.id)
        self._retrieval = Retrieval(self._bank, self._index, self._embedding)
        self._embed_the_rest()

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the knowledge base in `folder`, a new one where there is none."""
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file; a knowledge base is a folder")
        return cls(folder)

    def close(self) -> None:
        self._index.close()
        self._bank.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- before an attempt

    def recall(
        self,
        *,
        attempt: str,
        task: Task,
        stage: str,
        state: str,
        rng: Random,
        k: int = 4,
        hold_out: frozenset[str] = frozenset(),
    ) -> list[Recalled]:
        """Up to `k` experiences for one attempt, and the receipt for them; asked again, the same ones.

        `state`: the bottleneck of what is to be improved, empty when unknown. Nothing that comes from a task in
        `hold_out` is recalled, neither its own experiences nor insights that rest on them.
        With `k` of 3 and more one slot in four is kept for an insight, and no task fills more than half of the
        slots while another has something to offer.
        """
        lines = self._ledger.receipt(attempt)
        if lines is None:
            picked = self._pick(task, stage, state, rng, k, hold_out)
            lines = self._ledger.issue(attempt, task=task.id, stage=stage, state=state, lines=picked)
        known = {experience.id: experience for experience in self._bank.many([line.item for line in lines])}
        return [
            Recalled(known[line.item], line.similarity, line.value, line.why) for line in lines if line.item in known
        ]

    def _pick(self, task: Task, stage: str, state: str, rng: Random, k: int, hold_out: frozenset[str]) -> list[Line]:
        barred = self._bank.resting_on(hold_out) if hold_out else set()

        def allowed(card: Card) -> bool:
            return card.domain in {task.domain, ""} and card.task not in hold_out and card.id not in barred

        query = _query(task, stage, state)
        kept = max(1, k // SLOTS_PER_INSIGHT) if k >= LEAST_SLOTS else 0
        lines = self._chosen(self._insights(task, state, query, allowed), kept, rng, stage, state, most=kept)
        slots = k - len(lines)
        matches = self._retrieval.around(
            query,
            FACTOR * POOL_FACTOR * slots,
            keep=lambda card: allowed(card) and not (kept and card.kind == distil.INSIGHT),
            more=self._bank.leaders(task.domain, state),
            enough=ENOUGH,
        )
        pool = _pool(matches, task.id, POOL_FACTOR * slots)
        return lines + self._chosen(pool, slots, rng, stage, state, most=max(1, k // 2))

    def _insights(self, task: Task, state: str, query: str, allowed: Callable[[Card], bool]) -> list[Match]:
        """Those about this very state, or about any where there is none; the most promising first."""
        for where in (state, None):
            cards = [card for card in self._bank.insights(task.domain, where, INSIGHTS) if allowed(card)]
            if cards:
                similar = self._retrieval.similarities(cards, query)
                return [Match(card, similar.get(card.id, 0.0), 0.0) for card in cards]
        return []

    def _chosen(
        self, matches: Sequence[Match], slots: int, rng: Random, stage: str, state: str, *, most: int | None
    ) -> list[Line]:
        values = self._ledger.values([match.card.id for match in matches], stage, state)
        pool = {
            match.card.id: (match, Option(match.card.id, match.card.task, values.get(match.card.id, Value())))
            for match in matches
        }
        choices = choose([option for _, option in pool.values()], slots, rng, most=most)
        return [_line(choice, pool, stage) for choice in choices]

    # -- after an attempt

    def credit(self, *, attempt: str, stage: str, reward: float | None, parent: str | None = None) -> None:
        """Teach what was recalled for the attempt how it went; the first call for an attempt counts, others do nothing.

        `reward`: as `policy.reward` gives it, not normalised; None is an infeasible attempt. `parent`: attempt
        that was refined; its experience is credited too, as EvoKernel does with the starting point.
        An attempt that never recalled credits nothing.
        """
        raw = INFEASIBLE if reward is None else reward
        also = self._bank.learnt_from(parent) if parent else None
        self._ledger.credit(attempt, stage=stage, raw=raw, also=also)

    def absorb(
        self, *, task: Task, attempt: Attempt, parent: Attempt | None, baseline: float | None = None
    ) -> Experience:
        """Keep what the attempt teaches; the experience that is there already for a repeated attempt or candidate.

        `baseline`: the score of the task's own seed, with which a draft is compared.
        """
        earlier = self._recipe(parent)
        made = distil.experience(task, attempt, parent, earlier=earlier, baseline=baseline)
        content = distil.content_hash(made.payload)
        keys = f"{made.text} {made.technique} {_query(task, made.stage, made.state)}"
        vector = self._embedding.embed([keys])[0]
        with self._bank.transaction():
            known = self._bank.learnt_from(attempt.id)
            if known is None and content:
                known = self._bank.same_content(task.id, content, made.kind)
            self._remember(task, attempt, known or made.id)
            if known is not None:
                return self._bank.many([known])[0]
            self._bank.put(
                made, keys=keys, content=content, vector=vector, embedding=self._embedding.id, why=attempt.id
            )
        return made

    def _remember(self, task: Task, attempt: Attempt, record: str) -> None:
        told = task.model_dump_json()
        self._bank.add_event(f"task:{distil.content_hash(told)}", kind="task", task=task.id, data=told)
        self._bank.add_event(
            attempt.id, kind="attempt", task=task.id, data=attempt.model_dump_json(exclude_defaults=True), record=record
        )

    def _recipe(self, parent: Attempt | None) -> tuple[str, ...]:
        if parent is None:
            return ()
        record = self._bank.learnt_from(parent.id)
        known = self._bank.get(record) if record else None
        return known.recipe if known else distil.steps(parent.candidate.technique)

    def reflect(self, *, run: str) -> list[Experience]:
        """Distil insights from every trace and failure of the base; those that are new or changed."""
        observations = [
            distil.Observation(domain, state, technique, kind == distil.TRACE, gain, attempt)
            for domain, state, technique, kind, gain, attempt in self._bank.outcomes()
        ]
        made = distil.insights(observations)
        known = {insight.id: insight for insight in self._bank.many([insight.id for insight in made])}
        changed = [insight for insight in made if known.get(insight.id) != insight]
        vectors = self._embedding.embed([insight.text for insight in changed])
        with self._bank.transaction():
            for insight, vector in zip(changed, vectors, strict=True):
                self._bank.put(
                    insight,
                    keys=insight.text,
                    content="",
                    vector=vector,
                    embedding=self._embedding.id,
                    why=f"reflect {run}",
                )
        return changed

    # -- looking

    def search(self, query: str, *, k: int = 10, task: str | None = None, kind: str | None = None) -> list[Found]:
        """The best matches for a text, learnt values aside."""
        matches = self._retrieval.find(
            query, k, keep=lambda card: task in {None, card.task} and kind in {None, card.kind}
        )
        return self._found({match.card.id: match.similarity for match in matches})

    def insights(self) -> list[Experience]:
        """Every insight there is, largest gains first."""
        rows = self._bank.database.rows("SELECT id FROM records WHERE kind = 'insight' ORDER BY gain DESC, n")
        return self._bank.many([name for (name,) in rows])

    def show(self, experience: str) -> Found:
        """Raises NotFoundError, with the nearest names."""
        found = self._found({experience: 1.0})
        if not found:
            raise NotFoundError.among("experience", experience, self._bank.ids())
        return found[0]

    def stats(self) -> Stats:
        rows = self._bank.database.rows
        [(recalls, credited, values)] = rows(
            "SELECT count(*), coalesce(sum(credited), 0), (SELECT count(*) FROM item_values WHERE state = '*')"
            " FROM receipts"
        )
        return Stats(
            folder=str(self.folder),
            experiences=dict(rows("SELECT kind, count(*) FROM records GROUP BY kind ORDER BY kind")),
            tasks=dict(rows("SELECT task, count(*) FROM records WHERE task != '' GROUP BY task ORDER BY task")),
            recalls=recalls,
            credited=credited,
            values=values,
            changes=self._bank.seq,
            megabytes=self._bank.path.stat().st_size / 1e6,
            embedding=self._embedding.id,
        )

    def _found(self, scores: Mapping[str, float]) -> list[Found]:
        items = list(scores)
        values, uses = self._ledger.by_stage(items), self._ledger.uses(items)
        return [
            Found(known, scores[known.id], values.get(known.id, {}), uses.get(known.id, 0))
            for known in self._bank.many(items)
        ]

    def _embed_the_rest(self) -> None:
        """Records that were written under another embedding are found under this one too."""
        while rest := self._bank.without_vector(self._embedding.id, limit=1000):
            vectors = self._embedding.embed([keys for _, keys in rest])
            with self._bank.transaction():
                for (n, _), vector in zip(rest, vectors, strict=True):
                    self._bank.put_vector(n, self._embedding.id, vector)


def _query(task: Task, stage: str, state: str) -> str:
    """What a task is about, in the words that its experiences are found by."""
    return " ".join((task.id, *task.tags, state, stage, task.prompt[:PROMPT_CHARACTERS]))


def _pool(matches: Sequence[Match], task: str, size: int) -> list[Match]:
    """The best matches, nothing twice, not more than half of them the task's own while there are others.

    Twice to a writer is: the same code; of its own task the same technique in the same state; of another task all
    but the best way out of a state.
    """

    def sort(card: Card) -> str:
        if card.kind == distil.INSIGHT:
            return card.id
        return "|".join((card.task, card.kind, card.state, card.technique if card.task == task else ""))

    distinct = one_of_each(one_of_each(matches, sort=lambda card: card.content or card.id), sort)
    own = [match for match in distinct if match.card.task == task]
    others = [match for match in distinct if match.card.task != task]
    room = max(size // 2, size - len(others))
    kept = own[:room] + others[: size - min(room, len(own))]
    return sorted(kept, key=lambda match: (-match.fused, -match.card.seq))


def _line(choice: Choice, pool: Mapping[str, tuple[Match, Option]], stage: str) -> Line:
    match, option = pool[choice.id]
    why = f"similar {match.similarity:.2f}, value {option.value.q:+.2f} (n={option.value.n}) at {stage}"
    if choice.drawn:
        why += "; drawn by chance"
    elif choice.beat is not None:
        other, rival = pool[choice.beat]
        why += f"; beat {choice.beat} (similar {other.similarity:.2f}, value {rival.value.q:+.2f})"
    return Line(choice.id, match.similarity, option.value.q, why)
