"""The loop, with a small domain, the real knowledge base and the real graph."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from agents.offline import OfflineWriter
from agents.writer import Brief, Draft, Writer
from evolve.budget import Budget, Ceilings
from evolve.errors import ModelError, PluginError, StorageError
from evolve.journal import Journal
from evolve.parts import Parts, Step
from evolve.run import JOURNAL, POSITION, Run, Settings
from evolve.strategy import PRESETS
from evolve.summary import summarise
from evolve.types import Execution, Job, Task
from knowledge.memory import Memory
from tests.toy import Toy


class NoSandbox:
    """The toy domain runs nothing."""

    name = "none"

    def run(self, job: Job) -> Execution:
        raise AssertionError(job)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Lines:
    """Writes the next of the given texts; an exception is raised."""

    name = "lines"

    def __init__(self, *texts: str | Exception) -> None:
        self.texts = list(texts)
        self.briefs: list[Brief] = []

    def write(self, brief: Brief) -> Draft:
        self.briefs.append(brief)
        text = self.texts.pop(0)
        if isinstance(text, Exception):
            raise text
        return Draft(files={"x.txt": text}, technique="typed")


def settings(*, attempts: int, parallel: int = 1, tasks: tuple[str, ...] = ("toy/a",)) -> Settings:
    return Settings(
        run="r", tasks=tasks, model="offline", ceilings=Ceilings(attempts=attempts), parallel=parallel,
        sandbox="none", kb="", seed=7, created="", version="",
    )  # fmt: skip


@contextmanager
def parts(
    folder: Path, asked: Settings, writer: Writer, steps: list[Step] | None = None
) -> Iterator[tuple[Run, Parts]]:
    run = Run.open(folder / "r") if (folder / "r").exists() else Run.create(folder, asked)
    domain = Toy()
    journal = Journal.open(run.folder / JOURNAL, create=not (run.folder / JOURNAL).exists())
    with Memory.open(folder / "kb") as memory:
        yield (
            run,
            Parts(
                run="r", seed=asked.seed, parallel=asked.parallel, per_task=asked.ceilings.attempts,
                tasks={task.id: task for task in domain.tasks() if task.id in asked.tasks},
                domains={"toy": domain}, writer=writer, sandbox=NoSandbox(), memory=memory, journal=journal,
                budget=Budget(asked.ceilings, journal), hold_out=frozenset(), strategy=PRESETS[asked.preset],
                redesign=str, redesign_every=0,
                listen=(steps if steps is not None else []).append,
            ),
        )  # fmt: skip
    journal.close()


def offline() -> OfflineWriter:
    domain = Toy()
    return OfflineWriter(domain.mutations)


def test_the_search_improves_and_the_knowledge_base_learns(tmp_path: Path) -> None:
    with parts(tmp_path, settings(attempts=12, tasks=("toy/a", "toy/b")), offline()) as (run, made):
        assert run.execute(made) == ""
        summary = summarise(run, made.journal)
        assert summary.attempts == 24
        assert all(task.score is not None and task.score > 6 and task.confirmed for task in summary.tasks)
        assert all(task.best_file and task.best_file.read_text() for task in summary.tasks)
        stats = made.memory.stats()
    assert stats.recalls == stats.credited == 24
    assert stats.experiences["insight"] > 0


def test_the_same_seed_makes_the_same_run(tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with parts(tmp_path / name, settings(attempts=8), offline()) as (run, made):
            run.execute(made)
            runs.append([(each.candidate, each.evaluation) for each in made.journal.attempts()])
    assert runs[0] == runs[1]


def test_parallel_attempts_all_count(tmp_path: Path) -> None:
    with parts(tmp_path, settings(attempts=9, parallel=4), offline()) as (run, made):
        run.execute(made)
        assert made.journal.judged() == 9


def test_the_same_code_is_not_judged_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("TOY_LOG", str(log))
    with parts(tmp_path, settings(attempts=3), Lines("4", "4", "4")) as (run, made):
        run.execute(made)
        feedback = [each.evaluation.feedback for each in made.journal.attempts()]
    assert len(log.read_text().splitlines()) == 2  # once, and once more to confirm it
    assert feedback[1].startswith("the same code as attempt r/1")


def test_a_fatal_model_error_halts_with_the_providers_words_and_can_be_resumed(tmp_path: Path) -> None:
    asked = settings(attempts=3)
    with (
        parts(tmp_path, asked, Lines("4", ModelError("401: wrong key"))) as (run, made),
        pytest.raises(ModelError, match="401: wrong key"),
    ):
        run.execute(made)
    with parts(tmp_path, asked, Lines("6", "8")) as (run, made):
        assert made.journal.fact("status") == "failed"
        run.execute(made)
        assert [each.candidate.files["x.txt"] for each in made.journal.attempts()] == ["4", "6", "8"]
        assert made.journal.fact("status") == "complete"


def test_a_model_that_fails_in_passing_costs_an_attempt_and_a_model_that_is_gone_ends_the_run(tmp_path: Path) -> None:
    passing = [ModelError("timeout", fatal=False) for _ in range(3)]
    with (
        parts(tmp_path, settings(attempts=9), Lines(passing[0], "4", *passing)) as (run, made),
        pytest.raises(ModelError, match="timeout"),
    ):
        run.execute(made)
    with parts(tmp_path, settings(attempts=9), Lines()) as (_, made):
        assert made.journal.judged() == 4


def test_one_failing_attempt_does_not_cancel_its_siblings(tmp_path: Path) -> None:
    writer = Lines("4", ModelError("refused"), "8")
    with (
        parts(tmp_path, settings(attempts=3, parallel=3), writer) as (run, made),
        pytest.raises(ModelError, match="refused"),
    ):
        run.execute(made)
    with parts(tmp_path, settings(attempts=3, parallel=3), Lines()) as (_, made):
        assert made.journal.judged() == 2


def test_a_plugin_that_breaks_is_named(tmp_path: Path) -> None:
    with (
        parts(tmp_path, settings(attempts=1), Lines("crash")) as (run, made),
        pytest.raises(PluginError, match=r"domain 'toy' broke .* RuntimeError: the plugin broke"),
    ):
        run.execute(made)


def test_the_writer_sees_the_parent_the_last_feedback_and_what_was_tried(tmp_path: Path) -> None:
    writer = Lines("4", "5", "6")
    with parts(tmp_path, settings(attempts=3), writer) as (run, made):
        run.execute(made)
    first, second, third = writer.briefs
    assert first.stage == "draft"
    assert first.parent is None
    assert second.stage == third.stage == "refine"
    assert third.parent is not None
    assert third.parent.id == "r/1"
    assert third.last is not None
    assert "not even" in third.last.evaluation.feedback
    assert len(third.tried) == 2
    assert len(third.recalled) > 0


def test_the_position_stays_small_however_long_the_run(tmp_path: Path) -> None:
    sizes = []
    for attempts in (40, 160):
        folder = tmp_path / str(attempts)
        folder.mkdir()
        with parts(folder, settings(attempts=attempts, parallel=2), offline()) as (run, made):
            run.execute(made)
        with sqlite3.connect(run.folder / POSITION) as db:
            largest = db.execute("SELECT MAX(LENGTH(checkpoint)) FROM checkpoints").fetchone()[0]
            rows = db.execute("SELECT COUNT(*) FROM checkpoints").fetchone()[0]
        db.close()
        assert largest < 4096
        sizes.append(rows)
    assert sizes[1] <= sizes[0] + 4


def _command(home: Path, *words: str) -> subprocess.Popen[str]:
    environment = os.environ | {
        "EVOLVE_HOME": str(home), "TOY_SECONDS": "0.03", "TOY_LOG": str(home / "judged"), "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "evolve", *words],
        env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _killed_and_resumed(home: Path, kills: int, rng: random.Random) -> None:
    toy = f"{Path(__file__).parent / 'toy.py'}:Toy"
    running = _command(
        home, "run", "toy/a", "toy/b", "--attempts", "30", "--seed", "3", "--sandbox", "process", "--domain", toy
    )
    for _ in range(kills):
        deadline = time.monotonic() + 60
        while not list(home.glob("runs/*/journal.db")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.5, 2.5))
        running.send_signal(signal.SIGKILL)
        running.communicate()
        running = _command(home, "resume", "2", "--json")
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_a_run_killed_at_random_moments_loses_nothing_and_does_nothing_twice(tmp_path: Path, kills: int) -> None:
    _killed_and_resumed(tmp_path, kills, random.Random(kills))
    (journal_file,) = tmp_path.glob("runs/*/journal.db")
    journal = Journal.open(journal_file)
    attempts = list(journal.attempts())
    repeats = [each for each in attempts if each.evaluation.feedback.startswith("the same code")]
    journal.close()
    assert [each.position for each in attempts] == list(range(1, 61))
    judged = Counter((tmp_path / "judged").read_text().split())
    # A judgement that a kill cut short is begun again; nothing else is judged twice but the confirmed winners.
    assert sum(judged.values()) <= 60 - len(repeats) + 2 * kills + 6
    with Memory.open(tmp_path / "kb") as memory:
        stats = memory.stats()
    assert stats.recalls == stats.credited == 60


def test_a_better_memory_architecture_is_looked_for_every_so_many_attempts(tmp_path: Path) -> None:
    looked: list[int] = []
    steps: list[Step] = []
    with parts(tmp_path, settings(attempts=12), offline(), steps) as (run, made):

        def redesign() -> str:
            looked.append(made.journal.standing("toy/a").judged)
            return "nothing better"

        assert run.execute(made._replace(redesign=redesign, redesign_every=5)) == ""
    assert looked == [5, 10]
    assert [step.text for step in steps if step.phase == "reflect" and step.text] == [
        "memory architecture: nothing better"
    ] * 2


def test_a_run_whose_search_for_an_architecture_broke_takes_it_up_again(tmp_path: Path) -> None:
    def broken() -> str:
        raise StorageError("the disk is full")

    with parts(tmp_path, settings(attempts=8), offline()) as (run, made), pytest.raises(StorageError):
        run.execute(made._replace(redesign=broken, redesign_every=5))
    steps: list[Step] = []
    with parts(tmp_path, settings(attempts=8), offline(), steps) as (run, made):
        run.execute(made._replace(redesign=lambda: "nothing better", redesign_every=5))
    assert [step.text for step in steps if "nothing better" in step.text] == ["memory architecture: nothing better"]


def test_the_first_attempt_is_the_seed_where_nobody_knows_what_it_scores(tmp_path: Path) -> None:
    class Unknown(Toy):
        def baseline(self, task: Task) -> float | None:
            del task
            return None

    lines = Lines("8", "10", "12")
    with parts(tmp_path, settings(attempts=3, parallel=3), lines) as (run, made):
        run.execute(made._replace(domains={"toy": Unknown()}))
        first, *others = made.journal.attempts()
        assert made.memory.stats().recalls == 2  # nothing is put in front of nobody
    assert (first.candidate.files, first.candidate.technique, first.evaluation.score) == ({"x.txt": "2"}, "seed", 2.0)
    assert sorted(each.evaluation.score or 0 for each in others) == [8.0, 10.0]
    assert "r/1" not in {brief.attempt for brief in lines.briefs}
