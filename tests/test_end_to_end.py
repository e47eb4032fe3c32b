"""The main job, whole: real kernels, compiled, judged and improved through the command line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evolve.journal import Journal
from knowledge.memory import Memory
from tests.command import evolve, last_json
from tests.conftest import require_docker


def test_a_run_improves_a_real_kernel_and_the_winner_can_be_judged_again(tmp_path: Path) -> None:
    words = ("matmul", "--attempts", "6", "--seed", "1", "--sandbox", "process", "--json")
    done = evolve(tmp_path, "run", *words)
    assert done.returncode == 0, done.stderr
    task = last_json(done)["tasks"]["kernels/matmul"]
    assert task["solved"]
    assert task["interval"][0] <= task["score"] <= task["interval"][1]
    again = evolve(tmp_path, "judge", task["best_file"], "--task", "matmul", "--sandbox", "process", "--json")
    assert again.returncode == 0, again.stderr
    verdict = last_json(again)
    assert verdict["gates"] == {"authentic": True, "builds": True, "correct": True}
    assert set(verdict) == {"gates", "score", "interval", "feedback", "metrics", "bottleneck"}


def test_judging_says_at_which_gate_a_file_fails(tmp_path: Path) -> None:
    cheats = {
        "builds": "void kernel(const float *x, float *out, long n) { out[0] = 1 }",
        "correct": "#include <stdint.h>\nvoid kernel(const float *x, float *out, int64_t n) {}",
        "authentic": '#include <stdlib.h>\nvoid kernel(const float *x, float *out, long n) { system("id"); }',
    }
    for gate, code in cheats.items():
        file = tmp_path / f"{gate}.c"
        file.write_text(code)
        judged = evolve(tmp_path, "judge", str(file), "--task", "relu", "--sandbox", "process", "--json")
        assert judged.returncode == 1, judged.stderr
        verdict = last_json(judged)
        assert verdict["gates"][gate] is False
        assert verdict["score"] is None
        assert verdict["feedback"]


def test_a_warm_knowledge_base_changes_what_is_tried_first(tmp_path: Path) -> None:
    def first_draft(kb: str) -> str:
        words = ("gemv", "--attempts", "1", "--parallel", "1", "--seed", "5", "--sandbox", "process", "--kb", kb)
        done = evolve(tmp_path, "run", *words, "--json")
        assert done.returncode == 0, done.stderr
        shown = evolve(tmp_path, "show", last_json(done)["run"], "--attempt", "1", "--json")
        return str(last_json(shown)["candidate"]["technique"])

    words = ("matmul", "--attempts", "8", "--seed", "2", "--sandbox", "process", "--kb", str(tmp_path / "warm"))
    learnt = evolve(tmp_path, "run", *words)
    assert learnt.returncode == 0, learnt.stderr
    assert first_draft(str(tmp_path / "empty")) != first_draft(str(tmp_path / "warm"))


def _containers(pid: int) -> list[str]:
    from sandboxes.docker import connect

    client = connect(seconds=5)
    found = client.containers.list(all=True, filters={"label": [f"evolve.pid={pid}"]})
    client.close()
    return [container.name or "" for container in found]


@pytest.mark.docker
@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_run_in_docker_killed_and_resumed_leaves_no_container(tmp_path: Path, kills: int) -> None:
    require_docker()
    environment = os.environ | {"EVOLVE_HOME": str(tmp_path)}
    words = ["run", "relu", "sum", "--attempts", "8", "--seed", "1", "--sandbox", "docker"]
    pids = []
    for kill in range(kills):
        running = subprocess.Popen(
            [sys.executable, "-m", "evolve", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        pids.append(running.pid)
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("runs/*/journal.db")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0 + kill * 0.7)
        running.send_signal(signal.SIGKILL)
        running.communicate()
        words = ["resume", "2"]
    done = evolve(tmp_path, "resume", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert [_containers(pid) for pid in pids] == [[] for _ in pids]
    (journal_file,) = tmp_path.glob("runs/*/journal.db")
    journal = Journal.open(journal_file)
    assert [each.position for each in journal.attempts()] == list(range(1, 17))
    journal.close()
    with Memory.open(tmp_path / "kb") as memory:
        stats = memory.stats()
    assert stats.recalls == stats.credited == 16
