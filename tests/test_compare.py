"""`evolve compare`: a grid of runs, and what is said about them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evolve.compare import copy_base
from evolve.config import open_kb
from evolve.errors import UsageError
from evolve.standings import Spent, Trial, contrasts, standings
from tests.command import evolve, last_json
from tests.provider import listening, refuses, says

TOY = ("--domain", f"{Path(__file__).parent / 'toy.py'}:Toy", "--sandbox", "process")
QUICK = ("toy/a", "toy/b", *TOY, "--attempts", "2")
ARMS = ("--preset", "evokernel,refine")


def trial(arm: str = "a", task: str = "t", seed: int = 1, **changes: Any) -> Trial:
    whole: dict[str, Any] = {
        "allowed": 4, "attempts": 4, "coded": 4, "built": 3, "feasible": 2, "solved": True, "gain": 0.0, "first": 2,
        "best": 3,
    }  # fmt: skip
    return Trial(arm=arm, task=task, seed=seed, **whole | changes)


UNSOLVED: dict[str, Any] = {"solved": False, "gain": None, "first": None, "best": None, "feasible": 0}


def figures(trials: Sequence[Trial], spent: Sequence[Spent] = ()) -> dict[str, Any]:
    (standing,) = standings(["a"], trials, spent)
    return standing.as_json()


# ---- what the figures mean


def test_replies_without_code_count_against_correctness_and_not_against_the_compile_rate() -> None:
    told = figures([trial(coded=2, built=1, feasible=1)])
    counted = {name: (told[name]["count"], told[name]["of"]) for name in ("unusable replies", "compile rate")}
    assert counted == {"unusable replies": (2, 4), "compile rate": (1, 2)}
    assert (told["correctness"]["count"], told["correctness"]["of"]) == (1, 4)


def test_gain_is_of_the_solved_ones_and_fast_p_of_all() -> None:
    told = figures([trial(gain=0.0), trial(task="u", gain=1.3862943611198906), trial(task="v", **UNSOLVED)])
    assert told["geomean gain"]["value"] == pytest.approx(2)
    assert told["median gain"]["value"] == pytest.approx(2)
    assert (told["geomean gain"]["count"], told["geomean gain"]["of"]) == (2, 3)
    assert [told[name]["count"] for name in ("solved", "fast_1", "fast_1.5", "fast_2")] == [2, 1, 1, 1]
    assert {told[name]["of"] for name in ("solved", "fast_1", "fast_2")} == {3}


def test_what_is_not_solved_needs_more_attempts_than_there_were() -> None:
    told = figures([trial(first=1, best=3), trial(task="u", allowed=9, **UNSOLVED)])
    assert told["attempts to solve"]["value"] == (1 + 10) / 2
    assert told["attempts to best"]["value"] == (3 + 10) / 2
    assert told["attempts to solve"]["censored"] == 1


def test_a_price_that_is_unknown_is_not_zero() -> None:
    spent = [Spent("a", 1, 100, 0.5, usd_known=True, seconds=2.0), Spent("a", 2, 300, 0.0, usd_known=False, seconds=4)]
    told = figures([trial()], spent)
    assert (told["tokens per run"]["value"], told["seconds per run"]["value"]) == (200, 3)
    assert (told["dollars per run"]["value"], told["dollars per run"]["unknown"]) == (None, True)
    assert figures([trial()], spent[:1])["dollars per run"]["value"] == 0.5


def test_an_arm_is_held_against_the_first_on_the_same_task_and_seed_only() -> None:
    pairs = [(f"t{task}", seed) for task in range(4) for seed in (1, 2)]
    trials = [
        each
        for place, (task, seed) in enumerate(pairs)
        for each in (
            trial("a", task, seed, gain=1.0 + place % 2 / 10, first=4),
            trial("b", task, seed, gain=2.0, first=1 + place % 2, feasible=(1, 3)[place % 2]),
        )
    ]
    found = {each.measure: each for each in contrasts(["a", "b"], [*trials, trial("a", "t9"), trial("b", "t8")])}
    assert {each.difference.pairs for each in found.values()} == {8}
    assert (found["gain"].verdict, found["attempts to solve"].verdict) == ("better", "better")
    assert (found["solved"].verdict, found["correctness"].verdict) == ("cannot tell", "cannot tell")
    assert found["gain"].difference.value == pytest.approx(2.586, abs=0.001)  # a ratio: e^0.95
    assert (found["attempts to solve"].difference.value or 0) < 0


def test_a_pair_of_which_one_side_was_not_solved_says_nothing_of_the_gain() -> None:
    found = {each.measure: each for each in contrasts(["a", "b"], [trial("a"), trial("b", **UNSOLVED)])}
    assert (found["gain"].difference.pairs, found["solved"].difference.pairs) == (0, 1)
    assert found["gain"].verdict == "cannot tell"


# ---- the command


def test_every_arm_gets_every_seed_and_the_table_says_the_same_in_three_ways(tmp_path: Path) -> None:
    words = ("compare", *QUICK, *ARMS, "--seeds", "2", "--seed", "5", "--out", "table.md")
    result = evolve(tmp_path, *words, "--json")
    assert result.returncode == 0, result.stderr
    told = last_json(result)
    assert [(arm["name"], arm["preset"], arm["base"]) for arm in told["arms"]] == [
        ("evokernel", "evokernel", "empty"), ("refine", "refine", "empty"),
    ]  # fmt: skip
    assert (told["finished"], told["runs"], told["seeds"]) == (4, 4, [5, 6])
    assert sorted((each["arm"], each["task"], each["seed"]) for each in told["trials"]) == sorted(
        (arm, task, seed) for arm in ("evokernel", "refine") for task in ("toy/a", "toy/b") for seed in (5, 6)
    )
    assert {each["attempts"] for each in told["trials"]} == {2}
    for standing in told["standings"]:
        mine = [each for each in told["trials"] if each["arm"] == standing["arm"]]
        assert standing["correctness"]["count"] == sum(each["feasible"] for each in mine)
        assert standing["correctness"]["of"] == standing["attempts"]["value"] == 8
    assert {each["verdict"] for each in told["differences"]} == {"cannot tell"}
    order = [line.split(":")[0].partition("] ")[2] for line in result.stderr.splitlines() if line.startswith("[")]
    assert order == ["seed 5, evokernel", "seed 5, refine", "seed 6, refine", "seed 6, evokernel"]

    again = evolve(tmp_path, "compare", "--resume", told["comparison"], "--out", "again.md")
    assert again.returncode == 0, again.stderr
    assert "[1/4]" not in again.stderr
    markdown = (tmp_path / "table.md").read_text()
    assert markdown == (tmp_path / "again.md").read_text()
    correct = next(each for each in told["standings"] if each["arm"] == "refine")["correctness"]
    for text in (again.stdout, markdown):
        assert f"{correct['count']}/8 {100 * correct['value']:.0f} % [" in text
        assert "cannot tell" in text
    assert "With fewer than 6 pairs (tasks x seeds) no difference can be told." in markdown


def test_a_memory_begins_with_a_copy_of_each_base_and_the_base_stays_as_it_is(tmp_path: Path) -> None:
    assert evolve(tmp_path, "run", "toy/b", *TOY, "--attempts", "3", "--seed", "1", "--kb", "learnt").returncode == 0
    before = known(tmp_path / "learnt")
    result = evolve(
        tmp_path, "compare", "toy/a", *TOY, "--attempts", "2", "--seeds", "1", *ARMS, "--kb", "empty,learnt", "--json"
    )
    assert result.returncode == 0, result.stderr
    told = last_json(result)
    assert [arm["name"] for arm in told["arms"]] == ["evokernel · empty", "evokernel · learnt", "refine"]
    folder = Path(told["folder"])
    assert known(tmp_path / "learnt") == known(folder / "bases" / "given-1") == before
    bases = {name: known(folder / "bases" / f"{told['comparison']}-{n}-s1") for n, name in ((1, "empty"), (2, "warm"))}
    assert set(before["sources"]) < set(bases["warm"]["sources"])
    assert not set(before["sources"]) & set(bases["empty"]["sources"])
    assert bases["warm"]["changes"] > before["changes"]


def known(base: Path) -> dict[str, Any]:
    with open_kb(base) as memory:
        sources = sorted({source for found in memory.search("number", k=50) for source in found.experience.sources})
        return {"changes": memory.stats().changes, "sources": sources}


def test_a_base_is_copied_as_of_one_moment_while_it_is_in_use(tmp_path: Path) -> None:
    assert evolve(tmp_path, "run", "toy/b", *TOY, "--attempts", "2", "--seed", "1", "--kb", "learnt").returncode == 0
    with open_kb(tmp_path / "learnt") as memory:
        memory.timeline.snapshot("mine")  # which lies in the write-ahead log only, as long as this is open
        copy_base(tmp_path / "learnt", tmp_path / "copy")
    assert known(tmp_path / "copy") == known(tmp_path / "learnt")
    with open_kb(tmp_path / "copy") as memory:
        assert memory.timeline.point("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "bank.sqlite").write_text("no database at all, but long enough to be looked at" * 20)
    with pytest.raises(UsageError, match="cannot be copied"):
        copy_base(tmp_path / "other", tmp_path / "third")


def test_a_comparison_that_is_killed_goes_on_and_judges_nothing_twice(tmp_path: Path) -> None:
    log = tmp_path / "judged"
    environment = {**os.environ, "EVOLVE_HOME": str(tmp_path), "TOY_LOG": str(log), "TOY_SECONDS": "0.1"}
    presets = ("--preset", "refine,evokernel")  # it dies while a memory learns
    words = ("compare", "toy/a", *TOY, *presets, "--attempts", "4", "--seeds", "2", "--parallel", "1")
    with subprocess.Popen(
        [sys.executable, "-m", "evolve", *words], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith("[1/4]"):
                while log.read_text().count("\n") < 4 + 3 + 2:  # the first run with its re-measured ones, and more
                    time.sleep(0.01)
                process.send_signal(signal.SIGKILL)
                break
    (folder,) = (tmp_path / "runs").iterdir()
    finished = folder / f"{folder.name}-1-s1"
    before = (finished / "journal.db").read_bytes()
    result = evolve(tmp_path, "compare", "--resume", folder.name[:12], "--json", environment={"TOY_LOG": str(log)})
    assert result.returncode == 0, result.stderr
    told = last_json(result)
    assert (told["finished"], told["runs"]) == (4, 4)
    assert "[1/4]" not in result.stderr
    assert (finished / "journal.db").read_bytes() == before
    whole = evolve(tmp_path, *words, "--json", environment={"TOY_LOG": str(tmp_path / "whole")})
    assert [{**each, "seconds": 0} for each in last_json(whole)["trials"]] == [
        {**each, "seconds": 0} for each in told["trials"]
    ]
    interrupted = 1  # a verdict that was being reached when the process died may be reached again
    judged, needed = (path.read_text().count("\n") for path in (log, tmp_path / "whole"))
    assert needed <= judged <= needed + interrupted


def test_a_run_that_was_killed_before_it_did_anything_begins_anew(tmp_path: Path) -> None:
    words = ("compare", "toy/a", *TOY, "--preset", "refine", "--attempts", "1", "--seeds", "1", "--json")
    told = last_json(evolve(tmp_path, *words))
    (run,) = Path(told["folder"]).glob("*-s1")
    for file in run.glob("journal.db*"):
        file.unlink()
    (run / "run.json").write_text("{")
    again = evolve(tmp_path, "compare", "--resume", told["comparison"], "--json")
    assert again.returncode == 0, again.stderr
    assert last_json(again)["trials"] == told["trials"]


def test_a_model_that_goes_away_ends_the_comparison_and_nothing_is_lost(tmp_path: Path) -> None:
    with listening() as provider:
        gone = False

        def route(request: dict[str, Any]) -> Any:
            return refuses(401, "no such key") if gone or len(provider.requests) > 2 else says(f"4{len(request)}")

        provider.route = route
        environment = {"OPENAI_API_BASE": provider.address, "OPENAI_API_KEY": "none"}
        words = ("toy/a", *TOY, "--preset", "best-of-n", "--attempts", "1", "--seeds", "2", "--model", "openai/tiny")
        result = evolve(tmp_path, "compare", *words, "--json", environment=environment)
        assert result.returncode in {2, 3}
        assert "no such key" in result.stderr
        told = last_json(result)
        assert f"evolve compare --resume {told['comparison']}" in result.stderr
        assert (told["finished"], told["runs"]) == (1, 2)
        before, provider.route = len(provider.requests), lambda request: says(f"4{len(request)}")
        again = evolve(tmp_path, "compare", "--resume", told["comparison"], "--json", environment=environment)
        assert again.returncode == 0, again.stderr
        told = last_json(again)
        assert (told["finished"], len(provider.requests) - before) == (2, 2)
        assert told["standings"][0]["unusable replies"]["count"] == 2
        assert told["standings"][0]["tokens per run"]["value"] > 0
        assert told["standings"][0]["dollars per run"]["unknown"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--preset", "evokernal"), "unknown preset 'evokernal'; did you mean: evokernel"),
        (("--seeds", "0"), "--seeds is 0, which compares nothing; give at least 1"),
        (("--kb", "nowhere"), "there is no knowledge base in nowhere; give `empty`, or a folder that"),
        (("--kb", ","), "--kb is empty; name at least one"),
        (("--kb", "broken"), "the knowledge base in "),
        (("--kb", "broken", "--preset", "refine"), "no preset asked for has a memory, so that --kb is for nothing"),
        (("toy/c",), "unknown task 'toy/c'; did you mean: toy/"),
        (("--attempts", "0"), "--attempts is 0, which allows no attempt at all"),
        (("--out", "none/table.md"), "there is no folder none to write table.md into"),
        (("--out", "."), "--out . is a folder; name a file in it"),
        (("--prompts", "nowhere"), "there is no folder of prompts "),
        (("--resume", "compare-1"), "'compare-1' is no comparison; there are: none yet"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, words: Sequence[str], sentence: str
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "bank.sqlite").write_text("no database at all, but long enough to be looked at" * 20)
    given = () if "--resume" in words else TOY
    result = evolve(tmp_path, "compare", *given, *words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"evolve: {sentence}")
    assert result.stderr.count("\n") == 1
    assert not list((tmp_path / "runs").glob("*"))


def test_a_comparison_keeps_to_what_it_was_asked(tmp_path: Path) -> None:
    made = evolve(tmp_path, "compare", "toy/a", *TOY, "--preset", "refine", "--attempts", "1", "--seeds", "1", "--json")
    name = last_json(made)["comparison"]
    for words, shown in ((("--attempts", "1"), "--attempts"), (("toy/a", "--hold-out"), "TASKS, --hold-out")):
        result = evolve(tmp_path, "compare", *words, "--resume", name)
        assert (result.returncode, result.stdout) == (2, "")
        sentence = f"evolve: {shown} does not go with --resume: {name} keeps to what it was asked at first\n"
        assert result.stderr == sentence
    (tmp_path / "runs" / name / "comparison.json").write_text(json.dumps({"name": name}))
    result = evolve(tmp_path, "compare", "--resume", name)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "comparison.json is damaged" in result.stderr
