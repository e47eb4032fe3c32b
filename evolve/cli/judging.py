"""`evolve tasks`, `judge`, `doctor`."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli import completing
from evolve.cli.checkouts import Checkout, Level, Problems, Shrink, problem_set
from evolve.cli.options import Domains, Json, Target
from evolve.cli.options import Sandbox as Sandboxed
from evolve.cli.output import interval, print_json, print_table, score_of
from evolve.cli.running import kernel_target, tell_refused
from evolve.errors import UsageError, found_at_the_start

if TYPE_CHECKING:
    from evolve.domain import Domain
    from evolve.profiler import Section
    from evolve.types import Candidate, Evaluation, Sandbox, Task

FEASIBLE, INFEASIBLE = 0, 1


def register(app: typer.Typer) -> None:
    app.command()(tasks)
    app.command()(judge)
    app.command()(doctor)


def tasks(
    domain: Domains = None,
    path: Checkout = None,
    level: Level = 1,
    problems: Problems = "",
    shrink: Shrink = True,
    json: Json = False,
) -> None:
    """List the tasks of every installed domain."""
    from evolve.plugins import all_tasks, load_domains

    domains = load_domains(domain or [], problem_set([], path, level, problems, shrink=shrink))
    found = all_tasks(domains).values()
    tell_refused(domains)
    if json:
        print_json([{"id": task.id, "tier": task.tier, "tags": list(task.tags)} for task in found])
        return
    rows = [(task.id, str(task.tier), ", ".join(task.tags), _heading(task)) for task in found]
    print_table(("task", "#tier", "tags", "what it must do"), rows)


def _heading(task: "Task") -> str:
    """What a prompt says before its first colon or the end of its first line."""
    return shorten(task.prompt.strip().partition("\n")[0].partition(":")[0], 60, placeholder=" …")


def judge(
    file: Annotated[Path, typer.Argument(help="The candidate.")],
    task: Annotated[str, typer.Option(help="Task id; `evolve tasks` lists them.", autocompletion=completing.tasks)],
    sandbox: Sandboxed = "auto",
    profile: Annotated[bool, typer.Option("--profile", help="Explain it: instructions, caches, counters.")] = False,
    parts: Annotated[str, typer.Option(help="Of the profile, such as mix,cachegrind; all without.")] = "",
    peers: Annotated[bool, typer.Option("--peers", help="Time it beside the seed, numpy and torch.")] = False,
    domain: Domains = None,
    target: Target = "c",
    path: Checkout = None,
    level: Level = 1,
    problems: Problems = "",
    shrink: Shrink = True,
    json: Json = False,
) -> None:
    """Judge one file: gates, score with its interval, profile and feedback. No run, nothing is learnt."""
    from evolve.config import open_sandbox
    from evolve.plugins import load_domains, select
    from evolve.types import Candidate

    options = kernel_target(target) | problem_set([task], path, level, problems, shrink=shrink)
    domains = load_domains(domain or [], options)
    chosen = next(iter(select(domains, [task], None).values()))
    name = next(iter(chosen.files)) if len(chosen.files) == 1 else file.name
    candidate = Candidate(files={name: _text(file)})
    judging = domains[chosen.domain]
    explaining = _explaining(judging, parts) if profile or parts else None
    comparing = _comparing(judging) if peers else None
    sections: dict[str, Section] = {}
    with open_sandbox(sandbox, needs=judging.needs) as opened:
        with found_at_the_start():
            verdict = judging.evaluate(chosen, candidate, opened)
        if explaining and verdict.feasible:
            sections["profile"] = explaining(chosen, candidate, verdict, opened)
        if comparing and verdict.feasible:
            sections["peers"] = comparing(chosen, candidate, opened)
    if json:
        print_json(
            {
                "gates": verdict.gates.model_dump(),
                "score": verdict.score,
                "interval": list(verdict.interval) if verdict.interval else None,
                "feedback": verdict.feedback,
                "metrics": dict(verdict.metrics),
                "bottleneck": verdict.profile.bottleneck,
                **{name: dict(section.data) for name, section in sections.items()},
            }
        )
    else:
        gates = ", ".join(f"{gate} {_mark(passed)}" for gate, passed in verdict.gates.model_dump().items())
        sys.stdout.write(f"{gates}\n")
        if verdict.feasible:
            sys.stdout.write(f"{score_of(verdict)} ({interval(verdict.interval)}) in {opened.name}\n")
        if verdict.metrics.get("trusting"):
            sys.stdout.write("trusting: the program ran together with its evaluator and could have forged this\n")
        sys.stdout.write(f"{verdict.feedback.rstrip()}\n")
        sys.stdout.writelines(f"\n{section.text}\n" for section in sections.values())
    raise typer.Exit(FEASIBLE if verdict.feasible else INFEASIBLE)


def _explaining(domain: "Domain", parts: str) -> "Callable[[Task, Candidate, Evaluation, Sandbox], Section]":
    from evolve.profiler import Profiler

    if not isinstance(domain, Profiler):
        raise UsageError(f"the domain {domain.name} has no profiler; judge without --profile")
    return partial(domain.profile, parts=[part.strip() for part in parts.split(",") if part.strip()])


def _comparing(domain: "Domain") -> "Callable[[Task, Candidate, Sandbox], Section]":
    from evolve.profiler import Comparer

    if not isinstance(domain, Comparer):
        raise UsageError(f"the domain {domain.name} knows no peers; judge without --peers")
    return domain.peers


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
