"""What a run is made of, and what it tells whoever watches."""

from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from agents.writer import Writer
from evolve.budget import Budget
from evolve.domain import Domain
from evolve.journal import Journal, Planned
from evolve.strategy import Strategy
from evolve.types import Sandbox, Task
from knowledge.memory import Memory

if TYPE_CHECKING:
    from agents.analyst import Analyst
    from agents.curator import Curator
    from agents.inspector import Inspector
    from knowledge.lore import Lore


class Step(NamedTuple):
    """Something to show."""

    phase: str
    """`schedule`, `recall`, `write`, `judge`, `learn`, `reflect`, `confirm` or `wait`."""
    plan: Planned | None = None
    text: str = ""


Listener = Callable[[Step], None]
"""Called from several threads; what it raises ends the run."""


class Parts(NamedTuple):
    """Built by `evolve.config.assemble` and nowhere else."""

    run: str
    seed: int
    parallel: int
    per_task: int
    """Attempts each task gets."""
    tasks: Mapping[str, Task]
    domains: Mapping[str, Domain]
    writer: Writer
    sandbox: Sandbox
    memory: Memory
    journal: Journal
    budget: Budget
    hold_out: frozenset[str]
    """Tasks whose own experiences are kept from the writer."""
    strategy: Strategy
    redesign: Callable[[], str]
    """Looks for a better memory architecture for the knowledge base; says what came of it."""
    redesign_every: int
    """Attempts after which that is done again; 0: never."""
    listen: Listener
    analyst: "Analyst | None" = None
    """Says what holds a program back, where the strategy asks and there is a model."""
    inspector: "Inspector | None" = None
    """Looks for cheats in what the judge accepted."""
    curator: "Curator | None" = None
    """Distils insights from attempts."""
    lore: Callable[[str], "Lore | None"] = lambda _domain: None
    """What is known of the target, by domain; None where nothing is, or no model would read it."""

    def rng(self, plan: Planned, purpose: str) -> Random:
        """The same for the same attempt and purpose, however often it is asked for."""
        return Random(f"{self.seed}/{plan.position}/{purpose}")

    def domain_of(self, task: str) -> Domain:
        return self.domains[self.tasks[task].domain]
