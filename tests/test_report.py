"""`evolve report`: what the page tells, that nothing in it speaks but the page, and that it stays small."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from evolve.errors import StorageError
from evolve.journal import Journal
from evolve.report import save
from evolve.report.charts import attempts, courses, draw, rooflines
from evolve.report.code import highlighted
from evolve.report.facts import Facts, gathered
from evolve.report.lineage import DIFFS, LONGEST_DIFF, LONGEST_FILE, SHOWN, change, changes, lineage, shown
from evolve.report.page import rendered
from evolve.report.repeat import command
from evolve.run import JOURNAL, Run
from tests.command import Completed, evolve, last_json
from tests.recorded import Made, record, record_call, settings

TOY = Path(__file__).parent / "toy.py"
HOSTILE = "</script></style></pre><img src=x onerror=alert(1)><script>alert(1)</script>\"'{{ 7*7 }}"
SIMPLE = "void kernel(void)\n{\n}\n"


class Reader(HTMLParser):
    """What a browser would make of a page: its elements, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def facts_of(run: Run) -> Facts:
    journal = Journal.open(run.folder / JOURNAL)
    found = gathered(run, journal)
    journal.close()
    return found


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


FAMILY = (
    Made(SIMPLE, 1.5, technique="tiling"),
    Made(SIMPLE.replace("void)", "int n)"), 3.0, parent=1, recalled=["exp-1", "ins-2"]),
    Made("bad", None, parent=1, feedback="kernel.c:3: error: 'i' undeclared", recalled=["exp-1"]),
    Made(SIMPLE + "// more\n", 6.0, parent=2, technique="unroll"),
    Made("bad", None, parent=2, feedback="kernel.c:4: error: 'j' undeclared"),
    Made("int x;", 1.1),
)
"""1 → 2 → 4 is the way to the best; 3 and 5 (the same code) failed, 6 is a draft of its own."""


# -- what is gathered


def test_the_way_to_the_best_is_one_chain_and_everything_else_stands_aside(tmp_path: Path) -> None:
    (task,) = facts_of(record(tmp_path, FAMILY)).tasks
    found = lineage(task, frozenset(range(1, 7)))
    assert [step.entry.number for step in found.way] == [1, 2, 4]
    assert [[entry.number for entry in step.others] for step in found.way] == [[3], [5], []]
    assert [entry.number for entry in found.others] == [6]


def test_every_attempt_stands_in_the_lineage_once_however_they_descend(tmp_path: Path) -> None:
    parents = [None, None, 1, 3, 3, 2, 6, 6, 4, 9, 9, 9, 12, 1, 5]
    made = [Made(f"int x{n};", 2.0 if n % 3 else None, parent=parent) for n, parent in enumerate(parents)]
    (task,) = facts_of(record(tmp_path, made)).tasks
    found = lineage(task, frozenset(range(1, 16)))
    on_the_way = [entry.number for step in found.way for entry in (step.entry, *step.others)]
    assert sorted([*on_the_way, *(entry.number for entry in found.others)]) == list(range(1, 16))


def test_an_attempt_is_compared_with_its_parent_and_a_draft_with_the_seed(tmp_path: Path) -> None:
    facts = facts_of(record(tmp_path, [made._replace(task="kernels/relu") for made in FAMILY]))
    found = changes(facts.tasks, shown(facts.tasks))
    assert [(block.kind, block.text) for block in found[2].blocks if block.kind in {"add", "del"}] == [
        ("del", "-void kernel(void)"),
        ("add", "+void kernel(int n)"),
    ]
    assert any("out[i] = x[i] > 0.0f" in block.text for block in found[1].blocks if block.kind == "del")
    assert 5 not in found  # the same code as attempt 3


def test_what_failed_is_counted_by_gate_and_by_what_was_said(tmp_path: Path) -> None:
    facts = facts_of(record(tmp_path, FAMILY))
    assert [(each.gate, each.attempts) for each in facts.closed] == [("wrong result", (3, 5))]
    assert [each.attempts for each in facts.complaints] == [(3, 5)]  # names and numbers aside it is one


def test_what_was_recalled_is_told_with_the_rewards_that_followed(tmp_path: Path) -> None:
    facts = facts_of(record(tmp_path, FAMILY))
    uses = {use.item: use for use in facts.recalled}
    assert uses["exp-1"].attempts == (2, 3)
    assert uses["ins-2"].attempts == (2,)
    assert (uses["ins-2"].beyond or 0) > 0 > (uses["exp-1"].beyond or 0)
    assert "there is no knowledge base" in facts.base.why_not


def test_calls_are_told_by_role_and_model_and_an_unknown_price_is_no_zero(tmp_path: Path) -> None:
    run = record(tmp_path, FAMILY, model="provider/name")
    record_call(run, 1)
    record_call(run, 2, known=False)
    record_call(run, 2, role="analyst")
    facts = facts_of(run)
    assert [(each.role, each.stage, each.calls) for each in facts.spent] == [
        ("analyst", "refine", 1), ("coder", "draft", 1), ("coder", "refine", 1),
    ]  # fmt: skip
    assert [(each.model, each.stage, each.attempts, each.feasible) for each in facts.earned] == [
        ("provider/name", "draft", 1, 1), ("provider/name", "refine", 1, 1),
    ]  # fmt: skip
    assert "some of unknown price" in read(rendered(facts)).text


def test_the_command_is_the_run_that_was_asked_for() -> None:
    options = {"kernels": {"target": "c"}, "kernelbench": {"path": "/p", "problems": "", "shrink": "no"}}
    tasks = ["kernels/relu", "kernels/dot"]
    told = settings(tasks, Path("/a folder"), hold_out=("x",), inspect=True, options=options)
    assert command(told) == (
        "evolve run kernels/relu kernels/dot --model offline --preset evokernel --attempts 9 --parallel 2 "
        "--sandbox process --seed 7 --kb '/a folder/kb' --hold-out --inspect --target c --path /p --no-shrink"
    )


# -- runs that are not over


def test_a_run_that_found_nothing_has_a_report_that_shows_why(tmp_path: Path) -> None:
    made = [Made("bad", None, feedback="kernel.c:1: error: no kernel") for _ in range(3)]
    page = read(rendered(facts_of(record(tmp_path, made))))
    assert "Nothing feasible in 3 attempts." in page.text
    assert "error: no kernel" in page.text
    asides = [each for each in page.all("details") if each.get("class") == "aside"]
    assert all("open" in each for each in asides)  # there is no better way to be seen
    assert asides


def test_a_run_that_failed_at_its_first_attempt_has_a_report(tmp_path: Path) -> None:
    run = record(tmp_path, [Made("", judged=False)], status="failed")
    page = read(rendered(facts_of(run)))
    assert "failed" in page.text
    assert "Nothing has been judged yet." in page.text
    assert not page.all("svg")


def test_a_run_that_is_going_on_is_shown_as_far_as_it_has_come(tmp_path: Path) -> None:
    run = record(tmp_path, [*FAMILY, Made("", parent=4, judged=False)], status="")
    assert facts_of(run).status == "interrupted"
    with run.locked():
        facts = facts_of(run)
    assert (facts.status, facts.unjudged) == ("going on", 1)
    assert "6 and 1 not judged" in read(rendered(facts)).text


def test_a_report_reads_one_moment_of_the_journal(tmp_path: Path) -> None:
    run = record(tmp_path, FAMILY)
    ours, theirs = (Journal.open(run.folder / JOURNAL) for _ in range(2))
    with ours.as_of_now():
        assert ours.judged() == len(FAMILY)
        theirs.record_fact("status", "changed")
        assert ours.fact("status") == "complete"
    assert ours.fact("status") == "changed"
    ours.close()
    theirs.close()


# -- the page


def test_nothing_that_others_wrote_speaks_on_the_page(tmp_path: Path) -> None:
    task = f"theirs/{HOSTILE}"
    made = [
        Made(HOSTILE, 2.0, technique=HOSTILE, feedback=HOSTILE, recalled=[HOSTILE], task=task, file=HOSTILE),
        Made(HOSTILE * 2, None, 1, technique=HOSTILE, feedback=HOSTILE, task=task, file=HOSTILE),
        Made("calm", 3.0),
    ]
    run = record(tmp_path, made, model=HOSTILE)
    record_call(run, 1, model=HOSTILE, role=HOSTILE)
    text = rendered(facts_of(run))
    page = read(text)
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert not page.all("img")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "49" not in re.findall(r"\"'(\d+)", text)  # no template of theirs was filled in
    assert text.count("<script>") == 1
    assert HOSTILE in page.text


def test_the_page_lets_only_its_own_style_and_script_work_and_loads_nothing(tmp_path: Path) -> None:
    text = rendered(facts_of(record(tmp_path, FAMILY)))
    page = read(text)
    (policy,) = [each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not [each for _, each in page.elements if "style" in each]  # the policy lets none of these work
    links = [each.get(name, "") for _, each in page.elements for name in ("href", "src", "xlink:href")]
    assert {link[:1] for link in links if link and not link.startswith("data:,")} == {"#"}
    names = {each["id"] for _, each in page.elements if "id" in each}
    assert {link[1:] for link in links if link.startswith("#")} <= names


def test_every_name_on_the_page_is_there_once_and_headings_skip_no_level(tmp_path: Path) -> None:
    page = read(rendered(facts_of(record(tmp_path, [*FAMILY, Made("x", 2.0, task="theirs/dot")]))))
    names = [each["id"] for _, each in page.elements if "id" in each]
    assert len(names) == len(set(names))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(each.get("scope") for each in page.all("th"))
    regions = [each for _, each in page.elements if each.get("role") in {"region", "img"}]
    assert all(each.get("aria-label") for each in regions)


def test_the_charts_show_every_attempt_and_no_word_of_a_writer(tmp_path: Path) -> None:
    (task,) = facts_of(record(tmp_path, FAMILY)).tasks
    spec = attempts(task)
    assert spec is not None
    assert spec["layer"][2]["name"] == "point"
    assert [row["score"] for row in spec["data"]["values"]] == [1.5, 3.0, 6.0, 1.1]
    drawn = draw(spec)
    assert sorted(set(re.findall(r'aria-label="(attempt \d+)"', drawn))) == [f"attempt {n}" for n in range(1, 7)]
    assert "tiling" not in drawn
    assert spec["layer"][1]["data"]["values"] == [  # the best so far, to the end of the last attempt
        {"turn": turn, "score": score, "task": "theirs/relu"}
        for turn, score in ((1, 1.5), (2, 3.0), (4, 6.0), (6.5, 6.0))
    ]
    assert spec["layer"][1]["encoding"]["x"]["axis"]["values"] == [1, 2, 3, 4, 5, 6]


def test_a_task_without_anything_to_draw_has_no_chart(tmp_path: Path) -> None:
    facts = facts_of(record(tmp_path, [Made("", judged=False)]))
    assert attempts(facts.tasks[0]) is None
    assert courses(facts.tasks, width=800) is None
    assert rooflines(facts.tasks, width=800) is None


def test_scores_that_are_no_speed_ups_are_drawn_too(tmp_path: Path) -> None:
    run = record(tmp_path, [Made("a", 0.5), Made("b", None), Made("c", 0.7, parent=1)])
    (task,) = facts_of(run).tasks
    others: tuple[dict[str, object], ...] = ({"score": -1.0, "metrics": {}, "interval": None}, {}, {"metrics": {}})
    plain = tuple(
        entry._replace(attempt=entry.attempt.model_copy(update={"evaluation": entry.verdict.model_copy(update=other)}))
        for entry, other in zip(task.entries, others, strict=True)
    )
    spec = attempts(task._replace(entries=plain))
    assert spec is not None
    assert len(re.findall(r'aria-label="attempt', draw(spec))) == 3


# -- its size


def test_long_changes_are_cut_and_say_so() -> None:
    long = change({"a.c": ""}, {"a.c": "\n".join(f"int x{n};" for n in range(1000))})
    assert sum(block.text.count("\n") + 1 for block in long.blocks) == LONGEST_DIFF
    assert "601 lines more are left out" in long.note  # with the line that says where
    wide = change({}, {"a.c": "x" * 100_000})
    assert sum(len(block.text) for block in wide.blocks) < 1000
    assert "cut" in wide.note
    assert "too long" in change({"a.c": "x"}, {"a.c": "y\n" * (LONGEST_FILE + 1)}).note
    assert change({"a.c": "x"}, {"a.c": "x"}).note == "the same code"


def test_a_large_run_keeps_what_matters_and_stays_small(tmp_path: Path) -> None:
    (task,) = facts_of(record(tmp_path, FAMILY)).tasks
    noise = "\n".join("y" * 390 for _ in range(LONGEST_DIFF))
    many = [
        task.entries[2]._replace(
            attempt=task.entries[2].attempt.model_copy(
                update={
                    "position": number,
                    "candidate": task.entries[2].attempt.candidate.model_copy(update={"files": {"kernel.c": noise}}),
                }
            )
        )
        for number in range(7, SHOWN + 100)
    ]
    large = task._replace(entries=(*task.entries, *many))
    numbers = shown([large])
    assert len(numbers) == SHOWN
    assert {1, 2, 4, 6} <= numbers
    found = changes([large], numbers)
    assert all(found[number].blocks for number in (1, 2, 4))
    assert sum(len(block.text) for each in found.values() for block in each.blocks) < DIFFS + 200_000


# -- the command, after a run of its own


class Reported(NamedTuple):
    home: Path
    run: str
    done: Completed


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    home = tmp_path_factory.mktemp("home")
    words = ("--domain", f"{TOY}:Toy", "--attempts", "5", "--sandbox", "process", "--seed", "3", "--json")
    ran = evolve(home, "run", "toy/a", "toy/b", *words)
    assert ran.returncode == 0, ran.stderr
    return Reported(home, last_json(ran)["run"], evolve(home, "report"))


def test_without_a_name_the_newest_run_is_reported_beside_its_journal(reported: Reported) -> None:
    assert reported.done.returncode == 0, reported.done.stderr
    path = Path(reported.done.stdout.strip())
    assert path == reported.home / "runs" / reported.run / "report.html"
    assert [each.name for each in path.parent.glob(".report*")] == []
    page = read(path.read_text())
    assert f"Run {reported.run}" in page.text
    assert "Write a large even number." in page.text  # the knowledge base knows what was asked for
    assert "exp-" in page.text
    assert "value now" in page.text
    assert f"--domain {TOY}:Toy" in page.text


def test_a_file_of_ones_own_choice_is_replaced_whole_and_json_says_what_came_out(reported: Reported) -> None:
    to = reported.home / "mine.html"
    to.write_text("old")
    done = evolve(reported.home, "report", reported.run[:13], "--output", str(to), "--json")
    assert done.returncode == 0, done.stderr
    assert last_json(done)["report"] == str(to)
    assert to.read_text().startswith("<!doctype html>")
    assert to.stat().st_mode & 0o444 == 0o444  # as any file that one makes, though it came by way of a private one


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nonsense"], "there is no run 'nonsense'"),
        (["--output", "nowhere/report.html"], "there is no folder"),
        (["--output", "."], "is a folder; name a file"),
        (["--output", "/dev/null"], "no ordinary file"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(reported: Reported, words: list[str], sentence: str) -> None:
    done = evolve(reported.home, "report", *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_any_run_it_says_how_to_start_one(tmp_path: Path) -> None:
    done = evolve(tmp_path, "report")
    assert (done.returncode, done.stdout) == (2, "")
    assert "start one with `evolve run`" in done.stderr


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    run = record(tmp_path, FAMILY)
    journal = Journal.open(run.folder / JOURNAL)
    with pytest.raises(StorageError, match=r"/proc/report\.html cannot be written"):
        save(run, journal, Path("/proc/report.html"))
    journal.close()


def test_the_run_of_somebody_else_is_reported_without_running_the_code_it_names(tmp_path: Path) -> None:
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\nclass Trap: pass\n")
    run = record(tmp_path, [Made("x", 2.0, task="theirs/a")], domains=(f"{trap}:Trap",))
    page = read(rendered(facts_of(run)))
    assert "not on record any more" in page.text
    assert not (tmp_path / "sprung").exists()


def test_a_damaged_knowledge_base_costs_only_what_it_knew(tmp_path: Path) -> None:
    run = record(tmp_path, FAMILY)
    base = tmp_path / "kb"
    base.mkdir()
    (base / "bank.sqlite").write_bytes(b"not a database at all" * 100)
    facts = facts_of(run)
    assert "cannot be read" in facts.base.why_not
    assert "from the journal alone" in read(rendered(facts)).text


def test_help_loads_nothing_that_draws() -> None:
    code = "import sys, evolve.cli; print(*{'vl_convert', 'jinja2', 'pygments'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_text_of_blank_lines_is_shown_at_once_without_colour() -> None:
    code = highlighted("kernel.c", "int x;" + "\n" * 60_000)
    assert code.count('class="ln"') >= 1
    assert 'class="k-' not in code
    assert 'class="k-' in highlighted("kernel.c", "int x;\n\n\nint y;")


def test_scores_beyond_all_measure_are_left_out_of_the_picture(tmp_path: Path) -> None:
    facts = facts_of(record(tmp_path, [Made("a", 1.5), Made("b", 1e308, 1), Made("c", 3.0, 1)]))
    drawn = attempts(facts.tasks[0])
    assert drawn is not None
    assert [point["number"] for point in drawn["data"]["values"]] == [1, 3]
    assert 'id="a2"' in rendered(facts)
