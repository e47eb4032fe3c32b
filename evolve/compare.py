"""A comparison: a grid of runs that differ in nothing but their arm and their seed.

comparison.json     what was asked for
bases/              each knowledge base as it was at the start, and the copy that each run works on
NAME-ARM-sSEED/     the runs

What has finished is never done again: the journals are the only record of what came out.
"""

import shutil
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import NamedTuple, Self

from pydantic import ValidationError

from evolve.budget import Ceilings
from evolve.config import assemble, new_settings, open_kb, runs_folder
from evolve.domain import Domain
from evolve.errors import EvolveError, StorageError, UsageError
from evolve.folders import alone, begun
from evolve.journal import Journal
from evolve.parts import Listener
from evolve.plugins import Options, all_tasks, load_domains
from evolve.roles import check_model
from evolve.run import COMPARED, COMPLETE, JOURNAL, Run, Settings, new_name
from evolve.standings import Spent, Trial
from evolve.strategy import PRESETS
from evolve.strategy import preset as strategy
from evolve.summary import Summary, TaskSummary, summarise
from evolve.types import Attempt, Frozen, Task
from knowledge.library import BANK

ASKED = "comparison.json"
BASES = "bases"
EMPTY = "empty"
"""The name of a base that has learnt nothing."""


class Arm(Frozen):
    name: str
    """What sets it apart from the other arms."""
    preset: str
    model: str
    base: str = EMPTY
    """Folder of the knowledge base that its runs begin with a copy of."""


class Grid(Frozen):
    """What was asked for; enough to go on."""

    name: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    given: tuple[str, ...] = ()
    """Bases that were named."""
    settings: Settings
    """Of every run, but for its name, arm, seed and base."""


class Cell(NamedTuple):
    """One run of the grid."""

    arm: Arm
    seed: int
    settings: Settings
    folder: Path


class Result(NamedTuple):
    """What came out of one run that has finished."""

    trials: tuple[Trial, ...]
    spent: Spent
    stopped: str
    """Why it ended before its attempts were used up; empty when it did not."""


def asked_for(
    *,
    tasks: Sequence[str],
    tier: int | None,
    presets: Sequence[str],
    models: Sequence[str],
    bases: Sequence[str],
    seeds: int,
    seed: int,
    ceilings: Ceilings,
    parallel: int,
    sandbox: str,
    hold_out: bool,
    prompts: str = "",
    keys: str = "",
    domains: Sequence[str],
    options: Options | None = None,
) -> Grid:
    """Raises UsageError for anything that cannot work, before there is a folder."""
    if seeds < 1:
        raise UsageError(f"--seeds is {seeds}, which compares nothing; give at least 1")
    for what, names in (("preset", presets), ("model", models), ("kb", bases)):
        if not names:
            raise UsageError(f"--{what} is empty; name at least one, several with commas between them")
    resolved = tuple(dict.fromkeys(_resolved(base) for base in bases))
    if resolved != (EMPTY,) and not any(strategy(preset).memory for preset in presets):
        with_memory = ", ".join(name for name, each in PRESETS.items() if each.memory)
        raise UsageError(f"no preset asked for has a memory, so that --kb is for nothing; these have: {with_memory}")
    arms = _arms(list(dict.fromkeys(presets)), list(dict.fromkeys(models)), resolved)
    settings = new_settings(
        tasks=list(tasks), tier=tier, model=arms[0].model, preset=arms[0].preset, ceilings=ceilings, parallel=parallel,
        sandbox=sandbox, kb="", embedding="", seed=seed, hold_out=hold_out, prompts=prompts,
        keys=keys, domains=list(domains), options=options,
    )  # fmt: skip
    for model in dict.fromkeys(models):
        check_model(model, settings.ceilings, settings.keys)
    return Grid(
        name=f"{COMPARED}{new_name()}",
        arms=arms,
        seeds=tuple(range(seed, seed + seeds)),
        given=tuple(base for base in resolved if base != EMPTY),
        settings=settings,
    )


def _resolved(base: str) -> str:
    if base == EMPTY:
        return EMPTY
    if not (Path(base) / BANK).is_file():
        raise UsageError(
            f"there is no knowledge base in {base}; give `{EMPTY}`, or a folder that `evolve run --kb` made"
        )
    return str(Path(base).resolve())


def _arms(presets: Sequence[str], models: Sequence[str], bases: Sequence[str]) -> tuple[Arm, ...]:
    """Presets without a memory get no base but the empty one."""
    found = [
        (preset, model, base)
        for preset in presets
        for model in models
        for base in (bases if strategy(preset).memory else (EMPTY,))
    ]
    labels = _labels(bases)
    return tuple(
        Arm(name=_name(each, presets, models, labels), preset=each[0], model=each[1], base=each[2]) for each in found
    )


def _name(each: tuple[str, str, str], presets: Sequence[str], models: Sequence[str], bases: Mapping[str, str]) -> str:
    preset, model, base = each
    words = [
        preset if len(presets) > 1 or len(models) == 1 else "",
        model if len(models) > 1 else "",
        bases[base] if len(bases) > 1 and strategy(preset).memory else "",
    ]
    return " · ".join(filter(None, words))


def _labels(bases: Sequence[str]) -> dict[str, str]:
    """The last part of each path, the whole where that would be the same of two."""
    short = [Path(base).name for base in bases]
    return {base: name if short.count(name) == 1 else base for base, name in zip(bases, short, strict=True)}


class Comparison:
    """The folder. Opening it reads nothing but `comparison.json`."""

    def __init__(self, folder: Path, grid: Grid) -> None:
        self.folder = folder
        self.grid = grid
        self._domains: dict[str, Domain] = {}
        self._known: dict[str, Task] = {}

    @classmethod
    def create(cls, grid: Grid) -> Self:
        """With a copy of every base that was given: they may be in use, and change later.

        Raises UsageError for a base that cannot be opened; nothing is left then.
        """
        made = cls(runs_folder() / grid.name, grid)
        try:
            made.folder.mkdir(parents=True)
            for base in grid.given:
                copy_base(Path(base), made._given(base))
                with open_kb(made._given(base)) as memory:
                    memory.ready()
            (made.folder / ASKED).write_text(grid.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise StorageError(f"the folder {made.folder} cannot be written: {error.strerror}") from error
        except EvolveError:
            shutil.rmtree(made.folder, ignore_errors=True)
            raise
        return made

    @classmethod
    def open(cls, name: str) -> Self:
        """By id, by a prefix of it that is unique, or by folder. Raises UsageError."""
        if (Path(name) / ASKED).is_file():
            folder = Path(name).resolve()
        else:
            folder = begun(runs_folder(), ASKED, name, several="fits several comparisons", none="is no comparison")
        try:
            return cls(folder, Grid.model_validate_json((folder / ASKED).read_text()))
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise UsageError(f"{folder / ASKED} is damaged; start another comparison") from error

    def locked(self) -> AbstractContextManager[None]:
        """Raises UsageError while another process works on it."""
        return alone(self.folder, self.grid.name)

    def cells(self) -> list[Cell]:
        """In the order in which they are run: seed by seed, each beginning with another arm.

        A machine that grows slower over the hours does so for all arms alike.
        """
        found = []
        for turn, seed in enumerate(self.grid.seeds):
            numbered = list(enumerate(self.grid.arms, start=1))
            at = turn % len(numbered)
            found += [self._cell(number, arm, seed) for number, arm in numbered[at:] + numbered[:at]]
        return found

    def _cell(self, number: int, arm: Arm, seed: int) -> Cell:
        name = f"{self.grid.name}-{number}-s{seed}"
        changes = {
            "run": name, "preset": arm.preset, "model": arm.model, "seed": seed,
            "kb": str(self.folder / BASES / name),
        }  # fmt: skip
        return Cell(arm, seed, self.grid.settings.model_copy(update=changes), self.folder / name)

    def _given(self, base: str) -> Path:
        return self.folder / BASES / f"given-{self.grid.given.index(base) + 1}"

    def result(self, cell: Cell) -> Result | None:
        """None while it has not finished."""
        if not _begun(cell):
            return None
        with closing(Journal.open(cell.folder / JOURNAL)) as journal:
            if journal.fact("status") != COMPLETE:
                return None
            summary = summarise(Run.open(cell.folder), journal)
            attempts: dict[str, list[Attempt]] = {task.task: [] for task in summary.tasks}
            for attempt in journal.attempts():
                attempts[attempt.task].append(attempt)
        trials = tuple(self._trial(cell, task, attempts[task.task]) for task in summary.tasks)
        return Result(trials, _spent(cell, summary), summary.stopped)

    def results(self) -> list[Result]:
        """Of all that have finished."""
        return [result for cell in self.cells() if (result := self.result(cell))]

    def work(self, cell: Cell, listen: Listener) -> Result:
        """Run it, or what is left of it. Raises what ends a run."""
        run = Run.open(cell.folder) if _begun(cell) else None
        if run is None:
            self._clear(cell)
        with assemble(cell.settings, listen, run, runs=self.folder) as (opened, parts):
            opened.execute(parts)
        result = self.result(cell)
        assert result is not None  # a run that does not raise has finished
        return result

    def _clear(self, cell: Cell) -> None:
        """Of a run that was killed before it did anything, and let its base be as it was given."""
        base = Path(cell.settings.kb)
        shutil.rmtree(cell.folder, ignore_errors=True)
        shutil.rmtree(base, ignore_errors=True)
        if cell.arm.base != EMPTY:
            copy_base(self._given(cell.arm.base), base)

    def _trial(self, cell: Cell, task: TaskSummary, attempts: Sequence[Attempt]) -> Trial:
        score = task.score if task.confirmed else None
        best = task.best.id if task.best and score is not None else ""
        return Trial(
            arm=cell.arm.name,
            task=task.task,
            seed=cell.seed,
            allowed=cell.settings.ceilings.attempts,
            attempts=len(attempts),
            coded=sum(bool(each.candidate.files) for each in attempts),
            built=sum(each.evaluation.gates.builds is True for each in attempts),
            feasible=sum(each.evaluation.feasible for each in attempts),
            solved=score is not None,
            gain=self._gain(task.task, score),
            first=None if score is None else _count(attempts, (each for each in attempts if each.evaluation.feasible)),
            best=_count(attempts, (each for each in attempts if each.id == best)),
        )

    def _gain(self, task: str, score: float | None) -> float | None:
        """Over the task's own seed."""
        if not self._known:
            self._domains = load_domains(self.grid.settings.domains, self.grid.settings.options)
            self._known = all_tasks(self._domains)
        asked = self._known[task]
        domain = self._domains[asked.domain]
        seed = domain.baseline(asked)
        return None if score is None or seed is None else domain.gain(seed, score)


def _begun(cell: Cell) -> bool:
    return (cell.folder / JOURNAL).is_file()


def _count(attempts: Sequence[Attempt], wanted: Iterable[Attempt]) -> int | None:
    """How many attempts it took to the first of those."""
    found = next(iter(wanted), None)
    return None if found is None else attempts.index(found) + 1


def _spent(cell: Cell, summary: Summary) -> Spent:
    cost = summary.cost
    return Spent(
        arm=cell.arm.name,
        seed=cell.seed,
        tokens=cost.prompt_tokens + cost.completion_tokens,
        usd=cost.usd,
        usd_known=cost.usd_known,
        seconds=summary.seconds,
    )


def copy_base(base: Path, to: Path) -> None:
    """What a base knows, as of one moment even while it is written to; its index is built anew where it is needed.

    Raises UsageError for what is no base.
    """
    to.mkdir(parents=True)
    try:
        with (
            closing(sqlite3.connect(f"{(base / BANK).resolve().as_uri()}?mode=ro", uri=True)) as theirs,
            closing(sqlite3.connect(to / BANK)) as ours,
        ):
            theirs.backup(ours)
    except sqlite3.Error as error:
        raise UsageError(f"the knowledge base in {base} cannot be copied: {error}") from error
