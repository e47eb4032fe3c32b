"""Domains that are installed, or lie in a file; and what comes of those that do not load."""

import textwrap
from pathlib import Path

import pytest

from evolve.budget import Ceilings
from evolve.checks import doctor
from evolve.config import new_settings
from evolve.errors import NotFoundError, PluginError, UsageError
from evolve.plugins import Broken, absolute, all_tasks, load_domains, load_file, load_plugins, select
from evolve.types import Candidate
from tests.toy import Toy

SOUND = """
    from evolve import Domain, Evaluation, Task

    class Mine(Domain):
        name = "mine"

        def tasks(self):
            return [Task(id="mine/one", domain="mine", prompt="Do.")]

        def evaluate(self, task, candidate, sandbox, *, fresh=False):
            return Evaluation(feedback="no")
"""


def text(source: str) -> str:
    return textwrap.dedent(source).lstrip()


def install(site: Path, distribution: str, entries: dict[str, str]) -> None:
    """As far as Python's own metadata go."""
    info = site / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[evolve.domains]\n{lines}")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python imports from."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def mine(folder: Path, source: str = SOUND, name: str = "mine.py") -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text(source))
    return folder / name


# ---- installed


def test_a_domain_is_known_with_its_distribution(site: Path) -> None:
    mine(site, name="mine_sound.py")
    install(site, "mine-of-all", {"mine": "mine_sound:Mine"})
    found = load_plugins()
    assert found["mine"].origin == "mine-of-all 1.0"
    assert "mine/one" in all_tasks(load_domains())
    assert found["kernels"].origin.startswith("evolve-foundry ")


@pytest.mark.parametrize(
    ("source", "entry", "said"),
    [
        ("import no_such_module", "mine", r"No module named 'no_such_module' \(.*odd_\w+\.py, line 1\)"),
        ("raise SystemExit(3)", "mine", "SystemExit: 3"),
        ("def f(:", "mine", r"SyntaxError: .*odd_\w+\.py, line 1"),
        ("class Mine: pass", "mine", "no class that inherits evolve.Domain"),
        (SOUND, "other", "Mine is called 'other' by its entry point; its class must say so too: `name = 'other'`"),
        (SOUND.replace('return [Task(id="mine/one", domain="mine"', 'return [1 / 0, Task(id="x", domain="y"'), "mine",
         r"ZeroDivisionError: division by zero \(.*line \d+\)"),
        (SOUND.replace('domain="mine"', 'domain="yours"'), "mine", "the task mine/one is of the domain 'yours'"),
        (SOUND.replace("def evaluate", "def judge"), "mine", "abstract"),
        (SOUND.replace("def tasks", "def __init__(self, more): ...\n\n        def tasks"), "mine", "more"),
    ],
)  # fmt: skip
def test_one_that_does_not_load_is_named_with_its_error_and_breaks_no_other(
    site: Path, source: str, entry: str, said: str
) -> None:
    module = f"odd_{site.parent.name}"
    mine(site, source, f"{module}.py")
    install(site, "odd", {entry: f"{module}:Mine"})
    domains = load_domains()
    broken = domains[entry]
    assert isinstance(broken, Broken)
    assert broken.missing().startswith(f"the domain {entry} does not load: ")
    with pytest.raises(UsageError, match=said):
        select(domains, [f"{entry}/one"], None)
    assert "\n" not in broken.reason
    assert "kernels/relu" in all_tasks(domains)
    assert list(select(domains, ["relu"], None)) == ["kernels/relu"]
    with pytest.raises(PluginError, match=said):
        broken.evaluate(Toy().tasks()[0], Candidate(files={}), None)  # type: ignore[arg-type]


def test_a_name_that_nobody_knows_may_be_of_a_domain_that_does_not_load(site: Path) -> None:
    install(site, "odd", {"odd": "nowhere:X"})
    with pytest.raises(
        NotFoundError, match=r"unknown task 'kernels/relo'; did you mean: kernels/relu.*do not load: odd"
    ):
        select(load_domains(), ["kernels/relo"], None)


def test_two_that_bring_the_same_name_are_both_named_and_neither_is_taken(site: Path) -> None:
    mine(site, name="mine_twice.py")
    install(site, "one", {"mine": "mine_twice:Mine"})
    install(site, "two", {"mine": "mine_twice:Other"})
    broken = load_domains()["mine"]
    assert isinstance(broken, Broken)
    assert "one 1.0" in broken.reason
    assert "two 1.0" in broken.reason


def test_what_a_domain_says_of_its_own_options_passes_through() -> None:
    with pytest.raises(UsageError, match="target"):
        load_domains(options={"kernels": {"target": "cobol"}})


def test_the_doctor_names_it_and_a_run_of_others_is_still_possible(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVOLVE_HOME", str(tmp_path / "home"))
    install(site, "odd", {"odd": "nowhere:X"})
    found = {check.name: check for check in doctor()}
    assert found["domains"].ok
    assert "kernels (" in found["domains"].text
    assert not found["domain odd"].ok
    assert not found["domain odd"].needed
    assert "No module named 'nowhere'" in found["domain odd"].text


# ---- in a file


def test_the_class_may_be_left_out_where_there_is_one(tmp_path: Path) -> None:
    file = mine(tmp_path)
    assert load_file(str(file)).name == load_file(f"{file}:Mine").name == "mine"


@pytest.mark.parametrize(
    ("source", "word", "said"),
    [
        (SOUND, "mine.py:Yours", "no Domain called 'Yours'; it has Mine"),
        ("x = 1", "mine.py", "it has none"),
        (SOUND + "\n    class Two(Mine):\n        pass\n", "mine.py", "Class; it has Mine, Two"),
        ("import no_such_module", "mine.py:Mine", "does not load: ModuleNotFoundError"),
        (SOUND.replace('name = "mine"', ""), "mine.py:Mine", "Mine has no name"),
        (SOUND, "other.py:Mine", "with a file that exists"),
        (SOUND, "Mine", "with a file that exists"),
    ],
)
def test_a_file_that_is_no_domain_is_an_error_that_says_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, word: str, said: str
) -> None:
    mine(tmp_path, source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        load_domains([word])


def test_what_a_plugin_prints_while_it_loads_is_no_output_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "loud.py"
    file.write_text("print('hello')\n" + text(SOUND))
    assert load_file(str(file)).name == "mine"
    assert capsys.readouterr() == ("", "hello\n")


def test_what_lies_beside_a_file_can_be_imported(tmp_path: Path) -> None:
    mine(tmp_path, "NAME = 'mine'\n", "beside_mine.py")
    file = mine(tmp_path, "    import beside_mine\n" + SOUND.replace('name = "mine"', "name = beside_mine.NAME"))
    assert load_file(str(file)).name == "mine"


def test_a_file_of_a_package_is_imported_as_part_of_it(tmp_path: Path) -> None:
    mine(tmp_path, "", "wrapped/__init__.py")
    mine(tmp_path, "NAME = 'mine'\n", "wrapped/names.py")
    source = "    from wrapped.names import NAME\n    from . import names\n" + SOUND.replace('"mine"\n', "names.NAME\n")
    file = mine(tmp_path, source, "wrapped/domain.py")
    assert type(load_file(f"{file}:Mine")).__module__ == "wrapped.domain"


def test_a_package_that_python_takes_from_elsewhere_is_refused(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        mine(tmp_path, "", f"{folder}/doubled/__init__.py")
        mine(tmp_path, SOUND, f"{folder}/doubled/domain.py")
    assert load_file(str(tmp_path / "first/doubled/domain.py")).name == "mine"
    with pytest.raises(UsageError, match=r"Python takes doubled.domain from .*first"):
        load_file(str(tmp_path / "second/doubled/domain.py"))


def test_a_file_given_twice_counts_once_and_two_of_one_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = mine(tmp_path), mine(tmp_path, SOUND, "other.py")
    monkeypatch.chdir(tmp_path)
    assert load_domains([f"{file}:Mine", "mine.py:Mine"])["mine"].tasks()
    with pytest.raises(UsageError, match="both called 'mine'"):
        load_domains([str(file), str(other)])


def test_a_file_comes_in_the_place_of_what_is_installed_under_its_name(tmp_path: Path) -> None:
    file = mine(tmp_path, SOUND.replace("mine", "kernels"))
    assert list(all_tasks({"kernels": load_domains([str(file)])["kernels"]})) == ["kernels/one"]


def test_a_run_with_a_file_and_no_task_is_about_the_tasks_of_that_file(tmp_path: Path) -> None:
    file = mine(tmp_path)
    asked = new_settings(
        tasks=[], tier=None, model="offline", ceilings=Ceilings(attempts=1), parallel=1, sandbox="process", kb="",
        embedding="", seed=1, hold_out=False, domains=[str(file)],
    )  # fmt: skip
    assert asked.tasks == ("mine/one",)
    assert asked.domains == (str(file),)


def test_a_domains_address_is_good_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("mine.py:Mine") == f"{tmp_path}/mine.py:Mine"
    assert absolute("mine.py") == f"{tmp_path}/mine.py"
