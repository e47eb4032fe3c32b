"""`evolve domains list`, `new`, `check`: task domains, installed or in a file of one's own."""

import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from evolve.cli import options
from evolve.cli.output import DASH, print_json, print_table
from evolve.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from evolve.domain import Domain
    from evolve.plugins import Plugin
    from evolve.testing import Finding
    from evolve.types import Task

KEPT, BROKEN = 0, 1

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


class Known(NamedTuple):
    """A line of the list."""

    domain: str
    tasks: int
    offline: bool | None
    """It declares mutations of its first task; None without a task."""
    origin: str
    note: str
    """What it needs, what is missing here, or why it does not load."""
    works: bool


@app.command("list")
def list_domains(domain: options.Domains = None, json: options.Json = False) -> None:
    """List the domains: their tasks, whether they work without a model, where they come from, what is missing here."""
    from evolve.plugins import load_plugins

    known = [_known(name, plugin) for name, plugin in load_plugins(domain or []).items()]
    if json:
        print_json([each._asdict() for each in known])
        return
    rows = [
        (each.domain, str(each.tasks), {True: "yes", False: "no", None: DASH}[each.offline], each.origin, each.note)
        for each in known
    ]
    print_table(("domain", "#tasks", "offline", "from", "note"), rows)


def _known(name: str, plugin: "Plugin") -> Known:
    from evolve.plugins import Broken, in_one_line

    domain = plugin.domain
    if isinstance(domain, Broken):
        return Known(name, 0, None, plugin.origin, f"does not load: {domain.reason}", works=False)
    tasks = domain.tasks()
    try:
        missing = domain.missing()
        offline = _mutates(domain, tasks[0]) if tasks else None
    except Exception as error:  # noqa: BLE001 - the boundary to a plugin
        return Known(name, len(tasks), None, plugin.origin, in_one_line(error), works=False)
    needs = f"needs {', '.join(sorted(domain.needs))}" if domain.needs else ""
    note = "; ".join(filter(None, (needs, missing)))
    return Known(name, len(tasks), offline, plugin.origin, note, works=not missing)


def _mutates(domain: "Domain", task: "Task") -> bool:
    return next(iter(domain.mutations(task, task.files, Random(0))), None) is not None


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Of the domain and its package, such as my_domain.")],
    into: Annotated[Path, typer.Option(help="Folder in which the new one is made.")] = Path(),
) -> None:
    """Write the package of a new domain, which works as it is: a task, a reference, cheats, a test and a README."""
    from evolve.plugins import load_domains
    from evolve.scaffolding import class_name, scaffold

    folder = scaffold(name, into, load_domains())
    sys.stdout.write(
        f"made {folder}: a domain that works, to be made your own; its README.md says what is where\n"
        f"  cd {folder}\n"
        f"  evolve run --domain src/{name}/domain.py:{class_name(name)}\n"
        f"  pip install -e .\n"
        f"  evolve run {name}/packing\n"
        f"  evolve domains check {name}\n"
    )


@app.command()
def check(
    domain: Annotated[str, typer.Argument(help="Name of an installed domain, or path/to/file.py:Class.")],
    sandbox: options.Sandbox = "auto",
    json: options.Json = False,
) -> None:
    """Hold a domain to the contract, its own examples included. Exit code 1 where it breaks it."""
    from evolve.config import open_sandbox
    from evolve.testing.domains import FAILED, clauses_of

    found = _named(domain)
    findings: list[Finding] = []
    with open_sandbox(sandbox, needs=found.needs) as opened:
        for finding in clauses_of(found, opened):
            findings.append(finding)
            if not json:
                because = f": {finding.reason}" if finding.reason else ""
                sys.stdout.write(f"{finding.outcome:11}  {finding.what}{because}\n")
                sys.stdout.flush()
    broken = sum(finding.outcome == FAILED for finding in findings)
    if json:
        print_json({"domain": found.name, "kept": not broken, "findings": [each._asdict() for each in findings]})
    else:
        counted = f"{broken} of {len(findings)} clauses broken" if broken else "keeps the contract"
        sys.stdout.write(f"{found.name} {counted}, in {opened.name}\n")
    raise typer.Exit(BROKEN if broken else KEPT)


def _named(word: str) -> "Domain":
    """Raises UsageError where it is not there, does not load or cannot work on this machine."""
    from evolve.plugins import Broken, is_file, load_domains, load_file

    if is_file(word):
        found = load_file(word)
    else:
        domains = load_domains()
        if word not in domains:
            raise NotFoundError.among("domain", word, sorted(domains))
        found = domains[word]
    reason = found.missing()
    if reason or isinstance(found, Broken):
        raise UsageError(reason)
    return found
