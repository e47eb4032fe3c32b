"""The shipped contract: kept by the domains we ship and by the tests' own, broken by those that should break it."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from evolve import Candidate, Domain, Evaluation, Gates, Job, Limits, Mutation, Sandbox, SandboxError, Task
from evolve.domains.kernels import Kernels
from evolve.testing import DomainContract, Example, clauses_of, examples
from evolve.testing.domains import FAILED, NOT_CHECKED, PASSED
from tests.quick import SOURCE, Compiled
from tests.toy import Toy

CHEATS = Path(__file__).parent / "cheats"
REFERENCE = "a reference is at least as good as the seed"
REFUSED = "broken and cheating candidates are refused"
HOSTILE = "a hostile candidate costs no more than its limits"
AGAIN = "the same candidate is judged the same again and afresh"


class TestKernels(DomainContract):
    domain = Kernels(sessions=3, seconds=0.05)
    seeds = 1
    tolerance = 0.5  # of what is timed so briefly
    patience = 10.0

    @pytest.fixture
    def sandbox(self, process: Sandbox) -> Sandbox:
        return process

    def examples(self, kind: str) -> Sequence[Example]:
        relu = next(task for task in self.domain.tasks() if task.id == "kernels/relu")
        limited = relu.model_copy(update={"limits": Limits(seconds=1), "files": {}})
        seed = relu.files[SOURCE]
        body = {
            "reference": {"the seed itself": seed},
            "refused": {"does nothing": seed.replace("out[", "(void) x; if (0) out[")},
            "hostile": {"never ends": seed.replace("{", "{\n    for (volatile int i = 0; ; i++);\n", 1)},
        }[kind]
        return [Example(name, limited, {SOURCE: text}) for name, text in body.items()]


class TestToy(DomainContract):
    domain = Toy()

    def examples(self, kind: str) -> Sequence[Example]:
        texts = {"reference": ["2", "4"], "refused": ["3", "-2", "2 2"], "hostile": ["9" * 400 + "x"]}
        return [Example(text[:9], self.domain.tasks()[0], {"x.txt": text}) for text in texts[kind]]


class Shell(Domain):
    """A number that a program prints, judged well; what it is to be like is laid down in folders."""

    name = "shell"

    def __init__(self, folder: Path) -> None:
        self.examples = folder

    def tasks(self) -> Sequence[Task]:
        seed = {"main.sh": "echo 2"}
        return [Task(id="shell/print", domain="shell", prompt="Print.", files=seed, limits=Limits(seconds=1))]

    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        ran = sandbox.run(Job(files=candidate.files, argv=("sh", "main.sh"), limits=task.limits, fresh=fresh))
        if ran.exit_code != 0 or not ran.stdout.strip().isdecimal():
            return Evaluation(gates=Gates(authentic=True, builds=False), feedback=f"no number: {ran.stdout[:50]!r}")
        return self.verdict(int(ran.stdout), fresh=fresh)

    def verdict(self, found: int, *, fresh: bool) -> Evaluation:
        del fresh
        return Evaluation(gates=Gates(authentic=True, builds=True, correct=True), score=float(found))


class Gullible(Shell):
    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        del task, candidate, sandbox
        return self.verdict(1, fresh=fresh)


class Silent(Shell):
    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        verdict = super().evaluate(task, candidate, sandbox, fresh=fresh)
        return verdict if verdict.feasible else Evaluation()


class Moody(Shell):
    def __init__(self, folder: Path, *, interval: float = 0.0) -> None:
        super().__init__(folder)
        self.interval = interval
        self.judged = 0

    def verdict(self, found: int, *, fresh: bool) -> Evaluation:
        self.judged += 1
        score = found + self.judged % 3
        bounds = (score - self.interval, score + self.interval) if self.interval else None
        return super().verdict(found, fresh=fresh).model_copy(update={"score": score, "interval": bounds})


class OnlyOnce(Shell):
    def verdict(self, found: int, *, fresh: bool) -> Evaluation:
        return Evaluation(feedback="not again") if fresh else super().verdict(found, fresh=fresh)


class Breaking(Shell):
    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        if "while" in candidate.files.get("main.sh", ""):
            raise SandboxError("the sandbox is gone")
        return super().evaluate(task, candidate, sandbox, fresh=fresh)


class Restless(Shell):
    def mutations(self, task: Task, files: Mapping[str, str], rng: Random) -> Iterable[Mutation]:
        del task, files, rng
        yield Mutation("chance", "", {"main.sh": f"echo {Random().random()}"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("examples")
    for name, text in {
        "reference/main.sh": "cat number.txt",
        "reference/number.txt": "7",
        "refused/prints_nothing/main.sh": ":",
        "refused/.trash/main.sh": "echo 9",
        "refused/fails/main.sh": "echo 9; exit 1",
        "hostile/endless/main.sh": "while :; do :; done",
    }.items():
        file = place / "print" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return place


@pytest.fixture(scope="module")
def tame(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without what is slow."""
    place = tmp_path_factory.mktemp("tame")
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns("hostile"), dirs_exist_ok=True)
    return place


def found(domain: Domain, sandbox: Sandbox) -> dict[str, tuple[str, str]]:
    return {finding.what: (finding.outcome, finding.reason) for finding in clauses_of(domain, sandbox)}


def test_a_domain_that_keeps_it_passes_every_clause_without_pytest(folder: Path, process: Sandbox) -> None:
    outcomes = found(Shell(folder), process)
    assert set(outcomes.values()) == {(PASSED, "")}
    assert len(outcomes) == len([name for name in vars(DomainContract) if name.startswith("test_")])


@pytest.mark.parametrize(
    ("broken", "clauses"),
    [
        (Gullible, {
            REFUSED: "print/refused/fails is accepted with the score 1",
            HOSTILE: "print/hostile/endless is accepted",
            "garbage is infeasible and says why": "garbage is accepted with the score 1",
            "nothing at all is infeasible and says why": "no file at all is accepted",
        }),
        (Silent, {
            REFUSED: "print/refused/fails is refused, and no feedback says why",
            HOSTILE: "no feedback",
            "garbage is infeasible and says why": "no feedback",
            "nothing at all is infeasible and says why": "no feedback",
        }),
        (Moody, {AGAIN: "a score that varies needs an interval"}),
        (OnlyOnce, {AGAIN: "print/reference, judged again afresh, has no score: not again"}),
        (Breaking, {HOSTILE: "the sandbox is gone"}),
        (Restless, {"mutations are the same for the same random numbers": "differ"}),
    ],
)  # fmt: skip
def test_one_that_breaks_it_fails_where_it_does_and_only_there(
    folder: Path, tame: Path, process: Sandbox, broken: Callable[[Path], Domain], clauses: Mapping[str, str]
) -> None:
    outcomes = found(broken(folder if HOSTILE in clauses else tame), process)
    failed = {what: reason for what, (outcome, reason) in outcomes.items() if outcome == FAILED}
    assert failed.keys() == clauses.keys()
    assert all(clauses[what] in reason for what, reason in failed.items()), failed


def test_a_score_that_varies_within_its_interval_is_the_same(tame: Path, process: Sandbox) -> None:
    assert found(Moody(tame, interval=3.0), process)[AGAIN] == (PASSED, "")


def test_a_reference_that_is_worse_than_the_seed_is_told(tmp_path: Path, process: Sandbox) -> None:
    (tmp_path / "print/reference").mkdir(parents=True)
    (tmp_path / "print/reference/main.sh").write_text("echo 1")
    assert found(Shell(tmp_path), process)[REFERENCE] == (FAILED, "print/reference scores 1, the seed 2")


def test_what_no_example_shows_is_not_checked_and_not_passed(tmp_path: Path, process: Sandbox) -> None:
    outcomes = found(Shell(tmp_path), process)
    assert {what for what, (outcome, _) in outcomes.items() if outcome == NOT_CHECKED} == {REFERENCE, REFUSED, HOSTILE}
    assert f"TASK/refused/NAME of {tmp_path}" in outcomes[REFUSED][1]
    assert outcomes[AGAIN] == (PASSED, "")


def test_examples_are_read_with_all_their_files_and_nothing_hidden(folder: Path) -> None:
    domain = Shell(folder)
    assert [(each.name, sorted(each.files)) for each in examples(domain, "reference")] == [
        ("print/reference", ["main.sh", "number.txt"])
    ]
    assert [each.name for each in examples(domain, "refused")] == [
        "print/refused/fails",
        "print/refused/prints_nothing",
    ]


def test_a_domain_without_a_folder_has_no_examples() -> None:
    assert examples(Compiled(), "refused") == []
