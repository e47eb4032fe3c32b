"""What is printed stays whole where an encoding lacks letters, a reader goes away or a terminal is narrow."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.command import evolve, inherited

ROOT = Path(__file__).parent.parent


def test_an_encoding_without_our_letters_gets_plain_ones(tmp_path: Path) -> None:
    (tmp_path / ".evolve.toml").write_text('[defaults]\nmodel = "größe/×→?"\n', encoding="utf-8")
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    table = evolve(tmp_path, "config", "run", environment=ascii_only)
    assert table.returncode == 0, table.stderr
    rows = [line.split() for line in table.stdout.splitlines()]
    assert ["run.model", "gr??e/x>?", "[defaults]"] in rows
    assert ["run.tier", "-", "default"] in rows
    told = evolve(tmp_path, "config", "--json", environment=ascii_only)
    assert {each["value"] for each in json.loads(told.stdout)["settings"]} == {"größe/×→?"}


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evolve", "config", "--all"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""


def test_a_narrow_terminal_gets_a_narrow_table() -> None:
    code = (
        "import sys; sys.stdout.isatty = lambda: True\n"
        "from evolve.cli.output import print_table\n"
        "print_table(('task', '#score', 'verdict'), [('kernels/matmul', '1.0', 'a long story ' * 9)] * 3)\n"
        "print_table(('run', 'status', 'model', '#attempts'), [('20261123-112222-61df', 'complete', 'offline', '3')])"
    )
    environment = {"COLUMNS": "40", "TERM": "xterm"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, text=True, capture_output=True, check=True
    )
    shown = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).splitlines()
    assert max(map(len, shown)) <= 40
    assert "kernels/matmul" in done.stdout
    assert "20261123-112222-61df" in done.stdout


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    for words in (("config", "path"), ("config", "run"), ("runs", "--json")):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "evolve", *words],
                env=inherited() | {"EVOLVE_HOME": str(tmp_path)},
                stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        assert (done.returncode, done.stderr.splitlines()[-1:]) == (
            3, ["evolve: no room is left where it is written to; make some and try again"],
        )  # fmt: skip
        assert "Traceback" not in done.stderr
