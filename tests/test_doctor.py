import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolve.errors import StorageError
from evolve.types import DRAFT
from knowledge.doctor import examine, mend
from knowledge.exporting import export
from knowledge.ledger import MERGED
from tests.banks import Base, base_in
from tests.test_exchange import content, fill, learn, show


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    with base_in(tmp_path / "kb") as base:
        fill(base)
        base.bank.database.run("UPDATE vectors SET embedding = 'ones'")
        yield base


def faults(base: Base) -> list[str]:
    return [f"{found.what}; {found.fix}" for found in examine(base.bank) if not found.advice]


def everything(base: Base) -> dict[str, list[tuple[object, ...]]]:
    """What can be made again, as it is."""
    select = {
        "records": "SELECT * FROM records WHERE status != 'gone' ORDER BY n",
        "gone": "SELECT n, id, seq, status FROM records WHERE status = 'gone' ORDER BY n",
        "links": "SELECT * FROM links ORDER BY source, rel, target",
        "credits": "SELECT * FROM credits ORDER BY attempt",
        "values": "SELECT * FROM item_values ORDER BY item, stage, state",
        "norms": "SELECT * FROM norms WHERE n > 0 ORDER BY stage, what",
        "words": "SELECT rowid, keys FROM words ORDER BY rowid",
        "terms": "SELECT * FROM terms WHERE n != 0 ORDER BY term",
        "techniques": "SELECT domain, state, technique, hardware, task, tries, failures, n FROM techniques"
        " WHERE tries > 0 ORDER BY 1, 2, 3, 4, 5",
    }
    return {name: base.bank.database.rows(query) for name, query in select.items()}


def test_nothing_is_wrong_with_a_base_that_nobody_damaged(base: Base) -> None:
    assert faults(base) == []
    before, seq = everything(base), base.bank.seq
    assert mend(base.bank) == []
    assert (everything(base), base.bank.seq) == (before, seq)


def test_nothing_is_wrong_with_an_empty_base(tmp_path: Path) -> None:
    with base_in(tmp_path) as empty:
        assert examine(empty.bank) == []
        assert mend(empty.bank) == []


DAMAGE = {
    "records are gone": ("DELETE FROM records WHERE id IN ('exp-2', 'failed')", "records .*exp-2, failed"),
    "all records are gone": ("DELETE FROM records", "records .* and 11 more"),
    "a status is wrong": ("UPDATE records SET status = 'active' WHERE id = 'exp-1'", "records .*exp-1"),
    "a record is not gone": ("UPDATE records SET status = 'active' WHERE id = 'erased'", "records .*erased"),
    "a record is gone": ("UPDATE records SET status = 'gone' WHERE id = 'exp-2'", "records .*exp-2"),
    "a column is wrong": ("UPDATE records SET technique = 'magic' WHERE id = 'exp-2'", "records .*exp-2"),
    "a line is another's": ("UPDATE records SET seq = 1 WHERE id = 'exp-2'", "records .*exp-2"),
    "numbers are shifted": ("UPDATE records SET n = n + 100", "records .*exp-0, exp-1, exp-2"),
    "a record too many": (
        "INSERT INTO records VALUES (99, 'made up', 1, 'active', '', '', '', '', '', '', '', 0, 0, '', '', '', 0, 0)",
        "records .*made up",
    ),
    "links are gone": ("DELETE FROM links", "links .*twin merged into exp-0"),
    "a link too many": ("INSERT INTO links VALUES ('exp-1', 'merged into', 'exp-2', 1)", "links .*exp-1"),
    "a weight is wrong": ("UPDATE links SET weight = 3", "links .*exp-4 supersedes exp-3"),
    "credits are gone": ("DELETE FROM credits", "credits .*run/a0, run/a1, run/a2 and 4 more"),
    "a credit is wrong": ("UPDATE credits SET credit = credit + 1e-6 WHERE attempt = 'run/a1'", "credits .*run/a1"),
    "a credit counts": ("UPDATE credits SET counts = 1 - counts WHERE attempt = 'run/a2'", "credits .*run/a2"),
    "a credit too many": (
        "INSERT INTO credits VALUES ('x', 1, 'draft', 1, 1, 1, NULL, 1)",
        "credits have no receipt: x",
    ),
    "values are gone": ("DELETE FROM item_values WHERE item = 'twin'", "item_values .*twin"),
    "a value is wrong": ("UPDATE item_values SET q = q + 1e-6 WHERE item = 'twin'", "item_values .*twin"),
    "a value too many": ("INSERT INTO item_values VALUES ('exp-2', 'x', '*', 1, 1, 1)", "item_values .*exp-2 x"),
    "uses are wrong": ("UPDATE item_values SET n = n + 1 WHERE item = 'twin'", "item_values .*twin"),
    "norms are gone": ("DELETE FROM norms", "norms .*draft credit"),
    "a norm is wrong": ("UPDATE norms SET m2 = m2 + 1 WHERE stage = 'refine'", "norms .*refine credit, refine reward"),
    "techniques are gone": ("DELETE FROM techniques", "techniques .*tiling"),
    "a technique is wrong": ("UPDATE techniques SET total = total + 1 WHERE tries > 0", "techniques .*tiling"),
    "tries are wrong": ("UPDATE techniques SET tries = tries + 1", "techniques .*tiling"),
    "words are gone": ("DELETE FROM words WHERE rowid = 3", "words .*3"),
    "words of a hidden one": ("INSERT INTO words (rowid, keys) VALUES (2, 'x')", "words .*2"),
    "words are wrong": ("UPDATE words SET keys = 'other' WHERE rowid = 3", "words .*3"),
    "the index of words is gone": ("DELETE FROM words_data WHERE id > 10", "words "),
    "the texts of words are gone": ("DELETE FROM words_content", "words "),
    "terms are gone": ("DELETE FROM terms", "terms "),
    "a term is wrong": ("UPDATE terms SET n = n + 1 WHERE term = 'gain'", "terms .*gain"),
    "a term too many": ("INSERT INTO terms VALUES ('zzz', 1)", "terms .*zzz"),
    "no id": ("DELETE FROM meta", "the base has no id"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_named_and_mended(base: Base, what: str) -> None:
    before = everything(base)
    sql, named = DAMAGE[what]
    base.bank.database.run(sql)
    found = [finding for finding in examine(base.bank) if not finding.advice]
    assert any(re.search(named, finding.what) for finding in found), found
    assert all("doctor --fix" in finding.fix for finding in found if not re.search("receipt|vector", finding.what))
    seq = base.bank.seq
    said = mend(base.bank)
    assert said
    assert base.bank.seq == seq + 1
    assert faults(base) == []
    assert everything(base) == before
    assert mend(base.bank) == []


def test_a_base_that_was_mended_learns_on(base: Base) -> None:
    base.bank.database.run("DELETE FROM records")
    base.bank.database.run("DELETE FROM words_data WHERE id > 10")
    mend(base.bank)
    learn(base, "new", text="something quite different")
    assert list(base.bank.lexicon.search("different", 5)) == ["new"]
    show(base, "run/new", "exp-2")
    assert base.ledger.credit("run/new", stage=DRAFT, raw=1.0) == 1
    base.hygiene.forget(["exp-2"], "test")
    assert faults(base) == []


def test_a_technique_that_was_mended_is_looked_at_again(base: Base) -> None:
    base.bank.database.run("UPDATE techniques SET tries = tries + 1")
    before = base.bank.seq
    mend(base.bank)
    assert {group.technique for group, _ in base.bank.techniques.changed(before)} == {"tiling", "fusion"}


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("record exp-2", "{"),
        ("record exp-2", '{"experience": {"id": "other", "kind": "trace", "text": ""}, "keys": ""}'),
        ("credit run/a1", "[]"),
        ('link ["twin", "merged into", "exp-0"]', '{"weight": "much"}'),
    ],
)
def test_where_the_last_line_cannot_be_read_the_one_before_counts(base: Base, name: str, broken: str) -> None:
    before = everything(base)
    [(seq,)] = base.bank.database.rows("SELECT max(seq) FROM log WHERE subject = ?", name)
    [(data,)] = base.bank.database.rows("SELECT data FROM log WHERE seq = ?", seq)
    base.bank.log.append(name, "test", "broken", broken)
    base.bank.database.run("UPDATE records SET seq = ? WHERE seq = ?", base.bank.seq, seq)
    [finding] = [found for found in examine(base.bank) if "cannot be read" in found.what]
    assert name in finding.what
    assert any("could not be read" in said for said in mend(base.bank))
    assert faults(base) == []
    assert base.bank.log.lines(name)[0].data == data
    after = everything(base)
    assert {what: rows for what, rows in after.items() if what != "records"} == {
        what: rows for what, rows in before.items() if what != "records"
    }
    assert [row[:2] + row[3:] for row in after["records"]] == [row[:2] + row[3:] for row in before["records"]]


def test_a_record_of_which_no_line_can_be_read_is_gone(base: Base) -> None:
    base.bank.database.run("UPDATE log SET data = '{' WHERE subject = 'record exp-2'")
    assert any("record exp-2" in fault for fault in faults(base))
    mend(base.bank)
    assert base.bank.held("exp-2") is None
    assert faults(base) == []


TRUTH = {
    "a receipt is gone": (
        "DELETE FROM receipts WHERE attempt = 'run/a1'",
        "4 rows .* belong to no receipts",
    ),
    "an event of nothing": ("UPDATE events SET record = 'none' WHERE id = 'run/exp-2'", "events .* never were: none"),
    "an item of nothing": ("UPDATE receipt_items SET item = 'none' WHERE rank = 1", "receipts .* never were: none"),
    "a link's name": ("UPDATE log SET subject = 'link x' WHERE subject GLOB 'link *twin*'", "about link x cannot be"),
}


@pytest.mark.parametrize("what", TRUTH)
def test_truth_that_is_damaged_is_named_and_no_mending_claimed(base: Base, what: str) -> None:
    sql, named = TRUTH[what]
    base.bank.database.run("PRAGMA foreign_keys = OFF")
    base.bank.database.run(sql)
    [finding] = [found for found in examine(base.bank) if re.search(named, found.what)]
    assert "copy" in finding.fix
    mend(base.bank)
    assert [found for found in examine(base.bank) if not found.advice and "--fix" in found.fix] == []


def test_a_damaged_file_is_a_finding(base: Base) -> None:
    base.bank.database.run("DROP INDEX records_seq")
    base.bank.database.run("CREATE INDEX records_seq ON records (time)")
    base.bank.database.run("PRAGMA writable_schema = ON")
    base.bank.database.run("UPDATE sqlite_master SET sql = replace(sql, '(time)', '(seq)') WHERE name = 'records_seq'")
    base.bank.database.run("PRAGMA writable_schema = RESET")
    assert any("the file is damaged" in fault for fault in faults(base))


def test_missing_vectors_and_such_of_another_length_are_named(base: Base) -> None:
    base.bank.database.run("UPDATE vectors SET vector = x'00' WHERE rowid = 2")
    base.bank.database.run("DELETE FROM vectors WHERE rowid = 1")
    assert faults(base) == [
        "records have no vector: exp-0; `evolve kb rebuild` makes them again",
        "vectors of the embedding ones differ in length; `evolve kb rebuild` makes them again",
    ]


def test_records_merged_into_each_other_are_a_fault_until_one_is_restored(base: Base) -> None:
    learn(base, "castor", at=5.0, task="other")
    learn(base, "pollux", at=6.0, task="other")
    for one, other in (("castor", "pollux"), ("pollux", "castor")):
        base.bank.link(one, MERGED, other, why="two bases")
        base.bank.set_status(one, "superseded", what="merge", why="two bases")
    base.ledger.recount_items(["castor", "pollux"])
    assert faults(base) == ["merged into each other, so that none is found: castor, pollux; `evolve kb restore castor`"]
    assert base.hygiene.break_rings("united") == ["castor"]
    assert faults(base) == []
    assert base.bank.cards(["castor", "pollux"])[0].id == "castor"


def test_duplicates_and_a_base_that_nothing_is_added_to_are_worth_knowing(base: Base) -> None:
    learn(base, "same", payload="int f2() {}")
    for i in range(20):
        base.bank.add_event(f"again/{i}", kind="attempt", task="t", data="{}", record="exp-2")
    advice = [found.what for found in examine(base.bank) if found.advice]
    assert advice == [
        "the same is there 2 times: exp-2, same",
        "the last 20 attempts left nothing in the knowledge base: all were known already",
    ]
    assert faults(base) == []


def test_the_doctor_looks_while_others_write(base: Base) -> None:
    with base.bank.transaction():
        learn(base, "half")
        assert faults(base) == []


def test_mending_that_fails_leaves_everything_as_it_was(base: Base) -> None:
    base.bank.database.run("DELETE FROM terms")
    base.bank.database.run("CREATE TRIGGER stop BEFORE INSERT ON terms BEGIN SELECT raise(ABORT, 'full'); END")
    before = everything(base)
    with pytest.raises(StorageError, match="full"):
        mend(base.bank)
    assert everything(base) == before
    base.bank.database.run("DROP TRIGGER stop")
    assert mend(base.bank)
    assert faults(base) == []


def test_a_mended_base_exports_what_it_did_before(base: Base, tmp_path: Path) -> None:
    export(base.bank, tmp_path / "a")
    for table in ("records", "links", "credits", "item_values", "norms", "techniques", "words", "terms"):
        base.bank.database.run(f"DELETE FROM {table}")
    mend(base.bank)
    export(base.bank, tmp_path / "b")
    assert content(tmp_path / "a") == content(tmp_path / "b")
