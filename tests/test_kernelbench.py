"""Problems in KernelBench's format: which are refused, and how models are judged."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolve.domains.kernelbench import KernelBench, problems, screening
from evolve.domains.kernelbench.judge import Posed, read
from evolve.domains.kernels import Kernels
from evolve.errors import PluginError, SandboxError, UsageError
from evolve.plugins import load_domains, select
from evolve.run import Run
from evolve.summary import Summary, TaskSummary
from evolve.types import Candidate, Cost, Evaluation, Execution, Sandbox
from sandboxes.docker import DockerSandbox
from tests.command import evolve
from tests.conftest import require_docker

torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs the extra torch: pip install 'evolve-foundry[torch]'"
)

HEAD = "import torch\nimport torch.nn as nn\n\n"
LINEAR = """
class Model(nn.Module):
    \"\"\"A layer, then a Model's nonlinearity.\"\"\"
    def __init__(self, inside, outside):
        super(Model, self).__init__()
        self.linear = nn.Linear(inside, outside)
        self.scale = nn.Parameter(torch.ones(outside))

    def forward(self, x):
        return torch.relu(self.linear(x)) * self.scale

batch = 4
inside = 16 * 2
outside = 24

def get_inputs():
    return [torch.rand(batch, inside)]

def get_init_inputs():
    return [inside, outside]
"""


def plain(forward: str, given: str, sizes: str = "N = 64") -> str:
    """A problem without parameters: what its model returns, and its inputs."""
    return (
        f"{HEAD}class Model(nn.Module):\n    def forward(self, x, *others):\n        return {forward}\n\n"
        f"{sizes}\n\ndef get_inputs():\n    return [{given}]\n\ndef get_init_inputs():\n    return []\n"
    )


TEXTS = {
    "1_Linear": HEAD + LINEAR,
    "2_ReLU": plain("torch.relu(x)", "torch.rand(N, N)"),
    "3_Zero": plain("x - x.amax(-1, keepdim=True) * 0 - x", "torch.rand(N, N)"),
    "4_Identity": plain("x * 1.0", "torch.rand(N, N)"),
    "5_Chance": plain("nn.functional.dropout(x)", "torch.rand(N, N)"),
    "6_Tuple": plain("(x, x)", "torch.rand(N)"),
    "7_Broken": plain("x.nonsense()", "torch.rand(N)"),
    "8_NoModel": "def get_inputs():\n    return []\n",
    "9_Large": plain("x.sum(-1)", "torch.rand(rows, 3 * N)", "rows = 64 * 1024\nN = 4096"),
    "10_Half": plain("x * 2", "torch.rand(N).half()"),
    "11_Exit": "raise SystemExit\n" + plain("x * 2", "torch.rand(N)"),
    "12_Argmax": plain("torch.argmax(x, dim=-1)", "torch.rand(N, N)"),
    "13_Log": plain("torch.log(x).sum(-1)", "torch.rand(N, N) + 0.01"),
    "14_Mixed": plain("x * others[0] + others[1]", "torch.rand(N, N), 3.5, torch.randint(0, 9, (N,))"),
    "15_Mean": plain("torch.full((N,), 2.0) + 0 * x", "torch.rand(N)"),
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    level = folder / "KernelBench" / "level1"
    level.mkdir(parents=True)
    for name, text in TEXTS.items():
        (level / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(autouse=True, scope="module")
def findings_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Screened once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVOLVE_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def domain(checkout: Path) -> KernelBench:
    return KernelBench(path=str(checkout), problems="1,2,12,14", sessions=3)


@pytest.fixture(scope="module")
def contained() -> Iterator[Sandbox]:
    """Docker, with torch in its image."""
    require_docker()
    try:
        opened = DockerSandbox(parallel=1, needs=KernelBench.needs)
    except SandboxError as error:
        pytest.skip(f"no image with torch can be built here: {error}")
    with opened:
        yield opened


def judged(domain: KernelBench, sandbox: Sandbox, number: str, code: str | None = None) -> Evaluation:
    task = next(task for task in domain.tasks() if task.id.startswith(f"kernelbench/level1-{number}"))
    files = task.files if code is None else {"model.py": HEAD + code}
    return domain.evaluate(task, Candidate(files=files), sandbox)


# ---- texts


def test_problems_are_read_in_the_order_of_their_numbers(checkout: Path) -> None:
    assert [problem.number for problem in problems.read(checkout, 1, "12, 1-3")] == [1, 2, 3, 12]
    assert len(problems.read(checkout / "KernelBench", 1, "")) == len(TEXTS)


@pytest.mark.parametrize(("level", "numbers"), [(2, ""), (1, "99"), (1, "one"), (1, "3-")])
def test_what_is_not_there_is_said(checkout: Path, level: int, numbers: str) -> None:
    with pytest.raises(UsageError):
        problems.read(checkout, level, numbers)


def test_sizes_that_the_inputs_rest_on_are_found_and_changed() -> None:
    text = "a = 2 * 64\nb = a * 2\nc = 'x'\nd = 99\ns = (b, 3)\ndef get_inputs():\n    return [s, c]\n"
    assert problems.sizes(text) == {"a": 128}
    assert problems.resized(text, {"a": 32}).startswith("a = 32\nb = a * 2\n")
    pair = "height, width = 128, 2 * 64  # é\nup = down = 16\ndef get_inputs():\n    return [height, width, up]\n"
    assert problems.sizes(pair) == {"height": 128, "width": 128, "up": 16}
    smaller = problems.resized(pair, {"height": 8, "width": 4, "up": 5})
    assert smaller.startswith("height, width = 8, 4  # é\nup = down = 5\n")


def test_the_seed_is_the_model_under_its_new_name() -> None:
    seed = problems.seed(HEAD + LINEAR)
    assert "class ModelNew(nn.Module)" in seed
    assert "super(ModelNew, self)" in seed
    assert "get_inputs" not in seed
    compile(seed, "model.py", "exec")


def test_kernelbench_without_a_checkout_has_no_tasks_and_says_what_is_missing(tmp_path: Path) -> None:
    assert KernelBench().tasks() == ()
    done = evolve(tmp_path, "run", "kernelbench")
    assert done.returncode == 2
    assert "--path" in done.stderr


def test_the_fast_shares_count_all_problems_and_the_mean_those_that_are_right() -> None:
    scores = [0.5, 1.0, 1.6, 4.0, None]
    tasks = tuple(
        TaskSummary(
            task=f"kernelbench/level1-{number}",
            stage="refine",
            attempts=1,
            first_feasible=1,
            best=None,
            verdict=None if score is None else Evaluation(score=score),
            confirmed=True,
            recipe=(),
            best_file=None,
        )
        for number, score in enumerate(scores)
    )
    summary = Summary("r", "offline", "process", 5, 1.0, Cost(), "complete", "", tasks)
    assert summary.fast["fast_1"] == 0.4
    assert summary.fast["fast_1.5"] == 0.4
    assert summary.fast["fast_2"] == 0.2
    assert summary.fast["geometric_mean"] == pytest.approx((0.5 * 1.0 * 1.6 * 4.0) ** 0.25)
    assert summary.as_json()["kernelbench"] == summary.fast


# ---- screening


@torch
def test_problems_that_a_cheap_answer_passes_or_that_cannot_run_are_refused_with_the_reason(checkout: Path) -> None:
    found = screening.screen(problems.read(checkout, 1, ""), shrink=True)
    reasons = {name.removeprefix("level1-"): finding.refused for name, finding in found.items()}
    fit = {name for name, reason in reasons.items() if not reason}
    assert fit == {"1_Linear", "2_ReLU", "9_Large", "12_Argmax", "13_Log", "14_Mixed"}
    for name, word in {
        "3_Zero": "zeros",
        "4_Identity": "input 0 unchanged",
        "5_Chance": "chance",
        "6_Tuple": "tuple",
        "7_Broken": "AttributeError",
        "8_NoModel": "Model",
        "10_Half": "float16",
        "11_Exit": "ends the process",
        "15_Mean": "the mean",
    }.items():
        assert word in reasons[name], name
    assert found["level1-9_Large"].smaller["rows"] < 64 * 1024
    assert found["level1-12_Argmax"].output == "int64"
    assert "normal" in found["level1-2_ReLU"].distributions
    assert set(found["level1-13_Log"].distributions) == {"own", "exponential", "lognormal"}


@torch
def test_findings_are_kept_and_a_shrunken_problem_says_so(checkout: Path) -> None:
    domain = KernelBench(path=str(checkout), problems="9,3")
    (task,) = domain.tasks()
    assert "smaller than the problem's own" in task.prompt
    assert list(domain.refused()) == ["kernelbench/level1-3_Zero"]


@torch
def test_when_nothing_is_left_the_reasons_are_the_error(checkout: Path) -> None:
    with pytest.raises(UsageError, match="zeros"):
        KernelBench(path=str(checkout), problems="3").tasks()


@torch
def test_the_domain_is_selected_by_its_name(checkout: Path) -> None:
    domains = load_domains(options={"kernelbench": {"path": str(checkout), "problems": "1-2"}})
    assert list(select(domains, ["kernelbench"], None)) == ["kernelbench/level1-1_Linear", "kernelbench/level1-2_ReLU"]


# ---- judging


@torch
@pytest.mark.parametrize(
    "number", ["1_", *(pytest.param(each, marks=pytest.mark.slow) for each in ("2_", "12_", "14_"))]
)
def test_the_seed_is_right_and_timed(domain: KernelBench, process: Sandbox, number: str) -> None:
    verdict = judged(domain, process, number)
    assert verdict.feasible, verdict.feedback
    assert verdict.metrics["baseline_ms"] > 0


MODEL = "class ModelNew(nn.Module):\n    def forward(self, x):\n"
TELLING = {"returns its input", "remembers", "leaves out the scale", "writes to its input"}
"""Judged in every test run; each judgement starts torch several times."""
CHEATS = {
    "returns zeros": (
        "2_",
        MODEL + "        return torch.zeros_like(x)\n",
    ),
    "returns its input": ("2_", MODEL + "        return x\n"),
    "remembers": (
        "2_",
        "kept = []\n\n" + MODEL + "        kept.append(torch.relu(x))\n        return kept[0]\n",
    ),
    "leaves out the scale": ("1_", problems.seed(LINEAR).replace(" * self.scale", "")),
    "works in half precision": (
        "2_",
        MODEL + "        return torch.relu(x).bfloat16().float()\n",
    ),
    "answers in half precision": (
        "2_",
        MODEL + "        return torch.relu(x).half()\n",
    ),
    "has another shape": (
        "2_",
        MODEL + "        return torch.relu(x)[0]\n",
    ),
    "writes to its input": ("2_", MODEL + "        return x.relu_()\n"),
    "raises": ("2_", MODEL + "        return x.nonsense()\n"),
}


@torch
@pytest.mark.parametrize(
    "cheat", [cheat if cheat in TELLING else pytest.param(cheat, marks=pytest.mark.slow) for cheat in CHEATS]
)
def test_a_wrong_model_is_refused(domain: KernelBench, process: Sandbox, cheat: str) -> None:
    number, code = CHEATS[cheat]
    verdict = judged(domain, process, number, code)
    assert verdict.gates.correct is False, verdict.feedback


@torch
def test_parameters_of_other_names_or_shapes_are_refused_by_name(domain: KernelBench, process: Sandbox) -> None:
    verdict = judged(domain, process, "1_", problems.seed(LINEAR).replace("self.scale", "self.gain"))
    assert verdict.gates.builds is False
    assert "scale [24] is missing" in verdict.feedback


COMPILING = f"import subprocess\n\n{MODEL}        subprocess.run(['gcc', '--version'])\n        return torch.relu(x)\n"


@torch
def test_no_compiler_can_be_started(domain: KernelBench, process: Sandbox) -> None:
    verdict = judged(domain, process, "2_", COMPILING)
    assert verdict.gates.authentic is False
    assert "system call" in verdict.feedback


@torch
@pytest.mark.docker
def test_docker_judges_models_with_the_torch_of_its_image(domain: KernelBench, contained: Sandbox) -> None:
    verdict = judged(domain, contained, "14_")
    assert verdict.feasible, verdict.feedback
    for name, (number, code) in CHEATS.items():
        if name in TELLING:
            assert judged(domain, contained, number, code).gates.correct is False, name
    assert judged(domain, contained, "2_", COMPILING).gates.authentic is False


PRELOADING = """
import os, sys
sys.path.insert(0, "sandboxes")
from referee import targets
for request in ({}, {"target": "python"}, {"target": "torch"}):
    targets.preload({"request": request})
    print("torch" in sys.modules, len(os.listdir("/proc/self/task")))
"""


@torch
def test_the_referee_imports_torch_for_the_first_job_that_needs_it_and_stays_one_thread() -> None:
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    ran = subprocess.run(
        [sys.executable, "-c", PRELOADING],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
        env=one_thread,
    )
    assert ran.stdout.splitlines() == ["False 1", "False 1", "True 1"]


@torch
def test_the_size_of_torch_is_not_put_down_to_the_jobs_that_follow(domain: KernelBench, process: Sandbox) -> None:
    judged(domain, process, "2_", CHEATS["returns zeros"][1])
    kernels = Kernels(sessions=3, seconds=1.0)
    task = next(task for task in kernels.tasks() if task.id == "kernels/saxpy")
    assert kernels.evaluate(task, Candidate(files=task.files), process).metrics["memory_mb"] < 100


POSED = Posed("kernelbench/level1-1_X", "", "", {}, ("own",))


def test_a_sandbox_without_torch_says_what_to_do() -> None:
    with pytest.raises(SandboxError, match="--sandbox process"):
        read(POSED, Execution(exit_code=0, reply={"unequipped": "no torch"}), "docker")


def test_a_problem_for_a_newer_torch_is_not_judged_and_the_others_are() -> None:
    broken = "inputs and reference for : AttributeError: module 'torch.nn' has no attribute 'Later'"
    verdict = read(POSED, Execution(exit_code=0, reply={"broken_task": broken}), "docker")
    assert isinstance(verdict, Evaluation)
    assert not verdict.feasible
    assert "torch.nn" in verdict.feedback
    with pytest.raises(PluginError):
        read(POSED, Execution(exit_code=0, reply={"broken_task": "ValueError"}), "docker")


# ---- the command


@torch
def test_the_command_lists_what_is_left_out(checkout: Path, tmp_path: Path) -> None:
    done = evolve(tmp_path, "tasks", "--path", str(checkout), "--problems", "2-3", "--json")
    assert done.returncode == 0, done.stderr
    assert "left out kernelbench/level1-3_Zero: " in done.stderr
    assert "kernelbench/level1-2_ReLU" in [task["id"] for task in json.loads(done.stdout)]


@torch
@pytest.mark.slow
def test_a_run_lists_what_it_leaves_out_and_can_be_resumed(checkout: Path, tmp_path: Path) -> None:
    asked = ("run", "kernelbench", "--path", str(checkout), "--problems", "2-3", "--attempts", "1")
    done = evolve(tmp_path, *asked, "--sandbox", "process", "--seed", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert "left out kernelbench/level1-3_Zero: " in done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["kernelbench"]["problems"] == told["kernelbench"]["correct"] == 1
    settings = Run.open(tmp_path / "runs" / told["run"]).settings
    assert settings.options["kernelbench"]["path"] == str(checkout)
    again = evolve(tmp_path, "resume", told["run"], "--json")
    assert again.returncode == 0, again.stderr
