"""What every writer of candidates is given and gives back."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, Protocol

from agents.advice import Advice
from evolve.types import Attempt, Cost, Recalled, Task
from knowledge.lore import Passage

UNCHANGED = "seed"
"""The technique of a draft that is the task's own seed."""


class Brief(NamedTuple):
    """Everything a writer may know about the attempt it writes for."""

    attempt: str
    """Attempt id; prefix of the keys of the model calls made for it."""
    task: Task
    stage: str
    parent: Attempt | None
    """The attempt to refine; None in the draft stage."""
    last: Attempt | None
    """The newest attempt on this task, to learn from its feedback."""
    recalled: Sequence[Recalled]
    tried: frozenset[str]
    """Ids of the candidates already judged on this task: repeating one is a wasted attempt."""
    rng: Random
    advice: Advice = Advice()
    """What an analyst makes of the parent."""
    lore: Sequence[Passage] = ()
    """What is known of the target, looked up for this attempt."""
    children: Sequence[Attempt] = ()
    """What was made of the same parent before, oldest first."""


class Draft(NamedTuple):
    files: dict[str, str]
    technique: str
    """What was done, in the field's words; a chain is joined by ` + `."""
    used: tuple[str, ...] = ()
    """Ids of the recalled experiences that the writer says it used; what was in front of it gets the credit."""
    cost: Cost = Cost()
    problem: str = ""
    """Why there is nothing to judge (an unusable reply, nothing left to try); `files` is then empty."""


class Writer(Protocol):
    """Raises ModelError or BudgetExceededError; what it cannot write is a Draft with a `problem`."""

    @property
    def name(self) -> str: ...

    def write(self, brief: Brief) -> Draft: ...
