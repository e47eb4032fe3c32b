"""`evolve run`, `resume`, `runs`, `show`."""

import math
import sys
from json import loads
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli.interrupting import INTERRUPTED, interruptible
from evolve.cli.kernelbench import Checkout, Level, Problems, Shrink, problem_set
from evolve.cli.output import number, print_json, print_summary, print_table, score_of
from evolve.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evolve.domain import Domain
    from evolve.journal import Journal
    from evolve.run import Run, Settings
    from knowledge.memory import Memory

SOLVED, UNSOLVED = 0, 1
SHOWN_INSIGHTS = 6

Json = Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout.")]


def register(app: typer.Typer) -> None:
    app.command()(run)
    app.command()(resume)
    app.command()(runs)
    app.command()(show)


def run(
    tasks: Annotated[
        list[str] | None, typer.Argument(help="Task ids, `evolve tasks` lists them; all when none.")
    ] = None,
    tier: Annotated[int | None, typer.Option(help="Only tasks of this tier.")] = None,
    model: Annotated[
        str, typer.Option(help="`offline`, or PROVIDER/NAME as litellm knows it; several, by commas, learn who pays.")
    ] = "offline",
    preset: Annotated[str, typer.Option(help="Strategy: evokernel, kernelblaster, best-of-n or refine.")] = "evokernel",
    attempts: Annotated[int, typer.Option(help="Attempts for each task.")] = 30,
    parallel: Annotated[int, typer.Option(help="Attempts in flight at once.")] = 2,
    sandbox: Annotated[str, typer.Option(help="auto, docker or process.")] = "auto",
    kb: Annotated[str, typer.Option(help="Folder of the knowledge base, or http://HOST:PORT of a chroma server.")] = "",
    embedding: Annotated[str, typer.Option(help="For a new knowledge base: hash, minilm or litellm:MODEL.")] = "",
    seed: Annotated[int | None, typer.Option(help="Of every random choice of the loop.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Ceiling of working time.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Ceiling of tokens.")] = None,
    usd: Annotated[float | None, typer.Option(help="Ceiling of dollars.")] = None,
    hold_out: Annotated[bool, typer.Option("--hold-out", help="Recall nothing learnt on these tasks before.")] = False,
    meta_every: Annotated[
        int, typer.Option(help="Attempts after which a better memory architecture is looked for; 0: never.")
    ] = 0,
    inspect: Annotated[
        bool, typer.Option("--inspect", help="A model looks for cheats in what was accepted; it can only reject.")
    ] = False,
    prompts: Annotated[str, typer.Option(help="Folder of prompt templates that replace ours of the same name.")] = "",
    keys: Annotated[str, typer.Option(help="File of NAME=VALUE lines with the keys of providers.")] = "",
    replay: Annotated[
        str, typer.Option(help="Run again what a recorded run decided, from its journal alone, and compare.")
    ] = "",
    domain: Annotated[list[str] | None, typer.Option(help="A domain of your own: path/to/file.py:Class.")] = None,
    target: Annotated[str, typer.Option(help="What kernels are written in: c, cuda, triton or mojo.")] = "c",
    path: Checkout = None,
    level: Level = 1,
    problems: Problems = "",
    shrink: Shrink = True,
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
    raise typer.Exit(_execute(settings, None, json=json))


def tell_refused(domains: "Mapping[str, Domain]") -> None:
    """Which tasks are left out, and why."""
    for domain in domains.values():
        for task, reason in domain.refused().items():
            sys.stderr.write(f"left out {task}: {reason}\n")


def kernel_target(target: str) -> dict[str, dict[str, str]]:
    """What `--target` tells the domain `kernels`."""
    return {"kernels": {"target": target}}


def resume(
    run: Annotated[str, typer.Argument(help="Id, the beginning of one, or folder.")], json: Json = False
) -> None:
    """Go on with a run that was interrupted or failed: nothing that had finished is done again."""
    from evolve.config import find_run

    found = find_run(run)
    raise typer.Exit(_execute(found.settings, found, json=json))


def _execute(settings: "Settings", run: "Run | None", *, json: bool) -> int:
    from evolve.cli.progress import Progress
    from evolve.config import assemble
    from evolve.summary import summarise

    progress = Progress()
    name = settings.run
    try:
        with assemble(settings, progress.listen, run) as (folder, parts):
            sys.stderr.write(
                f"run {name}: {len(parts.tasks)} task(s), {settings.ceilings.attempts} attempts each, "
                f"{settings.preset} by {settings.model}, sandbox {parts.sandbox.name}, seed {settings.seed}\n"
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
        sys.stdout.write(f"  {item.text}\n")


def runs(json: Json = False) -> None:
    """List the runs, newest last."""
    from evolve.config import all_runs, runs_folder
    from evolve.journal import Journal
    from evolve.run import JOURNAL
    from evolve.summary import Summary, summarise

    found: list[Summary] = []
    for each in all_runs():
        try:
            journal = Journal.open(each.folder / JOURNAL)
        except UsageError as error:
            sys.stderr.write(f"evolve: {error}\n")
            continue
        found.append(summarise(each, journal))
        journal.close()
    if json:
        print_json([summary.as_json() | {"status": summary.status} for summary in found])
        return
    if not found:
        sys.stdout.write(f"no run yet in {runs_folder()}; start one with `evolve run`\n")
        return
    rows = [
        (at.run, at.status, at.model, f"{at.solved}/{len(at.tasks)}", str(at.attempts), f"{at.seconds:.0f}")
        for at in found
    ]
    print_table(("run", "status", "model", "#solved", "#attempts", "#seconds"), rows)


def show(
    run: Annotated[str, typer.Argument(help="Id, the beginning of one, or folder.")],
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
    out = sys.stdout.write
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
