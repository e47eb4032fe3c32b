"""Children without a model: programs recombined, retrievers blended, declared numbers stepped.

Pure: whatever is drawn is drawn from the `rng` given, and no module is run.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random
from typing import NamedTuple

from knowledge.architecture import Param
from knowledge.design import Design
from knowledge.genome import PROGRAMS, WEIGHT, Genome, compose, lean, written_params

RECOMBINE, BLEND, CROSS, DROP, TUNE = "recombine", "blend", "cross", "drop", "tune"
SHARES = {RECOMBINE: 2.0, BLEND: 5.0, CROSS: 2.0, DROP: 1.0, TUNE: 2.0}
MOST_RETRIEVERS = 6
DRAWN = (0.05, 0.8)
"""Weights of a retriever that is blended in, evenly on a logarithmic scale."""
STEPS = (0.03, 0.1, 0.25)
"""Standard deviations of a step, as shares of a parameter's range."""
TRIES = 20


class Pool(NamedTuple):
    """What children are made of."""

    designs: Mapping[str, Design]
    signals: frozenset[str]
    """Those of them that only score, and serve in a blend."""

    @property
    def whole(self) -> list[str]:
        return sorted(self.designs.keys() - self.signals)


class Strain(NamedTuple):
    """What a child is made of."""

    genome: Genome
    params: Mapping[str, float]
    """Those that are not at their defaults, by their names in what is composed."""


class Proposal(NamedTuple):
    operator: str
    strain: Strain


def composed(name: str, strain: Strain, pool: Pool) -> Design:
    return compose(name, strain.genome, pool.designs, strain.params)


def breed(parent: Strain, mate: Strain, pool: Pool, rng: Random) -> Proposal:
    """One child of `parent`, which may have a retriever of `mate`. By its text it does what neither of them does."""
    known = [acting(one, pool) for one in (parent, mate)]
    for _ in range(TRIES):
        operator = rng.choices(list(SHARES), list(SHARES.values()))[0]
        made = _OPERATORS[operator](parent, mate, pool, rng)
        if made is None:
            continue
        strain = Strain(settled(made.genome, pool), made.params)
        if acting(strain, pool) not in known:
            return Proposal(operator, strain)
    return Proposal(TUNE, stepped(parent, pool, rng))


def acting(strain: Strain, pool: Pool) -> Strain:
    """What of a strain has a say: equal for two that do the same, as far as their texts tell."""
    plain = Strain(settled(strain.genome, pool), strain.params)
    numbers = {key: strain.params.get(key, param.default) for key, param in tunable(plain, pool).items()}
    retrievers = tuple((name, 1.0) for name, _ in plain.genome.retrieve)  # their weights are among the numbers
    return Strain(plain.genome._replace(retrieve=retrievers), numbers)


def settled(genome: Genome, pool: Pool) -> Genome:
    """The same of fewer designs: what is inherited from Verbatim may come from whoever inherits it too."""
    owners = {"encode": genome.encode, "store": genome.store, "manage": genome.manage}
    inherited = [program for program, part in owners.items() if _inherits(pool.designs[part].source, program)]
    needed = [name for name, _ in genome.retrieve]
    needed += [part for program, part in owners.items() if program not in inherited]
    for program in inherited:
        owners[program] = _heir(program, needed, pool) or owners[program]
    return Genome(retrieve=genome.retrieve, **owners)


def _heir(program: str, needed: Sequence[str], pool: Pool) -> str:
    """The first of those that are needed anyway, else the shortest of all; empty where there is none."""
    shortest = sorted(pool.whole, key=lambda name: len(pool.designs[name].source))
    return next((name for name in (*needed, *shortest) if _inherits(pool.designs[name].source, program)), "")


@cache
def _inherits(source: str, program: str) -> bool:
    """From Verbatim. A module that mentions the program at all is taken to have one of its own."""
    text = lean(source)
    return "(Verbatim):" in text and not re.search(rf"\b{program}\b", text)


def stepped(strain: Strain, pool: Pool, rng: Random) -> Strain:
    """One, two or more of the declared numbers moved a little, all by steps of one size."""
    known = sorted(tunable(strain, pool).items())
    if not known:
        return strain
    moved = rng.sample(known, min(len(known), rng.choice((1, 1, 2, 3, 5))))
    size = rng.choice(STEPS)
    held = dict(strain.params)
    params = held | {key: _near(held.get(key, param.default), param, size, rng) for key, param in moved}
    return Strain(strain.genome, params)


def tunable(strain: Strain, pool: Pool) -> dict[str, Param]:
    """What may be stepped, by its name in what is composed: what the programs that are used speak of."""
    genome = strain.genome
    source = composed("it", strain, pool).source
    found = {
        f"{part}_{key}": param
        for part in genome.parts
        for key, param in _written(pool.designs[part].source).items()
        if genome.is_whole or source.count(repr(key)) > 1
    }
    if len(genome.retrieve) > 1:
        found |= {f"weight_{name}": Param(weight, *WEIGHT) for name, weight in genome.retrieve}
    return found


_written = cache(written_params)


def _near(value: float, param: Param, size: float, rng: Random) -> float:
    """Within the bounds. A whole number moves by one at least."""
    step = rng.gauss(0.0, size * (param.high - param.low))
    if param.whole:
        step = math.copysign(max(1.0, abs(round(step))), step)
    return round(min(param.high, max(param.low, value + step)), 4)


def _recombine(parent: Strain, mate: Strain, pool: Pool, rng: Random) -> Strain:
    """One program comes from another design."""
    del mate
    genome = parent.genome
    program = rng.choice(PROGRAMS)
    if program == "retrieve":
        other = rng.choice(pool.whole)
        swapped = rng.randrange(len(genome.retrieve))
        kept = [each for number, each in enumerate(genome.retrieve) if number != swapped and each[0] != other]
        return Strain(genome._replace(retrieve=((other, genome.retrieve[swapped][1]), *kept)), parent.params)
    other = rng.choice(pool.whole)
    swapped_in = {"encode": genome.encode, "store": genome.store, "manage": genome.manage, program: other}
    return Strain(Genome(retrieve=genome.retrieve, **swapped_in), parent.params)


def _blend(parent: Strain, mate: Strain, pool: Pool, rng: Random) -> Strain | None:
    """One more retriever, twice as often a signal as a design's."""
    del mate
    names = rng.choice([group for group in (pool.whole, *[sorted(pool.signals)] * 2) if group])
    return _with(parent, rng.choice(names), math.exp(rng.uniform(*map(math.log, DRAWN))))


def _cross(parent: Strain, mate: Strain, pool: Pool, rng: Random) -> Strain | None:
    """A retriever of the mate's, as it is tuned there."""
    del pool
    name, weight = rng.choice(mate.genome.retrieve)
    weight = mate.params.get(f"weight_{name}", weight)
    tuned = {key: value for key, value in mate.params.items() if key.startswith(f"{name}_")}
    return _with(Strain(parent.genome, {**tuned, **parent.params}), name, weight)


def _with(parent: Strain, name: str, weight: float) -> Strain | None:
    there = parent.genome.retrieve
    if len(there) >= MOST_RETRIEVERS or name in dict(there):
        return None
    retrieve = (*there, (name, round(weight, 3)))
    return Strain(parent.genome._replace(retrieve=retrieve), parent.params)


def _drop(parent: Strain, mate: Strain, pool: Pool, rng: Random) -> Strain | None:
    del mate, pool
    there = parent.genome.retrieve
    if len(there) == 1:
        return None
    dropped = rng.randrange(len(there))
    kept = tuple(each for number, each in enumerate(there) if number != dropped)
    return Strain(parent.genome._replace(retrieve=kept), parent.params)


def _tune(parent: Strain, mate: Strain, pool: Pool, rng: Random) -> Strain:
    del mate
    return stepped(parent, pool, rng)


_OPERATORS: Mapping[str, Callable[[Strain, Strain, Pool, Random], Strain | None]] = {
    RECOMBINE: _recombine,
    BLEND: _blend,
    DROP: _drop,
    TUNE: _tune,
    CROSS: _cross,
}
