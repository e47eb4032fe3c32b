"""How a knowledge base is told of: times, numbers of things, text that others wrote."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evolve.cli.output import plain, print_table

if TYPE_CHECKING:
    from knowledge.upkeep import Upkeep


def in_line(text: str) -> str:
    return plain(" ".join(text.split()))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], most: int | None = None) -> None:
    """`most`: rows that are shown; how many are left out is said."""
    print_table(columns, rows[:most])
    if most is not None and len(rows) > most:
        print_table(("",), [[f"… and {len(rows) - most} more; -n {len(rows)} shows all"]])


def moment(at: float) -> str:
    """Local time; what is beyond all clocks is told as it is."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    except (OverflowError, ValueError, OSError):
        return f"{at:.0f} s"


def many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


IN_SHORT = ("id", "kind", "task", "text")


def in_short(memory: "Upkeep", name: str) -> tuple[str, str, str, str]:
    """An experience as a row of a table."""
    item = memory.show(name).experience
    return name, item.kind, item.task or "–", in_line(item.text)


def undoing(memory: "Upkeep", experience: str, what: str) -> int | None:
    """The point before the latest change `what` of an experience."""
    from knowledge.log import RECORD, subject

    return point_before(memory, subject(RECORD, experience), what)


def point_before(memory: "Upkeep", subject: str, what: str) -> int | None:
    """The point before the latest change `what` of a subject of the log."""
    return next((line.seq - 1 for line in memory.timeline.history(subject) if line.what == what), None)


def present(memory: "Upkeep") -> int:
    """The point that the base is at."""
    return next((line.seq for line in memory.timeline.history(limit=1)), 0)


def undo_line(point: int | None) -> str:
    return "" if point is None else f"`evolve kb rollback {point}` undoes it\n"
