"""`evolve kb architecture`: which memory architecture is in charge of a base, and another one in its place."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli import completing
from evolve.cli.kb.options import Base, Why, opened
from evolve.cli.kb.telling import in_line, many, moment
from evolve.cli.options import Json
from evolve.cli.output import print_json
from evolve.errors import UsageError

if TYPE_CHECKING:
    from knowledge.charge import Installation
    from knowledge.upkeep import Upkeep

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.command()
def show(
    source: Annotated[bool, typer.Option("--source", help="The module's text instead.")] = False,
    kb: Base = "",
    json: Json = False,
) -> None:
    """Tell which architecture is in charge, since when and why."""
    with opened(kb) as memory:
        if source:
            state = memory.architectures.in_charge()
            if state is None:
                raise UsageError("the built-in choice is in charge, which is no module; see knowledge/selection.py")
            sys.stdout.write(state.source)
            return
        _tell(memory, memory.architectures.installed(), json=json)


@app.command("set")
def install(
    architecture: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE", help="As `evolve memory list` shows them.", autocompletion=completing.architectures
        ),
    ],
    why: Why = "",
    kb: Base = "",
    json: Json = False,
) -> None:
    """Put an architecture in charge, after telling it all that has happened to the base.

    A file of `evolve meta` goes with what lies beside it. What is not made of shipped programs alone is not trusted: it
    works in a sandbox, call by call.
    """
    from evolve.cli.designs import named
    from knowledge.architecture import DesignError

    found = named(architecture)
    with opened(kb) as memory:
        try:
            done = memory.architectures.install(found.design, why or "set by hand", genome=found.genome)
        except DesignError as fault:
            raise UsageError(f"{architecture} does not work, and nothing was changed: {fault}") from fault
        _tell(memory, done, json=json)


@app.command()
def rollback(why: Why = "", kb: Base = "", json: Json = False) -> None:
    """Put the architecture before the present one in charge again, as it was."""
    with opened(kb) as memory:
        _tell(memory, memory.architectures.rollback(why), json=json)


def _tell(memory: "Upkeep", known: "Installation", *, json: bool) -> None:
    state = memory.architectures.previous()
    before = state.name if state else "built-in" if known.id else ""
    if json:
        print_json({**known._asdict(), "previous": before})
        return
    told = f"{known.name} is in charge"
    if known.since:
        told += f" since {moment(known.since)}"
    if known.why:
        told += f": {in_line(known.why)}"
    sys.stdout.write(f"{told}\n")
    if known.id:
        sys.stdout.write(
            f"it keeps {many(known.records, 'record')}; `evolve kb architecture rollback` puts {before} back\n"
        )
