"""A textual gradient (KernelBlaster): what holds a program back, what to try next and what to stop trying."""

from typing import NamedTuple

from evolve.types import Cost


class Idea(NamedTuple):
    """One technique, in the field's words."""

    technique: str
    weight: float = 0.5
    """How much it is likely to bring here, 0 to 1."""
    why: str = ""


class Advice(NamedTuple):
    state: str = ""
    """Named bottleneck of the program at hand; empty when unknown."""
    held_back: str = ""
    """What costs it most, in a sentence or two."""
    ideas: tuple[Idea, ...] = ()
    """To try, the most promising first."""
    stop: tuple[Idea, ...] = ()
    """Not to be tried again in this state, with the reason."""
    chosen: str = ""
    """The technique that this attempt is to apply; empty: the writer chooses."""
    cost: Cost = Cost()
