"""Does a knowledge base that learnt on other tasks find good kernels on a new one in fewer attempts?

For each seed: one base learns on every task but the new one; then the new task is run twice with the same seed, on an
empty base and on that base. Reported: attempts until 90 % and 100 % of the empty base's final (re-measured) score.

    python benchmarks/transfer.py --task matmul --seeds 5 --learn 10 --attempts 30
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from evolve.journal import Journal
from evolve.plugins import all_tasks, load_domains

TWELVE = (
    "relu", "gelu", "sum", "dot", "transpose", "stencil",
    "gemv", "matmul", "conv2d", "softmax", "layernorm", "attention",
)  # fmt: skip


def evolve(home: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "evolve", "run", *words, "--json"],
        env=os.environ | {"EVOLVE_HOME": str(home)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def scores(home: Path, run: str) -> list[float]:
    journal = Journal.open(home / "runs" / run / "journal.db")
    found = [each.evaluation.score or 0.0 for each in journal.attempts()]
    journal.close()
    return found


def attempts_to(target: float, reached: list[float]) -> int:
    """One more than there were where the target was never reached."""
    return next((n for n, score in enumerate(reached, start=1) if score >= target), len(reached) + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="matmul")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--learn", type=int, default=10, help="attempts on each of the other tasks")
    parser.add_argument("--attempts", type=int, default=30)
    parser.add_argument("--sandbox", default="process")
    asked = parser.parse_args()
    known = {task.partition("/")[2] for task in all_tasks(load_domains())}
    others = [task for task in TWELVE if task in known and task != asked.task]
    rows = []
    print("seed  empty final  warm final  90%empty   90%warm 100%empty  100%warm")
    for seed in range(asked.first, asked.first + asked.seeds):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            common = ("--seed", str(seed), "--sandbox", asked.sandbox)
            kb = {name: str(home / name) for name in ("empty", "warm")}
            evolve(home, *others, "--attempts", str(asked.learn), "--kb", kb["warm"], *common)
            runs = {
                name: evolve(home, asked.task, "--attempts", str(asked.attempts), "--kb", kb[name], *common)
                for name in kb
            }
            finals = {name: next(iter(run["tasks"].values()))["score"] for name, run in runs.items()}
            reached = {name: scores(home, run["run"]) for name, run in runs.items()}
            row = [attempts_to(share * finals["empty"], reached[name]) for share in (0.9, 1.0) for name in kb]
            rows.append(row)
            columns = (f"{seed:4}", f"{finals['empty']:11.2f}", f"{finals['warm']:10.2f}", *(f"{n:8}" for n in row))
            print("  ".join(columns), flush=True)
    medians = [statistics.median(column) for column in zip(*rows, strict=True)]
    print("  ".join(("median", " " * 21, *(f"{median:8g}" for median in medians))))


if __name__ == "__main__":
    main()
