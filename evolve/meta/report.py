"""What a run of meta-evolution found: the table, where the winner comes from, and the sealed test, opened once."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evolve.domains.memory.grading import Grades, scores
from evolve.errors import StorageError, UsageError
from evolve.meta.evaluating import Evaluator
from evolve.meta.journal import Failed
from evolve.meta.search import Member, Search, as_json, lines
from evolve.meta.selection import by_quality, paired_error, standing
from evolve.meta.splits import Splits
from evolve.types import Cost
from knowledge.genome import told

CONFIDENCE = 1.96
SHOWN = 5
"""Evolved designs in the table."""


class Difference(NamedTuple):
    """The winner's recall@10 less the best seed's, on the same questions."""

    mean: float
    error: float
    interval: tuple[float, float]
    """95 %."""


class Outcome(NamedTuple):
    winner: Member
    seed: Member
    """The best of the starting population; both as they did on the part to select."""
    ours: Sequence[Grades]
    """The winner's on the sealed test."""
    theirs: Sequence[Grades]
    """The seed's."""

    @property
    def difference(self) -> Difference:
        return difference(self.ours, self.theirs)

    def as_json(self) -> dict[str, Any]:
        return {
            "exams": [part.exam for part in self.ours],
            "winner": {"name": self.winner.name, **scores(self.ours)},
            "seed": {"name": self.seed.name, **scores(self.theirs)},
            "difference": self.difference._asdict(),
            "by_exam": {
                one.exam: difference([one], [other]).mean for one, other in zip(self.ours, self.theirs, strict=True)
            },
        }


class Report(NamedTuple):
    outcome: Outcome
    table: Sequence[Mapping[str, Any]]
    lineage: Sequence[Mapping[str, Any]]
    tree: str
    children: int
    failures: Sequence[Mapping[str, str]]
    """Which children could not be graded and why; `method` is `design` for those there was nothing to grade of."""
    seconds: float
    spent: Cost
    """On models."""

    @property
    def sentence(self) -> str:
        at, found = self.outcome, self.outcome.difference
        names = ", ".join(part.exam for part in at.ours)
        return (
            f"sealed test ({names}): {at.winner.name} {_recall(at.ours):.3f}, the best seed {at.seed.name} "
            f"{_recall(at.theirs):.3f}: {found.mean:+.3f} with a paired standard error of {found.error:.3f} "
            f"(95 %: {found.interval[0]:+.3f} to {found.interval[1]:+.3f}); "
            f"{self.children} children, {len(self.failures)} failed, {self.seconds:.0f} s{_paid(self.spent)}"
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "winner": as_json(self.outcome.winner),
            "test": self.outcome.as_json(),
            "table": list(self.table),
            "lineage": list(self.lineage),
            "children": self.children,
            "failed": len(self.failures),
            "failures": list(self.failures),
            "seconds": round(self.seconds, 1),
            "cost": {
                "usd": self.spent.usd if self.spent.usd_known else None,
                "prompt_tokens": self.spent.prompt_tokens,
                "completion_tokens": self.spent.completion_tokens,
            },
        }

    def save(self, folder: Path) -> None:
        """The winner, as a module and what it is built with. Raises StorageError."""
        winner = self.outcome.winner
        try:
            (folder / "winner.py").write_text(winner.design.source, encoding="utf-8")
            (folder / "winner.json").write_text(json.dumps(as_json(winner), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"the winner cannot be written to {folder}: {error.strerror}") from error


def reported(search: Search, splits: Splits, evaluator: Evaluator) -> Report:
    """Opens the sealed test, for the best that passes the gates and does the same again in a sandbox."""
    members = search.members
    winner = next(member for member in search.selected if _is_confirmed(member, splits, evaluator))
    seed = best_seed(search)
    exams = splits.test.open(winner.name)
    ours, theirs = (_graded(evaluator, member, exams) for member in (winner, seed))
    made = [member for member in members.values() if member.parents]
    return Report(
        outcome=Outcome(winner, seed, ours, theirs),
        table=table(search, splits, evaluator),
        lineage=lineage(members, winner.name),
        tree=tree(members, winner.name),
        children=len(made),
        failures=[{"id": one.name, "operator": one.operator, **one.failure._asdict()} for one in made if one.failure],
        seconds=evaluator.seconds,
        spent=evaluator.spent,
    )


def best_seed(search: Search) -> Member:
    """Of the starting population, as chosen on the part to select."""
    seeds = {member.name: member for member in search.selected if not member.parents}
    return seeds[min((one.select for one in seeds.values() if one.select), key=by_quality).name]


def _is_confirmed(member: Member, splits: Splits, evaluator: Evaluator) -> bool:
    """Seeds are what they are."""
    if not member.parents:
        return True
    exam = splits.select[0]
    [known] = _graded(evaluator, member, [exam])
    found = evaluator.confirmed(member.design, exam)
    return not isinstance(found, Failed) and found.recall10 == known.recall10


def _paid(spent: Cost) -> str:
    tokens = spent.prompt_tokens + spent.completion_tokens
    price = f"${spent.usd:.4f}" if spent.usd_known else "price unknown"
    return f", {tokens} tokens ({price})" if tokens else ""


def _recall(grades: Sequence[Grades]) -> float:
    return standing("it", grades, 0).quality


def difference(ours: Sequence[Grades], theirs: Sequence[Grades]) -> Difference:
    one, other = (standing("it", grades, 0) for grades in (ours, theirs))
    mean, error = one.quality - other.quality, paired_error(one.marks, other.marks)
    return Difference(mean, error, (mean - CONFIDENCE * error, mean + CONFIDENCE * error))


def _graded(evaluator: Evaluator, member: Member, exams: Sequence[Any]) -> list[Grades]:
    grades = evaluator.grades(member.design, exams, trusted=member.trusted, late=True)
    if isinstance(grades, Failed):
        raise UsageError(f"{member.name} failed on the sealed test: {grades.method}: {grades.reason}")
    return grades


def table(search: Search, splits: Splits, evaluator: Evaluator) -> list[dict[str, Any]]:
    """The seeds and the best of what was evolved, as they did on the part to select; the best first."""
    ranking = search.selected
    evolved = [member for member in ranking if member.parents][:SHOWN]
    rows = []
    for member in ranking:
        if member.parents and member not in evolved:
            continue
        found = scores(_graded(evaluator, member, splits.select))
        kept = {key: found[key] for key in ("recall@10", "recall@5", "grounded@1024", "tokens", "p50_ms", "write_ms")}
        rows.append({"name": member.name, "evolved": bool(member.parents), **kept, "lines": lines(member.design)})
    return rows


def lineage(members: Mapping[str, Member], name: str) -> list[dict[str, Any]]:
    """A design and all it comes from, the oldest first."""
    waiting, found = [name], set()
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += members[one].parents
    return [as_json(member) for known, member in members.items() if known in found]


def tree(members: Mapping[str, Member], name: str) -> str:
    """For people: each design under the ones that came of it."""
    return "\n".join(_branch(members, name, "", set()))


def _branch(members: Mapping[str, Member], name: str, indent: str, told_of: set[str]) -> list[str]:
    member = members[name]
    reached = f"select {member.select.quality:.3f}" if member.select else member.stage
    made = f"{member.operator} in round {member.round}" if member.parents else "seed"
    line = f"{indent}{name}  {made}  {reached}"
    if name in told_of:
        return [f"{line}  (above)"]
    told_of.add(name)
    about = [f"{indent}    {told(member.strain.genome)}"] if member.parents else []
    below = [part for parent in member.parents for part in _branch(members, parent, f"{indent}  ", told_of)]
    return [line, *about, *below]
