"""`evolve meta`: memory architectures evolve; what comes out is measured once on conversations it never met."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolve.cli import options
from evolve.cli.interrupting import INTERRUPTED
from evolve.cli.kb.options import Base
from evolve.cli.living import live as evolve_live
from evolve.cli.options import Json
from evolve.cli.output import number, print_json, print_table, teller
from evolve.cli.running import SOLVED, UNSOLVED
from evolve.errors import UsageError

if TYPE_CHECKING:
    from evolve.budget import Budget
    from evolve.domains.memory.exam import Exam
    from evolve.meta.architect import Architect
    from evolve.meta.journal import Journal
    from evolve.meta.report import Report
    from evolve.meta.run import Run, Settings
    from sandboxes import Isolation

CONVERSATIONS = 10
"""Made up where no data is given."""
WORKERS = 2


def register(app: typer.Typer) -> None:
    app.command()(meta)


def meta(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Option(help="Conversations in LoCoMo's format; made-up ones without.", metavar="FILE")
    ] = None,
    model: Annotated[str, typer.Option(help="Writes designs: `offline` for none, or PROVIDER/NAME.")] = "offline",
    minutes: Annotated[float | None, typer.Option(help="Ceiling of working time; 30 without --children.")] = None,
    children: Annotated[int | None, typer.Option(help="Ceiling of designs made.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Ceiling of the model's tokens.")] = None,
    usd: Annotated[float | None, typer.Option(help="Ceiling of the model's dollars.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random choice.")] = None,
    sandbox: options.Sandbox = "auto",
    resume: Annotated[str, typer.Option(help="Go on with this run instead; it keeps to what it was asked.")] = "",
    live: Annotated[
        bool, typer.Option("--live", help="On a knowledge base's own history; a better one is put in charge.")
    ] = False,
    kb: Base = "",
    quiet: options.Quiet = False,
    json: Json = False,
) -> None:
    """Evolve memory architectures: from the seeds, by recombination, blending and tuning, or written by a model.

    The first third of the conversations is for learning, the next for choosing, the last is opened once, at the end.
    """
    from evolve.meta.run import Run
    from evolve.roles import OFFLINE

    tell = teller(quiet=quiet)
    _allowing(minutes=minutes, children=children, tokens=tokens, usd=usd)
    if live:
        _alone(options.said(context, "data", "resume", *(["model"] if model != OFFLINE else []), "tokens", "usd"))
        raise typer.Exit(evolve_live(tell, kb=kb, children=children, minutes=minutes, seed=seed, json=json))
    if options.said(context, "kb"):
        raise UsageError("--kb goes with --live; without it memories evolve on conversations")

    run = Run.open(resume) if resume else None
    try:
        if run is None:
            run = Run.create(_asked(data, model, minutes, children, tokens, usd, seed, sandbox))
        with _working(run, tell) as report:
            raise typer.Exit(_told(run, report, json=json))
    except KeyboardInterrupt:
        again = f"evolve meta --resume {run.settings.run}" if run else "start again"
        sys.stderr.write(f"evolve: interrupted; nothing that had finished is lost: {again}\n")
        raise typer.Exit(INTERRUPTED) from None


def _allowing(**ceilings: float | None) -> None:
    """Raises UsageError for a budget that allows nothing."""
    for name, value in ceilings.items():
        if value is not None and not value > 0:
            raise UsageError(f"--{name} is {value:g}, which allows nothing at all; give a number above zero")


def _alone(others: list[str]) -> None:
    """Raises UsageError for what does not go with --live."""
    if others:
        given = ", ".join(f"--{name}" for name in others)
        raise UsageError(f"{given} does not go with --live, which works offline on a base's own history")


def _asked(
    data: Path | None,
    model: str,
    minutes: float | None,
    children: int | None,
    tokens: int | None,
    usd: float | None,
    seed: int | None,
    sandbox: str,
) -> "Settings":
    """Raises UsageError for what cannot work, before there is a folder."""
    import secrets

    from evolve.meta.run import Settings, digest
    from evolve.meta.splits import check
    from evolve.roles import check_model
    from evolve.run import new_name

    check_model(model)
    drawn = secrets.randbelow(1_000_000) if seed is None else seed
    exams = _exams(str(data.resolve()) if data else "", drawn)
    check(exams)
    return Settings(
        run=new_name(),
        data=str(data.resolve()) if data else "",
        exams=digest(exams),
        model=model,
        seed=drawn,
        children=children,
        minutes=30.0 if minutes is None and children is None else minutes,
        tokens=tokens,
        usd=usd,
        sandbox=sandbox,
    )


def _exams(data: str, seed: int) -> "list[Exam]":
    if data:
        from evolve.domains.memory.locomo import read

        return read(Path(data))
    from evolve.domains.memory.generated import conversations

    return conversations(seed, CONVERSATIONS)


@contextmanager
def _working(run: "Run", tell: Callable[[str], None]) -> "Iterator[Report]":
    """Composes the parts, and works until a budget ends it."""
    from evolve.config import open_sandbox
    from evolve.meta.evaluating import Evaluator, Judges
    from evolve.meta.journal import Journal
    from evolve.meta.report import reported
    from evolve.meta.run import JOURNAL, digest
    from evolve.meta.sandboxed import confined_judge, gated_judge
    from evolve.meta.search import Search
    from evolve.meta.splits import split
    from evolve.meta.workers import worker_judge
    from knowledge.design import seeds, signals

    asked = run.settings
    exams = _exams(asked.data, asked.seed)
    if digest(exams) != asked.exams:
        raise UsageError(f"{asked.data or 'what is made up'} is no longer what run {asked.run} began with")
    with ExitStack() as stack:
        stack.enter_context(run.locked())
        journal = stack.enter_context(Journal(run.folder / JOURNAL))
        box = stack.enter_context(open_sandbox(asked.sandbox, parallel=WORKERS))
        judge = stack.enter_context(worker_judge(exams, WORKERS))
        splits = split(exams, journal)
        budget = _budget(asked, journal)
        evaluator = Evaluator(Judges(judge, confined_judge(box), gated_judge(box)), journal, budget)
        search = Search(
            seeds(),
            signals(),
            splits,
            evaluator,
            journal,
            seed=asked.seed,
            children=asked.children,
            parallel=WORKERS,
            architect=_architect(asked.model, box, journal, budget, tell),
            listen=tell,
        )
        tell(f"run {asked.run}: {len(exams)} conversations, model {asked.model}, {box.name}, seed {asked.seed}")
        search.run()
        yield reported(search, splits, evaluator)


def _budget(asked: "Settings", journal: "Journal") -> "Budget":
    """Of time, and of what a model costs; how many children there are is counted by the search."""
    from evolve.budget import Budget, Ceilings

    return Budget(Ceilings(attempts=0, minutes=asked.minutes, tokens=asked.tokens, usd=asked.usd), journal)


def _architect(
    model: str, box: "Isolation", journal: "Journal", budget: "Budget", tell: Callable[[str], None]
) -> "Architect | None":
    from evolve.roles import OFFLINE

    if model == OFFLINE:
        return None
    from agents.architect import Architect as Writer
    from evolve.meta.architect import Diagnosing
    from evolve.roles import metered

    return Diagnosing(Writer(metered(model, journal, budget, tell)), box)


def _told(run: "Run", report: "Report", *, json: bool) -> int:
    report.save(run.folder)
    told: dict[str, Any] = {"run": run.settings.run, "seed_of_run": run.settings.seed, **report.as_json()}
    if json:
        print_json(told)
    else:
        _print(run, report)
    return SOLVED if report.outcome.winner.parents else UNSOLVED


def _print(run: "Run", report: "Report") -> None:
    columns = ("architecture", "#recall@10", "#recall@5", "#grounded@1024", "#tokens", "#p50 ms", "#write ms", "#lines")
    rows = [
        (
            row["name"] + (" *" if row["evolved"] else ""),
            *(f"{row[key]:.3f}" for key in ("recall@10", "recall@5", "grounded@1024")),
            f"{row['tokens']:.0f}",
            number(row["p50_ms"]),
            number(row["write_ms"]),
            str(row["lines"]),
        )
        for row in report.table
    ]
    print_table(columns, rows, title="on the conversations to select on; * evolved")
    out = sys.stdout.write
    written = [one for one in report.failures if one["operator"] == "write"]
    failures = "".join(f"{one['id']} failed: {one['method']}: {one['reason']}\n" for one in written)
    out(f"\n{report.tree}\n\n{failures}{report.sentence}\n{report.outcome.winner.name}: {run.folder / 'winner.py'}\n")
