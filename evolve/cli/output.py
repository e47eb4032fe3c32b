"""Tables for people, one JSON object for programs."""

import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evolve.summary import Summary, TaskSummary
    from evolve.types import Evaluation


def print_json(value: Any) -> None:
    """One line on stdout. Raises ValueError for NaN and infinity, which JSON has not."""
    sys.stdout.write(json.dumps(value, allow_nan=False, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Numbers (columns named `#…`) to the right. Plain where stdout is no terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.lstrip("#"), justify="right" if column.startswith("#") else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def number(value: float | None, digits: int = 3) -> str:
    """Significant digits; a dash for what was not measured."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}g}"


def interval(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:.2f}–{bounds[1]:.2f}"


def score_of(verdict: "Evaluation | None") -> str:
    """A speed-up as `2.31×`, any other score as a plain number."""
    if verdict is None or verdict.score is None:
        return "–"
    return f"{verdict.score:.2f}×" if "baseline_ms" in verdict.metrics else number(verdict.score, 4)


def print_summary(summary: "Summary") -> None:
    columns = (
        "task",
        "#baseline ms",
        "#best ms",
        "#score",
        "95 % interval",
        "#of roofline",
        "#attempts",
        "how",
    )
    print_table(columns, [_row(task) for task in summary.tasks])
    solved = [task.score for task in summary.tasks if task.score is not None]
    sys.stdout.write(
        f"\n{summary.solved} of {len(summary.tasks)} solved"
        + (f", geometric mean {number(_geomean(solved), 4)}" if len(solved) > 1 else "")
        + f", {summary.attempts} attempts in {summary.seconds:.0f} s ({summary.model}, {summary.sandbox})\n"
    )
    if fast := summary.fast:
        words = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in fast.items())
        sys.stdout.write(f"kernelbench: {words}\n")
    if summary.stopped:
        sys.stdout.write(f"stopped early: {summary.stopped}\n")
    for task in summary.tasks:
        if task.best_file:
            note = "" if task.confirmed else "   (provisional: not re-measured yet)"
            sys.stdout.write(f"best {task.task}: {task.best_file}{note}\n")


def _row(task: "TaskSummary") -> tuple[str, ...]:
    verdict = task.verdict
    metrics = verdict.metrics if verdict else {}
    roofline = verdict.profile.roofline if verdict else None
    return (
        task.task,
        number(metrics.get("baseline_ms")),
        number(metrics.get("best_ms")),
        score_of(verdict),
        interval(verdict.interval if verdict else None),
        "–" if roofline is None else f"{roofline:.0%}",
        str(task.attempts),
        " → ".join(task.recipe),
    )


def _geomean(scores: Sequence[float]) -> float | None:
    if not scores or min(scores) <= 0:
        return None
    return math.exp(sum(map(math.log, scores)) / len(scores))
