"""`evolve memory transfer`: attempts that a warm base saves on tasks nothing was learnt on."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from evolve.cli.designs import named
from evolve.cli.transfer import Asked, _tell
from evolve.domains.memory.transfer import EMPTY, Tried, estimate, worths
from evolve.errors import UsageError
from knowledge.design import seeds
from knowledge.genome import Genome
from tests.command import evolve, last_json

TOY = ("--domain", f"{Path(__file__).parent / 'toy.py'}:Toy", "--task", "toy/a", "--sandbox", "process")
QUICK = (*TOY, "--learn", "3", "--attempts", "3", "--seeds", "1")
FORGETFUL = """
from knowledge.architecture import Retrieval, Verbatim
PARAMS = {}
class Forgetful(Verbatim):
    def store(self, new, bank, ctx):
        if len(list(bank.iter())) == 4:
            raise OSError("no disk")
        return super().store(new, bank, ctx)
    def retrieve(self, query, bank, ctx):
        return Retrieval(bank.lexical(query.text, query.k))
def build(params):
    return Forgetful()
"""
MUTE = FORGETFUL.replace("return Retrieval(", "raise OSError('no voice')\n        return Retrieval(")


def tried(base: str, *scores: float | None, seed: int = 1, task: str = "a") -> Tried:
    return Tried(base, task, seed, scores, max((score for score in scores if score is not None), default=None))


# ---- what the figures mean


def test_attempts_are_counted_until_the_target_and_one_more_where_it_is_missed() -> None:
    run = tried("warm", None, 2.0, 5.0)
    assert [run.attempts_to(target) for target in (2.0, 2.1, 5.0, 5.1)] == [2, 3, 3, 4]
    assert [run.reaches(target) for target in (5.0, 5.1)] == [True, False]
    assert run.attempts_to(None) == 2


def test_a_base_is_measured_by_what_the_empty_one_found_with_the_same_seed() -> None:
    runs = [
        tried(EMPTY, 1.0, 2.0, 10.0, seed=1), tried("warm", 9.0, 9.0, 9.5, seed=1),
        tried(EMPTY, 1.0, 100.0, 1.0, seed=2), tried("warm", 20.0, 80.0, 89.0, seed=2),
    ]  # fmt: skip
    empty, warm = worths(runs)
    assert (empty.base, empty.attempts.mean, empty.saved.mean, empty.reached, empty.final) == (EMPTY, 2.5, 0, 1, 1)
    assert (warm.attempts.mean, warm.reached) == ((1 + 4) / 2, 0.5)
    assert warm.saved.mean == ((3 - 1) + (2 - 4)) / 2
    assert warm.final == pytest.approx((0.95 * 0.89) ** 0.5)
    assert (empty.to_best.mean, warm.to_best.mean) == ((4 + 2) / 2, 4)
    assert warm.runs == (runs[1], runs[3])


def test_the_best_that_is_known_is_of_each_task_by_itself() -> None:
    (empty,) = worths([tried(EMPTY, 1.0, 2.0, task="a"), tried(EMPTY, 50.0, 100.0, task="b")])
    assert empty.to_best.mean == 2


def test_where_the_empty_base_solves_nothing_any_solution_is_good() -> None:
    empty, warm = worths([tried(EMPTY, None, None), tried("warm", None, 3.0)])
    assert (empty.attempts.mean, empty.reached, empty.final) == (3, 0, None)
    assert (warm.attempts.mean, warm.reached, warm.saved.mean) == (2, 1, 1)


def test_a_run_whose_empty_base_was_not_run_is_left_out() -> None:
    assert worths([tried("warm", 3.0)]) == []
    assert [len(worth.runs) for worth in worths([tried(EMPTY, 1.0), tried("w", 2.0), tried("w", 2.0, seed=2)])] == [
        1,
        1,
    ]


def test_an_interval_is_students_and_keeps_to_what_is_possible() -> None:
    assert estimate([3], 1, 9).interval is None
    low, high = estimate([4.0, 5.0, 6.0], 1, 31).interval or (0, 0)
    assert (low, high) == pytest.approx((5 - 4.303 / 3**0.5, 5 + 4.303 / 3**0.5))
    assert estimate([1, 9], 1, 10).interval == (1, 10)


# ---- the command


def test_each_base_is_a_row_and_one_that_breaks_at_work_says_why(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FORGETFUL)
    result = evolve(tmp_path, "memory", "transfer", "bm25", "mine.py", *QUICK, "--json")
    assert result.returncode == 0, result.stderr
    told = last_json(result)
    assert list(told) == ["empty", "built-in", "bm25", "mine.py"]
    assert "no disk" in told["mine.py"]["failed"]  # one base holds so many records only where it had learnt before
    for name in ("empty", "built-in", "bm25"):
        (run,) = told[name]["runs"]
        assert (run["task"], run["seed"], len(run["scores"])) == ("toy/a", 1, 3)
        assert 1 <= told[name]["attempts"] <= 4
    assert (told["empty"]["saved"], told["empty"]["final"]) == (0, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.py"]


def test_an_architecture_that_cannot_answer_at_all_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MUTE)
    (tmp_path / "none.py").write_text("PARAMS = {}\n")
    result = evolve(tmp_path, "memory", "transfer", "mine.py", "none.py", *QUICK)
    assert result.returncode == 1
    first, second = result.stdout.splitlines()
    assert first.startswith("mine.py failed: mine broke: retrieve: OSError: no voice")
    assert second.startswith("none.py failed: import: ")
    assert "learning" not in result.stderr


def test_the_table_has_the_fewest_attempts_first_and_why_one_failed(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        run
        for seed in (1, 2, 3)
        for run in (tried(EMPTY, 1.0, 2.0, 3.0, seed=seed), tried("bm25", 1.0, 3.0, 3.0, seed=seed))
    ]
    asked = Asked(("a",), ("b", "c"), learn=4, attempts=3, sandbox="process", domains=())
    _tell([*runs, tried("mine.py", 9.0)], {"mine.py": "no \x1b[1mdisk"}, asked, json=False)
    title, columns, best, worst, failed = capsys.readouterr().out.splitlines()
    assert title.strip() == "a; learnt on 2 others, 4 attempts each"
    assert columns.startswith("knowledge base  attempts")
    assert best.split()[:8] == ["bm25", "2.0", "2.0", "to", "2.0", "1.0", "1.0", "to"]
    assert worst.split()[:2] == ["empty", "3.0"]
    assert failed == "mine.py failed: no �[1mdisk"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("bm26",), "evolve: unknown architecture 'bm26'; did you mean: bm25"),
        (("--task", "toy/c"), "evolve: unknown task 'toy/c'; did you mean: toy/"),
        (("--learn-on", "toy/a"), "evolve: toy/a cannot be learnt on and held out at once"),
        (("--task", "toy/b"), "evolve: every task is held out, so that there is nothing to learn on"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, words: Sequence[str], sentence: str) -> None:
    result = evolve(tmp_path, "memory", "transfer", *TOY, *words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(sentence)
    assert result.stderr.count("\n") == 1


# ---- architectures by name


def test_a_module_goes_with_what_was_written_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "winner.py"
    file.write_text(seeds()["bm25"].source)
    assert named(str(file)).design == ("winner", seeds()["bm25"].source, {})
    genome = Genome("bm25", "bm25", (("bm25", 1.0), ("dense", 0.5)), "none")
    beside = {"id": "blend-7", "params": {"k1": 0.9}, "genome": genome._asdict(), "round": 3}
    (tmp_path / "winner.json").write_text(json.dumps(beside))
    found = named(str(file))
    assert (found.word, found.design.name, found.design.params) == (str(file), "blend-7", {"k1": 0.9})
    assert found.genome == genome
    (tmp_path / "winner.json").write_text("[]")
    with pytest.raises(UsageError, match=r"winner\.json is not what `evolve meta` writes"):
        named(str(file))
