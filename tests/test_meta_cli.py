"""`evolve meta` from the outside."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.command import evolve, last_json

FACTS = (("Anna", "harbour", "I moved to the harbour"), ("Ben", "violin", "I bought a violin"), ("Anna", "bakery", "x"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three conversations of a few turns in LoCoMo's format."""
    samples = []
    for number in range(3):
        turns = [
            {"speaker": who, "dia_id": f"D1:{turn}", "text": f"{said}, the {what} number {number}, you know."}
            for turn, (who, what, said) in enumerate(FACTS * 3, start=1)
        ]
        asked = [
            {"question": f"Who has a {what}?", "answer": who, "evidence": [f"D1:{turn}"], "category": 4}
            for turn, (who, what, _) in enumerate(FACTS, start=1)
        ]
        told = {"speaker_a": "Anna", "speaker_b": "Ben", "session_1_date_time": "1:56 pm on 8 May, 2023"}
        samples.append({"sample_id": f"conv-{number}", "conversation": told | {"session_1": turns}, "qa": asked})
    path = tmp_path_factory.mktemp("data") / "tiny.json"
    path.write_text(json.dumps(samples))
    return path


def test_wrong_use_is_one_sentence_and_makes_no_folder(tmp_path: Path, data: Path) -> None:
    two = tmp_path / "two.json"
    two.write_text(json.dumps(json.loads(data.read_text())[:2]))
    for words, said in (
        (("--minutes", "0"), "--minutes is 0"),
        (("--children", "0"), "--children is 0"),
        (("--tokens", "0"), "--tokens is 0"),
        (("--usd", "-1"), "--usd is -1"),
        (("--data", "nowhere.json"), "nowhere.json"),
        (("--data", str(two)), "at least 3"),
        (("--resume", "2026"), "none yet"),
        (("--model", "nobody"), "nobody"),
    ):
        result = evolve(tmp_path, "meta", *words)
        assert result.returncode == 2
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "meta").exists()


def test_a_run_that_was_interrupted_goes_on_and_a_finished_one_tells_the_same_again(tmp_path: Path, data: Path) -> None:
    words = ["meta", "--data", str(data), "--children", "2", "--seed", "3", "--sandbox", "process"]
    run = subprocess.Popen(
        [sys.executable, "-m", "evolve", *words],
        env=os.environ | {"EVOLVE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509  a shell may have started us deaf
    )
    assert run.stderr is not None
    name = run.stderr.readline().split()[1].rstrip(":")
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=100)
    assert run.returncode == 130, told
    assert f"evolve meta --resume {name}" in told
    first, again = (evolve(tmp_path, "meta", "--resume", name, "--json") for _ in range(2))
    assert first.returncode in {0, 1}, first.stderr
    found, same = last_json(first), last_json(again)
    assert found["lineage"] == same["lineage"]
    assert found["test"] == same["test"]
    assert found["test"]["exams"] == ["conv-2"]
    assert found["children"] == 2
    assert (tmp_path / "meta" / name / "winner.py").is_file()


def test_a_model_that_cannot_be_reached_ends_the_run_which_can_be_taken_up_again(tmp_path: Path, data: Path) -> None:
    nobody = {"OPENAI_API_BASE": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "none"}
    words = ["--data", str(data), "--model", "openai/nobody", "--children", "1", "--tokens", "9000000", "--seed", "1"]
    first = evolve(tmp_path, "meta", *words, "--sandbox", "process", environment=nobody)
    name = first.stderr.split()[1].rstrip(":")
    again = evolve(tmp_path, "meta", "--resume", name, environment=nobody)
    for result in (first, again):
        assert result.returncode == 3, result.stderr
        assert "cannot be reached" in result.stderr.splitlines()[-1]
        assert "Traceback" not in result.stderr


TIMES = frozenset({"p50_ms", "write_ms", "seconds", "run"})


def timeless(told: Any) -> Any:
    match told:
        case dict():
            return {key: timeless(value) for key, value in told.items() if key not in TIMES}
        case list():
            return [timeless(value) for value in told]
        case _:
            return told


def killed(home: Path, words: Sequence[str], seconds: float) -> tuple[str, bool]:
    """The run's name, and whether it was killed so many seconds after it had said it."""
    run = subprocess.Popen(
        [sys.executable, "-m", "evolve", *words],
        env=os.environ | {"EVOLVE_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stderr is not None
    name = run.stderr.readline().split()[1].rstrip(":")
    with suppress(subprocess.TimeoutExpired):
        run.wait(seconds)
    run.kill()
    run.wait(10)
    run.stderr.close()
    ends = time.monotonic() + 30
    while left := of_session(run.pid):
        assert time.monotonic() < ends, f"the run was killed and left {left}"
        time.sleep(0.1)
    return name, run.returncode == -signal.SIGKILL


def of_session(session: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, its, *_ = stat.read_text().rpartition(")")[2].split()
            if int(its) == session and state != "Z":
                found.append(int(stat.parent.name))
    return found


def same_after_kills(home: Path, words: Sequence[str], kills: int, rng: Random) -> None:
    """`words` are killed at random moments until they have been killed so often, then taken up to the end."""
    began = time.monotonic()
    whole = evolve(home, *words, "--json")
    lasted = time.monotonic() - began
    assert whole.returncode in {0, 1}, whole.stderr
    name, *landed = killed(home, words, rng.uniform(0.1, 0.5) * lasted)
    for _ in range(kills - 1):
        landed.append(killed(home, ["meta", "--resume", name], rng.uniform(0, 0.4) * lasted)[1])
    assert landed[0]
    end = evolve(home, "meta", "--resume", name, "--json")
    assert end.returncode == whole.returncode, end.stderr
    assert timeless(last_json(end)) == timeless(last_json(whole))


def test_a_run_that_was_killed_again_and_again_ends_as_one_that_was_not(tmp_path: Path, data: Path) -> None:
    words = ["meta", "--data", str(data), "--children", "5", "--seed", "3", "--sandbox", "process"]
    same_after_kills(tmp_path, words, 3, Random(3))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [1, 2])
def test_on_made_up_conversations_twelve_kills_change_nothing(tmp_path: Path, seed: int) -> None:
    words = ["meta", "--children", "20", "--seed", str(seed), "--sandbox", "process"]
    same_after_kills(tmp_path, words, 12, Random(seed))
