"""The domain `kernels`: make kernels faster on this machine. The score is the speed-up over the target's naive seed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from threading import Lock
from typing import TYPE_CHECKING

from evolve.domain import Domain
from evolve.domains.kernels import catalogue, targets
from evolve.domains.kernels.catalogue import Entry
from evolve.domains.measuring import FINAL, Effort, repeated
from evolve.errors import NotFoundError, UsageError
from evolve.types import Candidate, Evaluation, Mutation, Sandbox, Task

if TYPE_CHECKING:
    from evolve.domains.kernels.machine import Peaks
    from evolve.domains.measuring import Measured
    from evolve.profiler import Section

LARGER = 3
"""Times the effort on a CPU, for the sizes that a GPU is timed at: their outputs take as much longer to judge."""


class Kernels(Domain):
    name = "kernels"
    prompts = Path(__file__).with_name("prompts")

    def __init__(self, sessions: int = 6, seconds: float = 4.0, target: str = targets.C.name) -> None:
        """Timing one candidate takes so many sessions with new processes, and about so many seconds at most.

        Raises NotFoundError for a target that there is not.
        """
        self._target = targets.named(target)
        self.needs = frozenset({"gpu"} if self._target.device else {"mojo"} if target == targets.MOJO.name else ())
        self._effort = Effort(sessions=sessions, seconds=seconds)
        self._tasks: tuple[Task, ...] = ()
        self._known: dict[str, Peaks] = {}
        self._lock = Lock()

    def tasks(self) -> Sequence[Task]:
        from evolve.domains.kernels.lint import lint

        if not self._tasks:
            entries = [entry for entry in catalogue.entries().values() if self._target.seed(entry.name)]
            for entry in entries:
                lint(entry)
            self._tasks = tuple(entry.task(self.name, self._target) for entry in entries)
        return self._tasks

    def missing(self) -> str:
        reason = targets.missing(self._target)
        return f"no kernel of the target {self._target.name} could be given a score: {reason}" if reason else ""

    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        """Gates in order: static rules, then the referee's (build, correctness, timing), then the roofline.

        A noisy measurement is repeated once and both count.
        """
        verdict = self._judged(task, candidate, sandbox, fresh=fresh)
        known = self._known.get(sandbox.name)
        if known is None or verdict.profile.hardware:
            return verdict
        return verdict.model_copy(update={"profile": verdict.profile.model_copy(update={"hardware": known.cpu})})

    def _judged(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool) -> Evaluation:
        from evolve.domains.kernels import device, judge

        entry, source = self._entry(task), candidate.files.get(self._target.source, "")
        refusal = judge.refused(source, self._target)
        if refusal:
            return refusal
        peaks = None if self._target.device else self._peaks(sandbox)
        effort = self._effort.times((FINAL if fresh else 1) * (LARGER if self._target.device else 1))

        def measure(checked: bool) -> "Evaluation | Measured":
            job = judge.job(entry, source, effort, task.limits, fresh=fresh, checked=checked, target=self._target)
            return judge.read(entry, source, sandbox.run(job))

        measured = repeated(measure, lambda found: device.throttled(found.reply))
        if isinstance(measured, Evaluation):
            return measured
        if peaks is None:
            return device.verdict(entry, self._target, measured)
        if judge.impossible(measured, judge.least_ms(entry, measured, peaks)):
            peaks = self._peaks(sandbox, again=True)
        alarm = judge.impossible(measured, judge.least_ms(entry, measured, peaks))
        return alarm or judge.accepted(entry, source, measured, peaks, self._target)

    def profile(
        self, task: Task, candidate: Candidate, verdict: Evaluation, sandbox: Sandbox, parts: Sequence[str] = ()
    ) -> "Section":
        from evolve.domains.kernels import profiling

        self._c_alone("--profile")
        entry, source = self._entry(task), candidate.files.get(self._target.source, "")
        report = profiling.read(sandbox.run(profiling.job(entry, source, task.limits, parts)))
        evidence = profiling.evidence(entry, source, verdict, report, self._peaks(sandbox))
        return profiling.section(entry, report, evidence)

    def peers(self, task: Task, candidate: Candidate, sandbox: Sandbox) -> "Section":
        from evolve.domains.kernels import peers

        self._c_alone("--peers")
        entry, source = self._entry(task), candidate.files.get(self._target.source, "")
        reply = peers.read(sandbox.run(peers.job(entry, source, task.limits)))
        return peers.section(entry, reply, self._peaks(sandbox))

    def _c_alone(self, option: str) -> None:
        if self._target is not targets.C:
            raise UsageError(f"{option} is for the target c; what is known of other kernels is in every verdict")

    def mutations(self, task: Task, files: Mapping[str, str], rng: Random) -> Iterator[Mutation]:
        from evolve.domains.kernels import transform
        from evolve.domains.kernels.mojo import moves

        del task
        known = {targets.C.name: transform.mutations, targets.MOJO.name: moves.mutations}
        if self._target.name not in known:
            return
        name = self._target.source
        for technique, detail, source in known[self._target.name](files[name], rng):
            yield Mutation(technique, detail, {**files, name: source})

    def lore(self) -> Sequence[str]:
        if self._target.lore is None:
            return ()
        return [section.strip() for section in self._target.lore.read_text().split("\n## ")[1:]]

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
