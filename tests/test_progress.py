"""What is seen of a run while it works: on terminals of every size, without one, and when nothing is to be seen."""

import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from fcntl import ioctl
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

from evolve import Evaluation, Gates, Task
from evolve.budget import Ceilings
from evolve.cli.board import Board, Row, arranged, chosen, counted, fitted, shortened
from evolve.cli.progress import Progress
from evolve.config import assemble, new_settings
from evolve.parts import Step
from tests.command import evolve
from tests.recorded import Made, record
from tests.toy import Toy

TOY = f"{Path(__file__).parent / 'toy.py'}:Toy"
SIZES = [(80, 24), (80, 10), (40, 24), (30, 5), (200, 60)]
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Thirty(Toy):
    """More tasks than a terminal has lines, with names that do not fit either."""

    name = "thirty"

    def tasks(self) -> Sequence[Task]:
        named = [f"thirty/a_matrix_times_a_matrix_in_blocks_of_{n}_by_{n}" for n in range(30)]
        prompts = {name: f"Write a large even number for {name}." for name in named}
        return [Task(id=name, domain="thirty", prompt=prompt, files={"x.txt": "2"}) for name, prompt in prompts.items()]


def lines(console: Console, board: object) -> list[str]:
    with console.capture() as capture:
        console.print(board)
    return CONTROL.sub("", capture.get()).splitlines()


def terminal(width: int, height: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, legacy_windows=False)


def verdict(score: float) -> Evaluation:
    gates = Gates(authentic=True, builds=True, correct=True)
    return Evaluation(gates=gates, score=score, metrics={"baseline_ms": 2.0, "best_ms": 2 / score})


class Frame(NamedTuple):
    step: Step
    lines: list[str]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Frame]:
    """What an 80 by 24 terminal showed at every step of a real run over thirty tasks."""
    folder = tmp_path_factory.mktemp("run")
    progress, console = Progress(console=terminal(80, 24)), terminal(80, 24)
    found: list[Frame] = []

    def listen(step: Step) -> None:
        progress.listen(step)
        if step.plan:
            found.append(Frame(step, lines(console, progress.board(console))))

    settings = new_settings(
        tasks=["thirty"], tier=None, model="offline", ceilings=Ceilings(attempts=1, minutes=10), parallel=2,
        sandbox="process", kb=str(folder / "kb"), embedding="", seed=1, hold_out=False, preset="refine",
        domains=[f"{__file__}:Thirty"],
    )  # fmt: skip
    with assemble(settings, listen, runs=folder) as (run, parts), progress:
        progress.watch(parts)
        run.execute(parts)
    return found


def test_thirty_tasks_fit_on_a_terminal_at_every_step(frames: list[Frame]) -> None:
    assert len(frames) >= 90
    assert max(len(line) for frame in frames for line in frame.lines) <= 80
    assert max(len(frame.lines) for frame in frames) <= 23  # one is the cursor's


def test_what_is_being_worked_on_is_always_seen(frames: list[Frame]) -> None:
    working = [frame for frame in frames if frame.step.phase in {"recall", "write", "judge"}]
    assert len(working) >= 60
    for frame in working:
        assert frame.step.plan
        assert any(f"{frame.step.phase} #{frame.step.plan.position}" in line for line in frame.lines), frame.lines


def test_the_last_line_counts_it_all(frames: list[Frame]) -> None:
    (told,) = [line for line in frames[-1].lines if "solved" in line and "more:" not in line]
    assert told.startswith("attempt 30 of 30 · ")
    assert re.search(r"\d+ of 30 solved · \d+ s, \d+ s left", told)
    (folded,) = [line for line in frames[0].lines if line.startswith("… ")]
    assert re.match(r"… \d\d more: \d\d not begun", folded)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_board_is_never_larger_than_the_terminal(width: int, height: int) -> None:
    rows = {
        f"kernels/{'long_' * (n % 7)}{n}": Row("refine", n, verdict(1 + n) if n % 3 else None, "write #999" * (n < 2))
        for n in range(40)
    }
    board = Board(
        rows, 100, ["attempt 7 of 4000", "8 of 40 solved", "123 s", "12,345 tokens"], "waiting " + "long " * 50
    )
    shown = lines(terminal(width, height), board.drawn(width, height))
    assert len(shown) <= height
    assert max(map(len, shown)) <= width
    assert any("kernels" in line or "k" in line for line in shown[1:])


def test_few_tasks_are_all_shown_and_nothing_is_cut() -> None:
    rows = {"kernels/dot": Row(attempts=1), "kernels/matmul": Row("refine", 2, verdict(4), "judge #3")}
    shown = lines(terminal(80, 24), Board(rows, 30, ["attempt 3 of 60"]).drawn(80, 23))
    assert [line.split() for line in shown] == [
        ["task", "stage", "best", "ms", "score", "attempts", "now"],
        ["kernels/matmul", "refine", "0.5", "4.00×", "2/30", "judge", "#3"],
        ["kernels/dot", "draft", "–", "–", "1/30"],
        ["attempt", "3", "of", "60"],
    ]


def test_the_time_of_the_best_is_no_column_where_nothing_is_timed() -> None:
    shown = lines(terminal(80, 24), Board({"toy/a": Row()}, 3).drawn(80, 23))
    assert "best ms" not in shown[0]


def test_first_what_is_worked_on_then_the_best_then_what_was_begun() -> None:
    rows = {"idle": Row(), "good": Row(best=verdict(2)), "begun": Row(attempts=3), "best": Row(best=verdict(5))}
    rows["busy"] = Row(phase="write #1")
    shown, folded = chosen(rows, 4)
    assert (list(shown), list(folded)) == (["busy", "best", "good"], ["begun", "idle"])
    assert counted(folded) == "… 2 more: 1 not begun, 1 unsolved"
    assert chosen(rows, 5)[1] == {}


def test_columns_are_left_out_until_a_name_can_be_read() -> None:
    widths = {"stage": 6, "best ms": 7, "score": 6, "attempts": 8, "now": 10}
    assert arranged(widths, 80) == (["task", "stage", "best ms", "score", "attempts", "now"], 33)
    assert arranged(widths, 60)[0] == ["task", "best ms", "score", "attempts", "now"]
    assert arranged(widths, 40)[0] == ["task", "score", "attempts"]
    assert arranged(widths, 10)[0] == ["task", "score"]


def test_names_lose_their_middle() -> None:
    assert shortened("kernels/matmul", 14) == "kernels/matmul"
    assert shortened("kernels/matmul_int8", 11) == "kerne…_int8"
    assert shortened("kernels/matmul_int8", 1) == "…"


def test_totals_that_do_not_fit_are_left_out_from_the_end() -> None:
    assert fitted(["attempt 1 of 2", "0 s", "5 tokens"], 20) == "attempt 1 of 2 · 0 s"
    assert fitted(["attempt 1 of 2"], 3) == "attempt 1 of 2"


def test_a_wait_is_told_once_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    for text in ("waiting 2 s", "waiting 2 s", "waiting 4 s"):
        progress.listen(Step("wait", text=text))
    assert [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()] == ["waiting 2 s", "waiting 4 s"]


def test_a_run_on_a_terminal_ends_with_its_result_and_without_colour_where_none_is_wanted(tmp_path: Path) -> None:
    code, told = on_a_terminal(tmp_path, "run", "toy/a", "--attempts", "3", "--domain", TOY, "--sandbox", "process")
    assert code == 0, told
    assert "\x1b[?25l" in told  # the live table hides the cursor
    assert "\x1b[?25h" in told
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", told)
    drawn = told[told.index("\x1b[?25l") : told.index("\x1b[?25h")]
    assert max(len(CONTROL.sub("", line)) for line in re.split(r"[\r\n]+", drawn)) <= 80
    assert "1 of 1 solved" in told


def on_a_terminal(home: Path, *words: str) -> tuple[int, str]:
    """`evolve` on a terminal of 80 by 24; its exit code and all that it wrote there."""
    outer, inner = pty.openpty()
    ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    environment |= {"EVOLVE_HOME": str(home), "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "evolve", *words], stdin=inner, stdout=inner, stderr=inner, env=environment, cwd=home
    ) as process:
        os.close(inner)
        told = b""
        while some := _read(outer):
            told += some
    os.close(outer)
    return process.returncode, told.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def test_what_others_wrote_gives_a_terminal_no_orders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Made("x\x1b[2J", 2.0, technique="\x1b]0;mine\x07", feedback="fine\x1b[31m")
    record(tmp_path, [made])
    Progress().listen(Step("wait", text="the provider says \x1b[2J"))
    shown = capsys.readouterr().err
    for words in (("show", "last"), ("show", "last", "--attempt", "1")):
        shown += evolve(tmp_path, *words).stdout
    assert "mine" in shown
    assert not re.search(r"[\x07\x1b]", shown)
