"""What every domain must keep to, under pytest or without it."""

import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import ClassVar, NamedTuple

from evolve.domain import Domain
from evolve.errors import UsageError
from evolve.plugins import in_one_line
from evolve.types import Candidate, Evaluation, Sandbox, Task

REFERENCE, REFUSED, HOSTILE = "reference", "refused", "hostile"
"""The kinds of examples: see `Domain.examples`."""
MOST_MUTATIONS = 64
OVERHEAD = 20.0
"""Seconds beside the program itself: a cold sandbox, a loaded machine."""
PASSED, FAILED, NOT_CHECKED = "passed", "failed", "not checked"


class Example(NamedTuple):
    """A candidate whose verdict is known."""

    name: str
    """Where it lies, such as `packing/refused/overfull`."""
    task: Task
    files: Mapping[str, str]


class Finding(NamedTuple):
    what: str
    """The clause of the contract, in words."""
    outcome: str
    """`passed`, `failed` or `not checked`."""
    reason: str = ""


def examples(domain: Domain, kind: str) -> list[Example]:
    """Those of a kind in the domain's folder, by name."""
    folder = domain.examples
    if folder is None:
        return []
    kinds = [(task, folder / task.id.partition("/")[2] / kind) for task in domain.tasks()]
    places = [
        (task, each) for task, place in kinds for each in ([place] if kind == REFERENCE else place.glob("[!.]*/"))
    ]
    return [
        Example(place.relative_to(folder).as_posix(), task, files)
        for task, place in sorted(places, key=lambda found: found[1])
        if (files := _files(place))
    ]


def _files(folder: Path) -> dict[str, str]:
    found = [file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file()]
    own = [file for file in found if not any(part.startswith((".", "__pycache__")) for part in file.parts)]
    return {file.as_posix(): (folder / file).read_text() for file in own}


class DomainContract:
    """What every domain must keep to. Needs a fixture `sandbox` that gives an open one (`open_sandbox`)."""

    domain: ClassVar[Domain]
    seeds: ClassVar[int] = 2
    """So many tasks have their seeds judged."""
    tolerance: ClassVar[float] = 0.05
    """The share by which two scores of one candidate may differ, beyond their intervals."""
    patience: ClassVar[float] = 3.0
    """How many times its limit of seconds the verdict on a hostile candidate may take."""

    _verdicts: ClassVar[dict[tuple[str, str, str], Evaluation]]

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls._verdicts = {}

    def examples(self, kind: str) -> Sequence[Example]:
        """Candidates whose verdict is known; override it where they lie elsewhere than in the domain's folder."""
        return examples(self.domain, kind)

    def test_tasks_are_named_after_the_domain_and_unique(self) -> None:
        tasks = self.domain.tasks()
        names = [task.id for task in tasks]
        assert names, "it has no task"
        assert len(names) == len(set(names)), "two tasks have the same id"
        for task in tasks:
            name = task.id.removeprefix(f"{self.domain.name}/")
            assert name not in {"", task.id}, f"{task.id!r} is not called {self.domain.name}/NAME"
            assert task.domain == self.domain.name, f"{task.id} is of the domain {task.domain!r}"
            assert task.prompt.strip(), f"{task.id} has no prompt"

    def test_nothing_at_all_is_infeasible_and_says_why(self, sandbox: Sandbox) -> None:
        self._refused("no file at all", self.domain.tasks()[0], {}, sandbox)

    def test_garbage_is_infeasible_and_says_why(self, sandbox: Sandbox) -> None:
        task = self.domain.tasks()[0]
        files = dict.fromkeys(task.files or {"main": ""}, "}{ this is no program \x00")
        self._refused("garbage", task, files, sandbox)

    def test_a_seed_is_feasible(self, sandbox: Sandbox) -> None:
        for task in [task for task in self.domain.tasks()[: self.seeds] if task.files]:
            self._first(f"the seed of {task.id}", task, task.files, sandbox)

    def test_a_reference_is_at_least_as_good_as_the_seed(self, sandbox: Sandbox) -> None:
        for each in self._some(REFERENCE):
            found = self._first(each.name, each.task, each.files, sandbox)
            if each.task.files:
                seed = self._first(f"the seed of {each.task.id}", each.task, each.task.files, sandbox)
                better = _bounds(found, self.tolerance)[1] >= _bounds(seed, self.tolerance)[0]
                assert better, f"{each.name} scores {found.score:.4g}, the seed {seed.score:.4g}"

    def test_broken_and_cheating_candidates_are_refused(self, sandbox: Sandbox) -> None:
        for each in self._some(REFUSED):
            self._refused(each.name, each.task, each.files, sandbox)

    def test_a_hostile_candidate_costs_no_more_than_its_limits(self, sandbox: Sandbox) -> None:
        for each in self._some(HOSTILE):
            started, most = time.monotonic(), self.patience * each.task.limits.seconds + OVERHEAD
            self._refused(each.name, each.task, each.files, sandbox)
            spent = time.monotonic() - started
            assert spent <= most, f"{each.name} took {spent:.0f} s, with a limit of {each.task.limits.seconds:g} s"
            if each.task.files:
                self._accepted(f"after {each.name}, the seed", each.task, each.task.files, sandbox)

    def test_the_same_candidate_is_judged_the_same_again_and_afresh(self, sandbox: Sandbox) -> None:
        name, task, files = self._good()
        first = self._first(name, task, files, sandbox)
        for fresh in (False, True):
            where = f"{name}, judged again{' afresh' if fresh else ''},"
            again = self._accepted(where, task, files, sandbox, fresh=fresh)
            (low, high), (lower, higher) = (_bounds(each, self.tolerance) for each in (first, again))
            same = low <= higher and lower <= high
            hint = "" if first.interval else "; a score that varies needs an interval"
            assert same, f"{where} scores {again.score:.4g} after {first.score:.4g}{hint}"

    def test_mutations_are_the_same_for_the_same_random_numbers(self) -> None:
        task = self.domain.tasks()[0]
        first, again = (
            list(islice(self.domain.mutations(task, task.files, Random(3)), MOST_MUTATIONS)) for _ in range(2)
        )
        assert first == again, "its mutations differ although the random numbers do not"

    def test_an_improvement_is_a_positive_gain(self) -> None:
        gain = self.domain.gain
        assert gain(1.0, 2.0) > 0 > gain(2.0, 1.0), f"{gain(1.0, 2.0)} from 1 to 2, {gain(2.0, 1.0)} from 2 to 1"
        assert gain(1.5, 1.5) == 0, f"{gain(1.5, 1.5)} without a change"

    def _some(self, kind: str) -> Sequence[Example]:
        from unittest import SkipTest  # which pytest knows too

        found = self.examples(kind)
        if not found:
            place = f"TASK/{kind}" if kind == REFERENCE else f"TASK/{kind}/NAME"
            folder = self.domain.examples or "a folder that its class names as `examples`"
            raise SkipTest(f"there is no such candidate: put one into {place} of {folder}")
        return found

    def _good(self) -> Example:
        """One that is known to be feasible."""
        from unittest import SkipTest

        seeds = (Example(f"the seed of {task.id}", task, task.files) for task in self.domain.tasks() if task.files)
        for each in (*self.examples(REFERENCE), *seeds):
            return each
        raise SkipTest("the domain has neither a seed nor a reference")

    def _first(self, name: str, task: Task, files: Mapping[str, str], sandbox: Sandbox) -> Evaluation:
        """One verdict on it is enough for several clauses."""
        key = (task.id, Candidate(files=files).id, sandbox.name)
        if key not in self._verdicts:
            self._verdicts[key] = self._accepted(name, task, files, sandbox)
        return self._verdicts[key]

    def _accepted(
        self, name: str, task: Task, files: Mapping[str, str], sandbox: Sandbox, *, fresh: bool = False
    ) -> Evaluation:
        verdict = self.domain.evaluate(task, Candidate(files=files), sandbox, fresh=fresh)
        assert verdict.feasible, f"{name} has no score: {verdict.feedback[:300]}"
        return verdict

    def _refused(self, name: str, task: Task, files: Mapping[str, str], sandbox: Sandbox) -> None:
        verdict = self.domain.evaluate(task, Candidate(files=files), sandbox)
        assert not verdict.feasible, f"{name} is accepted with the score {verdict.score:.4g}"
        assert verdict.feedback.strip(), f"{name} is refused, and no feedback says why"


def _bounds(verdict: Evaluation, tolerance: float) -> tuple[float, float]:
    score = verdict.score or 0.0
    low, high = verdict.interval or (score, score)
    return low - tolerance * abs(score), high + tolerance * abs(score)


def clauses_of(domain: Domain, sandbox: Sandbox) -> Iterator[Finding]:
    """How the domain keeps the contract, clause by clause as they are tried; needs no pytest."""
    if not __debug__:
        raise UsageError("Python's -O and PYTHONOPTIMIZE leave out the assertions that the contract is made of")
    contract = type("Contract", (DomainContract,), {"domain": domain})()
    for name in vars(DomainContract):
        if name.startswith("test_"):
            clause = getattr(contract, name)
            given = {"sandbox": sandbox} if "sandbox" in inspect.signature(clause).parameters else {}
            outcome, reason = _tried(partial(clause, **given))
            yield Finding(name.removeprefix("test_").replace("_", " "), outcome, reason)


def _tried(clause: Callable[[], None]) -> tuple[str, str]:
    from unittest import SkipTest

    try:
        clause()
    except SkipTest as reason:
        return NOT_CHECKED, str(reason)
    except AssertionError as fault:
        return FAILED, str(fault)
    except Exception as error:  # noqa: BLE001 - the boundary to a plugin
        return FAILED, in_one_line(error)
    return PASSED, ""
