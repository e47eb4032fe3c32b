"""A whole run of candidates that hang, fork, allocate, lie and break, among honest ones: nothing ends it early."""

import contextlib
import itertools
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agents.writer import Brief, Draft
from evolve import Candidate, Domain, Evaluation, Gates, Sandbox, Task
from evolve.budget import Budget, Ceilings
from evolve.journal import Journal
from evolve.parts import Parts
from evolve.run import JOURNAL, Run, Settings
from evolve.strategy import PRESETS
from knowledge.memory import Memory
from sandboxes.docker import connect
from tests.conftest import open_kind
from tests.test_gallery import ACCEPTED, CHEATS, SEED, Piece, verdict

HONEST = Piece("honest.c", SEED, {})
BROKEN = Piece("broken.c", SEED.replace("a[i]", "a[i"), {"refused": "builds/compile_error"})
WRONG = Piece("wrong.c", SEED.replace("+ b", "- b"), {"refused": "correct/mismatch"})
CRASHING = Piece("crashing.c", SEED.replace("a[i]", "*(volatile float *)(i + 8)"), {"refused": "correct/crash"})
FEW = ("endless_loop.c", "forks.c", "memory_bomb.c", "constructor_forges.c", "kills_referee.c", "prints_without_end.c")
EVERY_FOURTH_IS_HONEST = 4


class Soak(Domain):
    """Judges a piece of the gallery by its name; the feedback is the referee's verdict."""

    name = "soak"

    def __init__(self, pieces: Sequence[Piece], place: Path) -> None:
        self.pieces = {piece.name: piece for piece in pieces}
        self.place = place

    def tasks(self) -> Sequence[Task]:
        return [Task(id=f"soak/{name}", domain="soak", prompt="Add two vectors.") for name in ("a", "b")]

    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        del task, fresh
        found = verdict(sandbox, self.pieces[candidate.files["name"]], str(self.place))
        passed = found == ACCEPTED
        gates = Gates(authentic=True, builds=True, correct=passed)
        return Evaluation(gates=gates, score=1.0 if passed else None, feedback=found)


class Parade:
    """One piece after the other, each told apart from the last time by a number."""

    name = "parade"

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._next: Iterator[tuple[int, str]] = enumerate(itertools.cycle(piece.name for piece in pieces))
        self._lock = threading.Lock()

    def write(self, brief: Brief) -> Draft:
        del brief
        with self._lock:
            number, name = next(self._next)
        return Draft(files={"name": name, "number": str(number)}, technique="parade")


def march(folder: Path, pieces: Sequence[Piece], attempts: int, sandbox: Sandbox) -> dict[str, str]:
    """A run; the verdict on each attempt, by `position name`."""
    domain = Soak(pieces, folder)
    tasks = {task.id: task for task in domain.tasks()}
    asked = Settings(
        run="soak", tasks=tuple(tasks), model="parade", ceilings=Ceilings(attempts=attempts), parallel=2,
        sandbox=sandbox.name, kb="", seed=1, created="", version="",
    )  # fmt: skip
    run = Run.create(folder, asked)
    journal = Journal.open(run.folder / JOURNAL, create=True)
    with Memory.open(folder / "kb") as memory:
        stopped = run.execute(Parts(
            run="soak", seed=1, parallel=2, per_task=attempts, tasks=tasks, domains={"soak": domain},
            writer=Parade(pieces), sandbox=sandbox, memory=memory, journal=journal,
            budget=Budget(asked.ceilings, journal), hold_out=frozenset(), strategy=PRESETS[asked.preset],
            redesign=str, redesign_every=0,
            listen=lambda _: None,
        ))  # fmt: skip
    assert stopped == ""
    found = {f"{one.position} {one.candidate.files['name']}": one.evaluation.feedback for one in journal.attempts()}
    journal.close()
    return found


def wrongly_judged(verdicts: dict[str, str], pieces: Sequence[Piece], kind: str) -> dict[str, str]:
    expected = {piece.name: piece.words("refused") or {ACCEPTED} for piece in pieces}
    for piece in pieces:
        if kind in piece.uncovered:
            expected[piece.name] |= {ACCEPTED}
    return {key: found for key, found in verdicts.items() if found not in expected[key.partition(" ")[2]]}


def mixed(cheats: Sequence[Piece]) -> list[Piece]:
    """Every fourth honest."""
    pieces: list[Piece] = []
    for piece in (BROKEN, WRONG, CRASHING, *cheats):
        pieces += [piece] if len(pieces) % EVERY_FOURTH_IS_HONEST else [HONEST, piece]
    return pieces


def left_behind() -> str:
    """Processes of users that only candidates have."""
    listing = subprocess.run(["ps", "-eo", "uid=,pid=,args="], check=True, capture_output=True, text=True).stdout
    return "\n".join(line for line in listing.splitlines() if 60706 <= int(line.split()[0]) <= 61183)


def containers() -> list[str]:
    """Of this very process."""
    client = connect()
    with contextlib.closing(client):
        filters: dict[str, str | list[str] | bool] = {"label": ["evolve=sandbox", f"evolve.pid={os.getpid()}"]}
        return [str(one.name) for one in client.containers.list(filters=filters, ignore_removed=True)]


def test_a_run_of_hostile_candidates_ends_with_the_right_verdicts(sandbox: Sandbox, tmp_path: Path) -> None:
    pieces = mixed([CHEATS[name] for name in FEW])
    verdicts = march(tmp_path, pieces, len(pieces) // 2, sandbox)
    assert len(verdicts) == len(pieces) // 2 * 2
    assert wrongly_judged(verdicts, pieces, sandbox.name) == {}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["process+bwrap", pytest.param("docker", marks=pytest.mark.docker)])
def test_a_soak_of_five_hundred_leaves_nothing_behind(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.getuid():
        pytest.skip("without root, candidates cannot be told from other processes of this user")
    before, running = left_behind(), containers() if kind == "docker" else []
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    pieces = mixed([piece for piece in CHEATS.values() if kind not in piece.uncovered])
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with open_kind(kind) as opened:
        verdicts = march(tmp_path, pieces, 250, opened)
    assert len(verdicts) == 500
    assert wrongly_judged(verdicts, pieces, kind) == {}
    assert set(left_behind().splitlines()) <= set(before.splitlines())
    locks = scratch / f"evolve-{os.getuid()}"
    assert [left for left in scratch.iterdir() if left != locks] == []
    assert kind != "docker" or set(containers()) <= set(running)
