"""`evolve report`: a run as one file that any browser opens."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from evolve.cli.options import Json, OneRun
from evolve.errors import UsageError


def register(app: typer.Typer) -> None:
    app.command()(report)


def report(
    run: OneRun = "last",
    output: Annotated[Path | None, typer.Option(help="File to write; report.html in the run's folder without.")] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    json: Json = False,
) -> None:
    """Make one HTML file of a run: curves, lineage, the best code, memory, cost, and how to repeat it."""
    from evolve.cli.output import print_json
    from evolve.config import find_run
    from evolve.journal import Journal
    from evolve.report import FILE, save
    from evolve.run import JOURNAL
    from evolve.summary import summarise

    found = find_run(run)
    to = _checked(output or found.folder / FILE)
    journal = Journal.open(found.folder / JOURNAL)
    save(found, journal, to)
    if json:
        summary = summarise(found, journal)
        print_json(summary.as_json() | {"status": summary.status, "report": str(to)})
    else:
        sys.stdout.write(f"{to}\n")
    journal.close()
    if open_it and typer.launch(str(to)):
        sys.stderr.write("evolve: no browser could be started here; open the file yourself\n")


def _checked(to: Path) -> Path:
    """Absolute, and what a link leads to. Raises UsageError for a place where no file can be."""
    to = to.resolve()
    if to.is_dir():
        raise UsageError(f"--output {to} is a folder; name a file, such as {to / 'report.html'}")
    if to.exists() and not to.is_file():
        raise UsageError(f"--output {to} is there and no ordinary file; name another")
    if not to.parent.is_dir():
        raise UsageError(f"--output {to}: there is no folder {to.parent}; make it first")
    return to
