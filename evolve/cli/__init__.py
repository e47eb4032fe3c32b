"""The command line: `evolve run`, `evolve kb search`, … Every error is one sentence and an exit code."""

import sys

import typer

from evolve.cli import compare, judging, kb, memory, meta, running
from evolve.errors import EvolveError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Improve code by experiment, and remember what helped.",
)
running.register(app)
judging.register(app)
meta.register(app)
compare.register(app)
app.add_typer(kb.app, name="kb", help="The knowledge base: look into it, go back in it, keep it clean, share it.")
app.add_typer(memory.app, name="memory", help="Memory architectures: which there are, and how well they remember.")


def main() -> None:
    try:
        app()
    except EvolveError as error:
        sys.stderr.write(f"evolve: {str(error).rstrip()}\n")
        sys.exit(error.exit_code)
