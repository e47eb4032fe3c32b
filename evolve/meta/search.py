"""The outer loop: seeds are judged, then rounds of children of whoever survives (MemEvolve, section 4).

Every choice is drawn from the run's seed and the child's position and rests on recorded results. So a run that is
taken up again comes to the same children, and so do two runs with one seed, for as long as time does not end them.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any, NamedTuple, TypeVar

from agents.architect import Redesign
from evolve.domains.memory.exam import Exam
from evolve.domains.memory.grading import Grades
from evolve.errors import BudgetExceededError, ModelError, UsageError
from evolve.meta.architect import Architect, Request
from evolve.meta.archive import cell_of, elites
from evolve.meta.breeding import Pool, Strain, breed, composed, stepped
from evolve.meta.evaluating import USED_UP, Evaluator
from evolve.meta.journal import Failed, Journal
from evolve.meta.parents import choose_parent
from evolve.meta.selection import Standing, by_quality, paired_error, ranked, standing
from evolve.meta.splits import Splits
from knowledge.architecture import DesignError
from knowledge.design import Design
from knowledge.genome import Genome, lean

BROOD = 8
"""Children of a round."""
TUNED, SELECTED = 4, 2
"""Of a round: those that are tuned on all there is to reflect on, and those that are judged on the part to select."""
TUNING = 8
"""Steps of the local search over a child's numbers."""
CONVINCING = 0.5
"""Paired standard errors by which a step must be better to be taken."""
SURVIVORS = 12
TRIED_TOLD = 6
"""Earlier changes of its parent that an architect is told."""
WRITE = "write"
"""The operator of what an architect writes."""
WRITTEN = 4
"""Children of a round that an architect writes, where there is one."""

A = TypeVar("A")
B = TypeVar("B")


class Member(NamedTuple):
    """A design of this run, as far as it has come."""

    name: str
    design: Design
    strain: Strain
    trusted: bool
    """Whether all of its programs are shipped."""
    round: int = 0
    operator: str = "seed"
    parents: tuple[str, ...] = ()
    change: str = ""
    """What its writer says of it."""
    reflect: Standing | None = None
    select: Standing | None = None
    stage: str = "made"
    """How far it came: `made`, `screened`, `tuned` or `selected`."""
    failure: Failed | None = None


class Search:
    """`seeds` must be trusted, and so must `signals`. `children`: how many at most; None: until the budget ends."""

    def __init__(
        self,
        seeds: Mapping[str, Design],
        signals: Mapping[str, Design],
        splits: Splits,
        evaluator: Evaluator,
        journal: Journal,
        *,
        seed: int,
        children: int | None,
        parallel: int = 2,
        architect: Architect | None = None,
        listen: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._seeds = seeds
        self._pool = Pool({**signals, **seeds}, frozenset(signals))
        self._splits = splits
        self._evaluator = evaluator
        self._journal = journal
        self._seed = seed
        self._most = math.inf if children is None else children
        self._parallel = parallel
        self._architect = architect
        self._listen = listen
        self._visits: Counter[str] = Counter()
        self._ended = ""
        self.members: dict[str, Member] = {}
        """Everything that was made, in order."""

    def run(self) -> None:
        """Until a budget ends it. What a round that was cut short did is kept for later, and counts for nothing."""
        self._found_seeds()
        number = 0
        while self._children < self._most and not self._ended:
            number += 1
            try:
                self._round(number)
            except BudgetExceededError as error:
                self._ended = str(error)
        if self._ended:
            self._listen(f"stopped: {self._ended}")

    @property
    def _children(self) -> int:
        return sum(bool(member.parents) for member in self.members.values())

    @property
    def selected(self) -> list[Member]:
        """Those that were judged on the part to select; the best first, by all that both parts show."""
        judged = {one.name: one for one in self.members.values() if one.select is not None}
        return [judged[one.name] for one in sorted(map(merit, judged.values()), key=by_quality)]

    # -- the beginning

    def _found_seeds(self) -> None:
        members = [
            Member(name, design, Strain(Genome.of(name), {}), trusted=True) for name, design in self._seeds.items()
        ]
        for member in self._each(self._founded, members):
            self.members[member.name] = member
        if not self.selected:
            raise UsageError("none of the seeds could be judged")

    def _founded(self, member: Member) -> Member:
        """Whatever the time: without its seeds a run has nothing to start from."""
        return self._on_select(self._on_reflect(member, late=True), late=True)

    # -- a round

    def _round(self, number: int) -> None:
        brood = self._brood(number)
        screen = self._screen(number)
        screened = self._each(lambda member: self._screened(member, screen), brood)
        self._admit(member for member, _ in screened if member.operator == WRITE and not member.failure)
        tuned = self._each(self._tuned, [member for member, _ in _best(screened, TUNED)])
        finished = self._each(self._on_select, [one for one, _ in _best(_reflected(tuned), SELECTED)])
        latest = {one.name: one for one in (*brood, *(one for one, _ in screened), *tuned, *finished)}
        for member in latest.values():
            self.members[member.name] = member
        leader = self.selected[0]
        self._listen(
            f"round {number}: {sum(one.failure is not None for one in latest.values())} of {len(brood)} failed, "
            f"{', '.join(f'{one.name} {_quality(one.select)} by {one.operator}' for one in finished)}; "
            f"best {leader.name} {_quality(leader.select)}"
        )

    def _screen(self, number: int) -> Exam:
        """The exam that a round begins with; they take turns."""
        return self._splits.reflect[(number - 1) % len(self._splits.reflect)]

    def _brood(self, number: int) -> list[Member]:
        """Fewer than there is room for where a model's budget ends in between: what it was paid for is judged."""
        first = self._children + 1
        survivors = self._survivors()
        made: list[Member] = []
        for position in range(first, int(min(first + BROOD, self._most + 1))):
            try:
                made.append(self._child(number, position, survivors, is_written=position - first < WRITTEN))
            except BudgetExceededError as error:
                if not made:
                    raise
                self._ended = str(error)
                break
        return made

    def _child(self, number: int, position: int, survivors: Sequence[Standing], *, is_written: bool) -> Member:
        rng = Random(f"{self._seed}/{position}")
        parent = self._drawn(survivors, rng)
        if self._architect and is_written:
            child = self._written(self._architect, number, f"c{position}", parent, rng)
        else:
            child = self._bred(f"c{position}", parent, self._drawn(survivors, rng), rng)
        self._visits[parent.name] += 1
        return child._replace(round=number)

    def _drawn(self, survivors: Sequence[Standing], rng: Random) -> Member:
        return self.members[choose_parent(survivors, self._visits, rng)]

    def _survivors(self) -> list[Standing]:
        """The first of all in the order of selection, and the best of each kind."""
        standings = [merit(one) for one in self.selected]
        cells = {one.name: cell_of(self.members[one.name].design.source) for one in standings}
        kept = {one.name: one for one in ranked(standings)[:SURVIVORS]}
        return list((kept | {one.name: one for one in elites(standings, cells).values()}).values())

    def _bred(self, name: str, parent: Member, mate: Member, rng: Random) -> Member:
        proposal = breed(parent.strain, mate.strain, self._pool, rng)
        parents = (parent.name, mate.name) if proposal.operator == "cross" else (parent.name,)
        trusted = all(self._is_trusted(part) for part in proposal.strain.genome.parts)
        child = Member(name, Design(name, ""), proposal.strain, trusted, operator=proposal.operator, parents=parents)
        return self._composed(child, proposal.strain)

    def _is_trusted(self, part: str) -> bool:
        return part in self._seeds or part in self._pool.signals

    def _admit(self, written: Iterable[Member]) -> None:
        """From now on others may be made of their programs."""
        found = {member.name: member.design for member in written}
        self._pool = Pool({**self._pool.designs, **found}, self._pool.signals)

    def _composed(self, member: Member, strain: Strain) -> Member:
        try:
            return member._replace(design=composed(member.name, strain, self._pool), strain=strain)
        except DesignError as fault:
            return member._replace(failure=Failed(fault.method, fault.reason))

    def _written(self, architect: Architect, number: int, name: str, parent: Member, rng: Random) -> Member:
        told = self._journal.reply(name)
        if told is None:
            told = self._proposed(architect, number, name, parent, rng)
            self._journal.record_reply(name, told)
            self._evaluator.save_clock()
        source, change, params = told["source"], told["change"], told["params"]
        strain = Strain(Genome.of(name), {f"{name}_{key}": value for key, value in params.items()})
        design = Design(name, source, params)
        child = Member(name, design, strain, trusted=False, operator=WRITE, parents=(parent.name,), change=change)
        return child if source else child._replace(failure=Failed("design", told["problem"]))

    def _proposed(self, architect: Architect, number: int, name: str, parent: Member, rng: Random) -> dict[str, Any]:
        """What the architect says. Raises BudgetExceededError where the run's time ends it."""
        if self._evaluator.out_of_time:
            raise BudgetExceededError(USED_UP)
        screen = self._screen(number)
        request = Request(name, parent.design, parent.trusted, screen, figures(parent), self._tried(parent))
        try:
            answer = architect.propose(request, rng)
        except (ModelError, DesignError) as error:
            if isinstance(error, ModelError) and error.fatal:
                raise
            if self._evaluator.out_of_time:
                raise BudgetExceededError(USED_UP) from error
            answer = Redesign(None, "", problem=str(error))
        source, params = (answer.design.source, dict(answer.design.params)) if answer.design else ("", {})
        return {"source": source, "params": params, "change": answer.change, "problem": answer.problem}

    def _tried(self, parent: Member) -> list[str]:
        """The latest changes of a parent and what they brought, in words."""
        written = [one for one in self.members.values() if parent.name in one.parents and one.change]
        return [f"{one.change}: {one.failure.reason if one.failure else figures(one)}" for one in written[-TRIED_TOLD:]]

    # -- the gates, cheapest first

    def _screened(self, member: Member, exam: Exam) -> tuple[Member, Standing | None]:
        if member.failure:
            return member, None
        grades = self._evaluator.grades(member.design, [exam], trusted=member.trusted)
        if isinstance(grades, Failed):
            return member._replace(failure=grades), None
        found = _standing(member, grades)
        if self._changes_nothing(member, exam, found):
            return member._replace(failure=Failed("design", "it answers as its parent does, and is no shorter")), None
        return member._replace(stage="screened"), found

    def _changes_nothing(self, member: Member, exam: Exam, found: Standing) -> bool:
        for name in member.parents:
            parent = self.members[name]
            grades = self._evaluator.grades(parent.design, [exam], trusted=parent.trusted)
            if isinstance(grades, Failed):
                continue
            known = _standing(parent, grades)
            if known.marks == found.marks and known.lines <= found.lines:
                return True
        return False

    def _tuned(self, member: Member) -> Member:
        """After the best of a few steps over its numbers, on what there is to reflect on."""
        best = self._on_reflect(member)
        for step in range(TUNING):
            if best.reflect is None:
                break
            rng = Random(f"{self._seed}/{member.name}/{step}")
            strain = stepped(best.strain, self._pool, rng)
            if strain == best.strain:
                break
            tried = self._composed(best, strain)
            if self._is_promising(tried, best):
                tried = self._on_reflect(tried)
                best = tried if tried.reflect and _is_convincing(tried.reflect, best.reflect) else best
        return best if best.failure else best._replace(stage="tuned")

    def _is_promising(self, tried: Member, best: Member) -> bool:
        """Better on the first exam alone: most steps are not, and cost no more."""
        first = self._splits.reflect[:1]
        found, known = (self._judged(one, first, late=False) for one in (tried, best))
        return not isinstance(found, Failed) and not isinstance(known, Failed) and found.quality > known.quality

    def _on_reflect(self, member: Member, *, late: bool = False) -> Member:
        found = self._judged(member, self._splits.reflect, late=late)
        return member._replace(failure=found) if isinstance(found, Failed) else member._replace(reflect=found)

    def _on_select(self, member: Member, *, late: bool = False) -> Member:
        if member.failure:
            return member
        found = self._judged(member, self._splits.select, late=late)
        if isinstance(found, Failed):
            return member._replace(failure=found)
        return member._replace(select=found, stage="selected")

    def _judged(self, member: Member, exams: Sequence[Exam], *, late: bool) -> Standing | Failed:
        if member.failure:
            return member.failure
        grades = self._evaluator.grades(member.design, exams, trusted=member.trusted, late=late)
        return grades if isinstance(grades, Failed) else _standing(member, grades)

    def _each(self, act: Callable[[A], B], items: Iterable[A]) -> list[B]:
        """Some at a time; what is waiting ends when one of them does."""
        with ThreadPoolExecutor(self._parallel) as pool:
            futures = [pool.submit(act, item) for item in items]
            try:
                return [future.result() for future in futures]
            except BudgetExceededError:
                raise  # which the others find out for themselves
            except BaseException:
                self._evaluator.stop()
                raise


def as_json(member: Member) -> dict[str, Any]:
    """For the journal and the report."""
    return {
        "id": member.name,
        "round": member.round,
        "operator": member.operator,
        "parents": list(member.parents),
        "genome": member.strain.genome._asdict(),
        "params": dict(member.design.params),
        "change": member.change,
        "stage": member.stage,
        "reflect": member.reflect.quality if member.reflect else None,
        "select": member.select.quality if member.select else None,
        "failure": member.failure._asdict() if member.failure else None,
        "source": member.design.source if member.parents else "",
    }


def merit(member: Member) -> Standing:
    """On what it was tuned on and on what it was not: the more questions, the less chance has chosen it."""
    assert member.reflect is not None, "what was judged on the part to select was judged on the other before"
    assert member.select is not None
    return member.select._replace(marks=member.reflect.marks + member.select.marks)


def figures(member: Member) -> str:
    """How a design fared, for whoever writes the next one."""
    best = member.reflect or member.select
    if best is None:
        return "not judged"
    return f"recall@10 {best.quality:.3f}, {best.tokens:.0f} tokens, {best.ms:.1f} ms a query, {best.lines} lines"


def _standing(member: Member, grades: Sequence[Grades]) -> Standing:
    return standing(member.name, grades, lines(member.design))


def lines(design: Design) -> int:
    """Of code, however it is laid out."""
    return len(lean(design.source).splitlines())


def _best(judged: Iterable[tuple[Member, Standing | None]], count: int) -> list[tuple[Member, Standing]]:
    found = [(member, one) for member, one in judged if one is not None]
    return sorted(found, key=lambda pair: by_quality(pair[1]))[:count]


def _reflected(members: Iterable[Member]) -> list[tuple[Member, Standing | None]]:
    return [(member, None if member.failure else member.reflect) for member in members]


def _is_convincing(tried: Standing, best: Standing) -> bool:
    return tried.quality - best.quality > CONVINCING * paired_error(tried.marks, best.marks)


def _quality(one: Standing | None) -> str:
    return f"{one.quality:.3f}" if one else "failed"
