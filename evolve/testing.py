"""Contract tests for plugins: inherit the class, name your domain, run pytest.

class TestMine(DomainContract):
    domain = Mine()
"""

from random import Random
from typing import ClassVar

from evolve.domain import Domain
from evolve.types import Candidate, Sandbox


class DomainContract:
    """What every domain must keep to. Needs a fixture `sandbox` that gives an open one."""

    domain: ClassVar[Domain]

    def test_tasks_are_named_after_the_domain_and_unique(self) -> None:
        names = [task.id for task in self.domain.tasks()]
        assert names
        assert len(names) == len(set(names))
        assert all(name.startswith(f"{self.domain.name}/") for name in names)
        assert all(task.domain == self.domain.name and task.prompt.strip() for task in self.domain.tasks())

    def test_nothing_at_all_is_infeasible_and_says_why(self, sandbox: Sandbox) -> None:
        task = self.domain.tasks()[0]
        verdict = self.domain.evaluate(task, Candidate(files={}), sandbox)
        assert verdict.score is None
        assert verdict.feedback.strip()

    def test_garbage_is_infeasible_and_says_why(self, sandbox: Sandbox) -> None:
        task = self.domain.tasks()[0]
        files = dict.fromkeys(task.files or {"main": ""}, "}{ this is no program \x00")
        verdict = self.domain.evaluate(task, Candidate(files=files), sandbox)
        assert verdict.score is None
        assert verdict.feedback.strip()

    def test_a_seed_is_feasible(self, sandbox: Sandbox) -> None:
        for task in self.domain.tasks()[:2]:
            if task.files:
                assert self.domain.evaluate(task, Candidate(files=task.files), sandbox).score is not None

    def test_mutations_are_the_same_for_the_same_random_numbers(self) -> None:
        task = self.domain.tasks()[0]
        first, again = (list(self.domain.mutations(task, task.files, Random(3))) for _ in range(2))
        assert first == again

    def test_an_improvement_is_a_positive_gain(self) -> None:
        assert self.domain.gain(1.0, 2.0) > 0 > self.domain.gain(2.0, 1.0)
        assert self.domain.gain(1.5, 1.5) == 0
