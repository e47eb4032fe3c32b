"""The options by which tasks are found in a folder: problems in KernelBench's format, programs in OpenEvolve's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from evolve.errors import UsageError

KERNELBENCH = "kernelbench"
PROGRAMS = "programs"

Checkout = Annotated[
    Path | None,
    typer.Option(
        "--path", help="programs: a task in OpenEvolve's format, or a folder of them; kernelbench: a checkout."
    ),
]
Level = Annotated[int, typer.Option(help="kernelbench: the level.")]
Problems = Annotated[str, typer.Option(help="kernelbench: such as 1-20 or 3,7; all of the level without.")]
Shrink = Annotated[bool, typer.Option(help="kernelbench: judge at sizes that suit a CPU.")]


def problem_set(
    tasks: Sequence[str], path: Path | None, level: int, problems: str, *, shrink: bool
) -> dict[str, dict[str, str]]:
    """What the domains are told: the path goes to the one that is asked for, else to the one whose tasks are there.

    Raises UsageError when KernelBench is asked for without a checkout, or both at once.
    """
    domains = {task.partition("/")[0] for task in tasks}
    if problems:
        domains.add(KERNELBENCH)
    if path is None:
        if KERNELBENCH in domains:
            raise UsageError("kernelbench needs --path: a checkout of KernelBench, or a folder in its format")
        return {}
    if domains >= {KERNELBENCH, PROGRAMS}:
        raise UsageError("--path is one folder: ask for kernelbench or for programs")
    if PROGRAMS in domains or (KERNELBENCH not in domains and _holds_programs(path)):
        return {PROGRAMS: {"path": str(path.resolve())}}
    told = {"path": str(path.resolve()), "level": str(level), "problems": problems, "shrink": "yes" if shrink else "no"}
    return {KERNELBENCH: told}


def _holds_programs(path: Path) -> bool:
    """Raises UsageError for a folder that holds neither."""
    from evolve.domains.kernelbench.problems import FOLDERS
    from evolve.domains.programs.finding import holds_tasks

    if holds_tasks(path):
        return True
    if not any(level.is_dir() for folder in FOLDERS for level in (path / folder).glob("level*")):
        raise UsageError(
            f"{path} holds no tasks: neither folders with evaluator.py and initial_program.py (OpenEvolve's format), "
            "nor KernelBench/level1 and so on"
        )
    return False
