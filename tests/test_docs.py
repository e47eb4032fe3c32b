"""The README and every page in docs/: commands and snippets are run as they stand, names and links exist.

A fence of `sh` or `console` is run command by command, in a folder and a home of the page's own, without a network. A
comment right before it may say otherwise:

    <!-- exit code 1 -->              of each command in it, instead of 0
    <!-- not run: needs a key -->     read by the command line, but not run; the reasons are in `REASONS`
    <!-- file: name.py -->            written to that file as well; so is a fence after a line that ends with `name.py`:
"""

import inspect
import json
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from jinja2 import Environment
from typer.testing import CliRunner

from evolve import Domain
from evolve.cli import app
from tests.fences import PAGES, ROOT, Command, Fence, commands, read
from tests.provider import Provider, says
from tests.shell import COMPILED, MEASURED, Shell

REASONS = re.compile(
    r"needs (a key|a GPU|a network|a checkout|root|another machine|an extra)|takes (minutes|an hour|hours)"
    r"|[A-Z]+ stands for .+"
)
CONTINUED = " " * 20
"""Before what goes on with a cell of the line above."""
IGNORED = {"text", "c", "diff", "html", "mojo"}
FOREIGN = re.compile(r"--(network|read-only|cap-drop|gpus|init|emit|no-build-isolation|iterations|checkpoint|config)\b")
"""Options of other programs, which pages speak of."""


class Says(Exception):  # noqa: N818 - it is what is wrong with a page
    """What is wrong, in a line."""


# -- commands and snippets


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_tells_to_do_works(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coder: str) -> None:
    text = (ROOT / page).read_text()
    shell = Shell(tmp_path, coder, MEASURED if "of roofline" in text else COMPILED)
    monkeypatch.chdir(shell.folder)
    monkeypatch.syspath_prepend(shell.folder)
    monkeypatch.setenv("EVOLVE_HOME", str(tmp_path / "home"))
    names: dict[str, Any] = {"__name__": "page"}
    wrong = []
    for fence in read(text).fences:
        try:
            for line, fault in _checked(fence, shell, names):
                wrong.append(f"{page}:{line}: {fault}")
        except Says as fault:
            wrong.append(f"{page}:{fence.line}: {fault}")
    assert not wrong, "\n".join(wrong)


def _checked(fence: Fence, shell: Shell, names: dict[str, Any]) -> Iterator[tuple[int, str]]:
    if fence.file:
        file = shell.folder / fence.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(fence.text)
    if fence.language in {"sh", "console"}:
        for command in commands(fence):
            if fault := _run(command, fence.note, shell):
                yield command.line, f"`{command.text}`\n    {fault}"
    elif fence.language == "python":
        _execute(fence, names)
    elif fence.language in PARSED:
        try:
            PARSED[fence.language](fence.text)
        except Exception as error:  # noqa: BLE001 - whatever a parser finds wrong
            yield fence.line, f"no {fence.language}: {error}"
    elif fence.language not in IGNORED:
        known = ", ".join(sorted({"sh", "console", "python", *PARSED, *IGNORED}))
        yield fence.line - 1, f"a fence of {fence.language or 'no language'}; there are {known}"


PARSED: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "jinja": Environment(autoescape=True).parse,
}


def _run(command: Command, note: str, shell: Shell) -> str | None:
    if note.startswith("not run: "):
        reason = note.removeprefix("not run: ")
        if not REASONS.fullmatch(reason):
            return f"not run because it {reason!r}, which is none of {REASONS.pattern}"
        faults = [fault for words in _evolves(command.text) if (fault := _misread(words))]
        return "; ".join(faults) or None
    expected = int(note.removeprefix("exit code ")) if note.startswith("exit code ") else 0
    ended = shell.run(command.text)
    if ended.code != expected:
        return f"ended with {ended.code} instead of {expected}:\n" + _indented(ended.printed[-2000:])
    if missing := [line for line in _telling(command.shown) if not _printed(line, ended.printed)]:
        return f"does not print what looks like {missing[0]!r}, but\n" + _indented(ended.printed[:3000])
    return None


def _indented(text: str) -> str:
    return "".join(f"      {line}\n" for line in text.splitlines())


def _execute(fence: Fence, names: dict[str, Any]) -> None:
    before = set(names)
    names["__file__"] = str(Path(fence.file or "page.py").absolute())
    try:
        exec(compile(fence.text, f"line {fence.line} of the page", "exec"), names)
        for name in names.keys() - before:
            _can_be_used(names[name])
    except Exception as error:
        raise Says(f"{type(error).__name__}: {error}") from error
    if fence.file and Path(fence.file).name.startswith("test_"):
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", fence.file]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Says(done.stdout[-2000:])


def _can_be_used(thing: object) -> None:
    """A whole domain has tasks, and every one is its own."""
    if isinstance(thing, type) and issubclass(thing, Domain) and not inspect.isabstract(thing):
        for task in thing().tasks():
            assert task.domain == thing.name, f"the task {task.id} is of the domain {task.domain!r}"


# -- what is printed


def _telling(shown: Sequence[str]) -> list[str]:
    """The first sentence, and the heads of tables: what changes with the format, not with the figures."""
    shown = [line for line in shown if not line.startswith(CONTINUED)]
    opening = [line for line in shown if line.strip() and line.strip() != "…"][:2]
    first = [line for line in opening if not _columns(line)][:1]
    below = zip(shown, shown[1:], ["", *shown], strict=False)
    heads = [line for line, after, before in below if _columns(line) and _columns(after) and not _columns(before)]
    return [*first, *(line for line in heads if line not in first)]


def _columns(line: str) -> bool:
    return len(re.split(r" {2,}", line.strip())) > 2


def _printed(line: str, printed: str) -> bool:
    """With `…` for whatever stands there."""
    place = 0
    text = _shape(printed)
    for part in line.split("…"):
        place = text.find(_shape(part), place)
        if place < 0:
            return False
    return True


def _shape(text: str) -> str:
    """Words; whatever has a figure or is a path is one thing."""
    words = [
        "0" if re.search(r"\d|/|^unknown$", word) else word.replace("process+bwrap", "process") for word in text.split()
    ]
    return " ".join(word for word, before in zip(words, ["", *words], strict=False) if not word == before == "0")


def test_an_output_of_another_form_is_noticed() -> None:
    shown = ["run 1-2: 3 task(s)", "09:00 a/b: 1.5×", "", "task  score  95 % interval", "a/b   1.5×   1.2–1.8"]
    assert _telling(shown) == [shown[0], shown[3]]
    assert _printed(shown[3], "run 7:\ntask       score  95 % interval\nc   8  9-10")
    assert not _printed(shown[3], "run 7:\ntask       gain  95 % interval\nc   8  9-10")
    assert _printed("learnt … in ~/kb", "it learnt 3 things in /tmp/x/kb today")


# -- the command line


@cache
def _tree() -> dict[tuple[str, ...], Any]:
    """Every group and command by its words."""
    found: dict[tuple[str, ...], Any] = {(): typer.main.get_command(app)}
    for path, command in (pending := list(found.items())):
        for name, inner in getattr(command, "commands", {}).items():
            found[*path, name] = inner
            pending.append(((*path, name), inner))
    return found


def _options(command: Any) -> set[str]:
    return {"--help"} | {name for each in command.params for name in (*each.opts, *each.secondary_opts)}


def _evolves(text: str) -> Iterator[list[str]]:
    """The words after `evolve` in a line of shell."""
    lexer = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] | None = None
    for word in [*lexer, ";"]:
        if set(word) <= set("();<>|&"):
            if words is not None:
                yield words
            words = None
        elif words is not None:
            words.append(word)
        elif word == "evolve":
            words = []


def _misread(words: list[str]) -> str | None:
    """What the command line says to these, with nothing done."""
    told = CliRunner().invoke(app, [*words, "--help"])
    return told.output.strip().splitlines()[-1] if told.exit_code else None


def _meant(span: str) -> Iterator[list[str]]:
    """`evolve kb show|why [ID]` stands for two; `[…]` may be left out, `…` is whatever."""
    plain = re.sub(r"[\[\]]|…", " ", span)
    words = [word.split("|") for word in plain.split()]
    for each in product(*words):
        yield list(each)


def _unknown(words: Sequence[str]) -> str | None:
    """The first command or option that there is not."""
    path: tuple[str, ...] = ()
    for word in words:
        if (*path, word) in _tree():
            path = (*path, word)
        elif not word.startswith("-") and hasattr(_tree()[path], "commands"):
            return None if word.isupper() else f"there is no command {word!r} in `{' '.join(('evolve', *path))}`"
        elif word.startswith("--") and word.split("=")[0].rstrip(",") not in _options(_tree()[path]):
            return f"`{' '.join(('evolve', *path))}` has no option {word}"
    return None


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_only_commands_and_options_that_exist(page: str) -> None:
    every = {name for command in _tree().values() for name in _options(command)}
    wrong = []
    for line, span in read((ROOT / page).read_text()).spans():
        if span.startswith("evolve "):
            wrong += [f"{page}:{line}: {fault}" for words in _meant(span[7:]) if (fault := _unknown(words))]
        elif span.startswith("--") and not FOREIGN.match(span) and (name := re.split(r"[ =]", span)[0]) not in every:
            wrong.append(f"{page}:{line}: no command has the option {name}")
    assert not wrong, "\n".join(wrong)


def test_every_command_is_told_of_somewhere() -> None:
    told = set()
    for text in ((ROOT / page).read_text() for page in PAGES):
        page = read(text)
        spans = [words for _, span in page.spans() if span.startswith("evolve ") for words in _meant(span[7:])]
        run = [words for fence in page.fences if fence.language in {"sh", "console"} for each in commands(fence)
               for words in _evolves(each.text)]  # fmt: skip
        told |= {tuple(words[:length]) for words in spans + run for length in (1, 2, 3)}
    untold = [
        path for path, command in _tree().items() if path and not hasattr(command, "commands") and path not in told
    ]
    assert not [" ".join(path) for path in untold]


def test_a_renamed_option_is_noticed() -> None:
    assert _misread(["run", "relu", "--attempts", "3"]) is None
    assert "--atempts" in (_misread(["run", "relu", "--atempts", "3"]) or "")
    assert "--atempts" in (_unknown(["run", "--atempts"]) or "")
    assert list(_evolves("A=1 evolve run x \\\n  --json | tail -1 && evolve runs")) == [
        ["run", "x", "--json"],
        ["runs"],
    ]
    assert list(_meant("kb show|why [ID] …")) == [["kb", "show", "ID"], ["kb", "why", "ID"]]


# -- links


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    wrong = []
    for line, link in read((ROOT / page).read_text()).links():
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists():
            wrong.append(f"{page}:{line}: there is no {link}")
        elif anchor and anchor not in read(target.read_text()).anchors:
            wrong.append(f"{page}:{line}: {target.name} has no heading {anchor!r}")
    assert not wrong, "\n".join(wrong)


# -- a model for pages that ask one


@pytest.fixture(scope="module")
def coder() -> Iterator[str]:
    """The address of a model that answers with the program that it was shown."""
    with Provider() as server:
        server.route = lambda request: says(_first_program(request))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server.address
        server.shutdown()
        thread.join()


def _first_program(request: dict[str, Any]) -> str:
    found = re.search(r"^```c\n.*?^```$", request["messages"][-1]["content"], re.DOTALL | re.MULTILINE)
    return found[0] if found else "{}"
