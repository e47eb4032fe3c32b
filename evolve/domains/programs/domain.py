"""The domain `programs`: tasks in OpenEvolve's format. Their evaluators run in the sandbox and say the score."""

import ast
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from evolve.domain import Domain
from evolve.errors import NotFoundError, UsageError
from evolve.types import Candidate, Evaluation, Gates, Limits, Mutation, Sandbox, Task

if TYPE_CHECKING:
    from evolve.domains.programs.folder import Posed
    from evolve.domains.programs.verdict import Fault

SHIPPED = Path(__file__).with_name("tasks")
TRUSTING = "trusting"
PROMPT = """\
{title}: improve the Python program {program}. An evaluator that you do not see loads it and scores what \
it does; the score is its metric {score}, higher is better.
{calls}{changing}It runs alone, without files of its own or a network, at most {seconds:g} s and \
{memory_mb} MB for one evaluation. It may import the standard library and numpy{modules}.
{message}"""


class Programs(Domain):
    """Without `path`, a task folder or a folder of them, the tasks are the shipped ones."""

    name = "programs"
    prompts = Path(__file__).with_name("prompts")

    def __init__(self, path: str = "") -> None:
        self._root = Path(path) if path else SHIPPED
        self._posed: dict[str, Posed] = {}
        self._refused: dict[str, str] = {}
        self._unseen = secrets.randbits(31)
        """Seed of random numbers where winners are chosen."""
        self._sound: set[str] = set()
        """Tasks whose evaluator is known to work on the seed."""
        self._tried: dict[str, Posed] = {}
        """Tasks with a cascade, as they are once it has been tried on the seed."""
        self._lock = threading.Lock()

    def tasks(self) -> Sequence[Task]:
        """Raises UsageError where there is none; a bad one among good ones is left out: see `refused`."""
        if not self._posed:
            from evolve.domains.programs import finding

            found, refused = finding.found(self._root)
            self._posed = {f"{self.name}/{posed.name}": posed for posed in found}
            self._refused = {f"{self.name}/{name}": reason for name, reason in refused.items()}
            if any("torch" in posed.modules for posed in found):
                self.needs = frozenset({"torch"})
        return [self._task(name, posed) for name, posed in self._posed.items()]

    def refused(self) -> Mapping[str, str]:
        self.tasks()
        return self._refused

    def _task(self, name: str, posed: "Posed") -> Task:
        return Task(
            id=name,
            domain=self.name,
            prompt=prompt(posed),
            files={posed.program: posed.source},
            limits=Limits(seconds=posed.seconds, memory_mb=posed.memory_mb, processes=posed.processes),
            tags=("python", *([TRUSTING] if posed.trusting else [])),
        )

    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        """Gates: what is fixed is as it was, it compiles, every stage was passed; then the score is the evaluator's.

        Raises UsageError for an evaluator that fails on the seed as well.
        """
        from evolve.domains.programs import verdict

        posed = self._of(task)
        source = _admitted(posed, candidate)
        if isinstance(source, Evaluation):
            return source
        posed = self._within_reach(task, posed, sandbox)
        seed = self._unseen if fresh else posed.seed
        judged = verdict.read(posed, sandbox.run(verdict.job(posed, source, task.limits, seed=seed, fresh=fresh)))
        if isinstance(judged, Evaluation):
            return judged
        self._check(task, posed, judged, sandbox, of_seed=source == posed.source)
        return verdict.refused(posed, judged)

    def _within_reach(self, task: Task, posed: "Posed", sandbox: Sandbox) -> "Posed":
        """Without thresholds where the seed does not reach them: they spare time, they do not say what is right."""
        from evolve.domains.programs import verdict

        if not any(stage.at_least is not None for stage in posed.stages):
            return posed
        with self._lock:
            if task.id not in self._tried:
                asked = verdict.job(posed, posed.source, task.limits, seed=posed.seed, fresh=False)
                short = verdict.falls_short(posed, sandbox.run(asked))
                stages = tuple(stage._replace(at_least=None) for stage in posed.stages)
                self._tried[task.id] = posed._replace(stages=stages) if short else posed
            return self._tried[task.id]

    def _check(self, task: Task, posed: "Posed", fault: "Fault", sandbox: Sandbox, *, of_seed: bool) -> None:
        """Raises UsageError unless the evaluator works on the seed, where only the program can be at fault."""
        from evolve.domains.programs import verdict

        with self._lock:
            if task.id in self._sound and not of_seed:
                return
            if not of_seed:
                asked = verdict.job(posed, posed.source, task.limits, seed=posed.seed, fresh=False)
                judged = verdict.read(posed, sandbox.run(asked))
                if isinstance(judged, Evaluation):
                    self._sound.add(task.id)
                    return
                fault = judged
        told = " ".join(fault.message.split())
        raise UsageError(f"the evaluator of {task.id} does not work on its own initial program: {told}")

    def mutations(self, task: Task, files: Mapping[str, str], rng: Random) -> Iterator[Mutation]:
        """Of what stands between the marks, comments and layout kept."""
        from evolve.domains.programs import blocks, moves

        posed = self._of(task)
        try:
            source = blocks.restored(posed.source, files[posed.program])
        except (KeyError, blocks.MarksError):
            return
        for technique, detail, changed in moves.mutations(source, blocks.changeable(source), rng):
            if posed.longest is None or len(changed) <= posed.longest:
                yield Mutation(technique, detail, {posed.program: changed})

    def _of(self, task: Task) -> "Posed":
        self.tasks()
        if task.id not in self._posed:
            raise NotFoundError.among("task", task.id, list(self._posed))
        return self._posed[task.id]


def prompt(posed: "Posed") -> str:
    calls = f"It must define {', '.join(posed.calls)}.\n" if posed.calls else ""
    changing = (
        f"Only the lines between its EVOLVE-BLOCK marks may change: {', '.join(posed.changing)}. All else is fixed"
        f"{': ' * bool(posed.fixed)}{', '.join(posed.fixed)}.\n"
        if posed.changing
        else ""
    )
    words = posed.name.replace("_", " ").replace("-", " ")
    return PROMPT.format(
        title=words[:1].upper() + words[1:],
        program=posed.program,
        score=posed.score,
        calls=calls,
        changing=changing,
        seconds=posed.seconds,
        memory_mb=posed.memory_mb,
        modules="".join(f", {module}" for module in sorted(posed.modules)),
        message=posed.message,
    ).strip()


def _admitted(posed: "Posed", candidate: Candidate) -> str | Evaluation:
    """The program with what is fixed as it was, or why it is not worth running."""
    from evolve.domains.programs import blocks

    refused = Gates(authentic=False)
    others = sorted(set(candidate.files) - {posed.program})
    if posed.program not in candidate.files:
        return Evaluation(gates=refused, feedback=f"refused: there is no {posed.program}")
    if others:
        return Evaluation(
            gates=refused, feedback=f"refused: only {posed.program} may be given, not {', '.join(others)}"
        )
    source = candidate.files[posed.program]
    if posed.longest is not None and len(source) > posed.longest:
        said = f"refused: {len(source)} characters, {posed.longest} are allowed"
        return Evaluation(gates=refused, feedback=said)
    try:
        whole = blocks.restored(posed.source, source)
    except blocks.MarksError as error:
        said = f"refused: outside of the EVOLVE-BLOCK marks nothing may change, but {error}"
        return Evaluation(gates=refused, feedback=said)
    return (
        whole
        if not (problem := _syntax(whole))
        else Evaluation(gates=Gates(authentic=True, builds=False), feedback=f"does not build: {problem}")
    )


def _syntax(source: str) -> str:
    try:
        ast.parse(source)
    except SyntaxError as error:
        line = f": `{error.text.strip()[:80]}`" if error.text else ""
        return f"line {error.lineno}: {error.msg}{line}"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or "it is nested too deeply"
    return ""
