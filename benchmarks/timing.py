"""Can the judge's numbers be trusted? Identical kernels must not be called better, one kernel must time alike twice.

python benchmarks/timing.py [--pairs 200] [--repeat 20] [--task NAME ...] [--sandbox process]

False improvements: each task's seed is judged against itself; "better" is a lower bound above 1 (expected: 2.5 %).
Repeatability: one kernel in new sandboxes; how far apart the medians and the ratios lie. Needs a quiet machine.
"""

import argparse
import math
import os
import statistics
from collections import Counter
from collections.abc import Sequence

from evolve.domains.kernels import Kernels
from evolve.types import Candidate, Evaluation, Sandbox, Task
from sandboxes import open_sandbox

TASKS = ("relu", "sum", "transpose", "softmax", "matmul", "stencil", "gemv", "layernorm")


def judged(task: Task, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
    found = Kernels().evaluate(task, Candidate(files=task.files), sandbox, fresh=fresh)
    if found.interval is None:
        raise SystemExit(f"{task.id}: its own seed was refused: {found.feedback}")
    return found


def call(found: Evaluation) -> str:
    lower, upper = found.interval or (0.0, math.inf)
    return "better" if lower > 1 else "worse" if upper < 1 else "same"


def false_improvements(tasks: Sequence[Task], pairs: int, sandbox: Sandbox) -> None:
    verdicts: list[tuple[str, Evaluation]] = []
    for number in range(pairs):
        task = tasks[number % len(tasks)]
        verdicts.append((task.id, judged(task, sandbox)))
    for name in (task.id for task in tasks):
        mine = [found for task, found in verdicts if task == name]
        if mine:
            row(name, mine)
    row("all", [found for _, found in verdicts])


def row(name: str, verdicts: Sequence[Evaluation]) -> None:
    calls = Counter(map(call, verdicts))
    widths = [upper / lower for lower, upper in (found.interval or (1, 1) for found in verdicts)]
    inconclusive = sum(found.metrics["inconclusive"] for found in verdicts)
    shares = ", ".join(f"{word} {calls[word]}" for word in ("better", "worse", "same"))
    print(
        f"{name:20} {len(verdicts):4} pairs: {shares}; better {calls['better'] / len(verdicts):.1%}; "
        f"upper/lower median {statistics.median(widths):.3f} max {max(widths):.2f}; inconclusive {inconclusive:.0f}",
        flush=True,
    )


def repeatability(task: Task, count: int, sandbox: Sandbox) -> None:
    found = [judged(task, sandbox, fresh=True) for _ in range(count)]
    for what, values in (
        ("median ms", [one.metrics["best_ms"] for one in found]),
        ("ratio", [one.score or 0.0 for one in found]),
    ):
        middle, spread = statistics.mean(values), statistics.stdev(values)
        print(
            f"{task.id:20} {count} sandboxes, {what}: mean {middle:.4g}, "
            f"spread {spread / middle:.1%} (min {min(values):.4g}, max {max(values):.4g})",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--task", nargs="*", default=TASKS)
    parser.add_argument("--sandbox", default="process")
    options = parser.parse_args()
    known = {task.id.partition("/")[2]: task for task in Kernels().tasks()}
    tasks = [known[name] for name in options.task]
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    with open_sandbox(options.sandbox, parallel=1) as sandbox:
        false_improvements(tasks, options.pairs, sandbox)
        for task in tasks[: 2 if options.repeat else 0]:
            repeatability(task, options.repeat, sandbox)
    print(f"load average {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
