"""The analyst: from a profile to a bottleneck state to a textual gradient (KernelBlaster, its sections on states and
on the textual gradient).

It names the state of a program, or a new one that inherits what the nearest is known for; says what holds the program
back, what to try and what to stop; and rewrites the guide of a state from what came of it. What it says are hopes:
what was measured stays in the statistics of techniques, which follow from attempts alone. Code, profiles and
experiences are fenced data. What is drawn from its advice, and a plan without a model: `agents.plan`.
"""

import math
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from pydantic import Field

from agents.advice import Advice, Idea
from agents.plan import Case, Observation, evaluated, measured, named, observation
from agents.structured import Questions, Shape
from agents.templates import OURS, Overrides, in_line
from evolve.types import Attempt, Cost, Model
from knowledge.distil import payload, times
from knowledge.guides import Counsel, Guide

SURE = 0.6
"""Confidence below which no known state fits."""
INHERITED = 0.8
"""What a new state hopes of what the nearest is known for."""
MOST_STATES = 48
"""From so many on no new ones are named."""
MOST_IDEAS, MOST_HOPES, MOST_STOPS = 8, 24, 16
MOST_CHILDREN, MOST_SEEN = 12, 40
LONGEST_CODE, LONGEST_EVIDENCE, LONGEST_TASK = 8_000, 1_500, 2_500
LONGEST_TEXT, LONGEST_WHY = 600, 160
_STATE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
LONGEST_STATE = 48


class Revised(NamedTuple):
    guide: Guide
    """The one given, where there is a problem."""
    analysis: str = ""
    """How expectations and outcomes differ, in the model's words."""
    cost: Cost = Cost()
    problem: str = ""


class Try(Shape):
    technique: str = Field(min_length=1)
    weight: float = Field(ge=0, le=1)
    why: str = ""


class Halt(Shape):
    technique: str = Field(min_length=1)
    why: str = ""


class Diagnosis(Shape):
    state: str = Field(min_length=1)
    confidence: float = Field(ge=0, le=1)
    new_state: str = ""
    held_back: str = Field(min_length=1)
    ideas: tuple[Try, ...] = Field(min_length=1)
    stop: tuple[Halt, ...] = ()


class Revision(Shape):
    analysis: str = ""
    adjust: tuple[Try, ...] = ()
    new: tuple[Try, ...] = ()
    stop: tuple[Halt, ...] = ()
    text: str = Field(min_length=1)


class Analyst:
    """Raises UsageError for a prompt template that cannot be read; what the model raises passes through."""

    def __init__(
        self, model: Model, *, prompts: Overrides = OURS, max_tokens: int = 1024, temperature: float = 0.3
    ) -> None:
        given = {"longest_code": LONGEST_CODE, "longest_evidence": LONGEST_EVIDENCE, "longest_task": LONGEST_TASK}
        self._advice = Questions(model, "analyst", prompts, max_tokens=max_tokens, temperature=temperature, **given)
        self._revision = Questions(model, "analyst_revision", prompts, max_tokens=max_tokens, temperature=temperature)

    @property
    def name(self) -> str:
        return self._advice.name

    def advise(self, key: str, case: Case) -> Advice:
        """At most two calls, keyed `KEY/analyst/1` and `…/2`. An unusable answer is advice that only names the state
        that the judge saw, with no ideas.
        """
        own = case.of(case.state)
        said = self._advice.ask(
            key,
            Diagnosis,
            domain=case.task.domain,
            check=_lacks_ideas,
            task=case.task,
            profile=case.parent.evaluation.profile,
            code=payload(case.parent.candidate),
            feedback=case.parent.evaluation.feedback,
            guide="\n".join(_told(own)),
            states=[_summary(state, case.of(state)) for state in sorted(case.known)[: MOST_STATES + 1]],
            children=[_outcome(child) for child in case.children[-MOST_CHILDREN:]],
            techniques=", ".join(in_line(name, 60) for name in case.techniques[:MOST_STATES]),
            sure=SURE,
        )
        if said.value is None:
            return Advice(state=case.state, cost=said.cost)
        return _advice(case, said.value)._replace(cost=said.cost)

    def revise(self, key: str, guide: Guide, seen: Sequence[Observation]) -> Revised:
        """The guide after a look at what its hopes brought.

        At most two calls, keyed `KEY/analyst_revision/1` and `…/2`: what KernelBlaster calls policy evaluation is
        counted, one call does its analysis of the gap and update of the parameters.
        """
        latest = seen[-MOST_SEEN:]
        if not latest:
            return Revised(guide)
        said = self._revision.ask(
            key,
            Revision,
            domain=guide.domain,
            guide=guide,
            hopes="\n".join(_told(Counsel(guide))),
            evaluation="\n".join(evaluated(latest)),
            verdicts=[f"{named(each.technique)}: {in_line(each.verdict, LONGEST_WHY)}" for each in latest],
        )
        if said.value is None:
            return Revised(guide, cost=said.cost, problem=said.problem)
        return Revised(_applied(guide, said.value, latest), in_line(said.value.analysis, LONGEST_TEXT), said.cost)


# -- what a reply becomes


def _lacks_ideas(said: Diagnosis) -> str:
    has_name = any(named(each.technique) for each in said.ideas)
    return "" if has_name else "no idea names its technique; name each in at most six words"


def _advice(case: Case, said: Diagnosis) -> Advice:
    state, nearest = matched(case, said)
    stop = _ideas(Idea(each.technique, 0.0, each.why) for each in said.stop)[:MOST_STOPS]
    ideas = _ideas(Idea(each.technique, each.weight, each.why) for each in said.ideas)[:MOST_IDEAS]
    if nearest:
        inherited = _known(case.of(nearest), INHERITED, "helped in a similar state")
        ideas = _ideas((*ideas, *inherited))[:MOST_HOPES]
    else:
        if state != case.state:  # the model was shown the guide of the state that the judge sees, not of this one
            ideas = _ideas((*ideas, *_known(case.of(state), 1.0, "known of this state")))[:MOST_HOPES]
        standing = (Idea(name, 0.0, why) for name, why in case.of(state).guide.stops.items())
        stop = _ideas((*stop, *standing))[:MOST_STOPS]
    ideas = tuple(sorted(ideas, key=lambda idea: -idea.weight))
    return Advice(state, in_line(said.held_back, LONGEST_TEXT), ideas, stop)


def matched(case: Case, said: Diagnosis) -> tuple[str, str]:
    """(the state, the known one that it inherits from; empty for a known state).

    Without confidence in any a new name is taken; where there is none, or too many states, the nearest one is.
    """
    known = {_state(name) or name: name for name in case.known}
    fits, fresh = _state(said.state), _state(said.new_state)
    if fits in known and (said.confidence >= SURE or not fresh):
        return known[fits], ""
    fresh = fresh or fits
    if fresh in known:
        return known[fresh], ""
    close = [fits] if fits in known else get_close_matches(fits, sorted(known), n=1)
    nearest = known[close[0]] if close else case.state
    full = len(known) >= MOST_STATES
    return (nearest, "") if full or not fresh else (fresh, nearest)


def _known(counsel: Counsel, share: float, why: str) -> list[Idea]:
    """What a state is known for, at a share of its weight; what was measured there before what was hoped."""
    measured = {name: max(0.0, math.tanh(each.expected)) for name, each in counsel.statistics.items()}
    hoped = {**counsel.guide.hopes, **measured}
    return [Idea(name, share * weight, why) for name, weight in hoped.items() if weight]


def _applied(guide: Guide, said: Revision, seen: Sequence[Observation]) -> Guide:
    """Only what was seen or hoped for is adjusted, and nothing is stopped that was measured to help.

    The same answer again changes nothing: a run killed before it noted that a guide was rewritten does it twice.
    """
    tried = {step for each in seen for step in (each.technique, *each.technique.split(" + "))}
    known = {*guide.hopes, *guide.stops, *tried}
    adjusted = [each for each in said.adjust if named(each.technique) in known]
    ideas = _ideas(Idea(each.technique, each.weight, each.why) for each in (*said.new, *adjusted))
    stops = {each.technique: in_line(each.why, LONGEST_WHY) for each in _stopped(said, seen)}
    hopes = {**guide.hopes, **{idea.technique: idea.weight for idea in ideas}}
    kept = sorted(((name, each) for name, each in hopes.items() if name not in stops), key=lambda pair: -pair[1])
    lifted = {idea.technique for idea in ideas if idea.weight > 0}
    standing = {name: why for name, why in guide.stops.items() if name not in lifted}
    return guide.model_copy(
        update={
            "text": in_line(said.text, LONGEST_TEXT),
            "hopes": dict(kept[:MOST_HOPES]),
            "stops": dict(list({**standing, **stops}.items())[-MOST_STOPS:]),
            "sources": tuple(dict.fromkeys((*guide.sources, *(each.attempt for each in seen)))),
        }
    )


def _stopped(said: Revision, seen: Sequence[Observation]) -> list[Idea]:
    helped = {
        step
        for each in seen
        if each.gain is not None and each.gain > 0
        for step in (each.technique, *each.technique.split(" + "))
    }
    return [idea for idea in _ideas(Idea(each.technique, 0.0, each.why) for each in said.stop) if idea[0] not in helped]


def _ideas(ideas: Iterable[Idea]) -> tuple[Idea, ...]:
    """Under names that a technique can have, each once."""
    clean = ((named(idea.technique), idea) for idea in ideas)
    found: dict[str, Idea] = {}
    for name, idea in clean:
        if name and name not in found:
            found[name] = Idea(name, idea.weight, in_line(idea.why, LONGEST_WHY))
    return tuple(found.values())


def _state(name: str) -> str:
    """In snake case; empty where that is no name."""
    snake = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return snake if len(snake) <= LONGEST_STATE and _STATE.fullmatch(snake) else ""


# -- what a prompt says


def _told(counsel: Counsel) -> list[str]:
    """What is known of a state, a line for each technique."""
    guide, seen = counsel.guide, counsel.statistics
    best = sorted(seen.items(), key=lambda pair: -pair[1].expected)[:MOST_HOPES]
    hopes = [pair for pair in guide.hopes.items() if pair[0] not in seen][:MOST_HOPES]
    stops = list(guide.stops.items())[-MOST_STOPS:]
    return [
        *([in_line(guide.text, LONGEST_TEXT)] if guide.text else []),
        *(f"{in_line(name, 60)}: {measured(each)}" for name, each in best),
        *(f"{in_line(name, 60)}: hoped for, weight {each:.2f}" for name, each in hopes),
        *(f"stop {in_line(name, 60)}: {in_line(why, LONGEST_WHY)}" for name, why in stops),
    ]


def _summary(state: str, counsel: Counsel) -> str:
    best = sorted(counsel.statistics, key=lambda name: -counsel.statistics[name].expected)
    names = best[:2] or list(counsel.guide.hopes)[:2]
    return f"{state}: {', '.join(in_line(name, 30) for name in names)}" if names else state


def _outcome(child: Attempt) -> str:
    seen = observation(child)
    brought = times(seen.gain) if seen.gain is not None else f"failed: {in_line(seen.verdict, LONGEST_WHY)}"
    return f"{named(seen.technique) or 'a rewrite'}: {brought}"
