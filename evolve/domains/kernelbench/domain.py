"""The domain `kernelbench`: replace a problem's `Model` by a faster `ModelNew`. The score is the speed-up over it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.domain import Domain
from evolve.domains.measuring import FINAL, Effort, repeated
from evolve.errors import NotFoundError, UsageError
from evolve.types import Candidate, Evaluation, Limits, Sandbox, Task

if TYPE_CHECKING:
    from evolve.domains.kernelbench.findings import Finding
    from evolve.domains.kernelbench.judge import Posed
    from evolve.domains.kernelbench.problems import Problem
    from evolve.domains.measuring import Measured

SECONDS = 20.0
"""About, for timing one candidate: starting two processes with torch takes some of them."""
LIMITS = Limits(seconds=60, memory_mb=4096)
PROMPT = """\
Make this torch model faster on this machine's CPU. Answer with a file `model.py` that defines a class `ModelNew`: it is
constructed with the problem's get_init_inputs() and called with its inputs, and gives what `Model` gives.

{text}
ModelNew must have the same parameters and buffers as Model, by name and shape. They are set after it has been
constructed, to other values for every call, so compute nothing from them beforehand; inputs and parameters cannot be
written to. It runs in eager torch under torch.no_grad(), in training mode as Model does; no compiler can be started, so
neither torch.compile nor extensions are to be had. It is judged to about single precision, on inputs drawn as
get_inputs does and {distributions}. The score is the time of Model over its own, the copy of the answer included.
{shrunk}"""
SHRUNK = "The sizes above are smaller than the problem's own: {sizes}.\n"


class KernelBench(Domain):
    """Without `path`, a checkout in KernelBench's format, there are no tasks.

    `level`: a number. `problems`: such as `1-20`, all when empty. `shrink`: `no`, or at sizes that suit a CPU.
    """

    name = "kernelbench"
    needs = frozenset({"torch"})
    prompts = Path(__file__).with_name("prompts")

    def __init__(
        self, path: str = "", level: str = "1", problems: str = "", shrink: str = "yes", sessions: int = 4
    ) -> None:
        self._asked = (path, int(level), problems, shrink != "no")
        self._sessions = sessions
        self._posed: dict[str, Posed] = {}
        self._tasks: tuple[Task, ...] = ()
        self._refused: dict[str, str] = {}

    def tasks(self) -> Sequence[Task]:
        """Problems that a cheap answer would pass are left out: see `refused`."""
        path, level, numbers, shrink = self._asked
        if path and not (self._tasks or self._refused):
            from evolve.domains.kernelbench import problems, screening

            found = problems.read(Path(path), level, numbers)
            findings = screening.screen(found, shrink=shrink)
            self._refused = {
                f"{self.name}/{name}": finding.refused for name, finding in findings.items() if finding.refused
            }
            if all(finding.refused for finding in findings.values()):
                reasons = "; ".join(f"{name}: {reason}" for name, reason in self._refused.items())
                raise UsageError(f"no problem asked for can be judged: {reasons[:600]}")
            fit = [(problem, findings[problem.id]) for problem in found if not findings[problem.id].refused]
            self._posed = {f"{self.name}/{problem.id}": _posed(problem, finding) for problem, finding in fit}
            self._tasks = tuple(self._task(problem, finding) for problem, finding in fit)
        return self._tasks

    def refused(self) -> Mapping[str, str]:
        self.tasks()
        return self._refused

    def _task(self, problem: "Problem", finding: "Finding") -> Task:
        from evolve.domains.kernelbench.judge import SOURCE

        posed = self._posed[f"{self.name}/{problem.id}"]
        others = ", ".join(finding.distributions[1:])
        text = PROMPT.format(
            text=posed.text,
            distributions=f"with values of other distributions ({others}) in their place" if others else "nothing else",
            shrunk=SHRUNK.format(sizes=", ".join(f"{k} = {v}" for k, v in finding.smaller.items()))
            if finding.smaller
            else "",
        )
        return Task(
            id=posed.id,
            domain=self.name,
            prompt=text,
            files={SOURCE: posed.seed},
            limits=LIMITS,
            tier=problem.level,
            tags=("torch",),
        )

    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        """A noisy measurement is repeated once and both count."""
        from evolve.domains.kernelbench import judge

        self.tasks()
        if task.id not in self._posed:
            raise NotFoundError.among("task", task.id, list(self._posed))
        posed, source = self._posed[task.id], candidate.files.get(judge.SOURCE, "")
        effort = Effort(self._sessions, seconds=SECONDS).times(FINAL if fresh else 1)

        def measure(checked: bool) -> "Evaluation | Measured":
            job = judge.job(posed, source, effort, task.limits, fresh=fresh, checked=checked)
            return judge.read(posed, sandbox.run(job), sandbox.name)

        result = repeated(measure)
        return result if isinstance(result, Evaluation) else judge.accepted(result)

    def baseline(self, task: Task) -> float:
        """The score is relative to the problem's own model."""
        del task
        return 1.0


def _posed(problem: "Problem", finding: "Finding") -> "Posed":
    from evolve.domains.kernelbench import problems, texts
    from evolve.domains.kernelbench.judge import Posed

    text = problems.resized(problem.text, finding.smaller)
    return Posed(
        id=f"kernelbench/{problem.id}",
        text=text,
        seed=problems.seed(text),
        trusted=texts.trusted(text, finding.output, finding.distributions),
        distributions=finding.distributions,
    )
