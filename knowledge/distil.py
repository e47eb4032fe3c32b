"""Turns attempts into experiences, and statistics of techniques into insights. Pure: the memory keeps them."""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evolve.types import Attempt, Candidate, Experience, Task
from knowledge.comments import without_comments

if TYPE_CHECKING:
    from knowledge.techniques import Group, Statistics

TRACE, FAILURE, INSIGHT, GUIDE = "trace", "failure", "insight", "guide"
CURATED = "cur-"
"""How the names of insights begin that a curator wrote; the others follow from statistics."""
FEEDBACK_CHARACTERS = 300
LEAST_OBSERVATIONS = 2
"""One attempt is a trace, not an insight."""
UNCHANGED = "seed"
"""What a writer names that hands in the seed as it is: no technique."""
_FOLDERS = re.compile(r"(?<![\w.:/])(?:~|\.{1,2})?(?:/[\w.+-]+)*/(?=[\w.+-]+)")


def experience_id(attempt: str) -> str:
    return f"exp-{_digest(attempt)}"


def steps(technique: str) -> tuple[str, ...]:
    """The members of a chain of techniques."""
    return tuple(step for part in technique.split(" + ") if (step := part.strip()) and step != UNCHANGED)


def payload(candidate: Candidate) -> str:
    """The code without its comments; several files under a line with their name."""
    bare = {name: without_comments(name, code) for name, code in sorted(candidate.files.items())}
    if len(bare) == 1:
        return next(iter(bare.values()))
    return "".join(f"=== {name} ===\n{code}\n" for name, code in bare.items())


def content_hash(code: str) -> str:
    """Equal for codes that differ in blanks only; empty for no code."""
    return _digest(" ".join(code.split())) if code.strip() else ""


def experience(
    task: Task,
    attempt: Attempt,
    parent: Attempt | None,
    *,
    earlier: Sequence[str],
    baseline: float | None,
    state: str = "",
) -> Experience:
    """What one attempt teaches. `earlier`: the recipe of the parent. `state`: its bottleneck, as profiled without."""
    evaluation, candidate = attempt.evaluation, attempt.candidate
    before = parent.evaluation.score if parent else baseline
    gain = log_gain(before, evaluation.score)
    if gain is None:
        gain = attempt.gain
    metrics = {"score": evaluation.score, "gain": gain if evaluation.feasible else None}
    state = state or (parent.evaluation.profile.bottleneck if parent else "")
    return Experience(
        id=experience_id(attempt.id),
        kind=TRACE if evaluation.feasible else FAILURE,
        text=_trace_text(task, attempt, state, gain) if evaluation.feasible else _failure_text(task, attempt),
        task=task.id,
        domain=task.domain,
        stage=candidate.stage,
        technique=candidate.technique,
        state=state,
        hardware=evaluation.profile.hardware or (parent.evaluation.profile.hardware if parent else ""),
        payload=payload(candidate),
        recipe=(*earlier, *steps(candidate.technique)),
        sources=(attempt.id,),
        metrics={name: value for name, value in metrics.items() if value is not None and math.isfinite(value)},
    )


def log_gain(before: float | None, after: float | None) -> float | None:
    """Natural logarithm of the improvement; None where there is no ratio of positive scores."""
    if before is None or after is None or before <= 0 or after <= 0:
        return None
    return math.log(after / before)


def times(gain: float) -> str:
    """A logarithmic gain in words."""
    factor = math.exp(min(gain, 700.0))
    return f"gained {factor:.3g}x" if gain >= 0 else f"slowed it to {factor:.2g}x"


def _trace_text(task: Task, attempt: Attempt, state: str, gain: float | None) -> str:
    effect = times(gain) if gain is not None else "gave a feasible result"
    what = (
        f"On {task.id}, {attempt.candidate.technique or 'a rewrite'} {effect} (score {attempt.evaluation.score:.4g})."
    )
    after = attempt.evaluation.profile.bottleneck
    return f"{what} Bottleneck: {state or 'unknown'} before, {after} after." if after else what


def _failure_text(task: Task, attempt: Attempt) -> str:
    gates = attempt.evaluation.gates
    closed = next((gate for gate, passed in gates if passed is False), "measurement")
    feedback = " ".join(_FOLDERS.sub("", attempt.evaluation.feedback).split())
    if len(feedback) > FEEDBACK_CHARACTERS:
        feedback = feedback[:FEEDBACK_CHARACTERS].rsplit(" ", 1)[0] + " ..."
    tried = attempt.candidate.technique or "a rewrite"
    return f"On {task.id}, {tried} failed at the gate '{closed}': {feedback or 'no reason given'}"


def insight(group: "Group", seen: "Statistics", sources: Sequence[str]) -> Experience:
    """What is known of a technique in a bottleneck state; its id stays the same as more is seen."""
    failures = f"{seen.failures} failure{'s' * (seen.failures != 1)}"
    if seen.n:
        effect = f"{times(seen.gain)} on average (n={seen.n}, {failures})"
    elif seen.failures < seen.tries:
        effect = f"worked {seen.tries - seen.failures} times, by how much is unknown ({failures})"
    else:
        effect = f"never worked ({failures})"
    where = f"On {group.state} {group.domain}" if group.state else f"On {group.domain} whose bottleneck is unknown"
    known = {"gain": seen.gain, "variance": seen.variance, "expected": seen.expected} if seen.n else {}
    return Experience(
        id=insight_id(group),
        kind=INSIGHT,
        text=f"{where}, {group.technique} {effect}" + (f" on {group.hardware}." if group.hardware else "."),
        domain=group.domain,
        technique=group.technique,
        state=group.state,
        hardware=group.hardware,
        sources=tuple(sources),
        metrics={"n": seen.n, "failures": seen.failures, "failure_share": seen.failure_share, **known},
    )


def insight_id(group: "Group") -> str:
    named = [group.domain, group.state, group.technique] + ([group.hardware] if group.hardware else [])
    return f"ins-{_digest(json.dumps(named))}"


def curated_id(domain: str, state: str, text: str) -> str:
    return f"{CURATED}{_digest(json.dumps([domain, state, ' '.join(text.lower().split())]))}"


def guide_id(domain: str, state: str, hardware: str) -> str:
    return f"gui-{_digest(json.dumps([domain, state, hardware]))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
