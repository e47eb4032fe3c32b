"""Source transformations of C kernels: the moves of a search that needs no model.

Each technique finds its own sites in the parsed tree; whether a move was legal and worth it is for the judge to say.
"""

import pickle
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from evolve.domains.kernels.transform.expansion import accumulator_expansion
from evolve.domains.kernels.transform.fusing import distribution, fusion
from evolve.domains.kernels.transform.hoisting import hoisting, scalar_replacement
from evolve.domains.kernels.transform.lanes import multiple_accumulators
from evolve.domains.kernels.transform.loops import NotApplicableError, Site
from evolve.domains.kernels.transform.nests import interchange, tile_separation, tiling
from evolve.domains.kernels.transform.packing import packing
from evolve.domains.kernels.transform.qualifiers import alignment, restrict
from evolve.domains.kernels.transform.source import Unit, UnreadableError, parse, render
from evolve.domains.kernels.transform.threads import parallel
from evolve.domains.kernels.transform.unrolling import unroll, unroll_and_jam
from evolve.domains.kernels.transform.vector_math import vector_math
from evolve.domains.kernels.transform.vectorise import simd

_LONGEST = 40_000
"""Characters of a source beyond which it is not grown further."""


class Technique(NamedTuple):
    sites: Callable[[Unit], Iterator[Site]]
    prior: float
    """How often it is proposed against the others while nothing is known."""


TECHNIQUES = {
    "accumulator_expansion": Technique(accumulator_expansion, 10.0),
    "parallel": Technique(parallel, 4.0),
    "simd": Technique(simd, 4.0),
    "vector_math": Technique(vector_math, 8.0),
    "multiple_accumulators": Technique(multiple_accumulators, 3.0),
    "tiling": Technique(tiling, 2.0),
    "unroll_and_jam": Technique(unroll_and_jam, 2.0),
    "interchange": Technique(interchange, 0.8),
    "packing": Technique(packing, 1.0),
    "tile_separation": Technique(tile_separation, 1.0),
    "hoisting": Technique(hoisting, 0.7),
    "scalar_replacement": Technique(scalar_replacement, 1.0),
    "restrict": Technique(restrict, 0.7),
    "fusion": Technique(fusion, 0.5),
    "distribution": Technique(distribution, 0.5),
    "unroll": Technique(unroll, 0.4),
    "alignment": Technique(alignment, 0.1),
}


def mutations(source: str, rng: Random) -> Iterator[tuple[str, str, str]]:
    """Yield (technique, detail, new source), lazily, each site once, techniques in proportion to their prior.

    Nothing for a source that the parser cannot read.
    """
    try:
        unit = parse(source)
    except UnreadableError:
        return
    frozen, known = pickle.dumps(unit.tree), {render(unit)}
    left = {name: list(range(_count(unit, name))) for name in TECHNIQUES}
    while any(left.values()):
        open_names = [name for name, sites in left.items() if sites]
        name = rng.choices(open_names, [TECHNIQUES[name].prior for name in open_names])[0]
        index = left[name].pop(rng.randrange(len(left[name])))
        unit = Unit(unit.prologue, pickle.loads(frozen))  # noqa: S301 - our own bytes, from three lines above
        site = list(TECHNIQUES[name].sites(unit))[index]
        try:
            site.apply()
            changed = render(unit)
        except (NotApplicableError, UnreadableError):
            continue
        if changed not in known and len(changed) < _LONGEST:
            known.add(changed)
            yield name, site.detail, changed


def _count(unit: Unit, technique: str) -> int:
    return sum(1 for _ in TECHNIQUES[technique].sites(unit))
