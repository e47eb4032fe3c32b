"""`evolve tasks`, `judge`, `doctor`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from evolve.cli.output import interval, print_json, print_table, score_of
from evolve.cli.running import Json
from evolve.errors import UsageError

FEASIBLE, INFEASIBLE = 0, 1


def register(app: typer.Typer) -> None:
    app.command()(tasks)
    app.command()(judge)
    app.command()(doctor)


def tasks(json: Json = False) -> None:
    """List the tasks of every installed domain."""
    from evolve.plugins import all_tasks, load_domains

    found = all_tasks(load_domains()).values()
    if json:
        print_json([{"id": task.id, "tier": task.tier, "tags": list(task.tags)} for task in found])
        return
    rows = [
        (task.id, str(task.tier), ", ".join(task.tags), task.prompt.strip().partition("\n")[0][:80]) for task in found
    ]
    print_table(("task", "#tier", "tags", "what it must do"), rows)


def judge(
    file: Annotated[Path, typer.Argument(help="The candidate.")],
    task: Annotated[str, typer.Option(help="Task id; `evolve tasks` lists them.")],
    sandbox: Annotated[str, typer.Option(help="auto, docker or process.")] = "auto",
    json: Json = False,
) -> None:
    """Judge one file: gates, score with its interval, profile and feedback. No run, nothing is learnt."""
    from evolve.config import open_sandbox
    from evolve.plugins import all_tasks, load_domains, select
    from evolve.types import Candidate

    domains = load_domains()
    chosen = next(iter(select(all_tasks(domains), [task], None).values()))
    name = next(iter(chosen.files)) if len(chosen.files) == 1 else file.name
    candidate = Candidate(files={name: _text(file)})
    with open_sandbox(sandbox) as opened:
        verdict = domains[chosen.domain].evaluate(chosen, candidate, opened)
    if json:
        print_json(
            {
                "gates": verdict.gates.model_dump(),
                "score": verdict.score,
                "interval": list(verdict.interval) if verdict.interval else None,
                "feedback": verdict.feedback,
                "metrics": dict(verdict.metrics),
                "bottleneck": verdict.profile.bottleneck,
            }
        )
    else:
        gates = ", ".join(f"{gate} {_mark(passed)}" for gate, passed in verdict.gates.model_dump().items())
        sys.stdout.write(f"{gates}\n")
        if verdict.feasible:
            sys.stdout.write(f"{score_of(verdict)} ({interval(verdict.interval)}) in {opened.name}\n")
        sys.stdout.write(f"{verdict.feedback.rstrip()}\n")
    raise typer.Exit(FEASIBLE if verdict.feasible else INFEASIBLE)


def _mark(passed: bool | None) -> str:
    return "not reached" if passed is None else "passed" if passed else "FAILED"


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no text file (byte {error.start} is not UTF-8)") from error


def doctor(json: Json = False) -> None:
    """Check what a run needs: sandboxes, compiler, knowledge base, disk. Exit code 1 when no run would work."""
    from evolve.checks import doctor as checks

    found = checks()
    if json:
        print_json(
            [{"check": check.name, "ok": check.ok, "needed": check.needed, "text": check.text} for check in found]
        )
    else:
        rows = [(check.name, "ok" if check.ok else "MISSING" if check.needed else "no", check.text) for check in found]
        print_table(("check", "", ""), rows)
    raise typer.Exit(0 if all(check.ok or not check.needed for check in found) else 1)
