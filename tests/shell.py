"""A shell in which a page's commands are run as they stand: bash, with an `evolve`, a `pip` and a `make` of its own.

`evolve` is a fork (`tests.command`), so that a page is quick, tries less than the page says (`CAPS`) and measures less
(`MEASURED`). `pip` installs into an environment of the page, without a network. `make` runs what the Makefile would.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.command import ROOT, SECONDS, exit_code, inherited, packages, starter

CAPS = {"--attempts": 2, "--children": 1, "--seeds": 1, "--minutes": 2}
"""The most that `evolve run`, `compare` and `meta` are given, whatever the page says."""
NEEDED = {"run": "--attempts", "compare": "--attempts", "meta": "--children"}
"""What bounds each of them, where the page does not."""
TASKS = 1
"""How many of the tasks that a page names are run or compared."""
MEASURED, COMPILED = f"{ROOT}/tests/quick.py:Quick", f"{ROOT}/tests/quick.py:Compiled"
"""Who judges `kernels`: the second where no page shows what is measured, since measuring waits for a quiet machine."""
RUN = re.compile(r"RUN|20\d{6}-\d{4,6}(-[0-9a-f]{4})?")

PROGRAM = """#!{python} -ISB
import sys
sys.path.insert(0, {root!r})
from tests.shell import {name}
{name}(sys.argv[1:])
"""


class Ended(NamedTuple):
    code: int
    printed: str
    """Standard output, then errors."""


class Shell:
    """Remembers its folder and variables from one command to the next."""

    def __init__(self, folder: Path, provider: str, judge: str = COMPILED) -> None:
        self.folder = folder / "work"
        self._state = folder / "state"
        programs = folder / "programs"
        for each in (self.folder, self._state, programs, folder / "home"):
            each.mkdir()
        (self.folder / "tests").symlink_to(ROOT / "tests")  # pages tell of cassettes that lie there
        for name in ("evolve", "make", "pip", "pytest"):
            program = programs / name
            program.write_text(PROGRAM.format(python=sys.executable, root=str(ROOT), name=name))
            program.chmod(0o755)
        self._environment = inherited() | {
            "EVOLVE_HOME": str(folder / "home"),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "COLUMNS": "120",
            "DOCKER_HOST": f"unix://{folder}/none",  # so that `auto` is the quicker one
            "DOCS_JUDGE": judge,
            "DOCS_MAKE": shutil.which("make") or "make is not installed",
            "DOCS_PROVIDER": provider,
            "DOCS_SITE": str(folder / "site"),  # which `tests.starter` reads
            "DOCS_STARTER": str(starter().fileno()),
        }
        (self._state / "folder").write_text(str(self.folder))
        (self._state / "variables").touch()

    def run(self, command: str) -> Ended:
        script = (
            f'cd "$(cat {self._state}/folder)"; . {self._state}/variables\n{command}\ncode=$?\n'
            f"pwd > {self._state}/folder; export -p > {self._state}/variables; exit $code\n"
        )
        done = subprocess.run(
            ["bash", "-c", script], env=self._environment, pass_fds=[starter().fileno()], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout + done.stderr)


def evolve(words: list[str]) -> None:
    if "OPENAI_API_BASE" in os.environ:
        os.environ["OPENAI_API_BASE"] = os.environ["DOCS_PROVIDER"]
    import socket

    through = socket.socket(fileno=int(os.environ["DOCS_STARTER"]))
    sys.exit(exit_code(through, shortened(named(words)), os.environ, Path.cwd(), (0, 1, 2)))


def named(words: Sequence[str]) -> list[str]:
    """With the newest run in place of the page's."""
    kind = "meta" if words[:1] == ["meta"] else "runs"
    runs = sorted(Path(os.environ["EVOLVE_HOME"], kind).glob("20*"), key=lambda run: run.stat().st_mtime)
    return [RUN.sub(runs[-1].name, word) if runs and RUN.match(word) else word for word in words]


def shortened(words: Sequence[str]) -> list[str]:
    if words[:1] == ["show"]:  # a run that was shortened has no attempts beyond
        return [str(min(int(word), CAPS["--attempts"])) if word.isdecimal() else word for word in words]
    if not words or words[0] not in NEEDED or {"--replay", "--dry-run", "--help", "--resume"} & {*words}:
        return list(words)
    kept: list[str] = []
    options = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    for place, word in enumerate(words):
        if place > TASKS and place < options:
            continue
        cap = CAPS.get(words[place - 1]) if place else None
        kept.append(str(min(int(word), cap)) if cap else word)
    if NEEDED[words[0]] not in words:
        kept += [NEEDED[words[0]], str(CAPS[NEEDED[words[0]]])]
    return kept if words[0] == "meta" else [*kept, "--domain", os.environ["DOCS_JUDGE"]]


def make(words: list[str]) -> None:
    """Everything that `make` would do but setting up, and what runs all tests."""
    command = [os.environ["DOCS_MAKE"], "--just-print", "-C", str(ROOT), *words]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        sys.exit(told.stderr)
    for line in told.stdout.splitlines():
        program, *rest = shlex.split(line) or [""]
        if program.endswith("/evolve"):
            evolve(rest)


def pip(words: list[str]) -> None:
    site = Path(os.environ["DOCS_SITE"])
    if not site.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", site], check=True)
        ours = f"import site; site.addsitedir({str(packages(Path(sys.executable).parents[1]))!r})\n"
        (packages(site) / "ours.pth").write_text(ours)
    offline = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "--python", str(site / "bin" / "python"), *words, *offline]
    sys.exit(subprocess.run(command, check=False).returncode)


def pytest(words: list[str]) -> None:
    python = Path(os.environ["DOCS_SITE"], "bin", "python")
    command = [str(python) if python.exists() else sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    sys.exit(subprocess.run([*command, *words], check=False).returncode)
