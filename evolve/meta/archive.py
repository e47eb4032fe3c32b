"""The best design of each kind (MAP-Elites, Mouret and Clune 2015): what keeps the search from becoming one family."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from evolve.meta.selection import Standing, by_quality


class Cell(NamedTuple):
    store: str
    """`linked`, `stateful` or `flat`."""
    retrieval: str
    """What it searches by: `lexical`, `dense`, `links`, `time`, those of them that it uses."""
    model: bool
    """Whether it can use one."""


_SEARCHES = {"lexical": ".lexical(", "dense": ".dense(", "links": ".near(", "time": ".span("}


def cell_of(source: str) -> Cell:
    """From what the module calls: what is composed holds nothing that is not reached."""
    store = "linked" if "AddLink(" in source or "Link(" in source else "stateful" if "SetState(" in source else "flat"
    searches = [name for name, call in _SEARCHES.items() if call in source]
    return Cell(store, "+".join(searches) or "scan", ".llm(" in source)


def elites(standings: Iterable[Standing], cells: Mapping[str, Cell]) -> dict[Cell, Standing]:
    """`cells`: by a standing's name."""
    found: dict[Cell, Standing] = {}
    for one in sorted(standings, key=by_quality):
        found.setdefault(cells[one.name], one)
    return found
