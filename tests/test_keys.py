"""Keys from a file."""

import os
from pathlib import Path

import pytest

from evolve.errors import UsageError
from evolve.keys import default_keys, load_keys

NAMES = ("FIRST_API_KEY", "SECOND_API_KEY", "THIRD_API_KEY", "FOURTH_API_KEY")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test sets goes again with it."""
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def keys(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "keys.env"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_names_and_values_come_with_comments_exports_and_quotes(tmp_path: Path) -> None:
    text = "# mine\n\nFIRST_API_KEY=sk-1 # of last week\nexport SECOND_API_KEY='sk 2#'\nTHIRD_API_KEY = \"sk=3\"  # x\n"
    assert load_keys(keys(tmp_path, text)) == ""
    assert [os.environ[name] for name in NAMES[:3]] == ["sk-1", "sk 2#", "sk=3"]


def test_what_is_set_already_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_API_KEY", "from the shell")
    load_keys(keys(tmp_path, "FIRST_API_KEY=from-a-file\n"))
    assert os.environ["FIRST_API_KEY"] == "from the shell"


@pytest.mark.parametrize("line", ["sk-secret", "1X=sk-secret", "A B=sk-secret", "A='sk-secret", "A='x' sk-secret"])
def test_a_bad_line_is_named_by_its_number_and_its_secret_is_not_repeated(tmp_path: Path, line: str) -> None:
    path = keys(tmp_path, f"FIRST_API_KEY=sk-1\n{line}\n")
    with pytest.raises(UsageError, match="line 2: no NAME=VALUE") as failure:
        load_keys(path)
    assert "secret" not in str(failure.value)
    assert "FIRST_API_KEY" not in os.environ


def test_a_missing_or_unreadable_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file of keys"):
        load_keys(tmp_path / "nowhere.env")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load_keys(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="no text in UTF-8"):
        load_keys(tmp_path / "binary")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_can_read_is_warned_of_and_used(tmp_path: Path, mode: int) -> None:
    warning = load_keys(keys(tmp_path, "FIRST_API_KEY=sk-1\n", mode))
    assert "chmod 600" in warning
    assert os.environ["FIRST_API_KEY"] == "sk-1"


def test_the_file_in_the_users_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOLVE_HOME", str(tmp_path))
    assert default_keys() is None
    assert default_keys() != keys(tmp_path, "") == default_keys()
