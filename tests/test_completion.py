"""What a shell offers after Tab, asked for as shells do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evolve.cli import completing

CODE = "import sys; sys.argv = ['evolve']; from evolve.cli import main; main()"
HEAVY = "{'litellm', 'chromadb', 'langgraph', 'docker'}"


def asked(home: Path, line: str, shell: str = "bash") -> list[str]:
    words = line.split(" ")
    environment = {
        "EVOLVE_HOME": str(home), "_EVOLVE_COMPLETE": f"complete_{shell}", "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1), "_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }  # fmt: skip
    code = CODE.replace("main()", f"\ntry: main()\nfinally: assert not {HEAVY} & sys.modules.keys()")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        cwd=home,
        text=True,
        capture_output=True,
        check=False,
    )
    assert not done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVOLVE_HOME", str(tmp_path))
    return tmp_path


def test_bash_is_offered_tasks_and_they_are_remembered(home: Path) -> None:
    assert "kernels/matmul" in asked(home, "evolve run kernels/mat")
    assert (home / completing.REMEMBERED).is_file()
    (home / ".evolve.toml").write_text("[broken")
    assert "matmul" in asked(home, "evolve judge x.c --task matm")


def test_zsh_is_offered_presets_and_fish_commands(home: Path) -> None:
    assert asked(home, "evolve run --preset kernel", "zsh") == ["""_arguments '*: :(("kernelblaster"))'"""]
    assert [line.partition("\t")[0] for line in asked(home, "evolve kb se", "fish")] == ["search", "serve"]


def test_runs_are_offered_newest_first_by_the_names_of_their_folders(home: Path) -> None:
    assert completing.runs("") == []
    for name in ("20260101-a", "20260301-b", "20260201-c"):
        (home / "runs" / name).mkdir(parents=True)
    assert completing.runs("2026") == ["20260301-b", "20260201-c", "20260101-a"]
    assert completing.runs("202602") == ["20260201-c"]
    assert completing.runs("la") == ["last"]


def test_a_task_can_be_begun_by_its_name_alone(home: Path) -> None:
    assert {"kernels", "kernels/relu"} <= set(completing.tasks("kern"))
    assert "relu" in completing.tasks("rel")
    assert completing.tasks("nothing-like-it") == []
    assert (home / completing.REMEMBERED).is_file()


@pytest.mark.parametrize("text", ["[]", '{"installed": [], "tasks": ["gone/task"]}'])
def test_what_is_remembered_is_made_again_where_it_is_of_no_use(home: Path, text: str) -> None:
    (home / completing.REMEMBERED).write_text(text)
    assert "kernels/relu" in completing.tasks("kernels/re")
    assert completing.tasks("gone/") == []


def test_a_folder_that_cannot_be_written_hinders_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("EVOLVE_HOME", str(home / "file"))
    assert "kernels/relu" in completing.tasks("kernels/re")
    assert completing.runs("") == []


def test_sandboxes_domains_and_architectures_are_those_there_are() -> None:
    from knowledge.design import seeds
    from sandboxes import KINDS

    assert completing.sandboxes("") == list(KINDS)
    assert {"kernels", "memory"} <= set(completing.domains(""))
    assert completing.architectures("") == sorted(seeds())
    assert completing.models("off") == ["offline"]


def test_the_script_for_a_shell_is_shown() -> None:
    environment = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    code = CODE.replace("['evolve']", "['evolve', '--show-completion', 'fish']")
    done = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=True)
    assert "_EVOLVE_COMPLETE=complete_fish" in done.stdout
