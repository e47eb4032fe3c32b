"""The command line: `evolve run`, `evolve kb search`, … Every error is one sentence and an exit code."""

import errno
import sys

import typer

from evolve.cli import compare, domains, judging, kb, memory, meta, preferences, report, running
from evolve.cli.output import encodable, plain, unread
from evolve.errors import EvolveError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Improve code by experiment, and remember what helped.",
)
running.register(app)
report.register(app)
judging.register(app)
meta.register(app)
compare.register(app)
preferences.register(app)
app.add_typer(kb.app, name="kb", help="The knowledge base: look into it, go back in it, keep it clean, share it.")
app.add_typer(memory.app, name="memory", help="Memory architectures: which there are, and how well they remember.")
app.add_typer(domains.app, name="domains", help="Task domains: which there are, start one, check one.")


def main() -> None:
    encodable()
    try:
        try:
            app()
        finally:
            unread()
    except EvolveError as error:
        sys.stderr.write(f"evolve: {plain(str(error).rstrip())}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.stderr.write("evolve: no room is left where it is written to; make some and try again\n")
        sys.exit(EvolveError.exit_code)
