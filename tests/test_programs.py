"""The domain `programs`: tasks in OpenEvolve's format, and the three of our own.

Every file in cheats/programs/TASK holds what stands between the marks. Those in `refused` get no score, those in
`worthless` less than the seed, those in `reference` more, those in `hostile` cost their limit and no more.
"""

import math
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from evolve.cli.checkouts import problem_set
from evolve.domains.programs import Programs, blocks
from evolve.errors import NotFoundError, UsageError
from evolve.testing import DomainContract
from evolve.testing.domains import REFERENCE, REFUSED, Example
from evolve.types import Candidate, Evaluation, Sandbox, Task

FOLDER = Path(__file__).parent / "cheats" / "programs"
SEED, TRIED = 6, 20
WORTHLESS, HOSTILE = "worthless", "hostile"
SHIPPED = Programs()
TASKS = {task.id: task for task in SHIPPED.tasks()}
EVALUATOR = """
import importlib.util

def evaluate(path):
    spec = importlib.util.spec_from_file_location("program", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return {"combined_score": program.answer()}
"""
PROGRAM = """\
import math
# EVOLVE-BLOCK-START
def answer():
    # what it is about
    return inner(0.5)
# EVOLVE-BLOCK-END


def inner(value):
    \"\"\"Fixed.\"\"\"
    return value * 2  # twice
"""


def task_folder(place: Path, evaluator: str = EVALUATOR, program: str = PROGRAM, **files: str) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    texts = {"evaluator.py": evaluator, "initial_program.py": program}
    for name, text in {**texts, **{name.replace("__", "."): text for name, text in files.items()}}.items():
        (place / name).write_text(text)
    return place


def only(folder: Path) -> tuple[Programs, Task]:
    domain = Programs(str(folder))
    (task,) = domain.tasks()
    return domain, task


def judged(folder: Path, sandbox: Sandbox, program: str | None = None) -> Evaluation:
    domain, task = only(folder)
    name = next(iter(task.files))
    return domain.evaluate(task, Candidate(files={name: program or task.files[name]}), sandbox)


def with_block(task: Task, block: str) -> dict[str, str]:
    ((name, seed),) = task.files.items()
    parts = blocks.parted(seed)
    return {name: "".join([parts[0], block, *parts[2:]])}


def examples(kind: str) -> list[Example]:
    files = sorted(FOLDER.glob(f"*/{kind}/*.py"))
    tasks = [TASKS[f"programs/{file.parent.parent.name}"] for file in files]
    return [
        Example(f"{file.parent.parent.name}/{file.stem}", task, with_block(task, file.read_text()))
        for file, task in zip(files, tasks, strict=True)
    ]


def named(kind: str) -> list[object]:
    return [pytest.param(each, id=each.name) for each in examples(kind)]


class TestContract(DomainContract):
    domain = SHIPPED

    def examples(self, kind: str) -> Sequence[Example]:
        """The cheats have tests of their own."""
        return examples(kind)[:1] if kind == REFERENCE else []


@pytest.fixture(scope="module")
def seeds(process: Sandbox) -> Mapping[str, float]:
    verdicts = {name: SHIPPED.evaluate(task, Candidate(files=task.files), process) for name, task in TASKS.items()}
    return {name: verdict.score or math.nan for name, verdict in verdicts.items()}


@pytest.mark.parametrize("each", named(REFERENCE))
def test_a_reference_is_better_than_the_seed(each: Example, process: Sandbox, seeds: Mapping[str, float]) -> None:
    score = SHIPPED.evaluate(each.task, Candidate(files=each.files), process).score
    assert score is not None
    assert score > 1.1 * seeds[each.task.id]


@pytest.mark.parametrize("each", named(REFUSED))
def test_a_cheat_gets_no_score(each: Example, process: Sandbox) -> None:
    verdict = SHIPPED.evaluate(each.task, Candidate(files=each.files), process)
    assert verdict.score is None, verdict.feedback
    assert verdict.feedback.strip()


@pytest.mark.parametrize("each", named(WORTHLESS))
def test_what_claims_more_than_it_does_is_worth_less_than_the_seed(
    each: Example, process: Sandbox, seeds: Mapping[str, float]
) -> None:
    score = SHIPPED.evaluate(each.task, Candidate(files=each.files), process).score
    assert score is None or score < seeds[each.task.id]


@pytest.mark.parametrize("each", named(HOSTILE))
def test_what_never_ends_costs_its_limit_alone(each: Example, process: Sandbox) -> None:
    brief = each.task.model_copy(update={"limits": each.task.limits.model_copy(update={"seconds": 1.0})})
    started = time.monotonic()
    verdict = SHIPPED.evaluate(brief, Candidate(files=each.files), process)
    assert verdict.score is None
    assert "too long" in verdict.feedback
    assert time.monotonic() - started < 20


def test_a_folder_in_the_format_is_a_task_and_its_program_is_judged(tmp_path: Path, process: Sandbox) -> None:
    domain, task = only(task_folder(tmp_path / "halves"))
    assert task.id == "programs/halves"
    assert "It must define answer()" in task.prompt
    verdict = judged(tmp_path / "halves", process)
    assert (verdict.score, verdict.gates.correct) == (1.0, True)
    better = PROGRAM.replace("inner(0.5)", "inner(4.0)")
    assert judged(tmp_path / "halves", process, better).score == 8.0
    assert domain.gain(1.0, 8.0) > 0


def test_a_program_without_its_marks_and_comments_is_the_same_program(tmp_path: Path, process: Sandbox) -> None:
    folder = task_folder(tmp_path / "halves")
    bare = "\n".join(line.partition("#")[0].rstrip() for line in PROGRAM.splitlines() if line.strip()) + "\n"
    assert "EVOLVE" not in bare
    assert judged(folder, process, bare.replace("0.5", "2.0")).score == 4.0


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("value * 2", "value * 99", "`return value * 2` has become `return value * 99`"),
        ("import math\n", "", "`import math` is missing"),
        ("# twice\n", "# twice\nanswer = lambda: 99\n", "`answer = lambda: 99` is added"),
    ],
)
def test_what_is_fixed_stays_as_it_is(was: str, becomes: str, said: str, tmp_path: Path, process: Sandbox) -> None:
    verdict = judged(task_folder(tmp_path / "halves"), process, PROGRAM.replace(was, becomes))
    assert verdict.gates.authentic is False
    assert said in verdict.feedback.replace("has become `answer", "is added `answer") or said in verdict.feedback


def test_a_syntax_error_names_its_line(tmp_path: Path, process: Sandbox) -> None:
    verdict = judged(task_folder(tmp_path / "halves"), process, PROGRAM.replace("inner(0.5)", "inner(("))
    assert verdict.gates.builds is False
    assert "line 5" in verdict.feedback or "line 4" in verdict.feedback


def test_other_files_and_programs_that_are_too_long_are_refused(tmp_path: Path, process: Sandbox) -> None:
    domain, task = only(task_folder(tmp_path / "short", config__yaml="max_code_length: 300"))
    for files in ({**task.files, "numpy.py": ""}, {name: text + "#" * 300 for name, text in task.files.items()}):
        verdict = domain.evaluate(task, Candidate(files=files), process)
        assert verdict.gates.authentic is False
        assert "refused" in verdict.feedback


CASCADE = """
import importlib.util

def load(path):
    spec = importlib.util.spec_from_file_location("program", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program

def evaluate_stage1(path):
    return {"combined_score": min(load(path).answer(), 5.0)}

def evaluate_stage2(path):
    return {"combined_score": load(path).answer(), "second": 1.0}
"""


def test_a_program_that_fails_a_stage_has_no_score(tmp_path: Path, process: Sandbox) -> None:
    config = "evaluator:\n  cascade_thresholds: [0.8]\n"
    folder = task_folder(tmp_path / "staged", CASCADE, config__yaml=config)
    verdict = judged(folder, process)
    assert verdict.score == 1.0
    assert verdict.metrics["second"] == 1.0
    worse = judged(folder, process, PROGRAM.replace("inner(0.5)", "inner(0.25)"))
    assert worse.score is None
    assert "evaluate_stage1 was not passed: combined_score is 0.5, and 0.8 is needed" in worse.feedback


def test_a_threshold_beyond_the_seed_does_not_count(tmp_path: Path, process: Sandbox) -> None:
    folder = task_folder(tmp_path / "staged", CASCADE, config__yaml="evaluator:\n  cascade_thresholds: [3.0]\n")
    assert judged(folder, process).score == 1.0
    assert judged(folder, process).metrics["second"] == 1.0


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ('{"combined_score": 0.0, "error": "no such shape"}', "no such shape"),
        ('{"combined_score": 0.0, "validity": 0.0}', "validity is 0"),
        ('{"combined_score": float("nan")}', "combined_score is nan"),
        ('{"metrics": {"combined_score": 0.0}, "artifacts": {"error": "off by one"}}', "off by one"),
    ],
)
def test_an_evaluator_that_swallows_a_mistake_gives_no_score(
    returned: str, said: str, tmp_path: Path, process: Sandbox
) -> None:
    verdict = judged(task_folder(tmp_path / "swallows", f"def evaluate(path):\n    return {returned}\n"), process)
    assert verdict.score is None
    assert said in verdict.feedback


def test_artifacts_and_what_was_printed_reach_the_writer(tmp_path: Path, process: Sandbox) -> None:
    evaluator = EVALUATOR.replace(
        'return {"combined_score": program.answer()}',
        'print("seen"); return {"combined_score": program.answer(), "hint": "try harder", "note": 2.5}',
    )
    feedback = judged(task_folder(tmp_path / "talks", evaluator), process).feedback
    assert "try harder" in feedback
    assert "seen" in feedback
    assert feedback.startswith("combined_score 1")


def test_the_score_may_be_another_metric(tmp_path: Path, process: Sandbox) -> None:
    evaluator = EVALUATOR.replace("combined_score", "accuracy")
    folder = task_folder(tmp_path / "named", evaluator, evolve__toml='score = "accuracy"')
    assert judged(folder, process).score == 1.0


def test_an_evaluator_that_fails_on_its_own_seed_is_the_tasks_fault(tmp_path: Path, process: Sandbox) -> None:
    evaluator = EVALUATOR.replace("program.answer()", "1 / 0")
    with pytest.raises(UsageError, match=r"does not work on its own initial program.*ZeroDivisionError"):
        judged(task_folder(tmp_path / "broken", evaluator), process, PROGRAM.replace("0.5", "0.7"))


def test_an_evaluator_that_fails_on_one_program_is_that_programs_fault(tmp_path: Path, process: Sandbox) -> None:
    evaluator = EVALUATOR.replace("program.answer()", "1 / program.answer()")
    verdict = judged(task_folder(tmp_path / "divides", evaluator), process, PROGRAM.replace("0.5", "0.0"))
    assert verdict.score is None
    assert "ZeroDivisionError" in verdict.feedback


EMBEDDING = """
def evaluate(path):
    space = {"__name__": "program"}
    exec(open(path).read(), space)
    return {"combined_score": space["answer"]()}
"""


def test_an_evaluator_that_runs_the_text_itself_is_trusting_and_marked(tmp_path: Path, process: Sandbox) -> None:
    folder = task_folder(tmp_path / "trusts", EMBEDDING)
    _, task = only(folder)
    assert "trusting" in task.tags
    assert "trust" not in task.prompt.lower().replace("trusts", "")
    verdict = judged(folder, process)
    assert (verdict.score, verdict.metrics["trusting"]) == (1.0, 1.0)


def test_a_trusting_evaluator_that_is_to_be_isolated_is_an_error(tmp_path: Path, process: Sandbox) -> None:
    folder = task_folder(tmp_path / "trusts", EMBEDDING, evolve__toml="trusting = false")
    assert "trusting" not in only(folder)[1].tags
    with pytest.raises(UsageError, match="trusting = true"):
        judged(folder, process)


BELIEVING = """
import importlib

def evaluate(path):
    spec = importlib.util.spec_from_file_location("program", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    text = program.text()
    return {"combined_score": eval(text) if text != "0.5" else 0.5}
"""
QUOTING = """\
# EVOLVE-BLOCK-START
def text():
    return "0.5"
# EVOLVE-BLOCK-END
"""


def test_a_program_that_has_its_own_text_run_is_refused_and_ends_nothing(tmp_path: Path, process: Sandbox) -> None:
    folder = task_folder(tmp_path / "quotes", BELIEVING, QUOTING, evolve__toml="trusting = false")
    assert judged(folder, process).score == 0.5
    forged = QUOTING.replace('"0.5"', '"[9.0 for _ in range(1)][0]"')
    refused = judged(folder, process, forged)
    assert refused.score is None
    assert "runs the program's text in its own process" in refused.feedback


CALLS_PYTHON = """
import subprocess, sys
def evaluate(path):
    subprocess.run([sys.executable, "child.py", path], check=True)
    return {"combined_score": 1.0}
"""


@pytest.mark.parametrize(
    ("evaluator", "trusting"),
    [
        (EVALUATOR, False),
        (CALLS_PYTHON, False),
        (CALLS_PYTHON.replace("sys.executable", '"/usr/bin/python3"'), False),
        (CALLS_PYTHON.replace('[sys.executable, "child.py", path]', '["node", path]'), True),
        (CALLS_PYTHON.replace('[sys.executable, "child.py", path]', 'f"node {path}", shell=True'), True),
        (CALLS_PYTHON.replace("subprocess.run([sys.executable", "command = ([sys.executable"), False),
        (EMBEDDING, True),
        ("import runpy\ndef evaluate(path):\n    return {'combined_score': runpy.run_path(path)['x']}\n", True),
        ("import re\ndef evaluate(path):\n    re.compile('x'); eval('1')\n    return {'combined_score': 1}\n", False),
    ],
)
def test_a_look_at_the_evaluator_tells_whether_it_can_be_kept_apart(
    evaluator: str, trusting: bool, tmp_path: Path
) -> None:
    _, task = only(task_folder(tmp_path / "some", evaluator.replace(", check=True)", ")")))
    assert ("trusting" in task.tags) is trusting


def test_nested_folders_of_tasks_have_names_of_their_own(tmp_path: Path) -> None:
    for name in ("hexagons/11", "hexagons/12", "a/packing", "b/packing", "single"):
        task_folder(tmp_path / name)
    (tmp_path / "empty").mkdir()
    names = [task.id for task in Programs(str(tmp_path)).tasks()]
    assert sorted(names) == [
        f"programs/{name}" for name in ("a_packing", "b_packing", "hexagons_11", "hexagons_12", "single")
    ]


def test_the_one_file_with_marks_is_the_program(tmp_path: Path, process: Sandbox) -> None:
    folder = task_folder(tmp_path / "other")
    (folder / "initial_program.py").rename(folder / "search.py")
    assert set(only(folder)[1].files) == {"search.py"}
    assert judged(folder, process).score == 1.0


def test_files_of_the_folder_go_along(tmp_path: Path, process: Sandbox) -> None:
    evaluator = EVALUATOR.replace("import importlib.util", "import importlib.util\nfrom goal import GOAL").replace(
        "program.answer()", "program.answer() / GOAL"
    )
    assert judged(task_folder(tmp_path / "with", evaluator, goal__py="GOAL = 4\n"), process).score == 0.25


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"evaluator.py": ""}, "defines no evaluate"),
        ({"evaluator.py": "def evaluate(:"}, "is no Python program"),
        ({"evaluator.py": "import nosuchmodule\n" + EVALUATOR}, "needs nosuchmodule, which is not here"),
        ({"evaluator.py": EVALUATOR.replace("combined_score", "accuracy")}, "gives no combined_score"),
        ({"evaluator.py": None}, "has no evaluator.py"),
        ({"config.yaml": "evaluator: [1"}, "config.yaml is no YAML"),
        ({"config.yaml": "evaluator:\n  timeout: soon"}, "evaluator.timeout"),
        ({"evolve.toml": "scor = 'x'"}, "did you mean score?"),
        ({"evolve.toml": "seconds = 'x'"}, "evolve.toml: seconds"),
        ({"evolve.toml": "seconds = "}, "cannot be read"),
        ({"initial_program.py": "def f(:"}, "is no program to begin with"),
        ({"initial_program.py": "# EVOLVE-BLOCK-START\nx = 1\n"}, "has no EVOLVE-BLOCK-END"),
        ({"initial_program.py": None, "initial_program.rs": "fn main() {}"}, "is not Python"),
        ({"initial_program.py": None}, "has no initial_program.py"),
    ],
)
def test_what_is_no_task_is_named_in_one_sentence(files: Mapping[str, str | None], said: str, tmp_path: Path) -> None:
    folder = task_folder(tmp_path / "bad")
    for name, text in files.items():
        (folder / name).unlink(missing_ok=True) if text is None else (folder / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        Programs(str(folder)).tasks()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    task_folder(tmp_path / "good")
    domain = Programs(str(tmp_path))
    assert [task.id for task in domain.tasks()] == ["programs/good"]
    assert said in domain.refused()["programs/bad"]


def test_a_folder_without_tasks_says_what_a_task_is(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match=r"OpenEvolve's format"):
            Programs(str(path)).tasks()


def test_a_path_goes_to_the_domain_whose_tasks_are_there(tmp_path: Path) -> None:
    programs, kernels = tmp_path / "programs", tmp_path / "bench"
    task_folder(programs / "halves")
    (kernels / "KernelBench" / "level1").mkdir(parents=True)

    def told(tasks: Sequence[str], path: Path | None) -> set[str]:
        return set(problem_set(tasks, path, 1, "", shrink=True))

    assert told([], programs) == told(["halves"], programs) == told(["programs"], kernels) == {"programs"}
    assert told([], kernels) == told(["kernelbench"], programs) == {"kernelbench"}
    assert told(["programs"], None) == set()
    for tasks, path in ((["kernelbench"], None), (["kernelbench", "programs/x"], programs), ([], tmp_path / "x")):
        with pytest.raises(UsageError):
            told(tasks, path)


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="programs/signal_filter"):
        list(
            SHIPPED.mutations(
                TASKS["programs/signal_filter"].model_copy(update={"id": "programs/signal"}), {}, Random(1)
            )
        )


@pytest.mark.parametrize("name", TASKS)
def test_offline_search_finds_something_better(name: str, process: Sandbox, seeds: Mapping[str, float]) -> None:
    task = TASKS[name]
    offered = islice(SHIPPED.mutations(task, task.files, Random(SEED)), TRIED)
    verdicts = (SHIPPED.evaluate(task, Candidate(files=mutation.files), process) for mutation in offered)
    assert any(verdict.score is not None and verdict.score > seeds[name] for verdict in verdicts)
