"""`evolve memory transfer`: what has been learnt is tried on tasks that nothing was learnt on, under one memory
architecture after the other.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from evolve.cli import completing
from evolve.cli.interrupting import INTERRUPTED
from evolve.cli.options import Domains, Json, Sandbox
from evolve.cli.output import number, plain, print_json, print_table
from evolve.errors import UsageError

if TYPE_CHECKING:
    from evolve.cli.designs import Named
    from evolve.domains.memory.transfer import Estimate, Tried, Worth

KERNELS = "kernels"
LEARNT_ON = frozenset(
    f"{KERNELS}/{name}"
    for name in (
        "relu", "gelu", "sum", "dot", "transpose", "stencil", "gemv", "matmul", "conv2d", "softmax", "layernorm",
        "attention",
    )
)  # fmt: skip
"""Kernels that are learnt on unless others are named."""
PARALLEL = 1
"""An attempt is to know of all that came before it: how many were needed then says what the memory gave."""


class Asked(NamedTuple):
    held_out: tuple[str, ...]
    learnt_on: tuple[str, ...]
    learn: int
    """Attempts on each of these."""
    attempts: int
    """On each that is held out."""
    sandbox: str
    domains: tuple[str, ...]
    """Beside the installed ones."""


def register(app: typer.Typer) -> None:
    app.command()(transfer)


def transfer(
    architectures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ARCH]…",
            help="Names that `list` shows, or files with a module.",
            autocompletion=completing.architectures,
        ),
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="Held out; may be given again. Without: matmul.")] = None,
    learn_on: Annotated[
        list[str] | None, typer.Option(help="Learnt on; may be given again. Without: twelve kernels, or all others.")
    ] = None,
    learn: Annotated[int, typer.Option(min=1, help="Attempts on each task that is learnt on.")] = 10,
    attempts: Annotated[int, typer.Option(min=1, help="Attempts on each task that is held out.")] = 30,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, each with a base that learnt anew.")] = 5,
    seed: Annotated[int, typer.Option(help="The first of them.")] = 1,
    sandbox: Sandbox = "auto",
    domain: Domains = None,
    json: Json = False,
) -> None:
    """Count the attempts that a warm knowledge base saves on new tasks, under each architecture; no model is needed.

    For each seed one base learns on other tasks. Then the held-out task is run on an empty base, on a copy of that base
    as it is (built-in), and on a copy with each architecture installed. Good is 90 % of what the empty base found in
    the end. Times decide here: leave the machine alone meanwhile.
    """
    from evolve.cli.designs import named

    asked = _asked(task, learn_on, learn, attempts, sandbox, domain)
    designs = [named(word) for word in dict.fromkeys(architectures or ())]
    tried: list[Tried] = []
    broken = _broken(asked, designs)
    numbers = range(seed, seed + seeds) if not designs or len(broken) < len(designs) else ()
    try:
        for number in numbers:
            for run in _repetition(asked, designs, number, broken):
                tried.append(run)
                _say(run, tried)
    except KeyboardInterrupt:
        sys.stderr.write("evolve: interrupted; this is what had finished\n")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        if tried or broken:
            _tell(tried, broken, asked, json=json)
    raise typer.Exit(1 if designs and len(broken) == len(designs) else 0)


def _asked(
    task: list[str] | None,
    learn_on: list[str] | None,
    learn: int,
    attempts: int,
    sandbox: str,
    domain: list[str] | None,
) -> Asked:
    """Raises UsageError for what cannot work."""
    from evolve.plugins import all_tasks, load_domains, select

    known = load_domains(domain or [])
    held_out = select(known, task or ["matmul"], None)
    if learn_on:
        learnt_on = select(known, learn_on, None)
        if both := sorted(learnt_on.keys() & held_out.keys()):
            raise UsageError(f"{', '.join(both)} cannot be learnt on and held out at once")
    else:
        domains = {each.domain for each in held_out.values()}
        some = {
            name: each for name, each in all_tasks(known).items() if each.domain in domains and name not in held_out
        }
        learnt_on = {name: each for name, each in some.items() if each.domain != KERNELS or name in LEARNT_ON}
    if not learnt_on:
        raise UsageError("every task is held out, so that there is nothing to learn on; name fewer with --task")
    return Asked(tuple(held_out), tuple(learnt_on), learn, attempts, sandbox, tuple(domain or ()))


def _repetition(asked: Asked, designs: "Sequence[Named]", seed: int, broken: dict[str, str]) -> "Iterator[Tried]":
    """All runs with one seed. What an architecture does wrong is put into `broken`, and it is tried no more."""
    from evolve.domains.memory.transfer import EMPTY
    from knowledge.charge import BUILT_IN

    with tempfile.TemporaryDirectory(prefix="evolve-transfer-") as name:
        folder = Path(name)
        sys.stderr.write(f"seed {seed}: learning on {len(asked.learnt_on)} task(s), {asked.learn} attempts each\n")
        learnt = folder / "learnt"
        _run(asked, asked.learnt_on, asked.learn, learnt, seed)
        for task in asked.held_out:
            yield _tried(asked, EMPTY, task, _copy(None, folder), seed)
            yield _tried(asked, BUILT_IN, task, _copy(learnt, folder), seed)
            for each in [each for each in designs if each.word not in broken]:
                base = _copy(learnt, folder)
                if _install(each, base, broken):
                    run = _tried(asked, each.word, task, base, seed)
                    if _still_in_charge(each, base, broken):
                        yield run


def _broken(asked: Asked, designs: "Sequence[Named]") -> dict[str, str]:
    """Those that cannot even answer about nothing, and why: found before an hour is spent on them."""
    from evolve.config import open_kb
    from evolve.plugins import all_tasks, load_domains
    from evolve.types import DRAFT

    task = all_tasks(load_domains(asked.domains))[asked.held_out[0]]
    broken: dict[str, str] = {}
    for each in designs:
        with tempfile.TemporaryDirectory(prefix="evolve-transfer-") as name:
            base = Path(name)
            if _install(each, base, broken):
                with open_kb(base) as memory:
                    memory.recall(attempt="trial/1", task=task, stage=DRAFT, state="", rng=Random(0))
                _still_in_charge(each, base, broken)
    return broken


def _copy(base: Path | None, folder: Path) -> Path:
    """A base of its own for one run, in the place of the one before it."""
    made = folder / "base"
    shutil.rmtree(made, ignore_errors=True)
    if base is not None:
        shutil.copytree(base, made)
    return made


def _install(each: "Named", base: Path, broken: dict[str, str]) -> bool:
    from evolve.config import open_kb
    from knowledge.architecture import DesignError

    try:
        with open_kb(base) as memory:
            memory.architectures.install(each.design, "to be measured", genome=each.genome)
    except DesignError as fault:
        broken[each.word] = str(fault)
    return each.word not in broken


def _still_in_charge(each: "Named", base: Path, broken: dict[str, str]) -> bool:
    """Whether it worked until the end."""
    from evolve.config import open_kb
    from knowledge.charge import SUBJECT

    with open_kb(base) as memory:
        last = memory.timeline.history(SUBJECT, 1)[0]
    if last.what != "install":
        broken[each.word] = last.why
    return each.word not in broken


def _tried(asked: Asked, base: str, task: str, kb: Path, seed: int) -> "Tried":
    from evolve.domains.memory.transfer import Tried

    scores, finals = _run(asked, (task,), asked.attempts, kb, seed)
    return Tried(base, task, seed, scores, finals[task])


def _run(
    asked: Asked, tasks: Sequence[str], attempts: int, kb: Path, seed: int
) -> tuple[tuple[float | None, ...], dict[str, float | None]]:
    """(score of each attempt, score of each task's winner)."""
    from evolve.budget import Ceilings
    from evolve.config import assemble, new_settings
    from evolve.roles import OFFLINE
    from evolve.run import Run
    from evolve.summary import summarise

    settings = new_settings(
        tasks=list(tasks), tier=None, model=OFFLINE, ceilings=Ceilings(attempts=attempts), parallel=PARALLEL,
        sandbox=asked.sandbox, kb=str(kb), embedding="", seed=seed, hold_out=False, domains=list(asked.domains),
    )  # fmt: skip
    made = Run.create(kb.parent / "runs", settings)
    with assemble(settings, lambda _step: None, made) as (run, parts):
        run.execute(parts)
        found = {each.task: each.score for each in summarise(run, parts.journal).tasks}
        return tuple(attempt.evaluation.score for attempt in parts.journal.attempts()), found


def _say(run: "Tried", tried: "Sequence[Tried]") -> None:
    from evolve.domains.memory.transfer import EMPTY, target

    empty = next(each for each in tried if (each.base, each.task, each.seed) == (EMPTY, run.task, run.seed))
    good = target(empty.final)
    needed = run.attempts_to(good) if run.reaches(good) else f"more than {len(run.scores)}"
    sys.stderr.write(
        f"seed {run.seed}, {run.task}, {run.base}: {number(run.final)} in the end, good after {needed} attempt(s)\n"
    )


def _tell(tried: "Sequence[Tried]", broken: dict[str, str], asked: Asked, *, json: bool) -> None:
    from evolve.domains.memory.transfer import worths

    found = [worth for worth in worths(tried) if worth.base not in broken]
    if json:
        told: dict[str, Any] = {worth.base: worth.as_json() for worth in found}
        print_json(told | {name: {"failed": reason} for name, reason in broken.items()})
        return
    if found:
        columns = (
            "knowledge base", "#attempts", "#95 %", "#saved", "#95 %", "#reached", "#to the best", "#95 %",
            "#in the end", "#runs",
        )  # fmt: skip
        title = f"{', '.join(asked.held_out)}; learnt on {len(asked.learnt_on)} others, {asked.learn} attempts each"
        found.sort(key=lambda worth: worth.attempts.mean)
        print_table(columns, [_row(worth) for worth in found], title=title)
    for name, reason in broken.items():
        sys.stdout.write(f"{name} failed: {plain(reason)}\n")


def _row(worth: "Worth") -> tuple[str, ...]:
    return (
        worth.base,
        *_estimate(worth.attempts),
        *_estimate(worth.saved),
        f"{worth.reached:.0%}",
        *_estimate(worth.to_best),
        "–" if worth.final is None else f"{worth.final:.2f}×",
        str(len(worth.runs)),
    )


def _estimate(found: "Estimate") -> tuple[str, str]:
    low_high = "–" if found.interval is None else f"{found.interval[0]:.1f} to {found.interval[1]:.1f}"
    return f"{found.mean:.1f}", low_high
