"""`evolve kb …` as its users meet it: tables, JSON, one sentence for each mistake."""

import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from evolve.types import DRAFT, REFINE, Attempt, Candidate, Evaluation, Gates, Profile, Task
from knowledge.distil import experience_id
from knowledge.memory import Memory
from tests.command import evolve, last_json

ROOT = Path(__file__).parent.parent
PROMPTS = {
    "matmul": "Multiply two dense matrices: rows of A times columns of B.",
    "softmax": "Normalise the exponentials of each row so that they sum to one.",
}
FRAUD = "good/3"
"""The attempt that good/4 was refined from."""
WRITER = """
import sys
from pathlib import Path
from knowledge.distil import experience_id
from knowledge.memory import Memory
from tests.test_kb_cli import learn
with Memory.open(Path(sys.argv[1])) as memory:
    print("writing", flush=True)
    for i in range(60):
        learn(memory, f"busy/{i}", "softmax", technique="stream", score=1.0 + i)
"""


def task(name: str) -> Task:
    return Task(id=f"kernels/{name}", domain="kernels", prompt=PROMPTS[name], tags=(name,))


def learn(
    memory: Memory, name: str, of: str, *, parent: Attempt | None = None, state: str = "", **what: Any
) -> Attempt:
    """One attempt from recall to memory; `what` as in `attempt`."""
    made = attempt(name, of, parent=parent, state=state, **what)
    stage = made.candidate.stage
    memory.recall(attempt=name, task=task(of), stage=stage, state=state, rng=Random(name))
    reward = 0.5 if made.evaluation.feasible else None
    memory.credit(attempt=name, stage=stage, reward=reward, parent=made.candidate.parent)
    memory.absorb(task=task(of), attempt=made, parent=parent, baseline=1.0)
    return made


def attempt(
    name: str,
    of: str,
    *,
    technique: str,
    score: float | None,
    parent: Attempt | None = None,
    state: str = "",
    feedback: str = "",
    code: str | None = None,
) -> Attempt:
    """`state` is the bottleneck after it; `code` "" is no code at all."""
    text = f"void kernel() {{ {technique}({name!r}); }}" if code is None else code
    return Attempt(
        id=name,
        task=f"kernels/{of}",
        position=int(name.partition("/")[2]),
        candidate=Candidate(
            files={"kernel.c": text} if text else {},
            technique=technique,
            stage=REFINE if parent else DRAFT,
            parent=parent.id if parent else None,
        ),
        evaluation=Evaluation(
            gates=Gates(authentic=True, builds=True, correct=score is not None),
            score=score,
            feedback=feedback,
            profile=Profile(bottleneck=state),
        ),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose knowledge base knows nine attempts on two tasks; not to be changed."""
    home = tmp_path_factory.mktemp("home")
    with Memory.open(home / "kb") as memory:
        first = learn(memory, "good/1", "matmul", technique="tile", score=2.0, state="not_vectorized")
        learn(memory, "good/2", "matmul", technique="simd", score=5.0, parent=first, state="single_threaded")
        fraud = learn(memory, FRAUD, "matmul", technique="simd", score=9.0, parent=first, state="single_threaded")
        learn(memory, "good/4", "matmul", technique="parallel", score=12.0, parent=fraud)
        learn(memory, "good/5", "softmax", technique="vector_math", score=3.0, state="not_vectorized")
        learn(memory, "good/6", "softmax", technique="unroll", score=None, feedback="row 3 sums to 0.98")
        learn(memory, "good/7", "softmax", technique="fuse", score=None, feedback="no reply", code="")
        learn(memory, "good/8", "softmax", technique="fuse", score=None, feedback="no reply", code="")
        learn(memory, "good/9", "softmax", technique="online", score=3.1, feedback="\x1b[2Jsome\x07thing")
        memory.reflect(run="good")
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return shutil.copytree(made, tmp_path / "home")


def kb(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = evolve(home, "kb", *words)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


def data(home: Path, *words: str) -> Any:
    return last_json(kb(home, *words, "--json"))


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def found(home: Path, *words: str) -> list[str]:
    """Ids that a search finds, in order."""
    return [hit["id"] for hit in data(home, "search", *words, "-k", "50")]


def rows(result: subprocess.CompletedProcess[str]) -> list[str]:
    return [line.rstrip() for line in result.stdout.splitlines() if line.strip()]


def statuses(home: Path, names: Sequence[str]) -> set[str]:
    with Memory.open(home / "kb") as memory:
        return {memory.show(name).status for name in names}


# -- looking


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'litellm', 'chromadb', 'mcp', 'numpy', 'rich', 'sqlite3'}"
    code = (
        "import sys; sys.argv = ['evolve', 'kb', '--help']\n"
        "from evolve.cli import main\n"
        f"try: main()\nexcept SystemExit: print(sorted({heavy} & sys.modules.keys()))"
    )
    seen = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert seen.stdout.splitlines()[-1] == "[]"
    assert "rollback" in seen.stdout


def test_a_search_shows_a_table_with_what_was_learnt(made: Path) -> None:
    head, best, *_ = rows(kb(made, "search", "simd matmul"))
    assert head.split() == ["id", "kind", "task", "match", "draft", "refine", "uses", "text"]
    assert "kernels/matmul" in best
    assert "simd gained" in best


def test_a_search_in_json_has_the_same_keys_for_every_hit(made: Path) -> None:
    hits = data(made, "search", "simd matmul")
    assert {tuple(hit) for hit in hits} == {("id", "kind", "text", "task", "score", "values", "uses")}
    assert all(set(hit["values"]) >= {"draft", "refine"} for hit in hits)


def test_a_search_says_why_when_it_is_asked_to(made: Path) -> None:
    assert "similar" not in kb(made, "search", "simd matmul").stdout
    assert "↳ similar" in kb(made, "search", "simd matmul", "--why").stdout
    assert all("words" in hit["why"] for hit in data(made, "search", "simd matmul", "--why"))


@pytest.mark.parametrize(
    ("filters", "attempts"),
    [
        (["--task", "kernels/softmax", "--kind", "trace"], {"good/5", "good/9"}),
        (["--task", "softmax", "--kind", "failure"], {"good/6", "good/7", "good/8"}),
        (["--stage", "refine"], {"good/2", "good/3", "good/4"}),
        (["--state", "single_threaded", "--kind", "trace"], {"good/4"}),
        (["--domain", "kernels", "--kind", "trace", "--newer", "1h", "--stage", DRAFT], {"good/1", "good/5", "good/9"}),
        (["--older", "30m"], set()),
        (["--domain", "poetry"], set()),
    ],
)  # fmt: skip
def test_a_search_keeps_to_its_filters(made: Path, filters: list[str], attempts: set[str]) -> None:
    assert set(found(made, "kernel", *filters)) == {experience_id(attempt) for attempt in attempts}


def test_an_empty_base_and_a_search_without_match_say_what_would_help(made: Path, tmp_path: Path) -> None:
    assert "evolve run" in kb(tmp_path, "search", "tile").stdout
    assert data(tmp_path, "search", "tile") == []
    assert "fewer filters" in kb(made, "search", "tile", "--older", "3d").stdout
    assert "kernels/matmul" in kb(made, "search", "tile", "--task", "kernels/gelu").stdout
    assert "nothing is forgotten" in kb(made, "search", "--status", "forgotten").stdout


def test_an_experience_is_shown_whole_by_the_beginning_of_its_id(made: Path) -> None:
    name = experience_id("good/4")
    told = kb(made, "show", name[:9]).stdout
    for part in ("parallel gained 1.33x", "status     active", "simd → parallel", "good/4", "void kernel()"):
        assert part in told
    shown = data(made, "show", name)
    assert shown["id"] == name
    assert shown["status"] == "active"
    assert shown["expires"] is None
    assert [version["what"] for version in shown["versions"]] == ["add"]
    assert shown["links"] == []
    assert set(shown) >= {"text", "payload", "recipe", "sources", "metrics", "values", "uses"}


def test_why_tells_of_attempts_and_of_experiences(made: Path) -> None:
    reasons = data(made, "why", "good/4")
    assert reasons["kind"] == "attempt"
    assert reasons["credit"]["reward"] == 0.5
    given = reasons["recalled"][0]["item"]
    assert given in kb(made, "why", "good/4").stdout
    assert "good/4" in [use["attempt"] for use in data(made, "why", given)["uses"]]
    assert "rests on" in kb(made, "why", given[:10]).stdout


def test_stats_count_what_is_there_what_is_hidden_and_what_it_cost(home: Path) -> None:
    before = data(home, "stats")
    assert before["experiences"] == {"failure": 3, "insight": 2, "trace": 6}
    assert before["tasks"] == {"kernels/matmul": 4, "kernels/softmax": 5}
    assert before["recalls"] == 9
    assert set(before["meter"]["absorb"]) == {"calls", "tokens", "milliseconds", "bytes"}
    assert before["meter"]["absorb"]["calls"] == 9
    kb(home, "forget", experience_id("good/9"))
    assert data(home, "stats")["hidden"] == {"forgotten": 1}
    told = kb(home, "stats").stdout
    assert "hidden: 1 forgotten" in told
    assert re.search(r"operation +calls +ms a call +tokens +bytes", told)


def test_stats_raise_the_alarm_where_nothing_is_stored_any_more(home: Path) -> None:
    with Memory.open(home / "kb") as memory:
        for i in range(10, 31):
            learn(memory, f"good/{i}", "matmul", technique="tile", score=2.0, code="void kernel() { tile('good/1'); }")
    assert "ALARM: the last 20 attempts left nothing" in kb(home, "stats").stdout
    assert data(home, "stats")["alarm"]


def test_what_others_wrote_cannot_steer_the_terminal(made: Path) -> None:
    with Memory.open(made / "odd") as memory:
        learn(memory, "odd/1", "matmul", technique="\x1b[31mred\x1b[0m", score=2.0, code="int x; // \x1b]0;title\x07")
        [hit] = memory.search("red")
    for words in (["search", "red"], ["show", hit.experience.id], ["history"], ["diff", "0"], ["why", "odd/1"]):
        assert "\x1b" not in kb(made, *words, "--kb", str(made / "odd")).stdout


# -- the log


def test_history_lists_changes_newest_first(home: Path) -> None:
    lines = data(home, "history")
    assert [line["seq"] for line in lines] == sorted((line["seq"] for line in lines), reverse=True)
    assert set(lines[0]) == {"seq", "time", "what", "subject", "why"}
    name = experience_id("good/2")
    kb(home, "forget", name, "--why", "measured on a busy machine")
    told = rows(kb(home, "history", name))
    assert told[0].split() == ["change", "when", "what", "of", "why"]
    assert "forget" in told[1]
    assert "measured on a busy machine" in told[1]
    assert "add" in told[2]
    assert len(data(home, "history", "-n", "3")) == 3
    assert [line["what"] for line in data(home, "history", "good/2")] == ["credit"]


def test_diff_says_what_was_added_changed_and_how(home: Path) -> None:
    start = data(home, "history")[0]["seq"]
    name = experience_id("good/2")
    kb(home, "forget", name)
    with Memory.open(home / "kb") as memory:
        learn(memory, "new/1", "softmax", technique="simd", score=4.0)
    told = kb(home, "diff", str(start)).stdout
    assert re.search(rf"changed +{name} +status active → forgotten", told)
    assert re.search(r"added +credit of new/1 +draft reward \+0\.500", told)
    assert "On kernels/softmax, simd gained 4x" in told
    assert "2 records, 1 credit" in told
    changes = {each["subject"]: each for each in data(home, "diff", str(start))}
    assert changes[f"record {name}"]["change"] == "changed"
    assert changes[f"record {name}"]["after"]["status"] == "forgotten"
    assert changes["credit new/1"]["before"] is None


def test_diff_reads_backwards_too(home: Path) -> None:
    assert {each["change"] for each in data(home, "diff", "0")} == {"added"}
    now = str(data(home, "history")[0]["seq"])
    assert {each["change"] for each in data(home, "diff", now, "0")} == {"removed"}
    assert "nothing differs" in kb(home, "diff", now).stdout
    assert "more; -n" in kb(home, "diff", "0", "-n", "2").stdout


def test_snapshots_are_made_listed_and_gone_back_to(home: Path) -> None:
    assert "no snapshot yet" in kb(home, "snapshot").stdout
    before = found(home, "kernel")
    snapshot = data(home, "snapshot", "clean")
    assert data(home, "snapshot") == [{"name": "clean", "seq": snapshot["seq"]}]
    assert "clean" in kb(home, "snapshot").stdout
    kb(home, "forget", "--task", "matmul", "--yes")
    assert len(data(home, "diff", "clean")) == 4
    assert len(found(home, "kernel")) == len(before) - 4
    kb(home, "rollback", "clean", "--why", "too much")
    assert found(home, "kernel") == before


def test_a_rollback_is_undone_by_another(home: Path) -> None:
    before = found(home, "kernel")
    point = data(home, "history")[0]["seq"]
    names = [experience_id("good/1"), experience_id("good/5")]
    kb(home, "forget", *names)
    after = found(home, "kernel")
    told = kb(home, "rollback", str(point)).stdout
    assert "2 records" in told
    undo = re.search(r"`evolve kb rollback (\d+)` undoes it", told)
    assert undo
    assert found(home, "kernel") == before
    moved = data(home, "rollback", undo[1])
    assert {each["subject"] for each in moved["moved"]} == {f"record {name}" for name in names}
    assert found(home, "kernel") == after
    assert data(home, "rollback", str(moved["undo"]))["moved"]
    assert found(home, "kernel") == before
    assert "nothing to do" in kb(home, "rollback", str(point)).stdout


# -- keeping it clean


def test_forgetting_by_id_can_be_undone(home: Path) -> None:
    name = experience_id("good/2")
    told = kb(home, "forget", name[:10], "--why", "of no use").stdout
    assert "1 experience forgotten" in told
    assert name not in found(home, "kernel")
    assert "of no use" in kb(home, "show", name).stdout
    assert "forgotten before" in kb(home, "forget", name).stdout
    undo = re.search(r"rollback (\d+)", told)
    assert undo
    kb(home, "rollback", undo[1])
    assert name in found(home, "kernel")


def test_filters_only_show_what_they_would_forget(home: Path) -> None:
    failures = [experience_id(f"good/{n}") for n in (6, 7, 8)]
    told = kb(home, "forget", "--kind", "failure").stdout
    assert "3 experiences would be forgotten; --yes does it" in told
    assert all(name in told for name in failures)
    assert data(home, "forget", "--kind", "failure") == {"done": False, "records": failures, "undo": None}
    assert statuses(home, failures) == {"active"}
    assert data(home, "forget", "--kind", "failure", "--yes")["records"] == failures
    assert statuses(home, failures) == {"forgotten"}
    assert set(found(home, "--status", "forgotten")) == set(failures)
    assert "nothing fits" in kb(home, "forget", "--kind", "failure").stdout


def test_an_experience_can_be_given_a_time_to_go(home: Path) -> None:
    name = experience_id("good/2")
    before = time.time()
    assert "forgotten from" in kb(home, "forget", name, "--in", "30d").stdout
    assert before <= data(home, "show", name)["expires"] - 30 * 86400 <= time.time()
    assert "(in 30 days)" in kb(home, "show", name).stdout
    assert name in found(home, "kernel")


def test_erasing_leaves_nothing_of_a_text(home: Path) -> None:
    name = experience_id("good/6")
    assert b"row 3 sums" in (home / "kb" / "bank.sqlite").read_bytes()
    assert "1 experience would be erased for good; --yes does it" in kb(home, "forget", name, "--erase").stdout
    assert data(home, "forget", name, "--erase", "--yes")["records"] == [name]
    left = b"".join(file.read_bytes() for file in (home / "kb").glob("bank.sqlite*"))
    assert b"row 3 sums" not in left
    refused(evolve(home, "kb", "show", name), name)


def test_forgetting_an_attempt_takes_back_what_rests_on_it(home: Path) -> None:
    fell = [experience_id(FRAUD), experience_id("good/4")]
    before = found(home, "kernel")
    told = kb(home, "forget", "--attempt", FRAUD, "--why", "it read the reference").stdout
    assert "good/3 and 1 attempt refined from it: 2 experiences in quarantine, credit of 2 attempts taken back" in told
    assert statuses(home, fell) == {"quarantined"}
    assert not data(home, "why", "good/4")["credit"]["counts"]
    assert not set(fell) & set(found(home, "kernel"))
    undo = re.search(r"rollback (\d+)", told)
    assert undo
    kb(home, "rollback", undo[1])
    assert found(home, "kernel") == before
    again = data(home, "forget", "--attempt", FRAUD)
    assert again["attempts"] == [FRAUD, "good/4"]
    assert again["records"] == fell
    assert again["credits"] == 2


def test_what_is_hidden_can_be_restored(home: Path) -> None:
    name = experience_id("good/2")
    kb(home, "forget", name)
    assert name in kb(home, "restore", name).stdout
    assert name in found(home, "kernel")
    assert data(home, "restore", name) == {"restored": []}


def test_duplicates_are_listed_and_merged(home: Path) -> None:
    same = [experience_id("good/7"), experience_id("good/8")]
    listed = data(home, "merge", "--alike", "0.5")
    assert listed["same"] == [same]
    assert all(set(group) != set(same) for group in listed["near"])
    told = kb(home, "merge")
    assert all(name in told.stdout for name in same)
    done = data(home, "merge", "--all")
    assert done["merged"] == {same[0]: [same[1]]}
    assert statuses(home, same[1:]) == {"superseded"}
    assert data(home, "show", same[1])["links"] == [["merged into", same[0]]]
    assert "nothing to do" in kb(home, "merge", "--all").stdout
    kb(home, "rollback", str(done["undo"]))
    assert statuses(home, same) == {"active"}
    assert f"{same[1]} stands for {same[0]}" in kb(home, "merge", same[1], same[0]).stdout
    refused(evolve(home, "kb", "merge", *same), "superseded", "restore")
    refused(evolve(home, "kb", "merge", same[1], same[1][:12]), "alone")


# -- the index


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a chroma server."""
    port = free_port()
    chroma = Path(sys.executable).with_name("chroma")
    running = subprocess.Popen(
        [chroma, "run", "--path", str(tmp_path / "chroma"), "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with running:
        while running.poll() is None:
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        running.terminate()


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def test_a_chroma_server_may_hold_the_index(home: Path, server: str) -> None:
    before = data(home, "search", "tile matmul")
    assert data(home, "search", "tile matmul", "--kb", server) == before
    assert data(home, "rebuild", "--kb", server)["embedding"] == "hash"
    assert str(home / "kb") in kb(home, "stats", "--kb", server).stdout


def test_a_server_that_does_not_answer_is_named(made: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    refused(evolve(made, "kb", "search", "tile", "--kb", address), address)


def test_rebuilding_changes_no_result(home: Path) -> None:
    before = found(home, "parallel matmul")
    shutil.rmtree(home / "kb" / "index", ignore_errors=True)
    assert data(home, "rebuild") == {"embedding": "hash", "embedded": 0}
    assert found(home, "parallel matmul") == before
    assert "embedding hash" in kb(home, "rebuild").stdout


# -- exchange


def test_an_export_goes_into_another_base_and_comes_out_the_same(home: Path, tmp_path: Path) -> None:
    kb(home, "forget", experience_id("good/9"), "--why", "of no use")
    counts = data(home, "export", str(tmp_path / "out"))
    assert counts["folder"] == str(tmp_path / "out")
    assert (counts["events"], counts["receipts"], counts["credits"]) == (11, 9, 9)
    done = data(home, "import", str(tmp_path / "out"), "--kb", str(tmp_path / "other"))
    assert (done["updated"], done["unchanged"], done["bad"]) == (0, 0, [])
    kb(home, "export", str(tmp_path / "again"), "--kb", str(tmp_path / "other"))
    assert files(tmp_path / "again") == files(tmp_path / "out")
    assert found(home, "kernel", "--kb", str(tmp_path / "other")) == found(home, "kernel")
    told = kb(home, "import", str(tmp_path / "out"), "--kb", str(tmp_path / "other")).stdout
    assert told.startswith("0 added, 0 updated")
    assert "undoes" not in told


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bad_line_is_named_and_the_rest_goes_in(home: Path, tmp_path: Path) -> None:
    kb(home, "export", str(tmp_path / "out"))
    with (tmp_path / "out" / "records.jsonl").open("a") as records:
        records.write('{"id": "exp-1", "status": "splendid"}\n')
    result = evolve(home, "kb", "import", str(tmp_path / "out"), "--kb", str(tmp_path / "other"))
    assert result.returncode == 1
    assert "left out records.jsonl:12: " in result.stderr
    assert "1 left out" in result.stdout
    assert found(home, "kernel", "--kb", str(tmp_path / "other")) == found(home, "kernel")
    again = evolve(home, "kb", "import", str(tmp_path / "out"), "--json")
    assert again.returncode == 1
    assert len(last_json(again)["bad"]) == 1


def test_an_import_can_be_undone(home: Path, tmp_path: Path) -> None:
    kb(home, "export", str(tmp_path / "out"))
    kb(home, "forget", "--task", "matmul", "--yes")
    undone = found(home, "kernel")
    with Memory.open(tmp_path / "kb") as memory:
        learn(memory, "new/1", "softmax", technique="simd", score=4.0)
    kb(tmp_path, "export", str(tmp_path / "new"))
    undo = data(home, "import", str(tmp_path / "new"))["undo"]
    assert found(home, "kernel") != undone
    kb(home, "rollback", str(undo))
    assert found(home, "kernel") == undone


# -- doctor


def test_doctor_finds_nothing_wrong_with_a_sound_base(home: Path) -> None:
    report = data(home, "doctor")
    assert report["ok"]
    assert all(finding["advice"] for finding in report["findings"])
    kb(home, "merge", "--all")
    assert f"nothing is wrong with {home / 'kb'}" in kb(home, "doctor").stdout


def test_doctor_finds_damage_and_mends_it(home: Path) -> None:
    before = data(home, "search", "kernel")
    with sqlite3.connect(home / "kb" / "bank.sqlite") as db:
        db.execute("UPDATE records SET status = 'forgotten', task = 'kernels/gelu' WHERE kind = 'trace'")
        db.execute("DELETE FROM item_values")
    db.close()
    result = evolve(home, "kb", "doctor")
    assert result.returncode == 1
    assert result.stdout.count("WRONG") >= 2
    found_wrong = evolve(home, "kb", "doctor", "--json")
    assert found_wrong.returncode == 1
    assert {"what", "fix", "advice"} == set(last_json(found_wrong)["findings"][0])
    fixed = data(home, "doctor", "--fix")
    assert fixed["ok"]
    assert fixed["mended"]
    assert data(home, "search", "kernel") == before
    assert data(home, "doctor")["ok"]


# -- mistakes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search"], ["evolve kb search"]),
        (["search", "x", "--older", "3 years"], ["30m, 12h, 7d or 2w", "3 years"]),
        (["search", "x", "--newer", "7"], ["30m, 12h, 7d or 2w"]),
        (["search", "x", "--kind", "trce"], ["trce", "trace, failure, insight, guide, lore"]),
        (["search", "x", "--status", "lost"], ["lost", "quarantined"]),
        (["search", "x", "-k", "0"], ["-k"]),
        (["search", "x", "--kb", "nowhere"], ["nowhere", "evolve run --kb nowhere"]),
        (["show", "exp-"], ["fits several"]),
        (["show", "exp-000000000000"], ["exp-000000000000"]),
        (["why", "good/99"], ["good/99"]),
        (["why", "nobody"], ["nobody"]),
        (["history", "exp-000000000000"], ["exp-000000000000"]),
        (["history", "-n", "0"], ["-n"]),
        (["diff", "99999"], ["99999", "a number from 0 to"]),
        (["diff", "0", "yesterday"], ["yesterday"]),
        (["snapshot", "12"], ["12", "a word"]),
        (["rollback", "yesterday"], ["yesterday"]),
        (["merge", "exp-1"], ["OTHER"]),
        (["merge", "exp-000000000000", "exp-1"], ["exp-000000000000"]),
        (["merge", "exp-1", "exp-2", "--all"], ["--all"]),
        (["forget"], ["--attempt", "--older 30d"]),
        (["forget", "exp-000000000000"], ["exp-000000000000"]),
        (["forget", "exp-1", "--kind", "trace"], ["one way"]),
        (["forget", "--attempt", "good/3", "--task", "matmul"], ["one way"]),
        (["forget", "--attempt", "good/3", "--erase"], ["without each other"]),
        (["forget", "--attempt", "good/99"], ["good/99", "RUN/NUMBER"]),
        (["forget", "exp-1", "--in", "soon"], ["30m, 12h, 7d or 2w"]),
        (["restore", "exp-000000000000"], ["exp-000000000000"]),
        (["rebuild", "--embedding", "magic"], ["magic", "hash"]),
        (["import", "nowhere"], ["nowhere", "evolve kb export"]),
        (["import", "kb"], ["kb", "no export"]),
        (["export", "kb"], ["kb", "bank.", "a folder of its own"]),
    ],
)
def test_a_mistake_gets_one_sentence_that_names_what_would_have_worked(
    made: Path, words: list[str], said: list[str]
) -> None:
    before = (made / "kb" / "bank.sqlite").read_bytes()
    refused(evolve(made, "kb", *words), *said)
    assert not (made / "nowhere").exists()
    assert (made / "kb" / "bank.sqlite").read_bytes() == before


def test_a_base_that_cannot_be_opened_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    refused(evolve(tmp_path, "kb", "stats", "--kb", "file"), "file")
    damaged = tmp_path / "damaged" / "bank.sqlite"
    damaged.parent.mkdir()
    damaged.write_bytes(b"nothing of ours" * 1000)
    refused(evolve(tmp_path, "kb", "stats", "--kb", "damaged"), "damaged/bank.sqlite", "no knowledge base")
    assert damaged.read_bytes() == b"nothing of ours" * 1000


def test_changes_can_be_made_while_a_run_writes(home: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home / "kb")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout
    assert writer.stdout.readline() == "writing\n"
    name = experience_id("good/9")
    for words in (["forget", name], ["snapshot", "busy"], ["restore", name], ["search", "stream"], ["merge", "--all"]):
        kb(home, *words)
    with writer:
        assert writer.wait() == 0
    assert data(home, "stats")["recalls"] == 9 + 60
    assert statuses(home, [name]) == {"active"}
