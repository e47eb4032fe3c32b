"""What to try next in a bottleneck state, drawn by chance from hopes and statistics: pure, with or without a model's
advice (KernelBlaster's optimization selector).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import NamedTuple

from agents.advice import Advice, Idea
from agents.reply import named_technique
from agents.templates import in_line
from evolve.types import Attempt, Task
from knowledge.distil import times
from knowledge.guides import Counsel, Guide
from knowledge.techniques import Statistics

LEAST_WEIGHT = 0.001
TEMPERATURE = 0.5
"""Of the softmax over expected gains."""
PENALTY, MOST_PENALTY = 0.1, 0.5
"""What each earlier use of a technique takes off, and all together."""
NEUTRAL = 1.0
"""Speed-up that is expected of what was never tried."""


class Case(NamedTuple):
    """What advice starts from."""

    task: Task
    parent: Attempt
    children: Sequence[Attempt] = ()
    """What was made of the parent before, oldest first."""
    counsel: Mapping[str, Counsel] = {}
    """Bottleneck state -> what is known of it, of all states known in the domain."""
    techniques: Sequence[str] = ()
    """Names of techniques known anywhere in the domain."""

    @property
    def state(self) -> str:
        """By the judge's own rules."""
        return self.parent.evaluation.profile.bottleneck

    @property
    def known(self) -> frozenset[str]:
        return frozenset({self.state, *self.counsel} - {""})

    def of(self, state: str) -> Counsel:
        empty = Guide(domain=self.task.domain, state=state, hardware=self.parent.evaluation.profile.hardware)
        return self.counsel.get(state, Counsel(empty))


class Observation(NamedTuple):
    """One attempt in a state, as a guide learns from it."""

    attempt: str
    technique: str
    expected: float | None
    """Weight that the technique had when it was chosen, 0 to 1; None where nobody had chosen it."""
    gain: float | None
    """Natural logarithm of the improvement over the parent; None: infeasible."""
    verdict: str
    """Its first line."""


def select(advice: Advice, rng: Random) -> Advice:
    """With one idea chosen by chance, the likelier the heavier (KernelBlaster: weight cubed, not the best alone).

    None that is to be stopped, unless there is no other. Without ideas nothing is chosen.
    """
    open_ideas = not_stopped(advice.ideas, {each.technique for each in advice.stop})
    if not open_ideas:
        return advice
    weights = [max(idea.weight**3, LEAST_WEIGHT) for idea in open_ideas]
    return advice._replace(chosen=rng.choices(open_ideas, weights)[0].technique)


def from_statistics(case: Case, rng: Random) -> Advice:
    """Advice without a model: a softmax over what each technique is expected to bring in this state, less a penalty
    for each use, and one slot for what was never tried here (KernelBlaster's plan where its model gives none).
    """
    counsel = case.of(case.state)
    seen, guide = counsel.statistics, counsel.guide
    lately = [step for child in case.children for step in child.candidate.technique.split(" + ")]
    expected = {name: NEUTRAL - 0.5 + weight for name, weight in guide.hopes.items()}
    expected |= {name: math.exp(each.expected) for name, each in seen.items()}
    worth = {
        name: value - min(MOST_PENALTY, PENALTY * max(_tries(seen, name), lately.count(name)))
        for name, value in expected.items()
    }
    untried = sorted({*case.techniques} - {*worth, *guide.stops, *lately})
    if untried:
        worth[rng.choice(untried)] = NEUTRAL
    ideas = [Idea(name, weight, measured(seen.get(name))) for name, weight in _softmax(worth).items()]
    ideas.sort(key=lambda idea: (-idea.weight, idea.technique))
    stop = tuple(Idea(name, 0.0, why) for name, why in guide.stops.items())
    open_ideas = not_stopped(ideas, guide.stops)
    chosen = rng.choices(open_ideas, [idea.weight for idea in open_ideas])[0].technique if open_ideas else ""
    return Advice(case.state, case.parent.evaluation.profile.evidence, tuple(ideas), stop, chosen)


def founded(case: Case, advice: Advice) -> Guide | None:
    """The first guide of a state that was not known before; None for a known one."""
    if not advice.state or advice.state in case.known:
        return None
    return Guide(
        domain=case.task.domain,
        state=advice.state,
        hardware=case.parent.evaluation.profile.hardware,
        text=advice.held_back,
        hopes={idea.technique: idea.weight for idea in advice.ideas},
        stops={idea.technique: idea.why for idea in advice.stop},
        sources=(case.parent.id,),
    )


def observation(attempt: Attempt, expected: float | None = None) -> Observation:
    """`expected`: the weight of the technique that was chosen for it."""
    evaluation = attempt.evaluation
    gain = attempt.gain if evaluation.feasible else None
    said = next((line for line in evaluation.feedback.splitlines() if line.strip()), "")
    verdict = f"score {evaluation.score:.4g}" if evaluation.score is not None else said or "infeasible, no reason given"
    return Observation(attempt.id, attempt.candidate.technique, expected, gain, in_line(verdict))


def evaluated(seen: Sequence[Observation]) -> list[str]:
    """What was expected of each technique and what it brought: KernelBlaster's policy evaluation, by counting."""
    groups: dict[str, list[Observation]] = {}
    for each in seen:
        groups.setdefault(named(each.technique) or "a rewrite", []).append(each)
    return [_evaluated(name, group) for name, group in groups.items()]


def _evaluated(name: str, group: Sequence[Observation]) -> str:
    hoped = [each.expected for each in group if each.expected is not None]
    hope = f"weight {sum(hoped) / len(hoped):.2f}" if hoped else "no expectation"
    gains = [each.gain for each in group if each.gain is not None]
    brought = f"{times(sum(gains) / len(gains))} on average" if gains else "nothing feasible"
    return f"{name}: {hope}; tried {len(group)} times, {len(group) - len(gains)} failed, {brought}"


def _softmax(worth: Mapping[str, float]) -> dict[str, float]:
    highest = max(worth.values(), default=0.0)
    raised = {name: math.exp((value - highest) / TEMPERATURE) for name, value in worth.items()}
    total = sum(raised.values())
    return {name: value / total for name, value in raised.items()}


def _tries(seen: Mapping[str, Statistics], name: str) -> int:
    return seen[name].tries if name in seen else 0


def not_stopped(ideas: Sequence[Idea], stopped: Iterable[str]) -> Sequence[Idea]:
    """All of them where all are to be stopped."""
    barred = set(stopped)
    return [idea for idea in ideas if idea.technique not in barred] or list(ideas)


def named(technique: str) -> str:
    return named_technique(f"technique: {in_line(technique)}")


def measured(seen: Statistics | None) -> str:
    if seen is None or not seen.tries:
        return "not tried here yet"
    brought = f"{times(seen.gain)} on average" if seen.n else "no gain known"
    return f"{brought} (tried {seen.tries} times, {seen.failures} failed)"
