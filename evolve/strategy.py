"""Strategies over the parts of one loop, by name: what `--preset` chooses between."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from evolve.errors import NotFoundError

Start = Literal["value", "best", "trajectory"]
"""What a refinement starts from: by learnt value, the best, or where its own trajectory has come to."""


class Strategy(NamedTuple):
    name: str
    about: str
    refines: bool = True
    """False: every attempt is a draft of its own."""
    start: Start = "best"
    memory: bool = False
    """Recalls from the knowledge base and teaches it; without, a run leaves no trace there."""
    hears: bool = True
    """The writer hears how the newest attempt on its task failed."""
    curates: bool = False
    """A model, where there is one, distils insights from what was learnt."""
    advises: bool = False
    """An analyst says what holds the parent back; a technique is drawn from what it would try. What came of it
    rewrites the guide of that bottleneck."""


EVOKERNEL = Strategy(
    "evokernel",
    "drafts until something is feasible, then refines; what is recalled and what is refined is chosen by learnt value",
    start="value",
    memory=True,
    curates=True,
)
KERNELBLASTER = Strategy(
    "kernelblaster",
    "trajectories of single optimisations, each drawn for the bottleneck at hand; textual gradients rewrite the guides",
    start="trajectory",
    memory=True,
    advises=True,
)
BEST_OF_N = Strategy("best-of-n", "independent drafts, no memory (pass@k)", refines=False, hears=False)
REFINE = Strategy("refine", "hill climbing task by task, no memory")

DEFAULT = EVOKERNEL.name
PRESETS: Mapping[str, Strategy] = {each.name: each for each in (EVOKERNEL, KERNELBLASTER, BEST_OF_N, REFINE)}


def preset(name: str) -> Strategy:
    """Raises NotFoundError."""
    if name not in PRESETS:
        raise NotFoundError.among("preset", name, list(PRESETS))
    return PRESETS[name]
