"""`evolve kb export`, `import`: a base as a folder of text to review, and what another base knows."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from evolve.cli.kb import options
from evolve.cli.kb.telling import in_line, present, undo_line
from evolve.cli.options import Json
from evolve.cli.output import print_json

COMPLETE, INCOMPLETE = 0, 1


def register(app: typer.Typer) -> None:
    app.command()(export)
    app.command("import")(import_)


def export(
    folder: Annotated[Path, typer.Argument(help="A new one, or one with an earlier export.")],
    kb: options.Base = "",
    json: Json = False,
) -> None:
    """Write everything as text to review. Lines of JSON and a page for each insight, for git or another base."""
    with options.opened(kb) as memory:
        counts = memory.export(folder).counts
    if json:
        print_json({"folder": str(folder), **counts})
    else:
        sys.stdout.write(f"{', '.join(f'{count} {name}' for name, count in counts.items())} in {folder}\n")


def import_(
    folder: Annotated[Path, typer.Argument(help="What `evolve kb export` made.")],
    kb: options.Base = "",
    json: Json = False,
) -> None:
    """Take in an export of another base. Nothing is doubled; exit code 1 when some lines had to be left out."""
    with options.opened(kb, new=True) as memory:
        before = present(memory)
        done = memory.merge_in(folder)
        after = present(memory)
    undo = before if after > before else None
    sys.stderr.writelines(f"left out {in_line(line)}\n" for line in done.bad)
    if json:
        print_json({**done._asdict(), "undo": undo})
    else:
        counts = {"added": done.added, "updated": done.updated, "known before": done.unchanged}
        counts |= {"left as they were: this base was told otherwise": done.differing} if done.differing else {}
        counts |= {"left out": len(done.bad)} if done.bad else {}
        sys.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()) + f"\n{undo_line(undo)}")
    raise typer.Exit(INCOMPLETE if done.bad else COMPLETE)
