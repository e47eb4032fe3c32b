"""The knowledge base evolves itself: better memory architectures are looked for in its own history, and one that is
better for certain is put in charge.

Candidates are chosen on the earlier part of the history and have to prove themselves on the later one, which had no
part in the choice. The incumbent stays for going back to.
"""

import time
from collections.abc import Callable
from random import Random
from statistics import fmean
from typing import NamedTuple

from evolve.meta.breeding import Pool, Strain, breed, composed
from evolve.meta.replay import Past, Replayed, Scorer, as_it_was, past, replayed
from evolve.meta.selection import paired_error
from evolve.types import Frozen
from knowledge.architecture import DesignError, MemoryArchitecture
from knowledge.charge import BUILT_IN, InCharge, design_id
from knowledge.design import Design, built, seeds, signals
from knowledge.genome import Genome
from knowledge.memory import Memory
from knowledge.replica import Embed

LEAST_RECALLS = 40
"""Judged recalls that say something; with fewer nothing is decided."""
LEAST_LATER = 10
"""As many of them are in the later part."""
ERRORS = 2.0
"""Paired standard errors by which a candidate must be better on the rest."""
PARENTS = 6
"""The best so far, from which children are bred."""
LONGEST_RECALL_MS = 250.0
"""A candidate that is slower than this is no better for being right."""
Listener = Callable[[str], None]


class Decision(Frozen):
    installed: bool
    reason: str
    """One sentence."""
    incumbent: str
    candidate: str = ""
    recalls: int = 0
    """Judged ones that say something, for choosing and for proving together."""
    before: float = 0.0
    """Mean nDCG of the incumbent on the later part of the history; higher is better."""
    after: float = 0.0
    """Of the candidate."""
    error: float = 0.0
    """Paired standard error of the difference."""
    tried: int = 0
    failed: int = 0


class Tried(NamedTuple):
    strain: Strain
    design: Design
    result: Replayed


def evolve_base(
    memory: Memory,
    *,
    children: int,
    seed: int,
    deadline: float | None = None,
    listen: Listener = lambda _: None,
) -> Decision:
    """Look for a better architecture among the shipped ones and children of them; put it in charge if there is one.

    `deadline`: time.monotonic() after which no other is tried. Raises StorageError, and UsageError where the base
    cannot be read with its embedding, or what is in charge cannot work here.
    """
    architectures = memory.architectures
    history = past(architectures.moments(), architectures.sources)
    incumbent = architectures.in_charge()
    name = incumbent.name if incumbent else BUILT_IN
    search = Search(history, architectures.embed, Random(seed), deadline, listen)
    known = search.as_it_was()
    recalls, later = len(known.marks), len(known.marks) - known.earlier
    if recalls < LEAST_RECALLS or not LEAST_LATER <= later < recalls:
        reason = (
            f"{recalls} judged recalls say something, {later} of them in the later part, "
            f"and {LEAST_RECALLS} are needed, {LEAST_LATER} of them there; {name} stays"
        )
        return Decision(installed=False, reason=reason, incumbent=name, recalls=recalls)
    known = _incumbents(search, memory, incumbent) or known
    search.try_seeds(besides=incumbent.id if incumbent else "")
    search.try_children(children)
    if (best := search.best) is None:
        reason = f"none of {search.failed} candidates could be replayed; {name} stays"
        return Decision(installed=False, reason=reason, incumbent=name, recalls=recalls, failed=search.failed)
    decision = decided(name, known, best, tried=len(search.tried), failed=search.failed)
    if decision.installed:
        try:
            architectures.install(best.design, decision.reason, decision.after, genome=best.strain.genome)
        except DesignError as fault:
            reason = f"{decision.candidate} was better, but breaks when it is installed: {fault}; {name} stays"
            return decision.model_copy(update={"installed": False, "reason": reason})
    return decision


def _incumbents(search: "Search", memory: Memory, incumbent: InCharge | None) -> Replayed | None:
    """None for the built-in choice, which cannot be asked anew: what it gave is known. So where it breaks."""
    return search.replay(lambda: memory.architectures.make(incumbent)) if incumbent else None


class Search:
    """Candidates, replayed one after the other."""

    def __init__(self, history: Past, embed: Embed, rng: Random, deadline: float | None, listen: Listener) -> None:
        self._history = history
        self._scorer = Scorer(history)
        self.tried: list[Tried] = []
        self.failed = 0
        self._embed = embed
        self._rng = rng
        self._deadline = deadline
        self._listen = listen
        self._pool = Pool({**signals(), **seeds()}, frozenset(signals()))

    @property
    def best(self) -> Tried | None:
        """On the earlier part; of two as good the shorter one."""
        return max(self.tried, key=lambda one: (chosen_by(one.result), -one.design.lines), default=None)

    def try_seeds(self, *, besides: str) -> None:
        for name, design in seeds().items():
            if design_id(design) != besides:
                self._try(Strain(Genome.of(name), {}), name)

    def try_children(self, count: int) -> None:
        for number in range(1, count + 1):
            if not self.tried:
                return
            ranked = sorted(self.tried, key=lambda one: -chosen_by(one.result))[:PARENTS]
            parent, mate = self._rng.choice(ranked), self._rng.choice(ranked)
            proposal = breed(parent.strain, mate.strain, self._pool, self._rng)
            self._try(proposal.strain, f"{proposal.operator}-{number}")

    def _try(self, strain: Strain, name: str) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            return
        design = composed(name, strain, self._pool)
        result = self.replay(lambda: built(design))
        if result is None:
            self.failed += 1
            return
        self.tried.append(Tried(strain, design, result))
        self._listen(f"{name}: {chosen_by(result):.3f}")

    def as_it_was(self) -> Replayed:
        return as_it_was(self._history, self._scorer)

    def replay(self, build: Callable[[], MemoryArchitecture]) -> Replayed | None:
        """None where it breaks."""
        try:
            architecture = build()
            try:
                return replayed(self._history, architecture, self._embed, self._scorer)
            finally:
                getattr(architecture, "close", lambda: None)()
        except DesignError as fault:
            self._listen(f"failed: {fault}")
            return None


def chosen_by(result: Replayed) -> float:
    """Mean over the part that candidates are chosen on."""
    return fmean(result.marks[: result.earlier])


def decided(incumbent: str, known: Replayed, best: Tried, *, tried: int, failed: int) -> Decision:
    """By the later part of the history."""
    before, after = known.marks[known.earlier :], best.result.marks[known.earlier :]
    error, ahead = paired_error(after, before), fmean(after) - fmean(before)
    name, slow = best.design.name, best.result.ms > LONGEST_RECALL_MS
    measured = f"{ahead:+.3f} nDCG over {len(after)} recalls, standard error {error:.3f}"
    better = ahead > ERRORS * error and not slow
    if better:
        reason = f"{name} is better than {incumbent} by more than {ERRORS:g} standard errors ({measured})"
    elif slow:
        reason = f"{name} takes {best.result.ms:.0f} ms for a recall, and {LONGEST_RECALL_MS:.0f} are allowed"
    else:
        reason = (
            f"{name}, the best of {tried}, is not better than {incumbent} by more than {ERRORS:g} standard errors "
            f"({measured})"
        )
    return Decision(
        installed=better, reason=reason, incumbent=incumbent, candidate=name, recalls=len(known.marks),
        before=fmean(before), after=fmean(after), error=error, tried=tried, failed=failed,
    )  # fmt: skip
