"""`evolve kb history`, `diff`, `snapshot`, `rollback`: the log of every change, and moves in it."""

import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli.kb.differences import as_json, row, told
from evolve.cli.kb.options import Base, Rows, Why, opened
from evolve.cli.kb.telling import in_line, many, moment, point_before, present, table, undo_line
from evolve.cli.options import Json
from evolve.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from knowledge.timeline import Difference
    from knowledge.upkeep import Upkeep

Point = Annotated[str, typer.Argument(help="Number of a change (`evolve kb history`) or name of a snapshot.")]
SHOWN = 40


def register(app: typer.Typer) -> None:
    for command in (history, diff, snapshot, rollback):
        app.command()(command)


def history(
    name: Annotated[str, typer.Argument(metavar="ID|ATTEMPT", help="Only changes of this; all without.")] = "",
    n: Rows = SHOWN,
    kb: Base = "",
    json: Json = False,
) -> None:
    """List changes, newest first. Their numbers are the points that `diff` and `rollback` take."""
    with opened(kb) as memory:
        lines = memory.timeline.history(_subject(memory, name), n)
    if json:
        print_json(
            [
                {"seq": line.seq, "time": line.time, "what": line.what, "subject": line.subject, "why": line.why}
                for line in lines
            ]
        )
    elif lines:
        rows = [(str(line.seq), moment(line.time), line.what, told(line.subject), in_line(line.why)) for line in lines]
        table(("#change", "when", "what", "of", "why"), rows)
    else:
        sys.stdout.write(f"no change on record{f' of {name}' if name else ''}\n")


def _subject(memory: "Upkeep", name: str) -> str:
    from knowledge.log import CREDIT, subject

    if not name:
        return ""
    return subject(CREDIT, name) if "/" in name else memory.subject_of(memory.named(name))


def diff(
    earlier: Annotated[str, typer.Argument(metavar="FROM", help="Number of a change or name of a snapshot.")],
    later: Annotated[str, typer.Argument(metavar="TO", help="The same; now without.")] = "",
    n: Rows = SHOWN,
    kb: Base = "",
    json: Json = False,
) -> None:
    """Compare two points of the history. What was added, removed, changed, and how."""
    with opened(kb) as memory:
        start, end = memory.timeline.point(earlier), memory.timeline.point(later) if later else present(memory)
        found = memory.timeline.diff(start, end)
    if json:
        print_json([as_json(each) for each in found])
    elif found:
        _print(found, n)
    else:
        sys.stdout.write(f"nothing differs between {start} and {end}\n")


def _print(found: "Sequence[Difference]", n: int) -> None:
    table(("", "what", "how"), [row(each) for each in found], most=n)
    sys.stdout.write(f"\n{_counted(found)}\n")


def _counted(found: "Sequence[Difference]") -> str:
    counts = Counter(each.subject.partition(" ")[0] for each in found)
    return ", ".join(many(count, kind) for kind, count in counts.items())


def snapshot(
    name: Annotated[str, typer.Argument(help="A word; the snapshots there are without.")] = "",
    kb: Base = "",
    json: Json = False,
) -> None:
    """Name the present point, to go back to it."""
    with opened(kb) as memory:
        made = {name: memory.timeline.snapshot(name)} if name else memory.timeline.snapshots()
    if json:
        listed = [{"name": each, "seq": seq} for each, seq in made.items()]
        print_json(listed[0] if name else listed)
    elif name:
        sys.stdout.write(f"change {made[name]} is {name}; `evolve kb rollback {name}` comes back to it\n")
    elif made:
        table(("snapshot", "#change"), [(each, str(seq)) for each, seq in made.items()])
    else:
        sys.stdout.write("no snapshot yet; `evolve kb snapshot NAME` makes one\n")


def rollback(point: Point, why: Why = "", n: Rows = SHOWN, kb: Base = "", json: Json = False) -> None:
    """Go back to a point of the history.

    Every experience, link and credit is what it was then; events and receipts stay. It can itself be undone.
    """
    with opened(kb) as memory:
        seq = memory.timeline.point(point)
        moved = memory.rollback(point, why)
        undo = point_before(memory, moved[0].subject, "rollback") if moved else None
    if json:
        print_json({"point": seq, "moved": [as_json(each) for each in moved], "undo": undo})
    elif moved:
        _print(moved, n)
        sys.stdout.write(f"back at change {seq}\n{undo_line(undo)}")
    else:
        sys.stdout.write(f"nothing to do: all is as it was at change {seq}\n")
