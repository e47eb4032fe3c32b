"""The knowledge base as a run sees it: recall before an attempt, credit and absorb after it, reflect now and then.

An installed memory architecture picks what is recalled, and is told of the rest; see `architectures`.
"""

import json
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple, Self

from evolve.errors import UsageError
from evolve.types import Attempt, Experience, Recalled, Task
from knowledge import distil
from knowledge.bank import ACTIVE, EXPIRED, FORGOTTEN, QUARANTINED, SUPERSEDED, Held, keyed
from knowledge.charge import Architectures, OpenDesign, shipped
from knowledge.guides import Guide
from knowledge.history import FEEDBACK
from knowledge.library import ANY, EMBEDDING_ID, Filters, Library
from knowledge.meter import Use
from knowledge.render import CHARACTERS_PER_TOKEN
from knowledge.selection import Asked, Selection, about
from knowledge.values import INFEASIBLE, OVERALL, POOL_FACTOR, Rule, signatures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REFLECTED = "reflected"
"""What the bank notes: the last change that insights were distilled from."""
HIDDEN_BY_HAND = frozenset({EXPIRED, FORGOTTEN, SUPERSEDED})
"""An insight that somebody put away is not brought back by what is learnt later."""
SOURCES = 32
"""Attempts that an insight names, the latest."""


class Consultation(NamedTuple):
    receipt: str
    """What feedback is given on."""
    recalled: Sequence[Recalled]


class Memory(Library):
    def __init__(
        self,
        folder: Path,
        *,
        embedding: str = "",
        server: str = "",
        rule: Rule = "evokernel",
        open_design: OpenDesign = shipped,
    ) -> None:
        super().__init__(folder, embedding=embedding, server=server)
        self._rule = rule
        self.architectures = Architectures(self._bank, self._ledger, lambda: self._embedding.embed, open_design)

    @classmethod
    def open(cls, folder: Path, *, embedding: str = "", server: str = "", open_design: OpenDesign = shipped) -> Self:
        """As `Library.open`. `open_design`: makes an installed memory architecture ready to work."""
        return cls(folder, embedding=embedding, server=server, open_design=open_design)

    def close(self) -> None:
        self.architectures.close()
        super().close()

    def ready(self) -> None:
        super().ready()
        self.architectures.catch_up()

    @property
    def _selection(self) -> Selection:
        return Selection(self._bank, self._ledger, self._retrieval, self._rule)

    # -- before an attempt

    def recall(
        self,
        *,
        attempt: str,
        task: Task,
        stage: str,
        state: str,
        rng: Random,
        hardware: str = "",
        k: int = 4,
        hold_out: frozenset[str] = frozenset(),
    ) -> list[Recalled]:
        """Up to `k` experiences for one attempt, and the receipt for them; asked again, the same ones.

        `state`: the bottleneck of what is to be improved on `hardware`, both empty when unknown. Nothing that comes
        from a task in `hold_out` is recalled, neither its own experiences nor insights that rest on them.
        """
        with self._meter.measure("recall") as use:
            if self._ledger.receipt(attempt) is None:
                states = signatures(state, task.tags[0] if task.tags else task.id)
                asked = Asked(task, stage, state, states, hardware, k, hold_out)
                lines = self.architectures.recall(asked, rng)
                if lines is None:
                    lines = self._selection.pick(asked, rng)
                self._ledger.issue(attempt, task=task.id, stage=stage, states=states, lines=lines)
            recalled = self._recalled(attempt)
            use.tokens = sum(_characters(item.experience) for item in recalled) // CHARACTERS_PER_TOKEN
        return recalled

    def _recalled(self, receipt: str) -> list[Recalled]:
        return [
            Recalled(experience, line.similarity, line.value, line.reason.text)
            for line in self._ledger.lines(receipt)
            if (experience := self._experience(line.item))
        ]

    def worth(self, attempts: Sequence[str], stage: str) -> dict[str, float]:
        """Learnt value, over all states, of what the attempts left behind; none for what was never credited."""
        records = {attempt: record for attempt in attempts if (record := self._bank.learnt_from(attempt))}
        known = self._ledger.by_stage(list(records.values()))
        found = {attempt: known.get(record, {}).get(stage) for attempt, record in records.items()}
        return {attempt: value.worth(self._rule) for attempt, value in found.items() if value is not None}

    # -- after an attempt

    def credit(self, *, attempt: str, stage: str, reward: float | None, parent: str | None = None) -> None:
        """Teach what was recalled for the attempt how it went; the first call for an attempt counts, others do nothing.

        `reward`: as `policy.reward` gives it, not normalised; None is an infeasible attempt. `parent`: attempt
        that was refined; its experience is credited too, as EvoKernel does with the starting point.
        An attempt that never recalled credits nothing, and neither does one refined from a revoked one.
        """
        raw = INFEASIBLE if reward is None else reward
        also = self._bank.learnt_from(parent) if parent else None
        with self._meter.measure("credit"), self._bank.transaction():
            self._ledger.credit(attempt, stage=stage, raw=raw, also=also, counts=not self.hygiene.tainted(parent))
            self._meter.flush()
        self.architectures.catch_up()

    def absorb(
        self,
        *,
        task: Task,
        attempt: Attempt,
        parent: Attempt | None,
        baseline: float | None = None,
        state: str = "",
    ) -> Experience:
        """Keep what the attempt teaches; the experience that is there already for a repeated attempt or candidate.

        A candidate that hands back the code it was shown teaches nothing new either. `baseline`: the score of the
        task's own seed, with which a draft is compared. `state`: the bottleneck that an analyst saw in the parent,
        under which the technique is counted; the profile's without.
        """
        with self._meter.measure("absorb") as use:
            learnt = self._absorb(task, attempt, parent, baseline, state, use)
            self.architectures.catch_up()
        return learnt

    def _absorb(
        self, task: Task, attempt: Attempt, parent: Attempt | None, baseline: float | None, state: str, use: Use
    ) -> Experience:
        earlier = self._recipe(parent)
        made = distil.experience(task, attempt, parent, earlier=earlier, baseline=baseline, state=state)
        keys = f"{made.text} {made.technique} {about(task, made.stage, made.state)}"
        vector = self._vector(keys)
        with self._bank.transaction():
            known = self._bank.learnt_from(attempt.id)
            if known is None and (content := distil.content_hash(made.payload)):
                known = self._bank.same_content(task.id, content, made.kind)
            self._remember(task, attempt, known or made.id)
            if known is not None:
                if (there := self._bank.get(known)) is not None:
                    return there
                made = made.model_copy(update={"id": known})  # it was rolled back; the event says its name
            status = QUARANTINED if self.hygiene.tainted(attempt.candidate.parent) else ACTIVE
            self._put(Held(experience=made, keys=keys, status=status), vector, why=attempt.id)
            use.bytes = len(made.text) + len(made.payload)
        return made

    def _put(self, held: Held, vector: "NDArray[np.float32]", *, why: str, what: str = "add") -> None:
        """Within a transaction. Raises UsageError when the base was given another embedding since it was opened."""
        if self._bank.meta(EMBEDDING_ID) != self._embedding.id:
            raise UsageError(f"{self.folder} was given another embedding meanwhile; open it again")
        self._bank.vectors.put(keyed(held.keys), self._embedding.id, vector)
        self._bank.put(held, what=what, why=why)

    def _remember(self, task: Task, attempt: Attempt, record: str) -> None:
        told = task.model_dump_json()
        self._bank.add_event(f"task:{distil.content_hash(told)}", kind="task", task=task.id, data=told)
        self._bank.add_event(
            attempt.id,
            kind="attempt",
            task=task.id,
            data=attempt.model_dump_json(exclude_defaults=True),
            record=record,
            parent=attempt.candidate.parent,
        )

    def _recipe(self, parent: Attempt | None) -> tuple[str, ...]:
        if parent is None:
            return ()
        record = self._bank.learnt_from(parent.id)
        known = self._bank.get(record) if record else None
        return known.recipe if known else distil.steps(parent.candidate.technique)

    def reflect(self, *, run: str) -> list[Experience]:
        """Distil insights from what was learnt since the last time; those that are new or changed.

        An installed architecture tidies up, too.
        """
        with self._meter.measure("reflect"):
            self.hygiene.expire_due()
            now = self._bank.seq
            fresh, bare = self._distilled()
            vectors = self._embedding.embed([insight.text for insight in fresh])
            with self._bank.transaction():
                self.hygiene.unsupported(bare, f"reflect {run}: nothing is left to rest on")
                for insight, vector in zip(fresh, vectors, strict=True):
                    self._put(Held(experience=insight, keys=insight.text), vector, why=f"reflect {run}", what="distil")
                self._bank.note(REFLECTED, str(now))
            self.architectures.tick(time.time())
        return fresh

    def _distilled(self) -> tuple[list[Experience], list[str]]:
        """(insights that are new or other than those held, ids of those that rest on too little)."""
        techniques = self._bank.techniques
        fresh, bare = [], []
        for group, seen in techniques.changed(int(self._bank.meta(REFLECTED) or 0)):
            if seen.tries < distil.LEAST_OBSERVATIONS:
                bare.append(distil.insight_id(group))
                continue
            insight = distil.insight(group, seen, techniques.sources(group, SOURCES))
            held = self._bank.held(insight.id)
            if held is not None:
                if held.status in HIDDEN_BY_HAND:
                    continue
                insight = insight.model_copy(update={"expires": held.experience.expires})
            if held is None or held.status == QUARANTINED or held.experience != insight:
                fresh.append(insight)
        return fresh, bare

    # -- what an analyst and a curator write

    def found(self, guide: Guide, why: str) -> bool:
        """Keep the first guide of a state; False where there is one, which whoever found the state may not have seen:
        it rests on a task that was held out from them, or another attempt of the same round wrote it.
        """
        there = self.guide(guide.domain, guide.state, guide.hardware)
        return not there.sources and self.revise(guide, why)

    def revise(self, guide: Guide, why: str) -> bool:
        """Keep a guide, or its next version; False where nothing changes.

        Nor does it where somebody put the guide away, or where it rests on what is in quarantine.
        """
        made = guide.experience
        vector = self._vector(guide.keys)
        with self._bank.transaction():
            held = self._bank.held(made.id)
            if held is not None:
                if held.status in HIDDEN_BY_HAND:
                    return False
                made = made.model_copy(update={"expires": held.experience.expires})
                if held.status == ACTIVE and held.experience == made:
                    return False
            if any(self.hygiene.tainted(source) for source in made.sources):
                return False
            self._put(Held(experience=made, keys=guide.keys), vector, why=why, what="revise")
        return True

    def keep(self, insights: Sequence[Experience], *, run: str) -> list[Experience]:
        """Add insights that a curator wrote; those that are new.

        What rests on nothing that happened, or on anything in quarantine, is left out.
        """
        vectors = self._embedding.embed([insight.text for insight in insights])
        with self._bank.transaction():
            fresh = [pair for pair in zip(insights, vectors, strict=True) if self._is_new(pair[0])]
            for insight, vector in fresh:
                self._put(Held(experience=insight, keys=insight.text), vector, why=f"curate {run}", what="distil")
        return [insight for insight, _ in fresh]

    def _is_new(self, insight: Experience) -> bool:
        held = self._bank.held(insight.id)
        known = all(self._bank.happened(source) and not self.hygiene.tainted(source) for source in insight.sources)
        return bool(insight.sources) and known and (held is None or held.status == QUARANTINED)

    # -- for others than runs

    def consult(self, query: str, *, asker: str, k: int = 5, where: Filters = ANY) -> Consultation:
        """What helps best with `query`, by match and by what feedback has said; leaves a receipt for more of it."""
        receipt = f"{asker}/{secrets.token_hex(6)}"
        with self._meter.measure("consult"):
            now = time.time()
            matches = self._retrieval.find(
                query,
                POOL_FACTOR * k,
                keep=lambda card: where.keep(card, now) and (card.kind != distil.GUIDE or where.kind == distil.GUIDE),
            )
            lines = self._selection.chosen(matches, k, Random(receipt), FEEDBACK, (OVERALL,))
            self._ledger.issue(receipt, task=where.task, stage=FEEDBACK, states=(OVERALL,), lines=lines)
            return Consultation(receipt, self._recalled(receipt))

    def feedback(self, receipt: str, *, reward: float, note: str = "") -> int:
        """Tell how what a consultation gave has helped, from -1 (misled) to 1; how many items were taught.

        It is learnt at a stage of its own, apart from what a judge measured. Only the first report counts.
        Raises UsageError for a reward outside of that, and for a receipt that is none of a consultation.
        """
        if not -1 <= reward <= 1:
            raise UsageError(f"a reward is a number from -1 (misled) to 1 (helped), not {reward}")
        found = self._ledger.receipt(receipt)
        if found is None or found.stage != FEEDBACK:
            raise UsageError(f"there is no consultation {receipt!r}; give the receipt that a search answered with")
        with self._bank.transaction():
            told = json.dumps({"receipt": receipt, "reward": reward, "note": note})
            self._bank.add_event(f"feedback:{receipt}", kind="feedback", task=found.task, data=told)
            return self._ledger.credit(receipt, stage=FEEDBACK, raw=reward)


def _characters(experience: Experience) -> int:
    return len(experience.text) + len(experience.payload)
