"""Tables for people, one JSON object for programs."""

import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evolve.summary import Summary, TaskSummary
    from evolve.types import Cost, Evaluation


DASH = "–"
MEASURED = frozenset({"#baseline ms", "#best ms", "95 % interval", "#of roofline"})
"""Columns that are left out where no task has anything in them."""


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
    return DASH if value is None or not math.isfinite(value) else f"{value:.{digits}g}"


def interval(bounds: tuple[float, float] | None) -> str:
    return DASH if bounds is None else f"{bounds[0]:.2f}–{bounds[1]:.2f}"


def score_of(verdict: "Evaluation | None") -> str:
    """A speed-up as `2.31×`, any other score as a plain number."""
    if verdict is None or verdict.score is None:
        return DASH
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
    rows = [_row(task) for task in summary.tasks]
    told = [
        place for place, name in enumerate(columns) if name not in MEASURED or any(row[place] != DASH for row in rows)
    ]
    print_table([columns[place] for place in told], [[row[place] for place in told] for row in rows])
    solved = [task.score for task in summary.tasks if task.score is not None]
    sys.stdout.write(
        f"\n{summary.solved} of {len(summary.tasks)} solved"
        + (f", geometric mean {number(_geomean(solved), 4)}" if len(solved) > 1 else "")
        + f", {summary.attempts} attempts in {summary.seconds:.0f} s ({summary.model}, {summary.sandbox})\n"
    )
    if fast := summary.fast:
        words = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in fast.items())
        sys.stdout.write(f"kernelbench: {words}\n")
    if summary.cost.prompt_tokens:
        sys.stdout.write(f"{spent(summary.cost)}\n")
    if summary.stopped:
        sys.stdout.write(f"stopped early: {summary.stopped}\n")
    for task in summary.tasks:
        if task.best_file:
            note = "" if task.confirmed else "   (provisional: not re-measured yet)"
            sys.stdout.write(f"best {task.task}: {task.best_file}{note}\n")


def spent(cost: "Cost") -> str:
    """Tokens and dollars in words; a price that nobody knows is said to be unknown."""
    tokens = f"{cost.prompt_tokens:,} tokens sent, {cost.completion_tokens:,} received"
    counted = " (some of them estimated)" if cost.estimated else ""
    dollars = f"{cost.usd:.4g} dollars" if cost.usd_known else "dollars unknown"
    if not cost.usd_known and cost.usd:
        dollars = f"{cost.usd:.4g} dollars and some of unknown price"
    return f"{tokens}{counted}; {dollars}"


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
        DASH if roofline is None else f"{roofline:.0%}",
        str(task.attempts),
        " → ".join(task.recipe),
    )


def _geomean(scores: Sequence[float]) -> float | None:
    if not scores or min(scores) <= 0:
        return None
    return math.exp(sum(map(math.log, scores)) / len(scores))
