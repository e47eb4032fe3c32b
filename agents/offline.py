"""Search without a model: a writer that draws source transformations, guided by what the knowledge base recalls.

Nothing here knows a domain: its `mutations` say what can be changed, experiences say which technique was worth it.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import TypeAlias

from agents.advice import Advice
from agents.writer import UNCHANGED, Brief, Draft
from evolve.types import Candidate, Mutation, Recalled, Task

Mutations: TypeAlias = Callable[[Task, Mapping[str, str], Random], Iterable[Mutation]]

CHAIN = " + "
FAILURE = "failure"
INSIGHT = "insight"
_SHARPNESS = 2.0
"""Exponent per unit of evidence."""
_STRONGEST = 2.0
"""Evidence is held within plus and minus this, so that no technique is ever ruled out."""
_PAIR = 0.3
"""Share of refinements that take two steps at once, to cross what is a valley after the first."""
_RESTART = 0.15
"""Share of refinements that start from the seed again: some first steps bar the way to better ones."""
_TRANSFER = 0.8
"""Share of drafts that follow a recalled recipe where there is one."""
_LOOKED_AT = 400
"""Mutations looked at for one step; bounds the time of an attempt."""


class OfflineWriter:
    """Draws mutations in the domain's own order, accepted by how well their technique has done in what was recalled.

    Reproducible: the same brief with the same `rng` state gives the same draft.
    """

    name = "offline"

    def __init__(self, mutations: Mutations) -> None:
        self._mutations = mutations

    def write(self, brief: Brief) -> Draft:
        if brief.parent is None:
            return self._draft(brief)
        return self._refine(brief, brief.parent.candidate.files)

    def _draft(self, brief: Brief) -> Draft:
        seed = dict(brief.task.files)
        if not seed:
            return Draft({}, "", problem="the task has no seed to transform; use a model, or give the task `files`")
        recipe, source = _recipe(brief)
        if recipe and brief.rng.random() < _TRANSFER:
            draft = self._follow(brief, seed, recipe)
            if draft is not None:
                return draft._replace(used=(source,))
        failed = brief.last is not None and not brief.last.evaluation.feasible
        if failed and _new(seed, brief):
            return Draft(seed, UNCHANGED)
        draft = self._refine(brief, seed)
        return Draft(seed, UNCHANGED) if draft.problem and _new(seed, brief) else draft

    def _follow(self, brief: Brief, files: Mapping[str, str], recipe: Sequence[str]) -> Draft | None:
        """The recipe applied step by step, without the steps that have no site here; None when nothing is new."""
        steps: list[str] = []
        for technique in recipe:
            offered = self._stream(brief, files)
            found = next((mutation for mutation in offered if mutation.technique == technique), None)
            if found is not None:
                files = found.files
                steps.append(technique)
        return Draft(dict(files), CHAIN.join(steps)) if steps and _new(files, brief) else None

    def _refine(self, brief: Brief, files: Mapping[str, str]) -> Draft:
        """One step from `files`, or two; from further away, and at last from the seed, when all that has been tried."""
        believed = advised(evidence(brief.recalled, _state(brief), brief.task.id), brief.advice)
        first = 2 if brief.rng.random() < _PAIR else 1
        near = [(files, length) for length in (first, first, 3 - first, 2, 2, 3)]
        far = [(brief.task.files or files, length) for length in (brief.rng.randint(1, 3), 2, 3, 3, 4, 4)]
        if brief.rng.random() < _RESTART:
            near, far = far, near
        for start, length in near + far:
            draft = self._walk(brief, start, believed, length)
            if draft is not None:
                return draft
        return Draft({}, "", problem="every transformation within reach has been tried; a model may know more")

    def _walk(self, brief: Brief, files: Mapping[str, str], believed: Mapping[str, float], length: int) -> Draft | None:
        steps: list[str] = []
        for left in range(length, 0, -1):
            chosen = self._choose(brief, files, believed, last=left == 1)
            if chosen is not None:
                files = chosen.files
                steps.append(chosen.technique)
        return Draft(dict(files), CHAIN.join(steps)) if steps and _new(files, brief) else None

    def _choose(
        self, brief: Brief, files: Mapping[str, str], believed: Mapping[str, float], *, last: bool
    ) -> Mutation | None:
        """One mutation, drawn with weight prior x exp(evidence): the domain's order is the prior.

        Each one offered is accepted with its weight relative to the best technique's; when none was, the one of most
        weight is taken.
        """
        top = max([0.0, *believed.values()])
        spare: tuple[float, Mutation] | None = None
        for mutation in self._stream(brief, files):
            if last and not _new(mutation.files, brief):
                continue
            belief = believed.get(mutation.technique, 0.0)
            if brief.rng.random() < math.exp(_SHARPNESS * (belief - top)):
                return mutation
            if spare is None or belief > spare[0]:
                spare = belief, mutation
        return spare[1] if spare is not None else None

    def _stream(self, brief: Brief, files: Mapping[str, str]) -> Iterator[Mutation]:
        for count, mutation in enumerate(self._mutations(brief.task, files, brief.rng)):
            if count >= _LOOKED_AT:
                return
            yield mutation


def evidence(recalled: Sequence[Recalled], state: str, task: str = "") -> dict[str, float]:
    """How well each technique has done, in units of log-gain or so, 0 for unknown; failures count against it.

    Insights rest on many attempts and weigh most, all the more when they met the bottleneck `state` that we meet now.
    A recipe that went far on another task than `task` speaks for each of its steps.
    """
    sums: dict[str, float] = defaultdict(float)
    weights: dict[str, float] = defaultdict(float)
    for item in recalled:
        for technique, worth, weight in _testimony(item, state, task):
            sums[technique] += weight * worth
            weights[technique] += weight
    # One observation more, of no effect: a single lucky attempt is not believed in full.
    means = {name: sums[name] / (weights[name] + 0.5) for name in sums}
    return {name: max(-_STRONGEST, min(_STRONGEST, mean)) for name, mean in means.items()}


def advised(believed: Mapping[str, float], advice: Advice) -> dict[str, float]:
    """With what is to be tried on top, and what is to be left at the bottom."""
    stopped = {idea.technique: -_STRONGEST for idea in advice.stop}
    chosen = {advice.chosen: _STRONGEST} if advice.chosen else {}
    return {**believed, **stopped, **chosen}


def _testimony(item: Recalled, state: str, task: str) -> Iterator[tuple[str, float, float]]:
    """(technique, worth, weight) of everything that one experience speaks for or against."""
    weight, steps = _weight(item, state), _steps(item.experience.technique)
    for technique in steps:
        yield technique, _worth(item), weight / math.sqrt(len(steps))
    recipe = dict.fromkeys(step for name in item.experience.recipe for step in _steps(name))
    if item.experience.kind != FAILURE and item.experience.task != task and (reached := _promise(item)) > 0:
        for technique in recipe:
            yield technique, reached / len(recipe), weight / math.sqrt(len(recipe))


def _weight(item: Recalled, state: str) -> float:
    experience = item.experience
    weight = 0.5 + max(item.similarity, 0.0)
    if experience.kind == INSIGHT:
        weight *= 1.0 + math.log1p(max(experience.metrics.get("n", 1.0), 0.0))
    if state and experience.state == state:
        weight *= 2.0
    return weight


def _worth(item: Recalled) -> float:
    metrics = item.experience.metrics
    if item.experience.kind == FAILURE:
        return -1.0 + 0.5 * item.value
    unknown = -metrics.get("failure_share", 0.0)
    return metrics.get("expected", metrics.get("gain", unknown)) + 0.5 * item.value


def _steps(technique: str) -> tuple[str, ...]:
    return tuple(part for part in technique.split(CHAIN) if part and part != UNCHANGED)


def _recipe(brief: Brief) -> tuple[tuple[str, ...], str]:
    """A recalled way from seed to good code, drawn by its worth, and the experience that it comes from."""
    good: list[tuple[Recalled, tuple[str, ...]]] = []
    for item in brief.recalled:
        steps = tuple(step for name in item.experience.recipe for step in _steps(name))
        if steps and item.experience.kind != FAILURE and _promise(item) > 0:
            good.append((item, steps))
    if not good:
        return (), ""
    weights = [_promise(item) * (0.1 + max(item.similarity, 0.0)) for item, _ in good]
    item, steps = brief.rng.choices(good, weights)[0]
    return steps, item.experience.id


def _promise(item: Recalled) -> float:
    """What following the item's whole recipe may be worth: the score it reached says more than its last step."""
    metrics = item.experience.metrics
    reached = math.log(metrics["score"]) if metrics.get("score", 0.0) > 0 else 0.0
    return max(reached, metrics.get("gain", 0.0)) + 0.5 * item.value


def _state(brief: Brief) -> str:
    return brief.parent.evaluation.profile.bottleneck if brief.parent is not None else ""


def _new(files: Mapping[str, str], brief: Brief) -> bool:
    return Candidate(files=files).id not in brief.tried
