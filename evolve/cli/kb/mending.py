"""`evolve kb rebuild`, `doctor`: what follows from the bank is made again, what is wrong is found."""

import sys
from typing import Annotated

import typer

from evolve.cli.kb import options
from evolve.cli.kb.telling import in_line, many, table
from evolve.cli.options import Json
from evolve.cli.output import print_json

SOUND, UNSOUND = 0, 1


def register(app: typer.Typer) -> None:
    app.command()(rebuild)
    app.command()(doctor)


def rebuild(
    embedding: Annotated[
        str, typer.Option(help="hash, minilm or litellm:PROVIDER/MODEL; the base's own without.")
    ] = "",
    kb: options.Base = "",
    json: Json = False,
) -> None:
    """Build the index anew. With another embedding, embed everything first."""
    with options.opened(kb) as memory:
        embedded = memory.rebuild(embedding)
        named = memory.stats().embedding
    if json:
        print_json({"embedding": named, "embedded": embedded})
    else:
        sys.stdout.write(f"index built anew with the embedding {named}; {many(embedded, 'text')} embedded\n")


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be made again from the log.")] = False,
    kb: options.Base = "",
    json: Json = False,
) -> None:
    """Look for damage, and mend it. Exit code 1 when something is wrong and stays so; advice is not."""
    with options.opened(kb) as memory:
        mended = memory.mend() if fix else []
        findings = memory.examine()
    sound = all(finding.advice for finding in findings)
    if json:
        print_json({"ok": sound, "mended": mended, "findings": [finding._asdict() for finding in findings]})
    else:
        sys.stdout.writelines(f"mended: {in_line(what)}\n" for what in mended)
        if sound:
            sys.stdout.write(f"nothing is wrong with {memory.folder}\n")
        if findings:
            rows = [
                ("advice" if finding.advice else "WRONG", in_line(finding.what), in_line(finding.fix))
                for finding in findings
            ]
            table(("", "what", "what would help"), rows)
    raise typer.Exit(SOUND if sound else UNSOUND)
