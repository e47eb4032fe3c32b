"""The options by which `evolve run`, `tasks` and `judge` find problems in KernelBench's format."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from evolve.errors import UsageError

NAME = "kernelbench"

Checkout = Annotated[Path | None, typer.Option("--path", help="kernelbench: a checkout in KernelBench's format.")]
Level = Annotated[int, typer.Option(help="kernelbench: the level.")]
Problems = Annotated[str, typer.Option(help="kernelbench: such as 1-20 or 3,7; all of the level without.")]
Shrink = Annotated[bool, typer.Option(help="kernelbench: judge at sizes that suit a CPU.")]


def problem_set(
    tasks: Sequence[str], path: Path | None, level: int, problems: str, *, shrink: bool
) -> dict[str, dict[str, str]]:
    """What the domain is told. Raises UsageError when it is asked for without a checkout."""
    asked = problems or any(task.partition("/")[0] == NAME for task in tasks)
    if path is None and asked:
        raise UsageError("kernelbench needs --path: a checkout of KernelBench, or a folder in its format")
    if path is None:
        return {}
    told = {"path": str(path.resolve()), "level": str(level), "problems": problems, "shrink": "yes" if shrink else "no"}
    return {NAME: told}
