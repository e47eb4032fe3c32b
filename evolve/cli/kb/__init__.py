"""`evolve kb …`: look into the knowledge base, go back in it, keep it clean, exchange and mend it."""

import typer

from evolve.cli import serving
from evolve.cli.kb import architecture, changes, exchange, forgetting, looking, mending, merging

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
looking.register(app)
changes.register(app)
merging.register(app)
forgetting.register(app)
exchange.register(app)
mending.register(app)
serving.register(app)
app.add_typer(architecture.app, name="architecture", help="The memory architecture in charge: show, set, go back.")
