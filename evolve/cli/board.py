"""What a watcher sees of many tasks on a small terminal: what is being worked on, then the best, the rest counted."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from evolve.cli.output import DASH, number, score_of
from evolve.types import Evaluation

if TYPE_CHECKING:
    from rich.console import RenderableType

NARROWEST = 16
"""Letters of a task's name, before a column is left out for it."""
GAP = 2
"""Between columns."""
COLUMNS = ("task", "score", "attempts", "now", "best ms", "stage")
"""The most important first: the last are left out where they do not fit."""
SHOWN = ("task", "stage", "best ms", "score", "attempts", "now")
"""The same, from left to right."""


class Row(NamedTuple):
    stage: str = "draft"
    attempts: int = 0
    best: Evaluation | None = None
    phase: str = ""
    """What is being done to it; empty while nobody works on it."""

    @property
    def score(self) -> float:
        return -math.inf if self.best is None or self.best.score is None else self.best.score


class Board(NamedTuple):
    """Everything there is to show at one moment."""

    rows: Mapping[str, Row]
    per_task: int
    totals: Sequence[str] = ()
    """The most important first: the last are left out where they do not fit."""
    note: str = ""

    def drawn(self, width: int, height: int) -> "RenderableType":
        """At most so many lines of so many letters."""
        from rich.console import Group
        from rich.text import Text

        below = [Text(fitted(self.totals, width), style="dim", no_wrap=True, overflow="ellipsis")]
        if self.note:
            below.append(Text(self.note, style="yellow", no_wrap=True, overflow="ellipsis"))
        shown, folded = chosen(self.rows, height - len(below) - 1)
        if folded:
            below.insert(0, Text(counted(folded), no_wrap=True, overflow="ellipsis"))
        return Group(self._table(shown, width), *below)

    def _table(self, rows: Mapping[str, Row], width: int) -> "RenderableType":
        from rich.cells import cell_len
        from rich.table import Table
        from rich.text import Text

        cells = {task: self._cells(task, row) for task, row in rows.items()}
        widths = {name: max(map(cell_len, (name, *(row[name] for row in cells.values())))) for name in COLUMNS[1:]}
        if all(row["best ms"] == DASH for row in cells.values()):
            del widths["best ms"]
        columns, room = arranged(widths, width)
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        for name in columns:
            table.add_column(name, no_wrap=True, overflow="ellipsis")
        for task, row in cells.items():
            said = row | {"task": shortened(task, room)}
            table.add_row(*(Text(said[name]) for name in columns))
        return table

    def _cells(self, task: str, row: Row) -> dict[str, str]:
        best_ms = number(row.best.metrics.get("best_ms")) if row.best else DASH
        return {
            "task": task,
            "stage": row.stage,
            "best ms": best_ms,
            "score": score_of(row.best),
            "attempts": f"{row.attempts}/{self.per_task}",
            "now": row.phase,
        }


def chosen(rows: Mapping[str, Row], room: int) -> tuple[dict[str, Row], dict[str, Row]]:
    """What is shown in so many lines, and what is folded into the last of them.

    First what is being worked on, then the best, then what was begun; those of the same rank in their own order.
    """
    ranked = sorted(rows, key=lambda task: (not rows[task].phase, -rows[task].score, not rows[task].attempts))
    place = len(ranked) if len(ranked) <= room else max(room - 1, 1)
    return {task: rows[task] for task in ranked[:place]}, {task: rows[task] for task in ranked[place:]}


def counted(rows: Mapping[str, Row]) -> str:
    """Rows that are not shown, in one line."""
    solved = sum(row.best is not None for row in rows.values())
    untouched = sum(not row.attempts and row.best is None for row in rows.values())
    parts = {"solved": solved, "not begun": untouched, "unsolved": len(rows) - solved - untouched}
    return f"… {len(rows)} more: " + ", ".join(f"{count} {what}" for what, count in parts.items() if count)


def arranged(widths: Mapping[str, int], width: int) -> tuple[list[str], int]:
    """The columns that fit beside a legible name, from left to right, and the room that is left for the name."""
    kept = [name for name in COLUMNS[1:] if name in widths]
    while len(kept) > 1 and _left(widths, kept, width) < NARROWEST:
        kept.pop()
    return [name for name in SHOWN if name == "task" or name in kept], max(_left(widths, kept, width), 1)


def _left(widths: Mapping[str, int], kept: Sequence[str], width: int) -> int:
    return width - sum(widths[name] + GAP for name in kept)


def shortened(name: str, room: int) -> str:
    """With the middle left out: both the domain and the end of a name tell tasks apart."""
    if len(name) <= room:
        return name
    end = (room - 1) // 2
    return f"{name[: room - 1 - end]}…{name[len(name) - end :]}"


def fitted(parts: Sequence[str], width: int) -> str:
    """As many of the parts as fit on a line, and the first whatever it is."""
    line = ""
    for part in parts:
        longer = f"{line} · {part}" if line else part
        if line and len(longer) > width:
            break
        line = longer
    return line
