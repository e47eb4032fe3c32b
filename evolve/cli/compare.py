"""`evolve compare`: strategies, models and knowledge bases side by side, with what can be said and what cannot."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli import options
from evolve.cli.checkouts import Checkout, Level, Problems, Shrink, problem_set
from evolve.cli.interrupting import INTERRUPTED
from evolve.cli.options import Json
from evolve.cli.output import print_json, teller
from evolve.cli.running import kernel_target
from evolve.errors import EvolveError, UsageError

if TYPE_CHECKING:
    from evolve.compare import Cell, Comparison, Result
    from evolve.parts import Step

STAYS = ("resume", "out", "quiet", "json")
"""What may be said again when a comparison goes on."""


def register(app: typer.Typer) -> None:
    app.command()(compare)


def compare(
    context: typer.Context,
    tasks: options.Tasks = None,
    tier: options.Tier = None,
    preset: Annotated[str, typer.Option(metavar="A,B,…", help="Strategies.")] = "evokernel,refine,best-of-n",
    model: Annotated[str, typer.Option(metavar="A,B,…", help="Models, each by itself.")] = "offline",
    kb: Annotated[
        str, typer.Option(metavar="A,B,…", help="Knowledge bases to begin with a copy of: `empty`, or folders.")
    ] = "empty",
    seeds: Annotated[int, typer.Option(help="Runs of each arm, each with a seed of its own.")] = 3,
    seed: Annotated[int, typer.Option(help="The first of them.")] = 1,
    attempts: Annotated[int, typer.Option(help="Attempts for each task in each run.")] = 30,
    minutes: Annotated[float | None, typer.Option(help="Ceiling of working time of each run.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Ceiling of tokens of each run.")] = None,
    usd: Annotated[float | None, typer.Option(help="Ceiling of dollars of each run.")] = None,
    parallel: options.Parallel = 2,
    sandbox: options.Sandbox = "auto",
    hold_out: options.HoldOut = False,
    prompts: options.Prompts = "",
    keys: options.Keys = "",
    domain: options.Domains = None,
    target: options.Target = "c",
    path: Checkout = None,
    level: Level = 1,
    problems: Problems = "",
    shrink: Shrink = True,
    resume: Annotated[str, typer.Option(metavar="NAME", help="Go on with this comparison; nothing is run twice.")] = "",
    out: Annotated[Path | None, typer.Option(metavar="FILE.md", help="The table as Markdown.")] = None,
    quiet: options.Quiet = False,
    json: Json = False,
) -> None:
    """Run every preset with every model on the same tasks and budget, and say what differs and how surely.

    Seed by seed, arm by arm; presets with a memory once more for each knowledge base. No base given is ever changed.
    Times decide: leave the machine alone meanwhile.
    """
    from evolve.budget import Ceilings
    from evolve.compare import Comparison, asked_for

    _writable(out)
    if resume:
        _nothing_else(context, resume)
        comparison = Comparison.open(resume)
    else:
        grid = asked_for(
            tasks=tasks or [],
            tier=tier,
            presets=_names(preset),
            models=_names(model),
            bases=_names(kb),
            seeds=seeds,
            seed=seed,
            ceilings=Ceilings(attempts=attempts, minutes=minutes, tokens=tokens, usd=usd),
            parallel=parallel,
            sandbox=sandbox,
            hold_out=hold_out,
            prompts=prompts,
            keys=keys,
            domains=domain or [],
            options=kernel_target(target) | problem_set(tasks or [], path, level, problems, shrink=shrink),
        )
        comparison = Comparison.create(grid)
    with comparison.locked():
        _executed(comparison, out, quiet=quiet, json=json)


def _names(words: str) -> list[str]:
    return [name for name in (word.strip() for word in words.split(",")) if name]


def _writable(out: Path | None) -> None:
    if out and not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent} to write {out.name} into")
    if out and out.is_dir():
        raise UsageError(f"--out {out} is a folder; name a file in it")


def _nothing_else(context: typer.Context, name: str) -> None:
    """Raises UsageError for arguments that would make another comparison of it."""
    names = [each.name for each in context.command.params if each.name and each.name not in STAYS]
    if said := options.said(context, *names):
        shown = ", ".join("TASKS" if given == "tasks" else f"--{given.replace('_', '-')}" for given in said)
        raise UsageError(f"{shown} does not go with --resume: {name} keeps to what it was asked at first")


def _executed(comparison: "Comparison", out: Path | None, *, quiet: bool, json: bool) -> None:
    again = f"nothing that had finished is lost: evolve compare --resume {comparison.grid.name}\n"
    try:
        _work(comparison, teller(quiet=quiet))
    except KeyboardInterrupt:
        sys.stderr.write(f"evolve: interrupted; {again}")
        _tell(comparison, out, json=json)
        raise typer.Exit(INTERRUPTED) from None
    except EvolveError:
        sys.stderr.write(again)
        _tell(comparison, out, json=json)
        raise
    _tell(comparison, out, json=json)


def _work(comparison: "Comparison", say: Callable[[str], None]) -> None:
    grid, cells = comparison.grid, comparison.cells()
    say(
        f"comparison {grid.name}: {len(grid.arms)} arm(s) x {len(grid.seeds)} seed(s), {len(grid.settings.tasks)} "
        f"task(s), {grid.settings.ceilings.attempts} attempts each"
    )

    def listen(step: "Step") -> None:
        if step.phase == "wait" and step.text:
            say(step.text)

    for place, cell in enumerate(cells, start=1):
        if comparison.result(cell) is None:
            result = comparison.work(cell, listen)
            say(f"[{place}/{len(cells)}] {_got(cell, result)}")


def _got(cell: "Cell", result: "Result") -> str:
    """One run in one line."""
    trials, spent = result.trials, result.spent
    attempts = sum(each.attempts for each in trials)
    built, feasible = sum(each.built for each in trials), sum(each.feasible for each in trials)
    stopped = f"; stopped early: {result.stopped}" if result.stopped else ""
    return (
        f"seed {cell.seed}, {cell.arm.name}: {sum(each.solved for each in trials)}/{len(trials)} solved; of {attempts} "
        f"attempts {built} built, {feasible} right; {spent.tokens} tokens, {spent.seconds:.0f} s{stopped}"
    )


def _tell(comparison: "Comparison", out: Path | None, *, json: bool) -> None:
    """Of what has finished; nothing where nothing has."""
    from evolve.cli.standings import as_json, markdown, print_text, told

    found = told(comparison)
    if found is None:
        return
    if out:
        try:
            out.write_text("\n".join(markdown(found)) + "\n")
        except OSError as error:
            raise UsageError(f"{out} cannot be written: {error.strerror}") from error
    if json:
        print_json(as_json(found))
    else:
        print_text(found)
