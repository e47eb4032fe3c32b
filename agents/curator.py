"""The curator: from attempts to insights that name what they rest on.

What it writes is kept only where it is short, names at least two attempts or one failure with its reason, states no
number that it was not shown, and says nothing that is known. Attempts that were found unauthentic are not shown to it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import Field

from agents.plan import named, observation
from agents.structured import Questions, Shape
from agents.templates import OURS, Overrides, in_line
from evolve.types import Attempt, Cost, Experience, Model
from knowledge.distil import INSIGHT, curated_id, times
from knowledge.duplicates import alike
from knowledge.techniques import Statistics

LONGEST_INSIGHT = 300
"""Characters."""
LEAST_SOURCES = 2
MOST_ATTEMPTS, MOST_KNOWN, MOST_INSIGHTS = 40, 24, 8
LONGEST_LINE = 400
LEAST_REASON = 12
"""Characters of a failure's first line that say why."""
NEARLY = 0.5
"""Shared part of two insights' runs of words from which on they say the same."""
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")


class Curated(NamedTuple):
    insights: list[Experience]
    cost: Cost = Cost()
    problem: str = ""
    """Why there are none, where the reply could not be used."""


class Lesson(Shape):
    text: str = Field(min_length=1)
    attempts: tuple[str, ...]


class Lessons(Shape):
    insights: tuple[Lesson, ...]


class Curator:
    """Raises UsageError for a prompt template that cannot be read; what the model raises passes through."""

    def __init__(
        self, model: Model, *, prompts: Overrides = OURS, max_tokens: int = 1024, temperature: float = 0.3
    ) -> None:
        self._questions = Questions(
            model, "curator", prompts, max_tokens=max_tokens, temperature=temperature, longest=LONGEST_INSIGHT
        )

    @property
    def name(self) -> str:
        return self._questions.name

    def distil(self, key: str, domain: str, attempts: Sequence[Attempt], known: Sequence[Experience]) -> Curated:
        """At most two calls, keyed `KEY/curator/1` and `…/2`; none where there is too little to learn from.

        `known`: insights of the domain, so that none is written twice. Whoever keeps the result must still refuse
        what rests on attempts that were revoked.
        """
        shown = {f"a{number}": each for number, each in enumerate(_trusted(attempts)[-MOST_ATTEMPTS:], start=1)}
        if not shown:
            return Curated([])
        names = {each.id: label for label, each in shown.items()}
        lines = {label: _told(each, names) for label, each in shown.items()}
        said = self._questions.ask(
            key,
            Lessons,
            domain=domain,
            check=lambda lessons: _unusable(lessons, lines, shown),
            lines=[f"{label}: {line}" for label, line in lines.items()],
            known=[in_line(each.text, LONGEST_INSIGHT) for each in known[:MOST_KNOWN]],
        )
        if said.value is None:
            return Curated([], said.cost, said.problem)
        sound = [each for each in said.value.insights if not _fault(each, lines, shown)]
        made = [_experience(domain, each, shown) for each in sound[:MOST_INSIGHTS]]
        return Curated(_unknown(made, known), said.cost)


def _trusted(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Without those that were found unauthentic, and what was refined from them."""
    barred: set[str] = set()
    found = []
    for each in sorted(attempts, key=lambda attempt: attempt.position):
        if each.evaluation.gates.authentic is False or each.candidate.parent in barred:
            barred.add(each.id)
        else:
            found.append(each)
    return found


def _told(attempt: Attempt, names: Mapping[str, str]) -> str:
    """An attempt in a line."""
    seen = observation(attempt)
    parent = names.get(attempt.candidate.parent or "")
    origin = f" on {parent}" if parent else ""
    brought = times(seen.gain) if seen.gain is not None else "failed"
    state = attempt.evaluation.profile.bottleneck
    after = f"; bottleneck now {state}" if state else ""
    tried = named(seen.technique) or "a rewrite"
    return in_line(f"{attempt.task}, {tried}{origin}: {brought}; {seen.verdict}{after}", LONGEST_LINE)


def _unusable(lessons: Lessons, lines: Mapping[str, str], shown: Mapping[str, Attempt]) -> str:
    """The first fault where none of the insights is sound; to have found none is no fault."""
    faults = [_fault(each, lines, shown) for each in lessons.insights]
    return faults[0] if faults and all(faults) else ""


def _fault(lesson: Lesson, lines: Mapping[str, str], shown: Mapping[str, Attempt]) -> str:
    """Why an insight cannot be kept, in a sentence."""
    strange = [name for name in lesson.attempts if name not in shown]
    if strange:
        return f"there is no attempt {in_line(strange[0], 40)!r}; name those you were shown, such as a1"
    if len(lesson.text.strip()) > LONGEST_INSIGHT:
        return f"an insight has more than {LONGEST_INSIGHT} characters; say it in one sentence"
    rests = dict.fromkeys(lesson.attempts)
    if len(rests) < LEAST_SOURCES and not any(_clear_failure(shown[name]) for name in rests):
        return "an insight rests on one attempt; name at least two, or a failure whose reason is given"
    strangers = _techniques(shown.values()) - _techniques(shown[name] for name in rests)
    named_too = [each for each in sorted(strangers) if re.search(rf"\b{re.escape(each)}\b", lesson.text.lower())]
    if named_too:
        return f"the insight is about {named_too[0]!r}, but names no attempt that used it"
    told = {float(number) for name in rests for number in _NUMBER.findall(lines[name])}
    made_up = [number for number in _NUMBER.findall(lesson.text) if float(number) not in told]
    return f"the number {made_up[0]} is not in the attempts that the insight names" if made_up else ""


def _techniques(attempts: Iterable[Attempt]) -> set[str]:
    return {step for each in attempts for step in named(each.candidate.technique).split(" + ") if step}


def _clear_failure(attempt: Attempt) -> bool:
    evaluation = attempt.evaluation
    return not evaluation.feasible and len(evaluation.feedback.strip()) >= LEAST_REASON


def _experience(domain: str, lesson: Lesson, shown: Mapping[str, Attempt]) -> Experience:
    sources = [shown[name] for name in dict.fromkeys(lesson.attempts)]
    text = " ".join(lesson.text.split())
    by_id = {each.id: each for each in shown.values()}
    parents = [by_id.get(each.candidate.parent or "") for each in sources]
    state = _agreed([each.evaluation.profile.bottleneck if each else "" for each in parents])
    return Experience(
        id=curated_id(domain, state, text),
        kind=INSIGHT,
        text=text,
        domain=domain,
        technique=_agreed([named(each.candidate.technique) for each in sources]),
        state=state,
        hardware=_agreed([each.evaluation.profile.hardware for each in sources]),
        sources=tuple(each.id for each in sources),
        metrics=_measured(sources),
    )


def _agreed(values: Sequence[str]) -> str:
    """What all say; empty where they differ."""
    return values[0] if len(set(values)) == 1 else ""


def _measured(sources: Sequence[Attempt]) -> dict[str, float]:
    """What the judge measured of them, whatever the insight says."""
    seen = Statistics()
    for each in sources:
        feasible = each.evaluation.feasible
        seen = seen.seen(feasible=feasible, gain=each.gain if feasible else None, members=1)
    known = {"gain": seen.gain, "expected": seen.expected} if seen.n else {}
    return {"n": seen.n, "failures": seen.failures, **known}


def _unknown(made: Sequence[Experience], known: Sequence[Experience]) -> list[Experience]:
    """Those that say nothing that is known, and nothing that one before them says."""
    kept = {each.id: each.text for each in known}
    return list(_new(made, kept))


def _new(made: Sequence[Experience], kept: dict[str, str]) -> Iterator[Experience]:
    for each in made:
        told = {**kept, "": each.text}
        near = any("" in group for group in alike(told, NEARLY))
        if each.id not in kept and not near:
            kept[each.id] = each.text
            yield each
