"""`evolve kb search`, `show`, `stats`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from evolve.cli.output import number, print_json, print_table
from evolve.cli.running import Json

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Folder = Annotated[Path | None, typer.Option("--kb", help="Folder of the knowledge base.")]


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="Words; similar meaning counts too.")],
    k: Annotated[int, typer.Option("-k", help="How many.")] = 10,
    task: Annotated[str, typer.Option(help="Only what was learnt on this task.")] = "",
    kind: Annotated[str, typer.Option(help="Only trace, failure or insight.")] = "",
    kb: Folder = None,
    json: Json = False,
) -> None:
    """Find experiences by words and meaning, best match first."""
    from evolve.config import open_kb

    with open_kb(kb) as memory:
        found = memory.search(query, k=k, task=task or None, kind=kind or None)
    if json:
        print_json(
            [
                {
                    "id": hit.experience.id,
                    "kind": hit.experience.kind,
                    "text": hit.experience.text,
                    "task": hit.experience.task,
                    "score": hit.score,
                    "values": {"draft": hit.values.get("draft", 0.0), "refine": hit.values.get("refine", 0.0)},
                    "uses": hit.uses,
                }
                for hit in found
            ]
        )
        return
    if not found:
        sys.stdout.write("nothing found; `evolve kb stats` says what is there\n")
        return
    rows = [
        (
            hit.experience.id,
            hit.experience.kind,
            hit.experience.task,
            number(hit.score, 2),
            number(hit.values.get("draft"), 2),
            number(hit.values.get("refine"), 2),
            str(hit.uses),
            hit.experience.text,
        )
        for hit in found
    ]
    print_table(("id", "kind", "task", "#match", "#draft", "#refine", "#uses", "text"), rows)


@app.command()
def show(
    experience: Annotated[str, typer.Argument(metavar="ID", help="Id of an experience.")],
    kb: Folder = None,
    json: Json = False,
) -> None:
    """Show one experience whole: text, values, sources, code."""
    from evolve.config import open_kb

    with open_kb(kb) as memory:
        found = memory.show(experience)
    item = found.experience
    if json:
        print_json(item.model_dump(mode="json") | {"values": dict(found.values), "uses": found.uses})
        return
    out = sys.stdout.write
    out(f"{item.id}  {item.kind}  {item.task}  {item.stage}\n{item.text}\n")
    values = ", ".join(f"{stage} {value:+.2f}" for stage, value in found.values.items()) or "none yet"
    out(f"values: {values}; in front of a writer {found.uses} times\n")
    out(f"state met: {item.state or 'unknown'}; recipe: {' → '.join(item.recipe) or '–'}\n")
    out(f"measured: {', '.join(f'{name} {value:.3g}' for name, value in item.metrics.items()) or '–'}\n")
    out(f"rests on: {', '.join(item.sources)}\n")
    if item.payload:
        out(f"\n{item.payload}\n")


@app.command()
def stats(kb: Folder = None, json: Json = False) -> None:
    """How much there is, of what, learnt where."""
    from evolve.config import open_kb

    with open_kb(kb) as memory:
        found = memory.stats()
    if json:
        print_json(found._asdict())
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.experiences.items()) or "nothing yet"
    sys.stdout.write(
        f"{found.folder} ({found.megabytes:.1f} MB, embedding {found.embedding})\n"
        f"experiences: {kinds}\nrecalls {found.recalls}, of them credited {found.credited}; "
        f"learnt values {found.values}; changes on record {found.changes}\n"
    )
    if found.tasks:
        print_table(("task", "#experiences"), [(task, str(count)) for task, count in found.tasks.items()])
