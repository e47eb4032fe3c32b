"""`evolve domains`: what there is, a new one that works at once, and whether one keeps the contract."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from typer.testing import CliRunner, Result

from evolve.cli import app
from evolve.errors import UsageError
from evolve.scaffolding import TEMPLATES, scaffold
from tests.command import evolve, last_json

ROOT = Path(__file__).parent.parent
TOY = f"{Path(__file__).parent / 'toy.py'}:Toy"


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["domains", *words])


def said(*words: str) -> str:
    """The one sentence that a wrong use ends with."""
    error = call(*words).exception
    assert isinstance(error, UsageError)
    return str(error)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new domain, as it is written."""
    into = tmp_path_factory.mktemp("made")
    result = call("new", "shrink", "--into", str(into))
    assert result.exit_code == 0
    assert f"cd {into / 'shrink'}" in result.output
    return into / "shrink"


@pytest.fixture(scope="module")
def python(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment in which the new domain is installed, beside what is installed here."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    found = place / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    (site / "here.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n{ROOT}\n")
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "--python", str(found)]
    subprocess.run([*pip, *install, "--editable", "."], cwd=made, check=True)
    return found


# ---- new


def test_a_new_domain_runs_at_once_from_its_file(made: Path, tmp_path: Path) -> None:
    file = made / "src/shrink/domain.py"
    result = evolve(
        tmp_path,
        "run",
        "--domain",
        f"{file}:Shrink",
        "--attempts",
        "4",
        "--seed",
        "1",
        "--sandbox",
        "process",
        "--json",
    )
    assert result.returncode == 0, result.stderr
    assert list(last_json(result)["tasks"]) == ["shrink/packing"]


def test_a_new_domain_runs_at_once_when_it_is_installed(python: Path, tmp_path: Path) -> None:
    command = [str(python), "-m", "evolve", "run", "shrink/packing", "--model", "offline", "--attempts", "12"]
    result = subprocess.run(
        [*command, "--seed", "1", "--sandbox", "process", "--json"],
        cwd=tmp_path, env={**os.environ, "EVOLVE_HOME": str(tmp_path)}, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    score = last_json(result)["tasks"]["shrink/packing"]["score"]
    assert score > 0.81, "the search found nothing better than the seed, which has 0.80"


def test_the_tests_of_a_new_domain_pass_and_refuse_its_cheats(python: Path, made: Path) -> None:
    tests = subprocess.run(
        [python, "-m", "pytest", "-v", "-p", "no:cacheprovider"], cwd=made, text=True, capture_output=True, check=False
    )
    assert tests.returncode == 0, tests.stdout
    assert "test_broken_and_cheating_candidates_are_refused PASSED" in tests.stdout
    assert "test_a_hostile_candidate_costs_no_more_than_its_limits PASSED" in tests.stdout
    assert "SKIPPED" not in tests.stdout


def test_what_is_written_is_formatted_and_holds_no_mistake_that_a_linter_finds(made: Path) -> None:
    ruff = [sys.executable, "-m", "ruff"]
    kept = ["--isolated", "--line-length", "120", "--no-cache", str(made)]
    for words in (["format", "--check"], ["check", "--select", "E,F,B,UP,SIM"]):
        done = subprocess.run([*ruff, *words, *kept], text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("root", ["ours", "made"])
def test_everything_that_is_no_code_is_in_the_wheel_too(root: str, made: Path) -> None:
    place, part = (ROOT, TEMPLATES) if root == "ours" else (made, made / "src")
    packed = {Path(file.path) for file in WheelBuilder(str(place)).recurse_included_files()}
    there = {file for file in part.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    assert there
    assert there <= packed


def test_a_name_that_is_taken_is_refused() -> None:
    assert "a domain called 'memory' is installed already" in said("new", "memory")


def test_a_folder_that_is_there_is_left_alone(made: Path) -> None:
    readme = (made / "README.md").read_text()
    assert "is there already" in said("new", "shrink", "--into", str(made.parent))
    assert (made / "README.md").read_text() == readme


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("my-domain", "such as my_domain"),
        ("9lives", "such as my_domain"),
        ("Mine", "such as my_domain"),
        ("../up", "such as my_domain"),
        ("class", "such as my_domain"),
        ("kernels", "installed already"),
        ("json", "a Python module already"),
        ("sys", "a Python module already"),
        ("numpy", "a Python module already"),
        ("evolve", "a Python module already"),
    ],
)
def test_a_name_that_would_not_work_is_refused_with_the_reason(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why):
        scaffold(name, tmp_path, taken=["kernels"])
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UsageError, match=r"file/nowhere_to_be cannot be written: Not a directory; give another folder by --into"
    ):
        scaffold("nowhere_to_be", tmp_path / "file")


# ---- list


def test_the_list_says_of_each_what_it_has_and_where_it_is_from() -> None:
    found = {each["domain"]: each for each in json.loads(call("list", "--domain", TOY, "--json").output)}
    toy, kernels = found["toy"], found["kernels"]
    assert toy == {"domain": "toy", "tasks": 2, "offline": True, "origin": TOY, "note": "", "works": True}
    assert kernels["offline"]
    assert kernels["origin"].startswith("evolve-foundry ")
    assert "needs torch" in found["kernelbench"]["note"]


def test_the_list_names_what_does_not_load_and_what_raises_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "odd-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[evolve.domains]\nodd = nowhere:X\n")
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "late.py"
    file.write_text(
        textwrap.dedent(
            """
            from tests.toy import Toy

            class Late(Toy):
                def mutations(self, task, files, rng):
                    raise RuntimeError("no\\nmutation")
            """
        )
    )
    result = call("list", "--domain", str(file), "--json")
    assert result.exit_code == 0
    found = {each["domain"]: each for each in json.loads(result.output)}
    assert found["odd"]["note"] == "does not load: ModuleNotFoundError: No module named 'nowhere'"
    assert not found["odd"]["works"]
    assert found["toy"]["note"].startswith("RuntimeError: no mutation (")
    assert found["kernels"]["works"]
    assert "does not load: nothing" not in call("list").output
    assert "No module named 'nowhere'" in said("check", "odd")


# ---- check


def test_a_domain_that_keeps_the_contract_is_told_clause_by_clause() -> None:
    result = call("check", TOY, "--sandbox", "process")
    assert result.exit_code == 0
    assert "passed       garbage is infeasible and says why\n" in result.output
    assert "not checked  broken and cheating candidates are refused: there is no such candidate" in result.output
    assert "toy keeps the contract, in process" in result.output


def test_a_cheat_that_is_accepted_breaks_it(made: Path, tmp_path: Path) -> None:
    honest = (made / "src/shrink/domain.py").read_text()
    gullible = honest.replace("if max(load.values()) > ROOM:", "if not load:")
    assert gullible != honest
    shutil.copytree(made / "src/shrink/tasks", tmp_path / "tasks", ignore=shutil.ignore_patterns("hostile"))
    file = tmp_path / "gullible.py"
    file.write_text(gullible)
    result = call("check", str(file), "--sandbox", "process", "--json")
    assert result.exit_code == 1
    told = json.loads(result.output.splitlines()[-1])
    assert not told["kept"]
    (broken,) = [each for each in told["findings"] if each["outcome"] == "failed"]
    assert broken["what"] == "broken and cheating candidates are refused"
    assert broken["reason"].startswith("packing/refused/overfull is accepted with the score ")


def test_what_is_not_there_is_told_with_what_is() -> None:
    assert "unknown domain 'kernel'; did you mean: kernels" in said("check", "kernel")
    assert "with a file that exists" in said("check", "nowhere.py:X")
