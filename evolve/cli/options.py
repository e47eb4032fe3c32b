"""The options that several commands have, each declared once, and which of them may stand in a file of settings."""

from collections.abc import Mapping
from typing import Annotated

import typer

from evolve.cli import completing

Tasks = Annotated[
    list[str] | None,
    typer.Argument(
        help="Task ids, `evolve tasks` lists them; all when none, with --domain those of its file.",
        autocompletion=completing.tasks,
    ),
]
Tier = Annotated[int | None, typer.Option(help="Only tasks of this tier.")]
Model = Annotated[
    str,
    typer.Option(
        help="`offline`, or PROVIDER/NAME as litellm knows it; several, by commas, learn who pays.",
        autocompletion=completing.models,
    ),
]
Preset = Annotated[
    str,
    typer.Option(help="Strategy: evokernel, kernelblaster, best-of-n or refine.", autocompletion=completing.presets),
]
Attempts = Annotated[int, typer.Option(help="Attempts for each task.")]
MoreAttempts = Annotated[
    int | None, typer.Option("--attempts", help="Attempts for each task, those it has made included.")
]
Parallel = Annotated[int, typer.Option(help="Attempts in flight at once.")]
Sandbox = Annotated[str, typer.Option(help="auto, docker or process.", autocompletion=completing.sandboxes)]
Base = Annotated[str, typer.Option(help="Folder of the knowledge base, or http://HOST:PORT of a chroma server.")]
Embedding = Annotated[str, typer.Option(help="For a new knowledge base: hash, minilm or litellm:MODEL.")]
Seed = Annotated[int | None, typer.Option(help="Of every random choice of the loop.")]
Minutes = Annotated[float | None, typer.Option(help="Ceiling of working time.")]
Tokens = Annotated[int | None, typer.Option(help="Ceiling of tokens.")]
Usd = Annotated[float | None, typer.Option(help="Ceiling of dollars.")]
HoldOut = Annotated[bool, typer.Option("--hold-out/--no-hold-out", help="Recall nothing learnt on these tasks before.")]
MetaEvery = Annotated[
    int, typer.Option(help="Attempts after which a better memory architecture is looked for; 0: never.")
]
Inspect = Annotated[
    bool,
    typer.Option("--inspect/--no-inspect", help="A model looks for cheats in what was accepted; it can only reject."),
]
Prompts = Annotated[str, typer.Option(help="Folder of prompt templates that replace ours of the same name.")]
Keys = Annotated[str, typer.Option(help="File of NAME=VALUE lines with the keys of providers.")]
Replay = Annotated[
    str,
    typer.Option(
        help="Run again what a recorded run decided, from its journal alone, and compare.",
        autocompletion=completing.runs,
    ),
]
Domains = Annotated[list[str] | None, typer.Option(help="A domain of your own: path/to/file.py:Class.")]
Target = Annotated[
    str,
    typer.Option(help="What kernels are written in: c, cuda, triton or mojo.", autocompletion=completing.targets),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything and say what it will use; nothing is begun.")]
OneRun = Annotated[
    str, typer.Argument(help="Id, the beginning of one, folder, or last.", autocompletion=completing.runs)
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")]
Quiet = Annotated[
    bool,
    typer.Option("--quiet/--no-quiet", "-q", help="No progress: the result on stdout, warnings and errors on stderr."),
]

SHARED: Mapping[str, tuple[str, ...]] = {
    "model": ("run", "compare", "meta"),
    "sandbox": ("run", "compare", "meta", "judge", "memory bench", "memory transfer", "domains"),
    "kb": ("run", "meta", "kb"),
    "embedding": ("run",),
    "preset": ("run",),
    "seed": ("run", "meta"),
    "parallel": ("run", "compare"),
    "keys": ("run", "compare"),
    "prompts": ("run", "compare"),
    "domain": ("run", "compare", "tasks", "judge", "memory transfer", "domains"),
    "target": ("run", "compare", "judge"),
    "quiet": ("run", "resume", "compare", "meta"),
}
"""What may stand under `[defaults]`, and the commands it is for. An option of the same name that means something else
is not among them: `--kb` of `compare` names several bases, `--domain` of `kb search` filters."""

MOMENTARY = frozenset({"json", "replay", "dry_run", "resume", "live", "yes", "erase", "fix", "open_it", "output"})
"""What is asked for at one call and no setting: never read from a file or the environment."""


def said(context: typer.Context, *names: str) -> list[str]:
    """Which of these parameters stand on the command line itself."""
    sources = {name: context.get_parameter_source(name) for name in names}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
