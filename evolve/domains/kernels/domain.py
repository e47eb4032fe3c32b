"""The domain `kernels`: make C kernels faster on this machine's CPU. The score is the speed-up over the naive seed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from threading import Lock
from typing import TYPE_CHECKING

from evolve.domain import Domain
from evolve.domains.kernels import catalogue
from evolve.domains.kernels.catalogue import SOURCE, Entry
from evolve.errors import NotFoundError
from evolve.types import Candidate, Evaluation, Execution, Limits, Mutation, Sandbox, Task

if TYPE_CHECKING:
    from evolve.domains.kernels import judge
    from evolve.domains.kernels.machine import Peaks


class Kernels(Domain):
    name = "kernels"

    def __init__(self, samples: int = 15, seconds: float = 4.0) -> None:
        """Timing one candidate takes so many samples, and so many seconds at most."""
        self._effort = (samples, seconds)
        self._tasks: tuple[Task, ...] = ()
        self._known: dict[str, Peaks] = {}
        self._lock = Lock()

    def tasks(self) -> Sequence[Task]:
        from evolve.domains.kernels.lint import lint

        if not self._tasks:
            for entry in catalogue.entries().values():
                lint(entry)
            self._tasks = tuple(entry.task(self.name) for entry in catalogue.entries().values())
        return self._tasks

    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        """Gates in order: static rules, then the referee's (build, correctness, timing), then the roofline.

        A noisy measurement is repeated once and the calmer one counts.
        """
        from evolve.domains.kernels import judge

        entry, source = self._entry(task), candidate.files.get(SOURCE, "")
        refusal = judge.refused(source)
        if refusal:
            return refusal
        peaks = self._peaks(sandbox)
        measured = self._measured(entry, source, task.limits, sandbox, fresh=fresh)
        if isinstance(measured, judge.Measured) and measured.speedup.noisy:
            again = self._measured(entry, source, task.limits, sandbox, fresh=fresh, checked=False)
            measured = judge.calmer(measured, again)
        if isinstance(measured, Evaluation):
            return measured
        if judge.impossible(measured, judge.least_ms(entry, measured, peaks)):
            peaks = self._peaks(sandbox, again=True)
        alarm = judge.impossible(measured, judge.least_ms(entry, measured, peaks))
        return alarm or judge.accepted(entry, source, measured, peaks)

    def _measured(
        self, entry: Entry, source: str, limits: Limits, sandbox: Sandbox, *, fresh: bool, checked: bool = True
    ) -> "Evaluation | judge.Measured":
        """A seed that is refused once has met a rare draw of inputs; refused twice, its task is broken."""
        from evolve.domains.kernels import judge

        def run() -> Execution:
            effort = judge.Effort(*self._effort)
            return sandbox.run(judge.job(entry, source, effort, limits, fresh=fresh, checked=checked))

        execution = run()
        return judge.read(entry, source, run() if execution.reply.get("broken_task") else execution)

    def mutations(self, task: Task, files: Mapping[str, str], rng: Random) -> Iterator[Mutation]:
        from evolve.domains.kernels import transform

        del task
        for technique, detail, source in transform.mutations(files[SOURCE], rng):
            yield Mutation(technique, detail, {**files, SOURCE: source})

    def lore(self) -> Sequence[str]:
        text = Path(__file__).with_name("lore.md").read_text()
        return [section.strip() for section in text.split("\n## ")[1:]]

    def baseline(self, task: Task) -> float:
        """The score is relative to the seed."""
        del task
        return 1.0

    def _entry(self, task: Task) -> Entry:
        known, name = catalogue.entries(), task.id.removeprefix(f"{self.name}/")
        if name not in known:
            raise NotFoundError.among("task", task.id, [f"{self.name}/{other}" for other in known])
        return known[name]

    def _peaks(self, sandbox: Sandbox, *, again: bool = False) -> "Peaks":
        """Measured by one thread while the others wait: a machine that is busy shows lower peaks."""
        from evolve.domains.kernels.machine import peaks

        with self._lock:
            if again or sandbox.name not in self._known:
                self._known[sandbox.name] = peaks(sandbox, again=again)
            return self._known[sandbox.name]
