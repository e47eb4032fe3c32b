"""The command line, as its users meet it: real processes, exit codes, one sentence for each mistake."""

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import evolve, last_json

ROOT = Path(__file__).parent.parent
TOY = f"{ROOT / 'tests' / 'toy.py'}:Toy"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which one run of the toy domain has finished."""
    home = tmp_path_factory.mktemp("home")
    done = evolve(home, "run", "a", "--attempts", "6", "--seed", "1", "--domain", TOY, "--sandbox", "process", "--json")
    assert done.returncode == 0, done.stderr
    (home / "done.json").write_text(done.stdout)
    return home


def test_importing_evolve_loads_nothing_heavy() -> None:
    heavy = "{'litellm', 'chromadb', 'langgraph', 'docker', 'numpy', 'rich'}"
    code = f"import sys, evolve; print(sorted({heavy} & sys.modules.keys()))"
    seen = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert seen.stdout.strip() == "[]"


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'litellm', 'chromadb', 'langgraph', 'docker', 'numpy', 'rich'}"
    code = (
        "import sys; sys.argv = ['evolve', '--help']\n"
        "from evolve.cli import main\n"
        f"try: main()\nexcept SystemExit: print(sorted({heavy} & sys.modules.keys()))"
    )
    seen = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert seen.stdout.splitlines()[-1] == "[]"


def test_a_run_says_in_json_what_it_did(home: Path) -> None:
    said = json.loads((home / "done.json").read_text().splitlines()[-1])
    assert set(said) >= {"run", "model", "sandbox", "attempts", "seconds", "cost", "tasks"}
    assert said["cost"] == {"usd": 0.0, "estimated": False, "prompt_tokens": 0, "completion_tokens": 0}
    task = said["tasks"]["toy/a"]
    assert set(task) == {"solved", "score", "interval", "attempts", "first_feasible", "best", "best_file"}
    assert task["solved"]
    assert task["attempts"] == 6
    assert float(Path(task["best_file"]).read_text()) == task["score"]


def test_runs_and_show_read_it_back(home: Path) -> None:
    (listed,) = last_json(evolve(home, "runs", "--json"))
    assert listed["status"] == "complete"
    assert "toy/a" in evolve(home, "show", listed["run"]).stdout
    one = last_json(evolve(home, "show", listed["run"], "--attempt", "2", "--json"))
    assert one["position"] == 2
    assert "x.txt" in evolve(home, "show", listed["run"], "--attempt", "2").stdout


def test_the_knowledge_base_can_be_searched_shown_and_counted(home: Path) -> None:
    hits = last_json(evolve(home, "kb", "search", "large even number", "--json"))
    assert hits
    assert set(hits[0]) == {"id", "kind", "text", "task", "score", "values", "uses"}
    assert set(hits[0]["values"]) == {"draft", "refine"}
    assert last_json(evolve(home, "kb", "show", hits[0]["id"], "--json"))["id"] == hits[0]["id"]
    assert last_json(evolve(home, "kb", "stats", "--json"))["recalls"] == 6
    assert hits[0]["id"] in evolve(home, "kb", "search", "large even number").stdout


def test_resuming_a_finished_run_repeats_nothing(home: Path) -> None:
    (listed,) = last_json(evolve(home, "runs", "--json"))
    again = evolve(home, "resume", listed["run"], "--json")
    assert again.returncode == 0, again.stderr
    assert last_json(again)["attempts"] == 6


def test_tasks_are_listed_with_their_tiers(home: Path) -> None:
    tasks = last_json(evolve(home, "tasks", "--json"))
    assert len(tasks) >= 12
    assert {task["tier"] for task in tasks} == {1, 2, 3, 4}
    assert set(tasks[0]) == {"id", "tier", "tags"}


def _refused(result: subprocess.CompletedProcess[str], *words: str, code: int = 2) -> None:
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "matmol"], ["unknown task 'matmol'", "kernels/matmul"]),
        (["run", "relu", "--attempts", "0"], ["--attempts is 0", "above zero"]),
        (["run", "relu", "--usd", "0"], ["--usd is 0", "above zero"]),
        (["run", "relu", "--tier", "9"], ["tier 9", "1, 2, 3, 4"]),
        (["run", "relu", "--parallel", "0"], ["--parallel is 0", "at least 1"]),
        (["run", "relu", "--sandbox", "cardboard"], ["cardboard", "docker", "process"]),
        (["run", "relu", "--model", "openai/gpt-5"], ["OPENAI_API_KEY", "offline"]),
        (["run", "relu", "--model", "nonsense"], ["nonsense", "offline"]),
        (["run", "relu", "--domain", "nowhere.py:X"], ["nowhere.py:X", "path/to/file.py:Class"]),
        (["run", "relu", "--attempts", "many"], ["attempts"]),
        (["resume", "19990101"], ["no run '19990101'"]),
        (["show", "19990101"], ["no run '19990101'"]),
        (["judge", "nowhere.c", "--task", "relu"], ["nowhere.c"]),
        (["kb", "show", "exp-000000000000"], ["exp-000000000000"]),
        (["frobnicate"], ["frobnicate"]),
    ],
)
def test_a_mistake_gets_one_sentence_that_names_what_would_have_worked(
    home: Path, words: list[str], said: list[str]
) -> None:
    _refused(evolve(home, *words), *said)


def test_an_unreachable_model_is_named_at_once(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    result = evolve(
        tmp_path, "run", "relu", "--model", "openai/any", "--sandbox", "process",
        environment={"OPENAI_API_BASE": address, "OPENAI_API_KEY": "none"},
    )  # fmt: skip
    _refused(result, "openai/any", "cannot be reached")


def test_a_run_folder_that_is_not_ours_is_refused(home: Path, tmp_path: Path) -> None:
    _refused(evolve(home, "resume", str(tmp_path)), "is no run of evolve", "evolve runs")
    (tmp_path / "run.json").write_text('{"run": 5}')
    _refused(evolve(home, "show", str(tmp_path)), "run.json is damaged")


def test_a_corrupt_journal_is_refused_and_left_as_it_is(home: Path, tmp_path: Path) -> None:
    (listed,) = last_json(evolve(home, "runs", "--json"))
    folder = tmp_path / "runs" / listed["run"]
    shutil.copytree(home / "runs" / listed["run"], folder)
    with sqlite3.connect(folder / "journal.db") as db:
        db.execute("UPDATE attempts SET evaluation='{' WHERE position=2")
    db.close()
    _refused(evolve(tmp_path, "resume", listed["run"]), "damaged", "/2")
    (folder / "journal.db").write_bytes(b"nothing of ours" * 1000)
    _refused(evolve(tmp_path, "show", listed["run"]), "damaged")
    assert (folder / "journal.db").read_bytes() == b"nothing of ours" * 1000


def test_no_compiler_is_said_before_anything_starts(home: Path, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    result = evolve(home, "run", "relu", "--sandbox", "process", environment={"PATH": str(empty)})
    _refused(result, "gcc")
    assert len(last_json(evolve(home, "runs", "--json"))) == 1


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system with no room left."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system (root)")
    (folder / "filler").write_bytes(b"x" * 60_000)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_no_space_is_said_in_one_sentence(full_disk: Path) -> None:
    result = evolve(full_disk, "run", "a", "--domain", TOY, "--sandbox", "process", "--attempts", "2")
    _refused(result, str(full_disk))


def test_two_processes_cannot_work_on_the_same_run(home: Path) -> None:
    (listed,) = last_json(evolve(home, "runs", "--json"))
    holder = subprocess.Popen(
        ["flock", str(home / "runs" / listed["run"] / ".lock"), "sleep", "30"], stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            result = evolve(home, "resume", listed["run"])
            if result.returncode:
                break
        _refused(result, "is being worked on")
    finally:
        subprocess.run(["pkill", "-P", str(holder.pid)], check=False)
        holder.kill()
        holder.wait()


def test_doctor_says_what_works(home: Path) -> None:
    result = evolve(home, "doctor", "--json")
    names = {check["check"]: check["ok"] for check in last_json(result)}
    assert {"home", "disk", "knowledge base", "domains", "gcc", "docker"} <= names.keys()
    assert result.returncode == (0 if names["docker"] or names["gcc"] else 1)
