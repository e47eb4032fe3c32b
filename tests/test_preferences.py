"""Settings: one file, the environment, flags; what is in force and where it comes from."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from evolve.cli import app
from evolve.cli.options import MOMENTARY, SHARED
from evolve.cli.preferences import options
from evolve.errors import EvolveError, UsageError
from evolve.preferences import Written, in_force, is_shared, read

TOY = f"{Path(__file__).parent / 'toy.py'}:Toy"
OPTIONS = list(options(get_command(app)))


class Said(NamedTuple):
    code: int
    stdout: str
    stderr: str


Command = Callable[..., Said]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`evolve` in this process, in an empty folder with an empty home."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, **environment: str) -> Said:
        home = {"EVOLVE_HOME": str(tmp_path / "home"), "EVOLVE_CONFIG": "", "COLUMNS": "200"}
        done = CliRunner().invoke(app, words, env=home | environment)
        if isinstance(done.exception, EvolveError):
            return Said(done.exception.exit_code, done.stdout, str(done.exception))
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Said(done.exit_code, done.stdout, done.stderr)

    return run


def told(said: Said) -> dict[str, Any]:
    assert said.code == 0, said.stderr
    return {f"{each['command']} {each['key']}": each for each in json.loads(said.stdout)["settings"]}


def project(text: str, name: str = ".evolve.toml") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path.resolve()


# --- which file


def test_the_project_s_file_goes_before_the_user_s_and_a_named_one_before_both(command: Command) -> None:
    user = project("[run]\nattempts = 1", "home/config.toml")
    assert told(command("config", "--json"))["run attempts"]["value"] == 1
    assert command("config", "path").stdout == f"{user}\n"
    here = project("[run]\nattempts = 2")
    assert told(command("config", "--json"))["run attempts"]["value"] == 2
    assert command("config", "path").stdout == f"{here}\n"
    named = project("[run]\nattempts = 3", "elsewhere/my.toml")
    assert told(command("--config", str(named), "config", "--json"))["run attempts"]["value"] == 3
    assert told(command("config", "--json", EVOLVE_CONFIG=str(named)))["run attempts"]["value"] == 3


def test_one_file_is_read_and_no_other_is_mixed_in(command: Command) -> None:
    project("[run]\nattempts = 1\nparallel = 1", "home/config.toml")
    project("[run]\nattempts = 2")
    assert set(told(command("config", "--json"))) == {"run attempts"}


def test_without_a_file_it_is_said_where_one_is_looked_for(command: Command) -> None:
    said = command("config", "path")
    assert said.stdout.endswith("home/config.toml\n")
    assert ".evolve.toml" in said.stderr
    assert "no file of settings" in command("config").stdout


def test_a_file_that_is_named_must_be_there(command: Command) -> None:
    said = command("--config", "nowhere.toml", "runs")
    assert (said.code, said.stderr) == (2, "there is no file of settings nowhere.toml")


def test_a_home_that_nobody_has_is_no_crash(command: Command) -> None:
    assert "no file of settings" in command("--config", "~nobody-at-all/x.toml", "runs").stderr
    said = command("config", "path", EVOLVE_HOME="~nobody-at-all/home")
    assert (said.code, said.stderr.count("\n")) == (2, 0)
    assert "EVOLVE_HOME" in said.stderr


def test_a_file_may_begin_with_a_mark_of_its_encoding(command: Command) -> None:
    Path(".evolve.toml").write_bytes(b"\xef\xbb\xbf[run]\nattempts = 4\n")
    assert told(command("config", "--json"))["run attempts"]["value"] == 4


def test_a_task_s_own_evolve_toml_is_not_ours(command: Command) -> None:
    project("anything = true", "evolve.toml")
    assert command("config", "run").code == 0


# --- what is stronger


def test_flags_go_before_the_environment_and_that_before_the_file(command: Command) -> None:
    project("[run]\nparallel = -1")
    assert "--parallel is -1" in command("run", "relu").stderr
    assert "--parallel is -2" in command("run", "relu", EVOLVE_RUN_PARALLEL="-2").stderr
    assert "--parallel is -3" in command("run", "relu", "--parallel", "-3", EVOLVE_RUN_PARALLEL="-2").stderr


def test_a_command_s_own_goes_before_what_is_for_many() -> None:
    written = Written(None, {("defaults", "model"): "a", ("compare", "model"): "b"})

    def models(**environment: str) -> dict[str, tuple[object, str]]:
        found = in_force(OPTIONS, SHARED, written, environment)
        return {at.option.command: (at.value, at.where) for at in found if at.option.key == "model"}

    assert models()["run"] == ("a", "[defaults]")
    assert models()["compare"] == ("b", "[compare]")
    assert models(EVOLVE_MODEL="c")["compare"] == ("c", "EVOLVE_MODEL")
    assert models(EVOLVE_MODEL="c", EVOLVE_RUN_MODEL="d")["run"] == ("d", "EVOLVE_RUN_MODEL")
    assert models(EVOLVE_MODEL="")["run"] == ("a", "[defaults]")


def test_what_is_for_many_leaves_options_alone_that_mean_something_else() -> None:
    written = Written(
        None, {("defaults", "kb"): "base", ("defaults", "domain"): ["x.py:X"], ("defaults", "model"): "m"}
    )
    changed = {at.option.path for at in in_force(OPTIONS, SHARED, written, {}) if at.source == "file"}
    assert {"run.kb", "kb.search.kb", "kb.architecture.set.kb", "meta.kb", "run.domain", "judge.domain"} <= changed
    assert not changed & {"compare.kb", "kb.search.domain", "memory.bench.model"}


@pytest.mark.parametrize("key", SHARED)
def test_every_command_that_a_shared_key_is_for_has_such_an_option_of_one_kind(key: str) -> None:
    for group in SHARED[key]:
        assert any(is_shared(option, {key: (group,)}) for option in OPTIONS if option.key == key), group
    assert len({(option.kind, option.many) for option in OPTIONS if is_shared(option, {key: SHARED[key]})}) == 1


def test_every_kind_of_setting_comes_from_the_file(command: Command) -> None:
    project(
        '[defaults]\ndomain = ["a.py:A", "b.py:B"]\nkb = "~/base"\n'
        "[run]\nusd = 2\nshrink = false\nhold_out = true\nmeta-every = 3\n"
        "[kb.search]\nk = 5\n[kb.architecture.set]\nwhy = 'better'\n"
    )
    found = {name: each["value"] for name, each in told(command("config", "--json")).items()}
    assert found["run domain"] == ["a.py:A", "b.py:B"]
    assert found["run kb"] == str(Path("~/base").expanduser())
    assert (found["run usd"], found["run shrink"], found["run hold-out"], found["run meta-every"]) == (
        2,
        False,
        True,
        3,
    )
    assert (found["kb search k"], found["kb architecture set why"]) == (5, "better")


def test_every_kind_of_setting_comes_from_the_environment(command: Command) -> None:
    environment = {
        "EVOLVE_DOMAIN": "a.py:A b.py:B", "EVOLVE_RUN_USD": "2.5", "EVOLVE_RUN_SHRINK": "no",
        "EVOLVE_RUN_META_EVERY": "3", "EVOLVE_KB_SEARCH_K": "5",
    }  # fmt: skip
    found = {
        name: (each["value"], each["where"]) for name, each in told(command("config", "--json", **environment)).items()
    }
    assert found["judge domain"] == (["a.py:A", "b.py:B"], "EVOLVE_DOMAIN")
    assert found["run usd"] == (2.5, "EVOLVE_RUN_USD")
    assert found["run shrink"] == (False, "EVOLVE_RUN_SHRINK")
    assert found["run meta-every"] == (3, "EVOLVE_RUN_META_EVERY")
    assert found["kb search k"] == (5, "EVOLVE_KB_SEARCH_K")


def test_what_is_asked_for_at_one_call_is_no_setting(tmp_path: Path) -> None:
    assert not {option.name for option in OPTIONS} & MOMENTARY
    path = tmp_path / "x.toml"
    path.write_text("[kb.forget]\nerase = true")
    with pytest.raises(UsageError, match=r"unknown key in .kb.forget. 'erase'"):
        read(path, OPTIONS, SHARED)


# --- mistakes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[run]\natempts = 5", ["unknown key in [run] 'atempts'", "attempts"]),
        ("[rum]\nattempts = 5", ["unknown table 'rum'", "run"]),
        ("[kb.serach]\nk = 5", ["unknown table 'kb.serach'", "kb.search"]),
        ("[defaults]\nmodle = 'x'", ["unknown key in [defaults] 'modle'", "model"]),
        ("attempts = 5", ["'attempts' stands at the top", "[run]"]),
        ("model = 'x'", ["'model' stands at the top", "[defaults]"]),
        ("modle = 'x'", ["unknown key 'modle'", "model"]),
        ("[kb]\nk = 5", ["'k' stands under [kb]", "[kb.search]"]),
        ("[run]\nattempts = '5'", ["attempts in [run] is '5'", "a whole number"]),
        ("[run]\nattempts = true", ["attempts in [run] is True", "a whole number"]),
        ("[run]\nattempts = 5.0", ["attempts in [run] is 5.0", "a whole number"]),
        ("[run]\nusd = nan", ["usd in [run] is nan", "a number"]),
        ("[run]\nhold-out = 1", ["hold-out in [run] is 1", "true or false"]),
        ("[run]\nmodel = 1", ["model in [run] is 1", "text in quotes"]),
        ("[run]\ndomain = 'x.py:X'", ["domain in [run] is 'x.py:X'", "a list of texts"]),
        ("[run]\nattempts = {a = 1}", ["attempts in [run] is {'a': 1}", "a whole number"]),
        ("[run\nattempts = 5", ["is no TOML", "line 1, column 5"]),
        (f"[run]\ntokens = {'9' * 5000}", ["is no TOML", "4300 digits"]),
        (f"run = {'[' * 5000}", ["is no TOML"]),
        (f"[run]\nusd = {'9' * 400}", ["usd in [run] is 999", "a number"]),
        ("run = 3", ["'run' is a table", "write [run]"]),
        ("[[kb]]\nk = 3", ["'kb' is a table", "write [kb]"]),
        ("[kb.search]\nk = 0", ["k in [kb.search] is 0", "a whole number of at least 1"]),
        ("[kb.merge]\nalike = 2", ["alike in [kb.merge] is 2", "a number of at least 0.5 and at most 1"]),
        ("[run]\nreplay = 'x'", ["unknown key in [run] 'replay'"]),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence_that_names_what_would_work(
    command: Command, text: str, words: list[str]
) -> None:
    path = project(text)
    said = command("runs")
    assert said.code == 2
    assert said.stderr.startswith(str(path))
    assert "\n" not in said.stderr
    for word in words:
        assert word in said.stderr


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("EVOLVE_RUN_ATTEMPTS", "many", "a whole number"),
        ("EVOLVE_RUN_USD", "x", "a number"),
        ("EVOLVE_KB_SEARCH_K", "none", "a whole number of at least 1"),
        ("EVOLVE_RUN_SHRINK", "maybe", "1 or 0"),
    ],
)
def test_a_variable_of_the_wrong_kind_is_named(command: Command, name: str, value: str, wanted: str) -> None:
    said = command("runs", **{name: value})
    assert (said.code, said.stderr) == (2, f"{name} is {value!r}; give {wanted}")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("EVOLVE_KB_SEARCH_K", "0", "a whole number of at least 1"),
        ("EVOLVE_RUN_USD", "nan", "a number"),
        ("EVOLVE_RUN_MINUTES", "inf", "a number"),
    ],
)
def test_a_variable_out_of_range_is_named(command: Command, name: str, value: str, wanted: str) -> None:
    said = command("runs", **{name: value})
    assert (said.code, said.stderr) == (2, f"{name} is {value}; give {wanted}")


def test_a_variable_that_begins_like_a_setting_and_is_none_is_pointed_out(command: Command) -> None:
    said = command("config", EVOLVE_RUN_ATEMPTS="5", EVOLVE_KB_TOKEN="secret", EVOLVE_MOJO="/x")
    assert said.code == 0
    assert "EVOLVE_RUN_ATEMPTS" in said.stderr
    assert "EVOLVE_RUN_ATTEMPTS" in said.stderr
    assert "EVOLVE_MOJO" not in said.stderr + said.stdout
    assert "secret" not in said.stderr + said.stdout
    assert "EVOLVE_KB_TOKEN" not in said.stderr


def test_help_and_the_way_to_the_file_work_beside_a_broken_one(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project("[run\n")
    assert command("config").code == 2
    assert command("config", "path").stdout == f"{path}\n"
    for words in (("--help",), ("run", "--help")):
        monkeypatch.setattr(sys, "argv", ["evolve", *words])
        assert command(*words).stdout.startswith("Usage: ")


# --- what is shown


def test_a_table_says_what_is_in_force_and_where_it_comes_from(command: Command) -> None:
    path = project("[run]\nattempts = 50\n[defaults]\nsandbox = 'process'")
    lines = [line.split() for line in command("config", "run", EVOLVE_SEED="7").stdout.splitlines()]
    assert lines[0] == [str(path)]
    assert ["run.attempts", "50", "[run]"] in lines
    assert ["run.sandbox", "process", "[defaults]"] in lines
    assert ["run.seed", "7", "EVOLVE_SEED"] in lines
    assert ["run.parallel", "2", "default"] in lines


def test_without_a_command_only_what_was_set_is_shown(command: Command) -> None:
    project("[run]\nattempts = 50")
    assert set(told(command("config", "--json"))) == {"run attempts"}
    assert len(told(command("config", "--all", "--json"))) == len(OPTIONS)
    assert {name.rpartition(" ")[0] for name in told(command("config", "kb", "search", "--json"))} == {"kb search"}


def test_what_is_for_many_commands_is_one_row(command: Command) -> None:
    project("[defaults]\nkb = 'base'\n[run]\nkb = 'other'")
    rows = [line.split() for line in command("config").stdout.splitlines()[2:]]
    assert rows == [["run.kb", "other", "[run]"], ["defaults.kb", "base", "[defaults]"]]


def test_a_command_that_has_no_settings_is_refused_with_the_nearest(command: Command) -> None:
    said = command("config", "rum")
    assert said.code == 2
    assert "'rum'" in said.stderr
    assert "run" in said.stderr


def test_help_shows_what_is_in_force(command: Command) -> None:
    project("[run]\nattempts = 77")
    assert "[default: 77]" in command("run", "--help").stdout


# --- runs


def test_a_run_is_made_of_the_file_and_keeps_to_it_when_the_file_changes(command: Command) -> None:
    project(f'[defaults]\ndomain = ["{TOY}"]\nsandbox = "process"\nquiet = true\n[run]\nattempts = 2\nseed = 1\n')
    done = command("run", "toy/a", "--json")
    assert done.code == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["attempts"] == 2
    assert not [line for line in done.stderr.splitlines() if "candidates" not in line]
    project("[run]\nattempts = 9\nmodel = 'nobody/knows'\n")
    again = command("resume", said["run"], "--quiet", "--json")
    assert json.loads(again.stdout.splitlines()[-1])["attempts"] == 2


def test_what_stands_in_the_file_does_not_get_in_the_way_of_resuming_a_comparison(command: Command) -> None:
    project("[compare]\nattempts = 5\nmodel = 'x/y'\n")
    assert "no comparison" in command("compare", "--resume", "nothing").stderr


def test_what_stands_in_the_file_is_not_held_against_meta_live(command: Command) -> None:
    project("[defaults]\nmodel = 'x/y'\nkb = 'nowhere'\n")
    assert "no knowledge base in nowhere" in command("meta", "--live").stderr
    assert "--model does not go with --live" in command("meta", "--live", "--model", "x/z").stderr
    assert "--kb goes with --live" in command("meta", "--kb", "somewhere").stderr
