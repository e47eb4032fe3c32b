"""The real C kernels, judged with little effort: for tests that are not about what is measured."""

from evolve.domains.kernels.domain import Kernels
from evolve.domains.kernels.judge import refused
from evolve.types import Candidate, Evaluation, Gates, Job, Sandbox, Task

SOURCE = "kernel.c"


class Quick(Kernels):
    """Timed as briefly as a verdict can be."""

    def __init__(self) -> None:
        super().__init__(sessions=3, seconds=0.2)


class Compiled(Kernels):
    """Never run: what the compiler takes is right, and its score follows from its text alone.

    So a verdict is the same wherever it is given, and so is what is written because of it.
    """

    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        del task
        if fault := refused(candidate.files.get(SOURCE, "")):
            return fault
        done = sandbox.run(Job(files=candidate.files, argv=("gcc", "-fsyntax-only", "-w", SOURCE), fresh=fresh))
        if done.exit_code:
            gates = Gates(authentic=True, builds=False)
            return Evaluation(gates=gates, feedback=f"it does not compile:\n{done.stderr[:400]}")
        score = 1 + int(candidate.id[:4], 16) / 0xFFFF
        return Evaluation(gates=Gates(authentic=True, builds=True, correct=True), score=score)
