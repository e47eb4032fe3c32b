"""Tables for people, one JSON object for programs."""

import codecs
import io
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

if TYPE_CHECKING:
    from evolve.summary import Summary, TaskSummary
    from evolve.types import Cost, Evaluation


DASH = "–"
MEASURED = frozenset({"#baseline ms", "#best ms", "95 % interval", "#of roofline"})
"""Columns that are left out where no task has anything in them."""


PLAIN = {
    "–": "-",
    "—": "-",
    "×": "x",
    "·": "|",
    "…": ".",
    "→": ">",
    "≥": ">",
    "≤": "<",
    "±": "~",
    "’": "'",
    "“": '"',
    "”": '"',
}
"""What stands for our typography where an encoding lacks it; as wide, so that tables stay aligned."""


def encodable() -> None:
    """Make stdout and stderr take every text: what their encoding lacks is written plainly, as a `?` at worst.

    Where a shell closed one of them (`>&-`), it takes every text and keeps none.
    """
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open as long as we are
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    codecs.register_error("plain", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _unicode(stream):
            stream.reconfigure(errors="plain")


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(letter, "?") for letter in lacking), error.end


def _unicode(stream: TextIO) -> bool:
    return stream.encoding.lower().replace("-", "").startswith("utf")


def unread() -> None:
    """Write out what is left on stdout; where its reader has gone (`| head`), let it go without a word.

    Raises OSError where it cannot be written; nothing is left then either, so that Python has no more to say of it.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def print_json(value: Any) -> None:
    """One line on stdout. Raises ValueError for NaN and infinity, which JSON has not."""
    sys.stdout.write(json.dumps(value, allow_nan=False, ensure_ascii=not _unicode(sys.stdout)) + "\n")
    sys.stdout.flush()


def teller(*, quiet: bool) -> Callable[[str], None]:
    """What tells those who watch how the work goes, a line each on stderr; nothing where it is to be `quiet`."""

    def tell(line: str) -> None:
        if not quiet:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    return tell


def plain(text: str) -> str:
    """Text of others, without what a terminal would obey."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "�" for sign in text)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Numbers (columns named `#…`) to the right. Without colour where stdout is no terminal.

    What does not fit goes on below, and the first column is narrowed last: it names what may be typed again.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if column.startswith("#") else "left"
        table.add_column(column.lstrip("#"), justify=justify, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
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
        sys.stdout.write(f"stopped early: {plain(summary.stopped)}\n")
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
