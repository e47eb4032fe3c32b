import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolve.errors import UsageError
from evolve.types import DRAFT, REFINE, Experience
from knowledge.bank import Held, keyed
from knowledge.doctor import examine
from knowledge.exporting import export
from knowledge.importing import CHUNK, LINE_BYTES, Imported, import_
from knowledge.ledger import MERGED, Line
from knowledge.reasons import Why
from tests.banks import ROOT, Base, opened

IMPORTER = """
import sys
from pathlib import Path
from tests.banks import opened
from tests.test_exchange import take
base = opened(Path(sys.argv[1]))
print("ready", flush=True)
take(base, Path(sys.argv[2]))
"""
Maker = Callable[[str], Base]


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Maker]:
    bases: dict[str, Base] = {}

    def base(name: str) -> Base:
        if name not in bases:
            bases[name] = opened(tmp_path / name / "bank.sqlite")
        return bases[name]

    yield base
    for one in bases.values():
        one.bank.close()


def learn(base: Base, name: str, *, at: float | None = None, parent: str | None = None, **fields: object) -> str:
    """One attempt `run/NAME`, and the record `NAME` that was learnt from it."""
    told = {"kind": "trace", "text": f"{name} gained 2x", "task": "t/1", "domain": "t", "technique": "tiling"} | fields
    told |= {"sources": (f"run/{name}",)}
    experience = Experience.model_validate({"id": name, **told})
    keys = f"{experience.text} {experience.technique}"
    with base.bank.transaction():
        data = json.dumps({"id": f"run/{name}", "gain": 0.1, "text": "größer \u2028 行"}, ensure_ascii=False)
        base.bank.add_event(
            f"run/{name}", kind="attempt", task="t/1", data=data, record=name, parent=parent and f"run/{parent}"
        )
        base.bank.vectors.put(keyed(keys), "ones", np.ones(4, dtype=np.float32))
        base.bank.put(Held(experience=experience, keys=keys, time=at or 0.0), why="test")
    return name


def show(base: Base, attempt: str, *items: str, stage: str = DRAFT) -> None:
    why = Why(0.5, 1.0, 0.25, 0.1, 0.35, 2, "*", 1.5, "value", None, 0.0)
    lines = [Line(item, 0.5 - i / 7, 0.1 * i, json.dumps(why._asdict())) for i, item in enumerate(items)]
    base.ledger.issue(attempt, task="t/1", stage=stage, states=("softmax:slow", "slow", "*"), lines=lines)


def fill(base: Base) -> None:
    """Everything that a base can hold."""
    bank, ledger, hygiene = base.bank, base.ledger, base.hygiene
    names = [
        learn(base, f"exp-{i}", metrics={"gain": 0.1 * i, "score": i / 3}, payload=f"int f{i}()\n{{}}")
        for i in range(8)
    ]
    learn(base, "twin", payload="int  f0() {}", parent="exp-0")
    learn(base, "failed", kind="failure", state="memory bound", technique="tiling + fusion", parent="exp-1")
    learn(base, "ünïcode-行列-🙂", text="größer\n\u2028 als \u0000 🙂 <b>`x`</b> | [y](z) # *s*", recipe=("a", "b"))
    insight = {"n": 3.0, "failures": 1.0, "gain": 0.693}
    for name, state in (("ins-1", "memory bound"), ("ins-2", ""), ("ins/3 ../..".replace(" ", "_"), "..")):
        experience = Experience(
            id=name, kind="insight", text="On t, tiling gained 2x | on average.", domain="t", technique="tile / vec",
            state=state, sources=("run/exp-1", "run/exp-2"), metrics=insight,
        )  # fmt: skip
        bank.put(Held(experience=experience, keys=experience.text), why="reflect")
    bank.vectors.put(keyed("On t, tiling gained 2x | on average."), "ones", np.ones(4, dtype=np.float32))
    for i, stage in enumerate((DRAFT, REFINE, DRAFT, REFINE, REFINE, "feedback")):
        show(base, f"run/a{i}", *names[i % 3 : i % 3 + 3], "twin", stage=stage)
        ledger.credit(
            f"run/a{i}", stage=stage, raw=(-1.0, 0.3, 1.0, 0.2, 0.25, 0.5)[i], also=names[i] if i % 2 else None
        )
    show(base, "run/empty")
    show(base, "run/unjudged", "exp-1")
    hygiene.supersede("exp-3", "exp-4", "newer")
    hygiene.merge("exp-0", ["twin"], "the same")
    hygiene.forget(["exp-5"], "old")
    hygiene.expire(["exp-6"], 4_000_000_000.0, "later")
    hygiene.expire(["exp-7"], 1.0, "long ago")
    hygiene.expire_due()
    hygiene.revoke("run/exp-1", "a fraud")
    before = bank.seq
    learn(base, "rolled-back")
    bank.link("rolled-back", "supersedes", "exp-2", why="test")
    base.timeline.rollback(before, "a mistake")
    learn(base, "erased")
    show(base, "run/shown", "erased", "exp-2")
    ledger.credit("run/shown", stage=DRAFT, raw=1.0)
    hygiene.erase(["erased"], "private")


def take(base: Base, folder: Path) -> Imported:
    return import_(base.bank, base.ledger, base.timeline, folder)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def faults(base: Base) -> list[str]:
    """But for vectors, which are made after an import."""
    return [found.what for found in examine(base.bank) if not found.advice and "vector" not in found.what]


def values(base: Base) -> list[tuple[object, ...]]:
    return base.bank.database.rows("SELECT * FROM item_values ORDER BY item, stage, state")


def norms(base: Base) -> list[tuple[object, ...]]:
    return base.bank.database.rows("SELECT * FROM norms WHERE n > 0 ORDER BY stage, what")


def exported(base: Base, folder: Path) -> dict[str, bytes]:
    export(base.bank, folder)
    return content(folder)


def changed(folder: Path, file: str, number: int, change: Callable[[dict[str, Any]], object]) -> None:
    """Change one line of an export."""
    lines = (folder / file).read_text(encoding="utf-8").split("\n")
    told = json.loads(lines[number - 1])
    change(told)
    lines[number - 1] = json.dumps(told)
    (folder / file).write_text("\n".join(lines), encoding="utf-8")


def replaced(folder: Path, file: str, number: int, line: bytes) -> None:
    lines = (folder / file).read_bytes().split(b"\n")
    lines[number - 1] = line
    (folder / file).write_bytes(b"\n".join(lines))


def test_export_import_export_is_the_same_byte_for_byte(new: Maker, tmp_path: Path) -> None:
    one, two = new("one"), new("two")
    fill(one)
    assert faults(one) == []
    counts = export(one.bank, tmp_path / "a").counts
    assert counts == {"events": 13, "records": 16, "links": 2, "receipts": 9, "credits": 7, "insights": 3}
    assert take(two, tmp_path / "a") == Imported(13 + 16 + 2 + 9, 0, 0, 0, [])
    assert export(two.bank, tmp_path / "b").counts == counts
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert len(content(tmp_path / "a")) == 5 + 3
    assert faults(two) == []
    assert values(two) == values(one)
    assert norms(two) == norms(one)
    assert two.bank.lexicon.search("gained tiling", 50) == one.bank.lexicon.search("gained tiling", 50)


def test_an_export_does_not_wait_for_a_writer_nor_see_half_of_what_it_writes(new: Maker, tmp_path: Path) -> None:
    one = new("one")
    fill(one)
    before = exported(one, tmp_path / "a")
    with one.bank.transaction():
        learn(one, "half")
        assert exported(one, tmp_path / "a") == before


def test_an_export_replaces_an_earlier_one_whole(new: Maker, tmp_path: Path) -> None:
    one = new("one")
    fill(one)
    assert "insights/unknown/tile-vec-ins-2.md" in exported(one, tmp_path / "a")
    one.hygiene.forget(["ins-2"], "wrong")
    after = exported(one, tmp_path / "a")
    assert "insights/unknown/tile-vec-ins-2.md" not in after
    assert len(after) == 5 + 2
    assert {path.name for path in tmp_path.iterdir()} == {"one", "a"}


def test_an_export_that_was_killed_is_mended_by_the_next(new: Maker, tmp_path: Path) -> None:
    one = new("one")
    fill(one)
    before = exported(one, tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / ".a.earlier")  # killed between its last two steps
    shutil.copytree(tmp_path / ".a.earlier", tmp_path / ".a.part")
    assert exported(one, tmp_path / "a") == before
    assert {path.name for path in tmp_path.iterdir()} == {"one", "a"}


@pytest.mark.parametrize("name", [".git/HEAD", "notes.txt", "insights/unknown/mine.txt", "events.jsonl/x"])
def test_an_export_destroys_nothing_of_others(new: Maker, tmp_path: Path, name: str) -> None:
    one, folder = new("one"), tmp_path / "a"
    exported(one, folder)
    path = folder / name
    shutil.rmtree(path.parent, ignore_errors=True) if path.parent.is_dir() and path.parent != folder else None
    if path.parent.is_file():
        path.parent.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(UsageError, match=name):
        export(one.bank, folder)
    assert path.read_text() == "mine"


def test_an_export_is_a_folder_of_its_own(new: Maker, tmp_path: Path) -> None:
    one = new("one")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "pages" / "insights").mkdir(parents=True)
    (tmp_path / "pages" / "insights" / "mine.md").write_text("mine")
    for name in ("file", "pages", "one", "file/deeper"):
        with pytest.raises(UsageError, match=name.partition("/")[0]):
            export(one.bank, tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert len(exported(one, tmp_path / "empty")) == 5


def test_what_a_page_says_is_no_markdown(new: Maker, tmp_path: Path) -> None:
    one = new("one")
    text = "x\n\n# heading <img src=x> [a](b) | `c`"
    learn(one, "ins", kind="insight", text=text, technique="../../x", state="a\\b/\u202e..")
    pages = {name: data for name, data in exported(one, tmp_path / "a").items() if name.endswith(".md")}
    assert list(pages) == ["insights/a-b/x-ins.md"]
    assert b"x \\# heading \\<img src=x\\> \\[a\\](b) \\| \\`c\\`\n" in pages["insights/a-b/x-ins.md"]


def test_importing_again_changes_nothing(new: Maker, tmp_path: Path) -> None:
    one, two = new("one"), new("two")
    fill(one)
    before = exported(one, tmp_path / "a")
    take(two, tmp_path / "a")
    for base in (one, two):
        seq, worth = base.bank.seq, values(base)
        assert take(base, tmp_path / "a") == Imported(0, 0, 40, 0, [])
        assert (base.bank.seq, values(base)) == (seq, worth)
        assert exported(base, tmp_path / "b") == before


def test_bases_that_are_merged_have_the_same_records_whichever_came_first(new: Maker, tmp_path: Path) -> None:
    one, two = new("one"), new("two")
    fill(one)
    take(two, export_of(one, tmp_path / "start"))
    learn(one, "only-one", at=time.time())
    learn(two, "only-two", at=time.time() + 1)
    one.hygiene.forget(["exp-2"], "bad")  # the same version of it, hidden in one of the two
    two.hygiene.forget(["exp-4"], "bad")
    for base, text, at in ((one, "early", 2e9), (two, "late", 3e9)):
        base.bank.put(Held(experience=Experience(id="ins-1", kind="insight", text=text), keys=text, time=at), why="new")
    for base, factor in ((one, 1.0), (two, 2.0)):  # learnt at the same time
        experience = Experience(id="exp-0", kind="trace", text="told anew", metrics={"score": factor})
        base.bank.put(Held(experience=experience, keys="anew", time=2.5e9), why="new")
    show(one, "run/only-one", "exp-4", "twin")
    one.ledger.credit("run/only-one", stage=DRAFT, raw=1.0)
    show(two, "run/only-two", "exp-4", stage=REFINE)
    two.ledger.credit("run/only-two", stage=REFINE, raw=0.4, also="exp-2")
    a, b = export_of(one, tmp_path / "a"), export_of(two, tmp_path / "b")
    for base, other in ((one, b), (two, a)):
        told = take(base, other)
        assert (told.differing, told.bad) == (0, [])
        assert take(base, other) == Imported(0, 0, told.added + told.updated + told.unchanged, 0, [])
        assert faults(base) == []
    assert exported(one, tmp_path / "a") == exported(two, tmp_path / "b")
    assert values(one) == values(two)
    assert norms(one) == norms(two)
    texts = {"early", "late", "On t, tiling gained 2x | on average."}
    for base in (one, two):
        status = {name: (held := base.bank.held(name)) and held.status for name in ("exp-2", "exp-4", "ins-1")}
        assert status == {"exp-2": "forgotten", "exp-4": "forgotten", "ins-1": "active"}
        assert base.bank.get("ins-1") == Experience(id="ins-1", kind="insight", text="late")
        rows = base.bank.database.rows("SELECT data FROM log WHERE subject = 'record ins-1'")
        assert {json.loads(data)["experience"]["text"] for (data,) in rows} == texts


def export_of(base: Base, folder: Path) -> Path:
    export(base.bank, folder)
    return folder


def test_a_credit_that_was_taken_back_stays_so(new: Maker, tmp_path: Path) -> None:
    one, two = new("one"), new("two")
    fill(one)
    take(two, export_of(one, tmp_path / "before"))
    one.ledger.take_back(["run/a2"], "a fraud")
    assert take(two, export_of(one, tmp_path / "after")).updated == 1
    assert values(two) == values(one)
    assert take(one, tmp_path / "before") == take(two, tmp_path / "before") == Imported(0, 0, 40, 0, [])
    assert values(two) == values(one)
    assert faults(two) == []


def test_facts_that_are_there_stay_as_they_are(new: Maker, tmp_path: Path) -> None:
    one, two = new("one"), new("two")
    fill(one)
    folder = export_of(one, tmp_path / "a")
    take(two, folder)
    changed(folder, "events.jsonl", 1, lambda told: told.update(data={"other": 1}))
    changed(folder, "events.jsonl", 2, lambda told: told.update(time=5.0))  # told the same at another time
    changed(folder, "receipts.jsonl", 1, lambda told: told["items"].pop())
    changed(folder, "receipts.jsonl", 1, lambda told: told["credit"].update(raw=1.0, time=8e9))
    before = exported(two, tmp_path / "b")
    assert take(two, folder) == Imported(0, 0, 38, 2, [])
    assert exported(two, tmp_path / "b") == before


def test_what_a_merge_of_duplicates_taught_counts_after_an_import_too(new: Maker, tmp_path: Path) -> None:
    one, two = new("one"), new("two")
    for base in (one, two):
        for name in ("a", "b", "c"):
            learn(base, name, at=1e9, payload="int f() {}")
    show(two, "run/1", "c")
    two.ledger.credit("run/1", stage=DRAFT, raw=1.0)
    one.hygiene.merge("b", ["c"], "same")
    one.hygiene.merge("a", ["b"], "same")
    take(two, export_of(one, tmp_path / "a"))
    assert two.bank.towards("c", MERGED) == ["c", "b", "a"]
    assert two.ledger.by_stage(["a"])["a"][DRAFT].n == 1
    assert faults(two) == []


BAD = {
    "broken JSON": (b'{"id": "x"', "EOF"),
    "a merge's mark": (b"<<<<<<< HEAD", "expected value"),
    "a list": (b"[1]", "object"),
    "no UTF-8": (b'{"id": "\xff"}', "utf|unicode"),
    "too long": (b'{"id": "' + b"x" * 3 * LINE_BYTES, "longer than 16 MiB"),
    "deep": (b"[" * 100_000, "recursion"),
}


@pytest.mark.parametrize("file", ["events.jsonl", "records.jsonl", "links.jsonl", "receipts.jsonl"])
@pytest.mark.parametrize("what", BAD)
def test_a_line_that_is_none_is_named_and_the_rest_goes_in(new: Maker, tmp_path: Path, file: str, what: str) -> None:
    one = new("one")
    for name in ("a", "b", "c"):
        learn(one, name, at=1e9)
        one.bank.link(name, "follows", "a", why="test")
        show(one, f"run/for-{name}", name)
    folder = export_of(one, tmp_path / "a")
    text, reason = BAD[what]
    lines = (folder / file).read_bytes().split(b"\n")
    (folder / file).write_bytes(b"\n".join([lines[0], text, *lines[1:]]))
    two = new("two")
    told = take(two, folder)
    assert told.added == 12
    [bad] = told.bad
    assert re.match(f"{file}:2: .*({reason})", bad)
    assert len(bad) < 300


WRONG: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "a field is missing": ("records.jsonl", lambda told: told.pop("id"), "id: Field required"),
    "an experience is missing": ("records.jsonl", lambda told: told.pop("experience"), "unless it is gone"),
    "a field too many": ("records.jsonl", lambda told: told.update(more=1), "more: Extra inputs"),
    "a wrong type": ("records.jsonl", lambda told: told["experience"].update(text=1), "experience.text: .*string"),
    "a number as text": ("records.jsonl", lambda told: told.update(time="1"), "time: .*number"),
    "a wrong status": ("records.jsonl", lambda told: told.update(status="x"), "status is one of active"),
    "another id": ("records.jsonl", lambda told: told.update(id="x"), "another id"),
    "a forged mark": ("records.jsonl", lambda told: told["experience"].update(kind='x"><experience'), "no name"),
    "a gain beyond all": ("records.jsonl", lambda told: told["experience"]["metrics"].update(gain=1e300), "logarithm"),
    "no number": ("records.jsonl", lambda told: told["experience"]["metrics"].update(x=float("nan")), "not finite"),
    "infinity": ("records.jsonl", lambda told: told["experience"]["metrics"].update(x=float("inf")), "not finite"),
    "a time beyond all": ("records.jsonl", lambda told: told.update(time=1e300), "time: .*less than"),
    "a name of two lines": ("events.jsonl", lambda told: told.update(id="a\nb"), "id: .*pattern"),
    "an event of no record": ("events.jsonl", lambda told: told.update(record="none"), "there is no record none"),
    "a link from nowhere": ("links.jsonl", lambda told: told.update(source="none"), "there is no record none"),
    "a link to nowhere": ("links.jsonl", lambda told: told.update(target="none"), "there is no record none"),
    "an item that is not there": (
        "receipts.jsonl",
        lambda told: told["items"][0].update(item="none"),
        "no record none",
    ),
    "credit for nothing": (
        "receipts.jsonl",
        lambda told: told["credit"].update(also="none"),
        "there is no record none",
    ),
    "a reward beyond all": ("receipts.jsonl", lambda told: told["credit"].update(raw=2), "raw: .*less than"),
    "no reason": ("receipts.jsonl", lambda told: told["items"][0].update(why={"a": 1}), "no reason"),
    "many items": ("receipts.jsonl", lambda told: told.update(items=told["items"] * 2000), "items: .*at most 1000"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_line_that_is_wrong_is_named_and_the_rest_goes_in(new: Maker, tmp_path: Path, what: str) -> None:
    one, two = new("one"), new("two")
    for name in ("a", "b", "c"):
        learn(one, name, at=1e9, metrics={"gain": 0.1})
    for name in ("b", "c"):
        one.bank.link(name, "follows", "b", why="test")
        show(one, f"run/for-{name}", "b")
        one.ledger.credit(f"run/for-{name}", stage=DRAFT, raw=0.5, also="b")
    folder = export_of(one, tmp_path / "a")
    whole = content(folder)
    file, change, reason = WRONG[what]
    changed(folder, file, 1, change)
    told = take(two, folder)
    assert re.match(f"{file}:1: .*{reason}", told.bad[0])
    assert len(told.bad) == 1 + (file == "records.jsonl")  # the event of a record that is not there
    assert told.added == 10 - len(told.bad)
    assert faults(two) == []
    (folder / file).write_bytes(whole[file])
    assert take(two, folder) == Imported(len(told.bad), 0, 10 - len(told.bad), 0, [])
    assert exported(two, tmp_path / "b") == whole


def test_a_file_that_is_missing_is_named(new: Maker, tmp_path: Path) -> None:
    one, two = new("one"), new("two")
    fill(one)
    folder = export_of(one, tmp_path / "a")
    (folder / "links.jsonl").unlink()
    told = take(two, folder)
    assert told.bad == ["links.jsonl: is not there"]
    assert told.added == 38


def test_what_is_no_export_or_of_a_newer_format_is_refused(new: Maker, tmp_path: Path) -> None:
    one = new("one")
    folder = export_of(one, tmp_path / "a")
    for name in ("none", "one"):
        with pytest.raises(UsageError, match=f"{name} is no export"):
            take(one, tmp_path / name)
    (folder / "base.json").write_text('{"format": 9, "what": "evolve knowledge base"}')
    for use in (take, lambda base, folder: export(base.bank, folder)):
        with pytest.raises(UsageError, match="newer evolve"):
            use(one, folder)
    (folder / "base.json").write_text("[")
    with pytest.raises(UsageError, match="a is no export"):
        take(one, folder)


def test_what_was_erased_or_rolled_back_comes_back_with_an_import_that_has_it(new: Maker, tmp_path: Path) -> None:
    one, two = new("one"), new("two")
    learn(one, "a", at=1e9)
    folder = export_of(one, tmp_path / "a")
    one.timeline.rollback(0, "all")
    take(two, export_of(one, tmp_path / "b"))
    assert two.bank.ids() == []
    for base in (one, two):
        assert take(base, folder) == Imported(1, 0, 1, 0, [])
        assert base.bank.ids() == ["a"]
        assert take(base, tmp_path / "b") == Imported(0, 0, 2, 0, [])
        assert faults(base) == []


def test_an_import_that_is_killed_can_be_done_again(new: Maker, tmp_path: Path) -> None:
    one = new("one")
    with one.bank.transaction():
        for i in range(3 * CHUNK):
            learn(one, f"exp-{i}")
        for i in range(2 * CHUNK):
            show(one, f"run/for-{i}", f"exp-{i}", "exp-0")
            one.ledger.credit(f"run/for-{i}", stage=DRAFT, raw=0.5)
    folder = export_of(one, tmp_path / "a")
    killed = 0
    for delay in (0.1, 0.4, 0.4, 0.8):
        path = tmp_path / "two" / "bank.sqlite"
        with subprocess.Popen(
            [sys.executable, "-c", IMPORTER, path, folder], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        two = new("two")
        assert faults(two) == []
    assert killed
    assert take(two, folder).bad == []
    assert exported(two, tmp_path / "b") == content(folder)
    assert values(two) == values(one)
    assert norms(two) == norms(one)
