"""A base that looks for a better memory architecture in its own history."""

import json
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from evolve.cli import app
from evolve.errors import UsageError
from evolve.meta.breeding import Strain
from evolve.meta.live import LEAST_LATER, LEAST_RECALLS, LONGEST_RECALL_MS, Tried, decided, evolve_base
from evolve.meta.replay import Replayed
from evolve.types import REFINE, Recalled, Task
from knowledge.charge import BUILT_IN
from knowledge.design import seeds
from knowledge.genome import Genome
from knowledge.upkeep import Upkeep
from tests.command import evolve
from tests.test_memory import attempt, task

TASKS = ("matmul", "softmax", "gemv")


def lived(memory: Upkeep, attempts: int) -> None:
    """Runs in which whatever `pack` had taught helps, and whatever else was recalled does not.

    Each time much is held out, so that what is recalled stays as mixed as it was at the beginning.
    """
    rng = Random(7)
    for n in range(attempts):
        of = numbered(n)
        held_out = frozenset(numbered(other).id for other in rng.sample(range(12), 9))
        recalled = shown(memory, f"run/{n}", of, seed=n, hold_out=held_out)
        packed = any("pack" in each.experience.technique for each in recalled)
        memory.credit(attempt=f"run/{n}", stage=REFINE, reward=0.9 if packed else -0.4)
        technique = rng.choice(["pack", "tile", "fuse", "unroll"])
        score = 1.0 + n / attempts
        memory.absorb(task=of, attempt=attempt(f"run/{n}", of, technique=technique, score=score), parent=None)


def numbered(n: int) -> Task:
    """One of twelve."""
    like = task(TASKS[n % 3])
    return like.model_copy(update={"id": f"{like.id}{n % 12}"})


def shown(
    memory: Upkeep, name: str, of: Task | None = None, seed: int = 0, *, hold_out: frozenset[str] = frozenset()
) -> list[Recalled]:
    rng = Random(seed)
    of = of or numbered(0)
    return memory.recall(attempt=name, task=of, stage=REFINE, state="", rng=rng, k=2, hold_out=hold_out)


def tried(marks: tuple[float, ...], ms: float = 1.0) -> Tried:
    design = seeds()["bm25"]._replace(name="child")
    return Tried(Strain(Genome.of("bm25"), {}), design, Replayed(marks, 60, 100.0, ms))


BEFORE = tuple(0.3 + 0.1 * (n % 3) for n in range(100))


def verdict(marks: tuple[float, ...], ms: float = 1.0) -> tuple[bool, str]:
    found = decided(BUILT_IN, Replayed(BEFORE, 60, 0.0, 0.0), tried(marks, ms), tried=9, failed=0)
    return found.installed, found.reason


def test_what_is_better_for_certain_on_the_later_part_is_installed() -> None:
    installed, reason = verdict(tuple(mark + 0.1 + 0.01 * (n % 2) for n, mark in enumerate(BEFORE)))
    assert installed
    assert "child is better than built-in by more than 2 standard errors (+0.10" in reason


def test_what_is_as_good_stays_out() -> None:
    installed, reason = verdict(BEFORE)
    assert not installed
    assert "the best of 9, is not better" in reason


def test_what_is_better_by_chance_stays_out() -> None:
    assert not verdict(tuple(mark + (0.5 if n % 2 else -0.45) for n, mark in enumerate(BEFORE)))[0]


def test_what_shone_only_where_it_was_chosen_stays_out() -> None:
    assert not verdict((*(1.0 for _ in BEFORE[:60]), *BEFORE[60:]))[0]


def test_what_is_too_slow_stays_out_and_it_is_said() -> None:
    installed, reason = verdict(tuple(1.0 for _ in BEFORE), ms=2 * LONGEST_RECALL_MS)
    assert not installed
    assert "takes 500 ms for a recall, and 250 are allowed" in reason


def test_a_short_history_decides_nothing(tmp_path: Path) -> None:
    with Upkeep.open(tmp_path) as memory:
        lived(memory, 12)
        decision = evolve_base(memory, children=2, seed=1)
        assert not decision.installed
        assert f"{LEAST_RECALLS} are needed, {LEAST_LATER} of them there; built-in stays" in decision.reason
        assert memory.architectures.installed().name == BUILT_IN


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    with Upkeep.open(folder) as memory:
        lived(memory, 150)
    return folder


def test_rewards_that_have_nothing_to_do_with_what_was_recalled_install_nothing(tmp_path: Path) -> None:
    installed = 0
    for seed in range(4):
        rng = Random(seed)
        with Upkeep.open(tmp_path / str(seed)) as memory:
            for n in range(100):
                of = numbered(n)
                shown(memory, f"run/{n}", of, seed=n)
                memory.credit(attempt=f"run/{n}", stage=REFINE, reward=rng.uniform(-1, 1))
                technique = rng.choice(["pack", "tile", "fuse", "unroll"])
                memory.absorb(task=of, attempt=attempt(f"run/{n}", of, technique=technique), parent=None)
            installed += evolve_base(memory, children=2, seed=seed).installed
    assert installed <= 1


def copied(filled: Path, to: Path) -> Path:
    to.mkdir()
    for file in filled.iterdir():
        if file.is_file():
            (to / file.name).write_bytes(file.read_bytes())
    return to


def test_a_base_decides_the_same_from_the_same_seed_and_can_go_back(filled: Path, tmp_path: Path) -> None:
    decisions = []
    for place in ("one", "two"):
        with Upkeep.open(copied(filled, tmp_path / place)) as memory:
            before = shown(memory, "probe/1")
            decision = evolve_base(memory, children=8, seed=3)
            decisions.append(decision.model_copy(update={"reason": ""}))
            assert decision.installed
            assert memory.architectures.installed().name == decision.candidate
            assert shown(memory, "probe/2") != before
            memory.architectures.rollback()
            assert shown(memory, "probe/3") == before
    assert decisions[0] == decisions[1]
    assert decisions[0].tried > 20
    assert decisions[0].recalls >= LEAST_RECALLS


def test_the_incumbent_is_asked_anew_and_beats_itself_never(filled: Path, tmp_path: Path) -> None:
    with Upkeep.open(copied(filled, tmp_path / "base")) as memory:
        memory.architectures.install(seeds()["evokernel"], "by hand")
        decision = evolve_base(memory, children=1, seed=1)
        assert decision.incumbent == "evokernel"
        assert decision.candidate != "evokernel"


def test_the_command_tells_its_decision_and_exits_by_it(filled: Path, tmp_path: Path) -> None:
    folder = copied(filled, tmp_path / "base")
    result = CliRunner().invoke(
        app, ["meta", "--live", "--kb", str(folder), "--seed", "3", "--children", "6", "--json"]
    )
    told = json.loads(result.stdout.splitlines()[-1])
    assert result.exit_code == (0 if told["installed"] else 1)
    assert told["seed"] == 3
    assert told["incumbent"] == BUILT_IN


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["meta", "--live", "--data", "x.json"], "--data does not go with --live"),
        (["meta", "--live", "--resume", "x"], "--resume does not go with --live"),
        (["meta", "--live", "--children", "0"], "--children is 0"),
        (["meta", "--kb", "x"], "--kb goes with --live"),
        (["meta", "--live", "--kb", "nowhere"], "no knowledge base in nowhere"),
        (["kb", "architecture", "set", "hcamm"], "did you mean: hcam"),
        (["kb", "architecture", "set", "nowhere.py"], "nowhere.py cannot be read"),
        (["kb", "architecture", "set", "seedless.py"], "seedless.py does not work, and nothing was changed: import: "),
        (["kb", "architecture", "rollback"], "no memory architecture is installed"),
        (["run", "--meta-every", "-1"], "--meta-every is -1"),
        (["run", "--meta-every", "4", "--preset", "refine"], "--preset refine uses none"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(words: list[str], reason: str, tmp_path: Path) -> None:
    (tmp_path / "seedless.py").write_text("import os\n")
    done = evolve(tmp_path, *words)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_architecture_is_set_shown_and_taken_back_by_hand(filled: Path, tmp_path: Path) -> None:
    folder = str(copied(filled, tmp_path / "base"))
    runner = CliRunner()

    def told(*words: str) -> str:
        result = runner.invoke(app, ["kb", "architecture", *words, "--kb", folder])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert told("show") == "built-in is in charge\n"
    assert told("set", "hcam", "--why", "longer chunks").startswith("hcam is in charge since")
    assert "longer chunks" in told("show")
    assert told("show", "--source") == seeds()["hcam"].source
    shown_as_json = json.loads(told("show", "--json"))
    assert (shown_as_json["name"], shown_as_json["previous"]) == ("hcam", BUILT_IN)
    assert told("rollback").startswith("built-in is in charge")


def test_a_module_from_a_file_works_in_a_sandbox(filled: Path, tmp_path: Path) -> None:
    folder = copied(filled, tmp_path / "base")
    module = tmp_path / "mine.py"
    module.write_text(seeds()["bm25"].source.replace("query.k,", "2 * query.k,"))
    with Upkeep.open(folder) as memory, pytest.raises(UsageError, match="it needs a sandbox"):
        memory.architectures.install(seeds()["bm25"]._replace(source=module.read_text()), "by hand")
