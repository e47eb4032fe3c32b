"""`evolve run`, `resume`, `runs`, `show`."""

import math
import sys
from json import loads
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli import options
from evolve.cli.checkouts import Checkout, Level, Problems, Shrink, problem_set
from evolve.cli.interrupting import INTERRUPTED, interruptible
from evolve.cli.options import Json
from evolve.cli.output import number, plain, print_json, print_summary, print_table, score_of, teller
from evolve.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evolve.domain import Domain
    from evolve.journal import Journal
    from evolve.run import Run, Settings
    from knowledge.memory import Memory

SOLVED, UNSOLVED = 0, 1
SHOWN_INSIGHTS = 6


def register(app: typer.Typer) -> None:
    app.command()(run)
    app.command()(resume)
    app.command()(runs)
    app.command()(show)


def run(
    tasks: options.Tasks = None,
    tier: options.Tier = None,
    model: options.Model = "offline",
    preset: options.Preset = "evokernel",
    attempts: options.Attempts = 30,
    parallel: options.Parallel = 2,
    sandbox: options.Sandbox = "auto",
    kb: options.Base = "",
    embedding: options.Embedding = "",
    seed: options.Seed = None,
    minutes: options.Minutes = None,
    tokens: options.Tokens = None,
    usd: options.Usd = None,
    hold_out: options.HoldOut = False,
    meta_every: options.MetaEvery = 0,
    inspect: options.Inspect = False,
    prompts: options.Prompts = "",
    keys: options.Keys = "",
    replay: options.Replay = "",
    domain: options.Domains = None,
    target: options.Target = "c",
    path: Checkout = None,
    level: Level = 1,
    problems: Problems = "",
    shrink: Shrink = True,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    json: Json = False,
) -> None:
    """Draft and refine candidates for tasks until the attempts or the budget are used up."""
    from evolve.budget import Ceilings
    from evolve.config import new_settings

    if replay:
        from evolve.cli.replaying import replayed

        raise typer.Exit(replayed(replay, json=json))
    settings = new_settings(
        tasks=tasks or [],
        tier=tier,
        model=model,
        ceilings=Ceilings(attempts=attempts, minutes=minutes, tokens=tokens, usd=usd),
        parallel=parallel,
        sandbox=sandbox,
        kb=kb,
        embedding=embedding,
        seed=seed,
        hold_out=hold_out,
        preset=preset,
        inspect=inspect,
        prompts=prompts,
        keys=keys,
        meta_every=meta_every,
        domains=domain or [],
        options=kernel_target(target) | problem_set(tasks or [], path, level, problems, shrink=shrink),
    )
    if dry_run:
        from evolve.cli.rehearsing import rehearsed

        raise typer.Exit(rehearsed(settings, json=json))
    raise typer.Exit(_execute(settings, None, quiet=quiet, json=json))


def tell_refused(domains: "Mapping[str, Domain]") -> None:
    """Which tasks are left out, and why."""
    for domain in domains.values():
        for task, reason in domain.refused().items():
            sys.stderr.write(f"left out {task}: {reason}\n")


def kernel_target(target: str) -> dict[str, dict[str, str]]:
    """What `--target` tells the domain `kernels`."""
    return {"kernels": {"target": target}}


def resume(
    run: options.OneRun,
    attempts: options.MoreAttempts = None,
    minutes: options.Minutes = None,
    tokens: options.Tokens = None,
    usd: options.Usd = None,
    quiet: options.Quiet = False,
    json: Json = False,
) -> None:
    """Go on with a run that was interrupted or failed: nothing that had finished is done again.

    With a ceiling above its own, also with one that had met its end.
    """
    from evolve.config import find_run

    found = find_run(run)
    given = {"attempts": attempts, "minutes": minutes, "tokens": tokens, "usd": usd}
    raised = {name: value for name, value in given.items() if value is not None}
    ceilings = found.settings.ceilings.model_copy(update=raised)
    settings = found.settings.model_copy(update={"ceilings": ceilings})
    raise typer.Exit(_execute(settings, found, quiet=quiet, json=json))


def _execute(settings: "Settings", run: "Run | None", *, quiet: bool, json: bool) -> int:
    from evolve.cli.progress import Progress
    from evolve.config import assemble
    from evolve.summary import summarise

    progress = Progress(quiet=quiet)
    name = settings.run
    try:
        with assemble(settings, progress.listen, run) as (folder, parts):
            teller(quiet=quiet)(
                f"run {name}: {len(parts.tasks)} task(s), {settings.ceilings.attempts} attempts each, "
                f"{settings.preset} by {settings.model}, sandbox {parts.sandbox.name}, seed {settings.seed}"
            )
            tell_refused(parts.domains)
            if warning := getattr(parts.sandbox, "warning", ""):
                sys.stderr.write(f"{warning}\n")
            with progress, interruptible(f"evolve resume {name}"):
                progress.watch(parts)
                folder.execute(parts)
            summary = summarise(folder, parts.journal)
            if json:
                print_json(summary.as_json())
            else:
                print_summary(summary)
                print_learnt(parts.memory, name)
    except KeyboardInterrupt:
        sys.stderr.write(f"evolve: interrupted; nothing that had finished is lost: evolve resume {name}\n")
        return INTERRUPTED
    return SOLVED if summary.solved else UNSOLVED


def print_learnt(memory: "Memory", run: str) -> None:
    """What the knowledge base holds now and the insights that rest on this run, largest gains first."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in memory.stats().experiences.items())
    sys.stdout.write(f"\nknowledge base: {kinds or 'nothing'} in {memory.folder}\n")
    learnt = [item for item in memory.insights() if any(source.startswith(f"{run}/") for source in item.sources)]
    learnt.sort(key=lambda item: -item.metrics.get("gain", -math.inf))
    for item in learnt[:SHOWN_INSIGHTS]:
        sys.stdout.write(f"  {plain(item.text)}\n")


def runs(json: Json = False) -> None:
    """List the runs, newest last."""
    from evolve.config import all_runs, runs_folder
    from evolve.journal import Journal
    from evolve.run import JOURNAL
    from evolve.summary import Summary, summarise

    found: list[Summary] = []
    there = all_runs()
    for each in there:
        try:
            journal = Journal.open(each.folder / JOURNAL)
        except (UsageError, StorageError) as error:
            sys.stderr.write(f"evolve: {error}\n")
            continue
        found.append(summarise(each, journal))
        journal.close()
    if json:
        print_json([summary.as_json() | {"status": summary.status} for summary in found])
        return
    if not there:
        sys.stdout.write(f"no run yet in {runs_folder()}; start one with `evolve run`\n")
        return
    if not found:
        return
    rows = [
        (at.run, at.status, at.model, f"{at.solved}/{len(at.tasks)}", str(at.attempts), f"{at.seconds:.0f}")
        for at in found
    ]
    print_table(("run", "status", "model", "#solved", "#attempts", "#seconds"), rows)


def show(
    run: options.OneRun,
    attempt: Annotated[int | None, typer.Option(help="Everything about the attempt with this number.")] = None,
    prompt: Annotated[int | None, typer.Option(help="What was sent to models for this attempt, as it was.")] = None,
    json: Json = False,
) -> None:
    """Show a run: its table and attempts; or one attempt with its code, verdict, prompts and replies."""
    from evolve.config import find_run
    from evolve.journal import Journal
    from evolve.run import JOURNAL
    from evolve.summary import summarise

    found = find_run(run)
    journal = Journal.open(found.folder / JOURNAL)
    if prompt is not None:
        from evolve.cli.replaying import show_prompts

        show_prompts(journal, prompt, json=json)
        return
    if attempt is not None:
        _show_attempt(journal, f"{found.settings.run}/{attempt}", json=json)
        return
    summary = summarise(found, journal)
    if json:
        print_json(summary.as_json() | {"status": summary.status})
        return
    print_summary(summary)
    sys.stdout.write("\n")
    rows = [
        (
            str(each.position),
            each.task,
            each.candidate.stage,
            score_of(each.evaluation),
            number(each.gain, 2),
            each.candidate.technique,
            each.evaluation.feedback.strip().partition("\n")[0][:60],
        )
        for each in journal.attempts()
    ]
    print_table(("#attempt", "task", "stage", "#score", "#gain", "technique", "verdict"), rows)


def _show_attempt(journal: "Journal", name: str, *, json: bool) -> None:
    found = journal.attempt(name)
    if found is None:
        raise UsageError(f"attempt {name} has not been judged yet")
    from agents.portfolio import FACT as CHOSEN

    calls = journal.calls(name)
    if json:
        print_json(
            found.model_dump()
            | {"calls": [{"prompt": prompt.model_dump(), "reply": reply.model_dump()} for prompt, reply in calls]}
        )
        return

    def out(text: str) -> None:
        sys.stdout.write(plain(text))

    out(f"{found.id}  {found.task}  {found.candidate.stage}  {found.candidate.technique}\n")
    out(f"parent {found.candidate.parent or 'none'}, recalled {', '.join(found.candidate.recalled) or 'nothing'}\n")
    if chosen := journal.fact(f"{CHOSEN}{name}"):
        out("written by {model}: {why}\n".format(**loads(chosen)))
    out(f"score {score_of(found.evaluation)}; {found.evaluation.feedback}\n")
    for prompt, reply in calls:
        for message in prompt.messages:
            out(f"\n--- {prompt.key} · {message.role}\n{message.content}\n")
        out(f"\n--- {prompt.key} · reply of {reply.model}\n{reply.text}\n")
    for file, text in found.candidate.files.items():
        out(f"\n--- {file}\n{text}\n")
