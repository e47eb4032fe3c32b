"""A domain small enough for tests of the loop: make the number in x.txt large; odd numbers are wrong."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from random import Random

from evolve import Candidate, Domain, Evaluation, Gates, Mutation, Profile, Sandbox, Task

SECONDS = float(os.environ.get("TOY_SECONDS", "0"))
"""How long a judgement takes."""


class Toy(Domain):
    name = "toy"

    def tasks(self) -> Sequence[Task]:
        prompt = "Write a large even number."
        return [Task(id=f"toy/{name}", domain="toy", prompt=prompt, files={"x.txt": "2"}) for name in ("a", "b")]

    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        del task, sandbox, fresh
        time.sleep(SECONDS)
        if log := os.environ.get("TOY_LOG"):
            with open(log, "a") as file:  # noqa: PTH123 - one atomic append
                file.write(f"{candidate.id}\n")
        text = candidate.files.get("x.txt", "")
        if text == "crash":
            raise RuntimeError("the plugin broke")
        if not text.isdecimal() or int(text) % 2:
            return Evaluation(gates=Gates(authentic=True, builds=True, correct=False), feedback=f"{text!r} is not even")
        gates = Gates(authentic=True, builds=True, correct=True)
        return Evaluation(gates=gates, score=float(text), profile=Profile(bottleneck="small"))

    def mutations(self, task: Task, files: Mapping[str, str], rng: Random) -> Iterable[Mutation]:
        del task
        for step in rng.sample(range(1, 9), 8):
            yield Mutation(f"add_{step}", "", {"x.txt": str(int(files["x.txt"]) + step)})

    def baseline(self, task: Task) -> float | None:
        del task
        return 2.0


class Many(Toy):
    """Ten tasks, each with a prompt of its own, for writers that end a file with a line break."""

    name = "many"

    def tasks(self) -> Sequence[Task]:
        prompt = "Write a large even number. You are number"
        return [Task(id=f"many/n{n}", domain="many", prompt=f"{prompt} {n}.", files={"x.txt": "2"}) for n in range(10)]

    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        files = {name: text.strip() for name, text in candidate.files.items()}
        return super().evaluate(task, candidate.model_copy(update={"files": files}), sandbox, fresh=fresh)
