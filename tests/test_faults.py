"""What happens to a bank, and what it says, when processes are killed, disks fill and files are not what they were."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from evolve.errors import EvolveError, StorageError, UsageError
from knowledge.bank import Bank
from knowledge.doctor import examine
from knowledge.lock import locked
from tests.banks import ROOT, Base, base_in, put, recall, wrong

PRELUDE = """
import sys
from pathlib import Path
from tests.banks import opened, put, recall
base = opened(Path(sys.argv[1]))
bank, ledger, timeline, hygiene = base
"""
WRITER = """
import time
from itertools import count
name = sys.argv[2]
for i in count():
    one = f"{name}-{i}"
    put(bank, one, "tiling gained", technique="tile + pack", metrics={"gain": 0.5})
    print("record", one, flush=True)
    recall(ledger, f"run/{one}", [one, f"{name}-{i // 2}"])
    print("receipt", f"run/{one}", flush=True)
    ledger.credit(f"run/{one}", stage="draft", raw=0.5)
    print("credit", f"run/{one}", flush=True)
    time.sleep(0.002)  # lets the other one in: SQLite's lock is not a fair one
"""


def python(script: str, path: Path, *arguments: object, within: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
    """Run a script on a base in a process of its own; `within`: what the command is wrapped in."""
    program = PRELUDE + textwrap.dedent(script)
    words = [*within, sys.executable, "-c", program, str(path), *map(str, arguments)]
    # unbuffered: a line that is read first takes nothing from those that are read after the kill
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)


def finished(process: "subprocess.Popen[bytes]") -> list[str]:
    out, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode().splitlines()


def killed(process: "subprocess.Popen[bytes]") -> list[str]:
    """End a process at once; the whole lines that it had said."""
    process.send_signal(signal.SIGKILL)
    said = process.communicate()[0].decode()
    return said[: said.rfind("\n") + 1].splitlines()


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    with base_in(tmp_path) as base:
        yield base


def filled(folder: Path, records: int = 40) -> Path:
    """The file of a closed base with some of everything."""
    with base_in(folder) as base:
        for i in range(records):
            put(base.bank, f"r{i}", f"tiling number {i}", payload="code " * 200, technique="tile")
            recall(base.ledger, f"run/r{i}", [f"r{i}", "r0"])
            base.ledger.credit(f"run/r{i}", stage="draft", raw=0.5)
    return base.bank.path


def refused(path: Path) -> EvolveError:
    with pytest.raises(EvolveError) as caught:
        Bank(path)
    said = str(caught.value)
    assert str(path.parent) in said
    assert "\n" not in said
    return caught.value


def mounted(mounts: str) -> list[str]:
    """What a command is wrapped in to have mounts of its own, which end with it."""
    within = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount in a namespace of their own")
    return within


# -- killed processes


def survive(folder: Path, kills: int) -> None:
    """Two writers at once, killed again and again; everything that they said was written must be there."""
    path, rng = folder / "bank.sqlite", random.Random(kills)
    said: list[str] = []
    for round_ in range(0, kills, 2):
        writers = [python(WRITER, path, f"{side}{round_}") for side in "ab"]
        for writer in writers:
            assert writer.stdout is not None
            said += [writer.stdout.readline().decode().rstrip("\n")]
        for writer in rng.sample(writers, 2):
            time.sleep(rng.expovariate(20))
            said += killed(writer)
        with base_in(folder) as base:
            assert base.bank.database.rows("PRAGMA quick_check") == [("ok",)]
            check_acknowledged(base.bank, said)
    with base_in(folder) as base:
        assert wrong(base.bank) == []
        assert complaints(base.bank) == []


def complaints(bank: Bank) -> list[str]:
    return [finding.what for finding in examine(bank) if not finding.advice]


def check_acknowledged(bank: Bank, said: Sequence[str]) -> None:
    there = {
        "record": "SELECT r.id FROM records r JOIN events e ON e.record = r.id",
        "receipt": "SELECT attempt FROM receipt_items GROUP BY attempt HAVING count(*) = 2 OR attempt LIKE '%-0'",
        "credit": "SELECT attempt FROM credits",
    }
    for what, sql in there.items():
        told = {name for kind, name in (line.split() for line in said) if kind == what}
        assert told <= {name for (name,) in bank.database.rows(sql)}


def test_what_was_acknowledged_outlives_killed_writers(tmp_path: Path) -> None:
    survive(tmp_path, 10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_was_acknowledged_outlives_two_hundred_kills(tmp_path: Path) -> None:
    survive(tmp_path, 200)


OPEN = """
import os, signal, sys
from pathlib import Path
from knowledge.bank import Bank
left = int(sys.argv[2])
def step(frame, event, argument):
    global left
    left -= event == "line"
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step
sys.settrace(lambda frame, event, argument: step if frame.f_code.co_name == "_prepare" else None)
Bank(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("lines", [2, 9, 20, 50])
def test_a_process_killed_while_it_makes_the_tables_leaves_a_file_that_the_next_one_can_use(
    tmp_path: Path, lines: int
) -> None:
    path = tmp_path / "bank.sqlite"
    command = [sys.executable, "-c", OPEN, str(path), str(lines)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    used(path)


GO_BACK = """
point = int(sys.argv[2])
print("ready", flush=True)
timeline.rollback(point, "killed")
print("done", flush=True)
"""
MERGE = """
print("ready", flush=True)
hygiene.merge("r0", [f"r{i}" for i in range(1, 40)], "killed")
print("done", flush=True)
"""


def active(base: Base) -> tuple[list[str], int]:
    """(records that can be found, credits that count)."""
    return base.bank.ids("active"), base.ledger.seen("draft")


@pytest.mark.parametrize(("script", "after"), [(GO_BACK, (["r0"], 1)), (MERGE, (["r0"], 40))])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_a_killed_rollback_or_merge_leaves_the_old_or_the_new_state(
    tmp_path: Path, script: str, after: tuple[list[str], int], share: float
) -> None:
    filled(tmp_path / "timed")
    begun = time.perf_counter()
    finished(python(script, tmp_path / "timed" / "bank.sqlite", 2))
    whole = time.perf_counter() - begun
    path = filled(tmp_path / "killed")
    before = ([f"r{i}" for i in range(40)], 40)
    process = python(script, path, 2)
    time.sleep(whole * (0.6 + 0.4 * share))
    said = killed(process)
    with base_in(path.parent) as base:
        assert active(base) in ([after] if "done" in said else [before, after])
        assert wrong(base.bank) == []
        put(base.bank, "afterwards")


@pytest.mark.parametrize("call", ['hygiene.merge("r0", ["r1", "r2"], "killed")', 'timeline.rollback(2, "killed")'])
@pytest.mark.parametrize(
    "write", ["INSERT ON log", "UPDATE ON records", "INSERT ON techniques", "DELETE ON item_values"]
)
def test_a_process_killed_in_the_middle_of_a_transaction_leaves_the_old_state(
    tmp_path: Path, call: str, write: str
) -> None:
    """The kill comes from a trigger: no luck is needed to hit that moment."""
    path = filled(tmp_path)
    script = f"""
    import os, signal
    bank.database._connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    bank.database.run("CREATE TEMP TRIGGER last AFTER {write.replace("ON ", "ON main.")} BEGIN SELECT die(); END")
    {call}
    """
    process = python(script, path)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    with base_in(tmp_path) as base:
        assert active(base) == ([f"r{i}" for i in range(40)], 40)
        assert wrong(base.bank) == []


def test_two_processes_rolling_back_at_once_leave_one_sound_state_and_the_whole_log(tmp_path: Path) -> None:
    path = filled(tmp_path, 30)
    bank = Bank(path)
    log = bank.database.rows("SELECT * FROM log ORDER BY seq")
    events = bank.database.rows("SELECT * FROM events ORDER BY 1")
    receipts = bank.database.rows("SELECT * FROM receipts ORDER BY 1")
    points = [10, 31]
    for process in [python(GO_BACK, path, point) for point in points]:
        assert finished(process) == ["ready", "done"]
    assert bank.database.rows("SELECT * FROM log ORDER BY seq")[: len(log)] == log
    assert bank.database.rows("SELECT * FROM events ORDER BY 1") == events
    assert bank.database.rows("SELECT * FROM receipts ORDER BY 1") == receipts
    assert wrong(bank) == []
    bank.close()
    with base_in(tmp_path) as base:
        assert any(not base.timeline.diff(point, base.bank.seq) for point in points)
        base.timeline.rollback(log[-1][0], "undone")
        assert active(base) == ([f"r{i}" for i in range(30)], 30)
        assert wrong(base.bank) == []


# -- full disks


def test_a_full_disk_is_a_storage_error_and_nothing_is_half_written(base: Base) -> None:
    put(base.bank, "a")
    (pages,) = base.bank.database.rows("PRAGMA page_count")[0]
    base.bank.database.rows(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(StorageError, match="no space left"):
        put(base.bank, "b", payload="long " * 20_000)
    base.bank.database.rows("PRAGMA max_page_count = 1000000")
    assert base.bank.ids() == ["a"]
    put(base.bank, "c")
    assert wrong(base.bank) == []


FILL = """
from evolve.errors import StorageError
from tests.banks import wrong
told, first = [], ""
for i in range(2000):
    try:
        put(bank, f"r{i}", payload="code " * 800)
    except StorageError as e:
        told.append(str(e))
        first = first or f"r{i}"
        if len(told) == 3:
            break
ids = bank.ids()
Path(sys.argv[2]).unlink()
put(bank, "after")
recall(ledger, "run/after", ["after"])
print(first, len(ids), ids[-1], ledger.credit("run/after", stage="draft", raw=1.0), wrong(bank))
print(told[0])
bank.close()
again = opened(Path(sys.argv[1]))
print(again.bank.ids() == [*ids, "after"], wrong(again.bank))
"""


def test_a_disk_that_fills_up_is_told_and_keeps_all_that_was_written(tmp_path: Path) -> None:
    ballast = tmp_path / "ballast"
    within = mounted(f"mount -t tmpfs -o size=2m tmpfs {tmp_path} && head -c 200000 /dev/zero > {ballast}")
    state, told, reopened = finished(python(FILL, tmp_path / "bank.sqlite", ballast, within=within))
    first, count, last, taught, tables = state.split()
    assert int(count) > 10
    assert first == f"r{count}"
    assert last == f"r{int(count) - 1}"
    assert (taught, tables) == ("1", "[]")
    assert "no space left" in told
    assert reopened == "True []"


# -- files that are not what they were


def test_a_file_that_is_no_database_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    path.write_text("this is a diary, not a database\n" * 200)
    error = refused(path)
    assert isinstance(error, StorageError)
    assert "move it away" in str(error)


def used(path: Path) -> None:
    """Whatever a base is asked for."""
    with base_in(path.parent) as base:
        put(base.bank, "more")
        assert wrong(base.bank) == []
        base.timeline.rollback(0, "all of it")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.3, 0.5, 0.9])
def test_a_truncated_file_is_told_in_a_sentence(tmp_path: Path, share: float) -> None:
    path = filled(tmp_path)
    os.truncate(path, int(path.stat().st_size * share))
    if share == 0:
        used(path)  # as an interrupted start leaves it
        return
    with pytest.raises(StorageError, match="damaged") as caught:
        used(path)
    assert str(path) in str(caught.value)


def told(path: Path) -> list[str]:
    """By the doctor, or by a bank that does not even open."""
    try:
        bank = Bank(path)
    except StorageError as error:
        return [str(error)]
    said = complaints(bank)
    bank.close()
    return said


@pytest.mark.parametrize("seed", range(4))
def test_garbage_in_the_middle_is_told_at_the_start_or_by_the_doctor(tmp_path: Path, seed: int) -> None:
    path = filled(tmp_path)
    sound, rng = path.read_bytes(), random.Random(seed)
    start = rng.randrange(4096, len(sound) - 16_384)
    path.write_bytes(sound[:start] + rng.randbytes(16_384) + sound[start + 16_384 :])
    assert any("damaged" in what for what in told(path))


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE diary (entry TEXT)")
    other.close()
    before = path.read_bytes()
    assert isinstance(refused(path), UsageError)
    assert path.read_bytes() == before


def test_a_newer_format_asks_for_a_newer_evolve_and_is_left_alone(tmp_path: Path) -> None:
    path = filled(tmp_path, 2)
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    newer.close()
    before = path.read_bytes()
    error = refused(path)
    assert isinstance(error, UsageError)
    assert "upgrade evolve" in str(error)
    assert path.read_bytes() == before


def test_an_empty_file_of_an_interrupted_start_becomes_a_bank(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    path.touch()
    used(path)


def test_a_folder_in_the_place_of_the_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bank.sqlite").mkdir()
    assert isinstance(refused(tmp_path / "bank.sqlite"), StorageError)


def test_a_file_in_the_place_of_the_folder_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "kb").touch()
    assert isinstance(refused(tmp_path / "kb" / "bank.sqlite"), UsageError)


def test_a_base_is_whole_after_its_side_files_were_deleted_once_it_was_closed(tmp_path: Path) -> None:
    path = filled(tmp_path)
    for name in ("bank.sqlite-wal", "bank.sqlite-shm", "bank.lock"):
        (tmp_path / name).unlink(missing_ok=True)
    with base_in(tmp_path) as base:
        assert base.bank.count() == 40
        assert wrong(base.bank) == []
    assert path.exists()


def test_a_copy_of_the_closed_file_is_the_whole_base(tmp_path: Path) -> None:
    path = filled(tmp_path / "here")
    (tmp_path / "there").mkdir()
    shutil.copy(path, tmp_path / "there")
    with base_in(tmp_path / "there") as base:
        assert base.bank.count() == 40
        assert wrong(base.bank) == []


# -- files that may not be written, or are in use


def read_only(path: Path) -> list[str]:
    return mounted(f"mount --bind {path} {path} && mount -o remount,ro,bind {path}")


def test_a_read_only_folder_is_told_in_a_sentence(tmp_path: Path) -> None:
    process = python("", filled(tmp_path), within=read_only(tmp_path))
    _, errors = process.communicate()
    told = errors.decode().splitlines()[-1]
    assert told.startswith(("evolve.errors.StorageError", "evolve.errors.UsageError"))
    assert str(tmp_path) in told
    assert "Read-only" in told


def test_a_read_only_file_is_read_and_a_write_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = filled(tmp_path)
    script = """
    from evolve.errors import StorageError
    print(len(bank.ids()))
    try:
        put(bank, "more")
    except StorageError as e:
        print(e)
    """
    count, told = finished(python(script, path, within=read_only(path)))
    assert count == "40"
    assert "cannot be opened for writing" in told
    assert str(path) in told


def test_a_base_that_another_process_goes_on_writing_is_told_and_works_again_when_let_go(tmp_path: Path) -> None:
    path = filled(tmp_path, 1)
    bank = Bank(path, patience=0.2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match=r"bank\.sqlite was held by another process"):
        put(bank, "a")
    assert bank.ids() == ["r0"]
    other.execute("ROLLBACK")
    other.close()
    put(bank, "a")
    assert bank.ids() == ["r0", "a"]
    bank.close()


def test_a_file_that_another_process_keeps_to_itself_is_told(tmp_path: Path) -> None:
    path = filled(tmp_path, 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="held by another process"):
        Bank(path, patience=0.2)
    other.close()
    Bank(path, patience=0.2).close()


def test_a_process_that_stops_while_it_opens_the_base_holds_nobody_up_for_ever(tmp_path: Path) -> None:
    path = filled(tmp_path, 1)
    with (
        locked(path.with_suffix(".lock")),
        pytest.raises(StorageError, match=r"bank\.lock was held by another process"),
    ):
        Bank(path, patience=0.2)
    Bank(path, patience=0.2).close()


def test_a_base_can_be_read_while_another_process_writes(base: Base) -> None:
    put(base.bank, "a")
    other = sqlite3.connect(base.bank.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM records")
    assert base.bank.ids() == ["a"]
    other.execute("ROLLBACK")
    other.close()
