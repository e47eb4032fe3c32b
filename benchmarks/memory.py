"""What the knowledge base costs: writing, recalling, opening, memory and disk, by how much it holds.

    python benchmarks/memory.py [--sizes 1000 10000 100000] [--seed 1] [--turns 1000]

Experiences have real shape: 2 kB of code, 300 B of text of their own, and some 400 characters of their task's prompt
among the words they are found by. 500 tasks, 20 bottlenecks, 40 techniques; words are drawn as often as words are
(Zipf). Every size is filled and measured in processes of its own, on an empty page cache of theirs and a warm one of
the machine's. A turn is what a run does for an attempt: recall, credit, absorb, each durable when it returns.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

from evolve.types import REFINE, Attempt, Candidate, Evaluation, Gates, Profile, Task
from knowledge.memory import Memory

TASKS, STATES, TECHNIQUES, WORDS = 500, 20, 40, 4000
AT_ONCE = 1000
"""Experiences written in one transaction while a base is filled."""
CREDITED = 8
"""Items in front of a writer in the measured writes."""
CHANCE_OF_FAILURE = 0.3
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
_ENDINGS = ("", "n", "r", "st", "ing", "ed", "s", "ation")


class World:
    """Tasks and attempts at them, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        rng = Random(seed)
        self._words = list(dict.fromkeys(_word(rng) for _ in range(2 * WORDS)))[:WORDS]
        self._often = list(accumulate(1 / (rank + 2) for rank in range(WORDS)))
        rules = self.text(rng, 25)
        self.states = ["_".join(self.text(rng, 2).split()) for _ in range(STATES)]
        self.techniques = [self.text(rng, 2) for _ in range(TECHNIQUES)]
        self.tasks = [
            Task(
                id=f"kernels/{rng.choice(self._words[200:1000])}_{i}",
                domain="kernels",
                prompt=f"{rules} {self.text(rng, 120)}",
                tags=(rng.choice(self._words[50:100]),),
            )
            for i in range(TASKS)
        ]

    def text(self, rng: Random, count: int) -> str:
        return " ".join(rng.choices(self._words, cum_weights=self._often, k=count))

    def task(self, i: int) -> Task:
        """Half of all attempts go to few tasks."""
        rng = Random(i)
        return self.tasks[min(int(rng.paretovariate(1)) - 1, TASKS - 1) if i % 2 else rng.randrange(TASKS)]

    def attempt(self, i: int, name: str = "") -> Attempt:
        rng = Random(i)
        code = "\n".join(f"    {self.text(rng, 5)};" for _ in range(45))
        failed = rng.random() < CHANCE_OF_FAILURE
        gates = Gates(authentic=True, builds=True, correct=not failed)
        profile = Profile(bottleneck=rng.choice(self.states))
        evaluation = Evaluation(
            gates=gates,
            score=None if failed else rng.uniform(0.5, 20),
            feedback=self.text(rng, 40),
            profile=profile,
        )
        return Attempt(
            id=name or f"filling/{i}",
            task=self.task(i).id,
            position=i + 1,
            candidate=Candidate(
                files={"kernel.c": f"void kernel_{i}(void) {{\n{code}\n}}"},
                stage=REFINE,
                technique=" + ".join(rng.sample(self.techniques, rng.choice((1, 2, 3)))),
            ),
            evaluation=evaluation,
        )

    def parent(self, i: int) -> Attempt:
        """Some attempt at the same task that nothing is known of: it gives a state to refine."""
        return self.attempt(i + 1_000_000_000, f"before/{i}")


def _word(rng: Random) -> str:
    return "".join(rng.choices(_SYLLABLES, k=rng.choice((2, 3, 3, 4)))) + rng.choice(_ENDINGS)


def fill(folder: Path, world: World, size: int) -> dict[str, float]:
    """Milliseconds for one experience; with the index, which the first recall writes."""
    with Memory.open(folder) as memory:
        started = time.perf_counter()
        for start in range(0, size, AT_ONCE):
            with memory._bank.transaction():  # noqa: SLF001  one disk write for many
                for i in range(start, min(start + AT_ONCE, size)):
                    memory.absorb(task=world.task(i), attempt=world.attempt(i), parent=world.parent(i))
        filled = time.perf_counter()
        recall(memory, world, Random(0), "filling/index")
        indexed = time.perf_counter()
    return {"fill": (filled - started) / size * 1e3, "index": (indexed - filled) / size * 1e3}


def recall(memory: Memory, world: World, rng: Random, name: str, k: int = 4) -> None:
    memory.recall(
        attempt=name, task=rng.choice(world.tasks), stage=REFINE, state=rng.choice(world.states), rng=rng, k=k
    )


def opening(folder: Path, world: World) -> dict[str, float]:
    """Seconds until it is open and until the first recall is back, and the megabytes that this process then holds."""
    started = time.perf_counter()
    with Memory.open(folder) as memory:
        opened = time.perf_counter()
        rng = Random(time.time_ns())
        recall(memory, world, rng, f"opening/{time.time_ns()}")
        answered = time.perf_counter()
        for _ in range(20):
            recall(memory, world, rng, f"opening/{time.time_ns()}")
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"open": opened - started, "answered": answered - started, "megabytes": megabytes}


def turns(folder: Path, world: World, seed: int, count: int) -> dict[str, list[float]]:
    """Milliseconds of each call of `count` attempts, whose recalls find what was written just before them."""
    rng = Random(seed)
    found: dict[str, list[float]] = {"recall": [], "recall of 8": [], "credit": [], "absorb": []}

    def timed(what: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        found[what].append((time.perf_counter() - started) * 1e3)

    with Memory.open(folder) as memory:
        recall(memory, world, rng, f"turns/{seed}/first")
        for i in range(count):
            name, number = f"turns/{seed}/{i}", 2_000_000_000 + seed * 1_000_000 + i
            made, before = world.attempt(number, name), world.parent(number)
            timed("recall", lambda name=name: recall(memory, world, rng, f"{name}/4"))  # type: ignore[misc]
            timed("recall of 8", lambda name=name: recall(memory, world, rng, name, CREDITED))  # type: ignore[misc]
            timed("credit", lambda name=name: memory.credit(attempt=name, stage=REFINE, reward=rng.uniform(-1, 1)))  # type: ignore[misc]
            timed(
                "absorb",
                lambda n=number, made=made, before=before: memory.absorb(  # type: ignore[misc]
                    task=world.task(n), attempt=made, parent=before
                ),
            )
    return found


def measured(what: str, folder: Path, arguments: argparse.Namespace, size: int) -> Any:
    """The answer of another process."""
    words = ["--only", what, "--folder", str(folder), "--seed", str(arguments.seed), "--turns", str(arguments.turns)]
    done = subprocess.run(
        [sys.executable, __file__, *words, "--sizes", str(size)], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def megabytes(paths: Iterator[Path]) -> float:
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def at(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def told(times: Sequence[float]) -> str:
    return f"p50 {statistics.median(times):6.2f}   p99 {at(times, 0.99):6.2f}   max {max(times):7.1f} ms"


def report(size: int, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        filled = measured("fill", folder, arguments, size)
        opened = [measured("opening", folder, arguments, size) for _ in range(3)]
        took = measured("turns", folder, arguments, size)
        written = [sum(both) for both in zip(took["credit"], took["absorb"], strict=True)]
        print(f"\n{size:,} experiences")
        print(f"  filling          {filled['fill']:.2f} ms each, and {filled['index']:.2f} ms each in the index")
        for what, times in took.items():
            print(f"  {what:15}  {told(times)}")
        print(f"  {'credit + absorb':15}  {told(written)}")
        alone, answered = (statistics.median(each[what] for each in opened) for what in ("open", "answered"))
        print(f"  opening          {alone:.3f} s; the first recall is back after {answered:.2f} s")
        print(f"  memory           {max(each['megabytes'] for each in opened):.0f} MB at most")
        bank, index = megabytes(folder.glob("bank*")), megabytes((folder / "index").rglob("*"))
        print(f"  on disk          bank {bank:.0f} MB, index {index:.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--turns", type=int, default=1000, help="attempts that are timed")
    parser.add_argument("--folder", type=Path, help="where the bases are kept meanwhile")
    parser.add_argument("--only", choices=("fill", "opening", "turns"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only is None:
        for size in arguments.sizes:
            report(size, arguments)
        return
    world = World(arguments.seed)
    [size] = arguments.sizes
    work: dict[str, Callable[[], object]] = {
        "fill": lambda: fill(arguments.folder, world, size),
        "opening": lambda: opening(arguments.folder, world),
        "turns": lambda: turns(arguments.folder, world, arguments.seed, arguments.turns),
    }
    print(json.dumps(work[arguments.only]()))


if __name__ == "__main__":
    main()
