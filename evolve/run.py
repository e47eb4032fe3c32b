"""A run: a folder on disk that can be started, killed and resumed.

run.json            what was asked for
journal.db          everything that happened
position.db         LangGraph's position
best/               the best candidate of each task
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from evolve.budget import Ceilings
from evolve.checkpoint import open_checkpointer, prune
from evolve.errors import StorageError, UsageError, found_at_the_start
from evolve.journal import Journal
from evolve.orchestrator import Orchestrator
from evolve.parts import Parts, Step
from evolve.strategy import DEFAULT
from evolve.types import Frozen

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

SETTINGS = "run.json"
JOURNAL = "journal.db"
POSITION = "position.db"

EXTENDED = "extended/"
"""Before a number of attempts, in the journal's facts: the ceilings that held until then."""
COMPARED = "compare-"
"""How the names of comparisons, and of their runs, begin."""
COMPLETE = "complete"
FAILED = "failed"
INTERRUPTED = "interrupted"
STEPS_PER_ATTEMPT = 8
"""Supersteps of the graph that one attempt may take, reflections included."""


class Settings(Frozen):
    """What was asked for, as `evolve run` understood it; enough to resume."""

    run: str
    tasks: tuple[str, ...]
    model: str
    """`offline`, or names as litellm knows them, separated by commas."""
    preset: str = DEFAULT
    inspect: bool = False
    """Whether a model looks for cheats in what the judge accepted."""
    prompts: str = ""
    """Folder of prompt templates of the user's."""
    keys: str = ""
    """File of keys and addresses; the user's own without."""
    ceilings: Ceilings
    parallel: int
    sandbox: str
    kb: str
    """Folder of the knowledge base, or the address of the chroma server that holds its index."""
    embedding: str = ""
    """What the knowledge base is asked to find by; its own without."""
    seed: int
    hold_out: tuple[str, ...] = ()
    meta_every: int = 0
    """Attempts after which a better memory architecture is looked for; 0: never."""
    domains: tuple[str, ...] = ()
    """Domains given as `path/to/file.py:Class`, beside the installed ones."""
    options: Mapping[str, Mapping[str, str]] = {}
    """What installed domains are told, by name."""
    created: str
    version: str


def new_name() -> str:
    """Of a run that begins now."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


class Run:
    """The folder. Opening it reads nothing but `run.json`."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings

    @classmethod
    def create(cls, runs: Path, settings: Settings) -> "Run":
        folder = runs / settings.run
        try:
            folder.mkdir(parents=True)
            (folder / SETTINGS).write_text(settings.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise StorageError(f"the run folder {folder} cannot be written: {error.strerror}") from error
        return cls(folder, settings)

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Raises UsageError when the folder is not a run of ours."""
        path = folder / SETTINGS
        try:
            settings = Settings.model_validate_json(path.read_text())
        except FileNotFoundError as error:
            raise UsageError(f"{folder} is no run of evolve: it has no {SETTINGS}; see `evolve runs`") from error
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} cannot be read: {error}; see `evolve runs`") from error
        except ValidationError as error:
            raise UsageError(f"{path} is damaged: {_first(error)}; see `evolve runs`") from error
        return cls(folder, settings)

    def extended(self, ceilings: Ceilings) -> "Run":
        """The run under these ceilings, on disk too; what held until now is noted in its journal.

        Raises UsageError for a ceiling below the old one, for a run of a comparison, whose runs have one budget, and
        while another process works on the run.
        """
        if ceilings == self.settings.ceilings:
            return self
        if self.settings.run.startswith(COMPARED):
            raise UsageError(f"run {self.settings.run} is part of a comparison, and all of its runs have one budget")
        run = Run(self.folder, self.settings.model_copy(update={"ceilings": ceilings.validated()}))
        with self.locked():
            old = Run.open(self.folder).settings.ceilings  # another may have given more since we looked
            _not_below(old, ceilings)
            if (self.folder / JOURNAL).exists():  # else nothing was decided under the old ones
                with closing(Journal.open(self.folder / JOURNAL)) as journal:
                    journal.record_fact(f"{EXTENDED}{journal.judged()}", old.model_dump_json())
                    journal.record_fact("status", INTERRUPTED)  # until it has met its new end
            save_files(self.folder, {SETTINGS: run.settings.model_dump_json(indent=2) + "\n"})
        return run

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Raises UsageError while another process works on the run, StorageError where its folder is read-only."""
        try:
            lock = (self.folder / ".lock").open("a+")
        except OSError as error:
            raise StorageError(f"the run folder {self.folder} cannot be written: {error.strerror}") from error
        with lock as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                owner = file.read().strip() or "?"
                raise UsageError(f"run {self.settings.run} is being worked on by process {owner}") from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def execute(self, parts: Parts) -> str:
        """Work until the attempts or the budget are used up; returns why it stopped early, empty when it did not.

        Raises the error that halted the run; what had finished is on disk, and executing again goes on from there.
        """
        orchestrator = Orchestrator(parts)
        with open_checkpointer(self.folder / POSITION) as checkpointer:
            graph = orchestrator.graph(checkpointer)
            attempts = parts.per_task * len(parts.tasks)
            config: RunnableConfig = {
                "configurable": {"thread_id": self.settings.run},
                "max_concurrency": parts.parallel,
                "recursion_limit": 100 + STEPS_PER_ATTEMPT * attempts,
            }
            start: dict[str, Any] | None = None if graph.get_state(config).next else {"round": 0, "planned": []}
            try:
                for step in graph.stream(start, config, durability="sync"):
                    if step.keys() & {"learn", "confirm"}:
                        prune(checkpointer, self.settings.run)
                        self._save_bests(parts)
            finally:
                parts.budget.save_clock()
        failure = orchestrator.failure
        parts.journal.record_fact("status", FAILED if failure else COMPLETE)
        parts.journal.record_fact("stopped", str(failure) if failure else orchestrator.stopped)
        if failure and parts.journal.judged():
            raise failure
        if failure:
            with found_at_the_start():
                raise failure
        parts.listen(Step("end"))
        return orchestrator.stopped

    def _save_bests(self, parts: Parts) -> None:
        for task in parts.tasks:
            best, _, _ = parts.journal.winner(task)
            if best:
                save_files(self.best_folder(task), best.candidate.files)

    def best_folder(self, task: str) -> Path:
        return self.folder / "best" / task.replace("/", "-")


def _not_below(old: Ceilings, new: Ceilings) -> None:
    for name, value in new:
        before = getattr(old, name)
        if before is not None and (value is None or value < before):
            raise UsageError(f"--{name} {value} is less than the {before} that the run has; give more")


def save_files(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write a candidate's files, each whole or not at all; those that are there and the same are left alone."""
    written = []
    for name, text in files.items():
        path = folder / name
        written.append(path)
        if path.is_file() and path.read_text() == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text)
        partial.replace(path)
    return written


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    return f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
