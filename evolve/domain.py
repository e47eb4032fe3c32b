"""The plugin contract: what a task domain must say about itself.

A domain is one class, named in the entry-point group `evolve.domains`, or `path/to/file.py:Class`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random

from evolve.types import Candidate, Evaluation, Mutation, Sandbox, Task


class Domain(ABC):
    name: str
    needs: frozenset[str] = frozenset()
    """What the sandbox is to have beside a compiler and numpy: `gpu`, shown to candidates, `torch`, `mojo`."""
    prompts: Path | None = None
    """A folder of prompt templates that replace ours of the same name for this domain's tasks."""
    examples: Path | None = None
    """A folder of candidates whose verdict is known, for `evolve.testing.DomainContract`: the files under
    `TASK/reference/` are as good as the seed or better, those under `TASK/refused/NAME/` must not get a score, and
    those under `TASK/hostile/NAME/` must not either, at the cost of no more than the task's limits."""

    @abstractmethod
    def tasks(self) -> Sequence[Task]:
        """Every task, valid: a task that a trivial cheat would pass raises PluginError here."""

    @abstractmethod
    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        """Judge one candidate. Untrusted code runs in `sandbox` only.

        `fresh`: in a sandbox and on inputs that nothing before it has touched (re-measuring a winner).
        A candidate's failure is an Evaluation without a score; SandboxError passes through.
        """

    def missing(self) -> str:
        """Why no candidate could be given a score on this machine, in a sentence; empty when nothing is known."""
        return ""

    def refused(self) -> Mapping[str, str]:
        """Tasks that are left out because no verdict on them would mean anything: the reason by id."""
        return {}

    def mutations(self, task: Task, files: Mapping[str, str], rng: Random) -> Iterable[Mutation]:
        """Transformations of `files` that might improve them, for search without a model; lazily, in random order."""
        del task, files, rng
        return ()

    def lore(self) -> Sequence[str]:
        """Documents about the target that a writer may look things up in."""
        return ()

    def gain(self, best: float, new: float) -> float:
        """How much better `new` is than `best` (scores), 0 for no change; the refining reward is its tanh.

        The default is the log-ratio of positive scores, else the difference.
        """
        return math.log(new / best) if best > 0 and new > 0 else new - best

    def baseline(self, task: Task) -> float | None:
        """The score of the task's own seed, where it is known without measuring (1.0 for a speed-up).

        Where it is None, the first of a task's attempts is the seed itself.
        """
        del task
        return None
