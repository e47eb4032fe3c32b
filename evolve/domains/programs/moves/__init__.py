"""Changes of a Python program for search without a model: parameters, expressions, structure.

Whether one keeps the program right is for the judge to find out. What a change does not name keeps its layout and
comments. Not covered: texts, what stands inside f-strings, match statements, imports.
"""

from collections.abc import Iterator, Sequence
from random import Random

from evolve.domains.programs.moves import expressions, numbers, statements
from evolve.domains.programs.moves.source import Source

LONGEST_SOURCE = 200_000
"""Characters; a longer program is not changed."""
MOST = 2000
"""Changes that are offered of one program."""
WEIGHTS = {
    "loop_count": 2.0,
    "local_search": 4.0,
    "random_restarts": 6.0,
    "repeat_loop": 2.0,
    "drop_term": 0.4,
    "substitute_variable": 0.3,
    "reorder_statements": 0.3,
    "delete_statement": 0.4,
    "swap_operator": 0.6,
    "duplicate_term": 0.5,
    "negate_condition": 0.5,
}
"""How early a change comes beside one of weight 1: most programs break by most changes of their structure."""
NAMED = 8.0
"""Weight of a number that has a name or is a default: somebody meant it to be chosen."""


def mutations(source: str, lines: Sequence[range], rng: Random) -> Iterator[tuple[str, str, str]]:
    """(technique, detail, program), lazily, in random order, the promising ones mostly first, none twice.

    Only the `lines` (from 1) change. Nothing for a source that cannot be parsed.
    """
    if len(source) > LONGEST_SOURCE:
        return
    try:
        parsed = Source(source, lines)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    offers = [change for kind in (numbers, expressions, statements) for change in kind.changes(parsed, rng)]
    offers.sort(key=lambda offer: rng.expovariate(NAMED if offer.named else WEIGHTS.get(offer.technique, 1.0)))
    seen = {source}
    for offer in offers[:MOST]:
        changed = parsed.applied(offer)
        if changed and changed not in seen:
            seen.add(changed)
            yield offer.technique, offer.detail, changed
