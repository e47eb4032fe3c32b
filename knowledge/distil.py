"""Turns attempts into experiences, and many experiences into insights. Pure: the memory stores what comes out.

Statistics as in KernelBlaster, per (bottleneck state, technique); gains are averaged as logarithms, and failures
count. A chain of techniques is one observation of each member, with weight 1/length and an equal share of the
chain's logarithmic gain: who contributed what is not known.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from evolve.types import Attempt, Candidate, Experience, Task
from knowledge.comments import without_comments

TRACE, FAILURE, INSIGHT = "trace", "failure", "insight"
FEEDBACK_CHARACTERS = 300
LEAST_OBSERVATIONS = 2
"""One attempt is a trace, not an insight."""
UNCHANGED = "seed"
"""What a writer names that hands in the seed as it is: no technique."""
CAUTION = 2
"""As many observations of no gain are assumed before the first."""
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
    task: Task, attempt: Attempt, parent: Attempt | None, *, earlier: Sequence[str], baseline: float | None
) -> Experience:
    """What one attempt teaches. `earlier`: the recipe of the parent."""
    evaluation, candidate = attempt.evaluation, attempt.candidate
    before = parent.evaluation.score if parent else baseline
    gain = log_gain(before, evaluation.score)
    if gain is None:
        gain = attempt.gain
    metrics = {"score": evaluation.score, "gain": gain if evaluation.feasible else None}
    state = parent.evaluation.profile.bottleneck if parent else ""
    return Experience(
        id=experience_id(attempt.id),
        kind=TRACE if evaluation.feasible else FAILURE,
        text=_trace_text(task, attempt, state, gain) if evaluation.feasible else _failure_text(task, attempt),
        task=task.id,
        domain=task.domain,
        stage=candidate.stage,
        technique=candidate.technique,
        state=state,
        payload=payload(candidate),
        recipe=(*earlier, *steps(candidate.technique)),
        sources=(attempt.id,),
        metrics={name: value for name, value in metrics.items() if value is not None},
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


class Observation(NamedTuple):
    """One attempt as an outcome of its technique."""

    domain: str
    state: str
    technique: str
    feasible: bool
    gain: float | None
    """None where there was nothing to compare with."""
    attempt: str


class Share(NamedTuple):
    """What one attempt says about one of its techniques."""

    seen: Observation
    weight: float


def insights(observations: Iterable[Observation]) -> list[Experience]:
    """One for each (domain, state, technique) that was seen often enough; its id stays the same as more is seen."""
    shares: dict[tuple[str, str, str], list[Share]] = {}
    for seen in observations:
        members = dict.fromkeys(steps(seen.technique))
        for member in members:
            shares.setdefault((seen.domain, seen.state, member), []).append(Share(seen, 1 / len(members)))
    return [_insight(*key, found) for key, found in shares.items() if len(found) >= LEAST_OBSERVATIONS]


def _insight(domain: str, state: str, technique: str, shares: Sequence[Share]) -> Experience:
    metrics = statistics(shares)
    failures = f"{metrics['failures']:.0f} failure{'s' * (metrics['failures'] != 1)}"
    if metrics["n"]:
        effect = f"{times(metrics['gain'])} on average (n={metrics['n']:.0f}, {failures})"
    elif metrics["failures"] < len(shares):
        effect = f"worked {len(shares) - metrics['failures']:.0f} times, by how much is unknown ({failures})"
    else:
        effect = f"never worked ({failures})"
    where = f"On {state} {domain}" if state else f"On {domain} whose bottleneck is unknown"
    return Experience(
        id=f"ins-{_digest(json.dumps([domain, state, technique]))}",
        kind=INSIGHT,
        text=f"{where}, {technique} {effect}.",
        domain=domain,
        technique=technique,
        state=state,
        sources=tuple(share.seen.attempt for share in shares),
        metrics=metrics,
    )


def statistics(shares: Sequence[Share]) -> dict[str, float]:
    """`n` (with a known gain), `failures`, `failure_share`, and where n > 0 `gain` (mean logarithm), `variance` and
    `expected`: what another try should bring, pulled towards nothing by few observations and by failures.
    """
    failed = sum(share.weight for share in shares if not share.seen.feasible)
    gains = [(share.seen.gain * share.weight, share.weight) for share in shares if share.seen.gain is not None]
    n = len(gains)
    found = {
        "n": float(n),
        "failures": float(sum(not share.seen.feasible for share in shares)),
        "failure_share": failed / sum(share.weight for share in shares),
    }
    if n:
        total = sum(weight for _, weight in gains)
        mean = sum(gain * weight for gain, weight in gains) / total
        found["gain"] = mean
        found["variance"] = sum(weight * (gain - mean) ** 2 for gain, weight in gains) / total
        found["expected"] = mean * n / (n + CAUTION) * (1 - found["failure_share"])
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
