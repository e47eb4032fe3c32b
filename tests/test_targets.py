"""The targets CUDA and Triton: all that can be tested without a GPU, and what needs one (`-m gpu`)."""

import importlib.util
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolve.domains import measuring
from evolve.domains.kernels import Kernels, catalogue, cuda, device, judge, targets, triton
from evolve.domains.kernels.targets import CUDA, TARGETS, TRITON
from evolve.errors import NotFoundError, PluginError, SandboxError
from evolve.types import Candidate, Evaluation, Execution, Job, Limits, Sandbox
from sandboxes.process import ProcessSandbox
from sandboxes.referee import cuda as building
from sandboxes.referee import fingerprint, gpu, spawn
from sandboxes.referee.cases import check
from sandboxes.referee.job import Job as RefereeJob
from sandboxes.referee.job import Limits as RefereeLimits
from sandboxes.referee.job import Place
from sandboxes.referee.runner import Program
from sandboxes.referee.verdict import RejectedError
from sandboxes.referee.workload import Workload
from tests.command import evolve
from tests.test_kernels import Scripted

ESSENTIAL = ["relu", "gelu", "sum", "softmax", "layernorm", "matmul", "transpose"]
MISSING = [name for name in ("torch", "triton") if importlib.util.find_spec(name) is None]

needs_nvcc = pytest.mark.skipif(gpu.home() is None, reason=gpu.NO_NVCC)
needs_triton = pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed: pip install .[triton]")
without_gpu = pytest.mark.skipif(gpu.seen(), reason="there is a GPU here")


def needs_gpu(test: Any) -> Any:
    return pytest.mark.gpu(pytest.mark.skipif(not gpu.seen(), reason="no NVIDIA GPU here")(test))


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOLVE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def sandbox() -> Any:
    with ProcessSandbox(gpu=True) as opened:
        yield opened


def seed(target: targets.Target, name: str) -> str:
    found = target.seed(name)
    assert found is not None
    return found


def verdict(sandbox: Sandbox, target: targets.Target, name: str, source: str) -> Evaluation:
    domain = Kernels(sessions=2, seconds=1.0, target=target.name)
    task = catalogue.entries()[name].task("kernels", target)
    return domain.evaluate(task, Candidate(files={target.source: source}), sandbox)


# Tasks


@pytest.mark.parametrize("target", [CUDA, TRITON], ids=lambda target: target.name)
def test_the_essential_tasks_have_a_seed_that_the_rules_let_through(target: targets.Target) -> None:
    known = {task.id: task for task in Kernels(target=target.name).tasks()}
    assert set(known) >= {f"kernels/{name}" for name in ESSENTIAL}
    for task in known.values():
        assert set(task.files) == {target.source}
        assert target.violations(task.files[target.source]) == []
        assert "{" not in task.prompt
        assert "gcc" not in task.prompt


def test_the_prompt_of_triton_declares_the_function_in_python() -> None:
    task = catalogue.entries()["layernorm"].task("kernels", TRITON)
    assert "def kernel(x, gamma, beta, out, M, N):" in task.prompt


def test_a_target_has_the_flags_of_its_own_compiler() -> None:
    assert "-maxrregcount=64" in catalogue.entries()["relu"].task("kernels", CUDA).prompt
    assert cuda.violations("// flags: -maxrregcount=64\n" + seed(CUDA, "relu")) == []
    assert "is not among" in cuda.violations("// flags: -march=native\n" + seed(CUDA, "relu"))[0]


def test_an_unknown_target_and_a_task_without_a_seed_are_named() -> None:
    with pytest.raises(NotFoundError, match="there are: c, cuda, mojo, triton"):
        Kernels(target="halide")
    with pytest.raises(PluginError, match="kernels/spmv has no seed for the target triton"):
        catalogue.entries()["spmv"].task("kernels", TRITON)


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_the_referee_knows_every_target_by_the_same_name(target: targets.Target) -> None:
    from sandboxes.referee.targets import TARGETS as HELD

    assert target.name in HELD


# Rules


def cuda_kernel(host: str, head: str = "") -> str:
    return (
        f"#include <cuda_runtime.h>\n{head}\n__global__ void each(float *out) {{ out[threadIdx.x] = 0; }}\n"
        f'extern "C" void kernel(const float *x, float *out, int64_t N) {{ {host} each<<<1, 32>>>(out); }}\n'
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (cuda_kernel("cudaStream_t s; cudaStreamCreate(&s);"), "outlast the call"),
        (cuda_kernel("cudaGraphLaunch(g, 0);"), "replays an earlier"),
        (cuda_kernel("cudaLaunchHostFunc(0, f, 0);"), "outlast the call"),
        (cuda_kernel("float *h; cudaMallocManaged(&h, 4);"), "shares memory"),
        (cuda_kernel("cudaMemcpy(h, x, 4, cudaMemcpyDeviceToHost);"), "on the host"),
        (cuda_kernel("cudaDeviceReset();"), "changes the device"),
        (cuda_kernel("cublasSgemm(a);"), "is a library"),
        (cuda_kernel("cuModuleLoad(a);"), "loads other code"),
        (cuda_kernel("", "#include <cublas_v2.h>"), "is not allowed"),
        (cuda_kernel("", "#include </etc/passwd>"), "is not allowed"),
        (cuda_kernel("", "__device__ long t() { return clock64(); }"), "keeps the time"),
        (cuda_kernel("", "__attribute__((constructor)) void early() {}"), "outside of the calls"),
        (cuda_kernel("", "extern int verdict;"), "from elsewhere"),
        (cuda_kernel("", "#define J(a, b) a ## b"), "builds names"),
        (cuda_kernel("system(0);"), "controls processes"),
        (cuda_kernel("", '__device__ void f() { asm("mov.u64 %0, %globaltimer;"); }'), "reads a clock"),
        ("__global__ void kernel(float *out) {}", "nothing is exported"),
        ("/" * 70000, "more than"),
    ],
)
def test_cuda_that_escapes_the_judge_is_refused(source: str, words: str) -> None:
    assert words in " ".join(cuda.violations(source))


def test_cuda_may_use_shared_memory_scratch_and_ptx() -> None:
    honest = """
        #include <cstdint>
        #include <cooperative_groups.h>
        namespace cg = cooperative_groups;
        extern __shared__ float tile[];
        template <int UNROLL> __global__ void each(const float *__restrict__ x, float *out) {
            #pragma unroll
            for (int i = 0; i < UNROLL; i++) tile[i] = __ldg(x + i);
            asm volatile("bar.sync 0;");
            out[threadIdx.x] = tile[0] + __shfl_xor_sync(~0u, tile[1], 1);
        }
        extern "C" {
        void kernel(const float *x, float *out, int64_t N) {
            float *scratch;
            cudaMalloc(&scratch, N);
            cudaFuncSetAttribute(each<4>, cudaFuncAttributeMaxDynamicSharedMemorySize, 65536);
            each<4><<<1, 32, 65536>>>(x, out);
            cudaFree(scratch);
        }
        }
    """
    assert cuda.violations(honest) == []


def triton_kernel(host: str, head: str = "") -> str:
    return (
        f"import torch\nimport triton\nimport triton.language as tl\n{head}\n@triton.jit\ndef each(out):\n"
        f"    tl.store(out, 0.0)\n\ndef kernel(x, out, N):\n    {host}\n    each[(1,)](out)\n"
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (triton_kernel("torch.relu(x, out=out)"), "is to be a @triton.jit function"),
        (triton_kernel("out.copy_(x)"), "may compute outside of a kernel"),
        (triton_kernel("out[:] = x"), "writes outside of a kernel"),
        (triton_kernel("out += x"), "written outside of a kernel"),
        (triton_kernel("y = x @ x"), "computes on tensors"),
        (triton_kernel("torch.empty = min"), "changes what others use"),
        (triton_kernel("tl.load = min"), "changes what others use"),
        (triton_kernel("setattr(tl, 'load', min)"), "reaches beyond"),
        (triton_kernel("open('/etc/passwd')"), "reaches beyond"),
        (triton_kernel("x.__class__"), "no place in a kernel"),
        (triton_kernel("pass", "import os"), "import os is not allowed"),
        (triton_kernel("pass", "from torch.nn import functional"), "is not allowed"),
        (triton_kernel("pass", "from torch import relu"), "is not allowed"),
        (triton_kernel("pass", "import numpy as np"), "import numpy is not allowed"),
        (triton_kernel("pass", "@triton.autotune(configs=[], key=[])\ndef f(): pass"), "the judge keeps the time"),
        (triton_kernel("pass", "class Lazy: pass"), "functions will do"),
        (triton_kernel("try:\n        pass\n    except Exception:\n        pass"), "hides what fails"),
        (triton_kernel("global kept"), "keeps state"),
        ("import torch\n\ndef kernel(x, out, N):\n    pass\n", "torch alone is no kernel"),
    ],
)
def test_triton_that_computes_elsewhere_or_tampers_is_refused(source: str, words: str) -> None:
    assert words in " ".join(triton.violations(source))


def test_triton_may_compute_sizes_and_take_scratch() -> None:
    host = (
        "rows, columns = x.shape\n    block = min(1024, triton.next_power_of_2(N))\n"
        "    scratch = torch.empty((rows, block), dtype=torch.float32, device=x.device)\n"
        "    grid = lambda meta: (triton.cdiv(N, meta['BLOCK']),)"
    )
    assert triton.violations(triton_kernel(host)) == []


def test_what_is_no_python_is_left_to_python() -> None:
    assert triton.violations("def kernel(:") == []


# What the judge makes of replies


ENTRY = catalogue.entries()["relu"]


def read(reply: Mapping[str, Any]) -> Evaluation | measuring.Measured:
    return judge.read(ENTRY, "", Execution(exit_code=0, reply=reply))


def test_what_was_built_but_not_run_is_no_failure_and_no_success() -> None:
    found = read({"not_run": "compiled; not run: no GPU here", "vectorisation": "each: 10 registers"})
    assert isinstance(found, Evaluation)
    assert (found.gates.authentic, found.gates.builds, found.gates.correct) == (True, True, None)
    assert found.score is None
    assert found.feedback == "compiled; not run: no GPU here\neach: 10 registers"


def test_what_is_right_but_cannot_be_timed_has_no_score() -> None:
    found = read({"not_timed": "right in the interpreter; not timed: no GPU here", "cases_passed": 30})
    assert isinstance(found, Evaluation)
    assert found.gates.correct is True
    assert not found.feasible
    assert found.metrics["cases_passed"] == 30


def test_a_sandbox_without_the_tools_is_no_verdict() -> None:
    with pytest.raises(SandboxError, match="lacks what this target needs: nvcc is not to be found"):
        read({"unequipped": gpu.NO_NVCC})


def test_the_referee_gets_the_target_its_seed_and_larger_sizes() -> None:
    scripted = Scripted({"not_run": "compiled; not run: no GPU here"})
    assert verdict(scripted, CUDA, "relu", seed(CUDA, "relu")).gates.builds
    [job] = scripted.jobs
    assert job.request["target"] == "cuda"
    assert job.request["flags"] == ["-O3", "-std=c++17"]
    assert job.request["timed"]["dims"] == {"N": 2**23}
    assert set(job.files) == {"kernel.cu"}
    assert set(job.trusted) == {"task.py", "numerics.py", "baseline.cu"}


def on_device(milliseconds: float, **changes: Any) -> Evaluation:
    """A measurement of relu over 8 Mi elements on a device of 1000 Gflop/s and 100 GB/s: 0.67 ms at least."""
    session = {"baseline_ns": [4e6, 4e6], "candidate_ns": [milliseconds * 1e6] * 2}
    described = {"name": "GPU", "gflops": 1000.0, "gbs": 100.0, "throttled": 0.0, "busy_ns": milliseconds * 1e6}
    reply = {"timing": {"sessions": [session] * 3}, "device": described, **changes}
    found = read(reply)
    assert isinstance(found, measuring.Measured)
    return device.verdict(ENTRY, CUDA, found)


def test_a_measurement_on_a_device_is_scored_and_explained() -> None:
    found = on_device(0.8, vectorisation="each: 10 registers")
    assert found.score == pytest.approx(5.0)
    assert found.profile.bottleneck == "memory_bandwidth_saturated"
    assert found.metrics["busy_ms"] == pytest.approx(0.8)
    assert "each: 10 registers" in found.feedback


def test_faster_than_the_device_is_an_alarm() -> None:
    found = on_device(0.05)
    assert found.gates.authentic is False
    assert "faster than the device can" in found.feedback


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"counters": {"memory_share": 20.0, "load_efficiency": 12.5, "occupancy": 80.0}}, "strided_access"),
        ({"counters": {"memory_share": 20.0, "occupancy": 11.0}}, "low_occupancy"),
        ({"counters": {"memory_share": 91.0}}, "memory_bandwidth_saturated"),
        ({"vectorisation": "each: 255 registers, 128 bytes spilled"}, "register_spills"),
        ({"counters": {"unavailable": "ERR_NVGPUCTRPERM"}}, "memory_latency_bound"),
    ],
)
def test_counters_and_registers_name_the_state(changes: Mapping[str, Any], state: str) -> None:
    assert on_device(3.0, **changes).profile.bottleneck == state


def test_a_device_that_idles_is_short_of_work() -> None:
    described = {"name": "GPU", "gflops": 1000.0, "gbs": 100.0, "busy_ns": 1e5}
    assert on_device(3.0, device=described).profile.bottleneck == "call_overhead"


def test_a_device_that_was_slowed_down_is_inconclusive_and_measured_again() -> None:
    described = {"name": "GPU", "gflops": 1000.0, "gbs": 100.0, "throttled": 1.0}
    session = {"baseline_ns": [4e6, 4e6], "candidate_ns": [1e6, 1e6]}
    reply = {"timing": {"sessions": [session] * 6}, "device": described}
    scripted = Scripted(reply, reply)
    found = verdict(scripted, CUDA, "relu", seed(CUDA, "relu"))
    assert len(scripted.jobs) == 2
    assert found.metrics["inconclusive"] == 1.0
    assert "heat or power" in found.feedback


def test_a_device_that_does_not_say_what_it_can_do_is_an_error() -> None:
    with pytest.raises(SandboxError, match="does not say what it can do"):
        on_device(1.0, device={"name": "GPU"})


# What the device and its tools say


def test_peaks_come_from_the_data_sheet() -> None:
    h100 = {"capability": 90, "processors": 132, "clock_khz": 1_980_000, "memory_khz": 2_619_000, "bus_bits": 5120}
    assert gpu.peaks(h100)["gflops"] == pytest.approx(66_900, rel=0.01)
    assert gpu.peaks(h100)["gbs"] == pytest.approx(3352, rel=0.01)
    a100 = {"capability": 80, "processors": 108, "clock_khz": 1_410_000, "memory_khz": 1_215_000, "bus_bits": 5120}
    assert gpu.peaks(a100)["gflops"] == pytest.approx(19_500, rel=0.01)


def test_clocks_and_why_they_are_low_are_understood() -> None:
    cool = gpu.understood("1980, 1980, 41, 0x0000000000000000\n")
    hot = gpu.understood("1200, 1980, 88, 0x0000000000000040\n")
    assert (cool["throttled"], hot["throttled"]) == (0.0, 1.0)
    assert gpu.steadiness(cool, hot) == {
        "mhz_before": 1980,
        "degrees_before": 41,
        "mhz_after": 1200,
        "degrees_after": 88,
        "throttled": 1.0,
    }
    with pytest.raises(ValueError, match="not enough values"):
        gpu.understood("No devices were found")


NCU = """==PROF== Connected to process 17 (/opt/device)
==PROF== Profiling "each" - 0: 0%....50%....100% - 1 pass
"ID","Process ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","17","each","dram__throughput.avg.pct_of_peak_sustained_elapsed","%","12.50"
"0","17","each","gpu__time_duration.sum","us","3.20"
"1","17","each","dram__throughput.avg.pct_of_peak_sustained_elapsed","%","81.25"
"1","17","each","sm__warps_active.avg.pct_of_peak_sustained_active","%","63.1"
"1","17","each","gpu__time_duration.sum","us","1,024.00"
"""


def test_the_counters_are_those_of_the_longest_kernel() -> None:
    assert gpu.counted(NCU) == {"memory_share": 81.25, "occupancy": 63.1, "nanoseconds": 1_024_000.0}
    assert gpu.counted("==ERROR== ERR_NVGPUCTRPERM") == {}


PTXAS = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z9one_blockPKfPfl' for 'sm_80'
ptxas info    : Function properties for _Z9one_blockPKfPfl
    16 bytes stack frame, 24 bytes spill stores, 40 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 1024 bytes smem, 376 bytes cmem[0]
kernel.cu(3): error: identifier "y" is undefined
"""


def test_the_compiler_s_report_and_its_errors_are_kept_apart() -> None:
    assert building.resources(PTXAS) == "one_block: 32 registers, 1024 bytes of shared memory, 64 bytes spilled"
    assert building.errors(PTXAS) == 'kernel.cu(3): error: identifier "y" is undefined'


# Fingerprints


def test_a_fingerprint_sees_every_word_and_its_place() -> None:
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**32, 100_000, dtype=np.uint32)
    whole = fingerprint.of([words.view(np.uint8)])
    assert whole == fingerprint.of([words[:40_000].view(np.uint8), words[40_000:].view(np.uint8)])
    other = words.copy()
    other[77_777] ^= 1
    swapped = words.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert len({whole, fingerprint.of([other.view(np.uint8)]), fingerprint.of([swapped.view(np.uint8)])}) == 3


@pytest.mark.skipif("torch" in MISSING, reason="torch is not installed")
def test_torch_finds_the_same_fingerprint() -> None:
    import torch

    from sandboxes.referee import tensors

    words = np.random.default_rng(2).integers(0, 2**32, 5000, dtype=np.uint32)
    found = tensors.fingerprint(torch.from_numpy(words.view(np.int32)), 0)
    assert int(found) % 2**64 == fingerprint.of([words.view(np.uint8)])


# device.c, on a device that is this machine's memory


HERE = Path(__file__).parent
TASK = """
def inputs(draw, dims):
    return draw(dims["n"]), draw(dims["n"])

def reference(a, b, n):
    return a + b
"""
NUMERICS = (HERE.parent / "evolve/domains/kernels/numerics.py").read_text()
HEAD = """
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>
extern int cudaSetDevice(int device);
struct work { const float *a, *b; float *out; int64_t n; };
static void add(struct work w) { for (int64_t i = 0; i < w.n; i++) w.out[i] = w.a[i] + w.b[i]; }
static void *late(void *given) {
    usleep(4000);
    add(*(struct work *)given);
    return given;
}
void kernel(float *a, const float *b, float *out, int64_t n) {
    static struct work w;
    w = (struct work){a, b, out, n};
"""


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """device.c as it is, linked with the runtime of fake_cudart.c."""
    toolkit = gpu.home()
    if toolkit is None:
        pytest.skip(gpu.NO_NVCC)
    folder = tmp_path_factory.mktemp("device")
    source = HERE.parent / "sandboxes/referee/device.c"
    argv = ["gcc", "-O2", "-rdynamic", f"-I{toolkit}/include", "-o", "device", str(source), str(HERE / "fake_cudart.c")]
    subprocess.run([*argv, "-ldl"], cwd=folder, check=True)
    spawn.prepare(folder)
    return folder


def checked(fake: Path, body: str, sizes: tuple[int, ...] = (1, 7, 5000)) -> dict[str, Any]:
    """The reply after the cases; raises RejectedError."""
    (fake / "kernel.c").write_text(HEAD + body + "}\n")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", "kernel.so", "kernel.c", "-lpthread"], cwd=fake, check=True)
    cases = [{"dims": {"n": n}, "distribution": "normal"} for n in sizes]
    job = RefereeJob.of(
        {
            "files": {},
            "argv": [],
            "stdin": "",
            "program": "measure",
            "trusted": {"task.py": TASK, "numerics.py": NUMERICS},
            "request": {"secret": 3, "cases": cases, "symbol": "kernel"},
            "limits": RefereeLimits(5.0, 512, 64, 64)._asdict(),
        },
        fake,
        Place(fake, 0, "/usr/bin:/bin"),
        lambda: None,
    )
    (fake / "cache").mkdir(exist_ok=True)
    argv = (str(fake / "device"), str(fake / "kernel.so"), "kernel")
    program = Program(argv, fake, room=2**40, file_bytes=2**20, device={"name": "Fake"})
    reply: dict[str, Any] = {"threads": 1, "cases_passed": 0}
    check(job, Workload(job.trusted, ["n"]), program, reply)
    return reply


def refusal(fake: Path, body: str, sizes: tuple[int, ...] = (7, 5000)) -> tuple[str, str, str]:
    with pytest.raises(RejectedError) as caught:
        checked(fake, body, sizes)
    return caught.value.gate, caught.value.reason, str(caught.value)


def test_the_device_s_runner_passes_an_honest_kernel(fake: Path) -> None:
    assert checked(fake, "add(w);")["cases_passed"] == 3


def test_an_output_that_arrives_after_the_return_is_refused(fake: Path) -> None:
    gate, reason, words = refusal(fake, "pthread_t t; pthread_create(&t, 0, late, &w);")
    assert (gate, reason) == ("authentic", "late_write")
    assert "after the kernel had returned" in words


def test_an_output_that_is_changed_after_the_return_is_refused(fake: Path) -> None:
    body = "for (int64_t i = 0; i < n; i++) out[i] = 0; pthread_t t; pthread_create(&t, 0, late, &w);"
    assert refusal(fake, body)[1] == "late_write"


def test_inputs_on_the_device_may_not_be_written_to(fake: Path) -> None:
    assert refusal(fake, "add(w); a[n - 1] = 0;")[:2] == ("correct", "inputs_modified")


def test_writing_past_the_output_on_the_device_is_seen(fake: Path) -> None:
    assert refusal(fake, "add(w); out[n] = 0;")[:2] == ("correct", "bounds")
    assert refusal(fake, "add(w); out[-1] = 0;")[:2] == ("correct", "bounds")


def test_a_wrong_output_is_said_with_its_place(fake: Path) -> None:
    gate, reason, words = refusal(fake, "add(w); out[3] += 1;")
    assert (gate, reason) == ("correct", "mismatch")
    assert "out[3]" in words


def test_an_error_of_the_runtime_is_said_in_its_words(fake: Path) -> None:
    gate, reason, words = refusal(fake, "add(w); cudaSetDevice(99);")
    assert (gate, reason) == ("correct", "exception")
    assert "cudaErrorInvalidDevice: invalid device ordinal" in words


def test_starting_a_program_is_not_possible_there(fake: Path) -> None:
    assert checked(fake, 'add(w); if (!execl("/bin/true", "true", (char *)0)) out[0] = 0;', (7,))["cases_passed"] == 1


def test_a_device_says_what_it_is(fake: Path) -> None:
    said = subprocess.run([fake / "device", "facts"], capture_output=True, text=True, check=True).stdout
    assert json.loads(said)["capability"] == 90
    assert gpu.facts(fake / "device")["gflops"] > 0
    assert gpu.facts(Path("/nonexistent")) == {}


def test_a_profiler_can_run_a_kernel_alone(fake: Path) -> None:
    checked(fake, "add(w);")
    argv = [str(fake / "device"), str(fake / "kernel.so"), "kernel", "2", "4000,4000,4000", "1000"]
    assert subprocess.run(argv, check=False).returncode == 0


# nvcc


@needs_nvcc
def test_the_device_s_runner_builds(tmp_path: Path) -> None:
    toolkit = gpu.home()
    assert toolkit is not None
    assert gpu.runner(toolkit, tmp_path).is_file()


@needs_nvcc
@without_gpu
def test_without_a_gpu_cuda_is_compiled_and_not_run(sandbox: Sandbox) -> None:
    found = verdict(sandbox, CUDA, "sum", seed(CUDA, "sum"))
    assert (found.gates.authentic, found.gates.builds, found.gates.correct) == (True, True, None)
    assert found.score is None
    first, report = found.feedback.split("\n")
    assert first == "compiled; not run: no GPU here"
    assert "one_block: " in report
    assert "registers, 1024 bytes of shared memory" in report


@needs_nvcc
def test_cuda_that_does_not_compile_is_refused_in_nvcc_s_words(sandbox: Sandbox) -> None:
    found = verdict(sandbox, CUDA, "relu", seed(CUDA, "relu").replace("i < N", "i < M"))
    assert found.gates.builds is False
    assert 'error: identifier "M" is undefined' in found.feedback
    assert "ptxas" not in found.feedback


@needs_nvcc
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in catalogue.entries() if CUDA.seed(name)])
def test_every_cuda_seed_compiles(sandbox: Sandbox, name: str) -> None:
    assert verdict(sandbox, CUDA, name, seed(CUDA, name)).gates.builds


# Triton's interpreter


@needs_triton
@without_gpu
@pytest.mark.parametrize("name", [name for name in catalogue.entries() if TRITON.seed(name)])
def test_every_triton_seed_is_right_in_the_interpreter_and_not_timed(sandbox: Sandbox, name: str) -> None:
    found = verdict(sandbox, TRITON, name, seed(TRITON, name))
    assert found.gates.correct, found.feedback
    assert found.score is None
    assert found.feedback == "right in the interpreter; not timed: no GPU here"


@needs_triton
@without_gpu
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("tl.maximum(value, 0.0)", "value", "outputs are wrong"),
        ("tl.maximum(value, 0.0)", "tl.maximum(value, nothing)", "raised"),
        ("def kernel(", "def kernels(", "there is no function named `kernel`"),
    ],
)
def test_triton_that_is_wrong_is_refused_in_words(sandbox: Sandbox, old: str, new: str, words: str) -> None:
    found = verdict(sandbox, TRITON, "relu", seed(TRITON, "relu").replace(old, new))
    assert not (found.gates.builds and found.gates.correct)
    assert words in found.feedback


@pytest.mark.skipif(not MISSING, reason="torch and triton are here")
def test_without_triton_the_judge_says_what_to_install(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match=r"cannot be imported here: pip install 'evolve-foundry\[triton\]'"):
        verdict(sandbox, TRITON, "relu", seed(TRITON, "relu"))


# The command line


@without_gpu
@pytest.mark.parametrize("target", ["cuda", "triton"])
def test_a_run_on_a_target_that_cannot_be_timed_here_ends_at_the_start(target: str, tmp_path: Path) -> None:
    ended = evolve(tmp_path, "run", "kernels/relu", "--target", target, "--sandbox", "process")
    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1
    assert f"no kernel of the target {target} could be given a score" in ended.stderr


def test_an_unknown_target_is_wrong_use(tmp_path: Path) -> None:
    ended = evolve(tmp_path, "judge", __file__, "--task", "kernels/relu", "--target", "halide")
    assert ended.returncode == 2
    assert "unknown target 'halide'; there are: c, cuda, mojo, triton" in ended.stderr


@needs_nvcc
@without_gpu
def test_judging_cuda_without_a_gpu_says_how_far_it_came(tmp_path: Path) -> None:
    (tmp_path / "kernel.cu").write_text(seed(CUDA, "relu"))
    file = str(tmp_path / "kernel.cu")
    ended = evolve(tmp_path, "judge", file, "--task", "kernels/relu", "--target", "cuda", "--sandbox", "process")
    assert ended.returncode == 1
    assert "authentic passed, builds passed, correct not reached" in ended.stdout
    assert "compiled; not run: no GPU here" in ended.stdout


# On a GPU


@needs_gpu
@needs_nvcc
@pytest.mark.parametrize("name", [name for name in catalogue.entries() if CUDA.seed(name)])
def test_every_cuda_seed_is_right_and_timed_on_the_gpu(sandbox: Sandbox, name: str) -> None:
    found = verdict(sandbox, CUDA, name, seed(CUDA, name))
    assert found.gates.correct, found.feedback
    assert found.score is not None
    assert found.metrics["busy_ms"] > 0


@needs_gpu
@needs_triton
@pytest.mark.parametrize("name", [name for name in catalogue.entries() if TRITON.seed(name)])
def test_every_triton_seed_is_right_and_timed_on_the_gpu(sandbox: Sandbox, name: str) -> None:
    found = verdict(sandbox, TRITON, name, seed(TRITON, name))
    assert found.gates.correct, found.feedback
    assert found.score is not None


@needs_gpu
@needs_nvcc
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("out[i] =", "if (i > 3) out[i] =", "never written"),
        ("256>>>", "4096>>>", "invalid configuration argument"),
        ("out[i] =", "out[i + 1] =", "outputs are wrong"),
    ],
)
def test_cuda_that_is_wrong_is_refused_on_the_gpu(sandbox: Sandbox, old: str, new: str, words: str) -> None:
    found = verdict(sandbox, CUDA, "relu", seed(CUDA, "relu").replace(old, new))
    assert not found.gates.correct
    assert words in found.feedback


def test_a_job_for_a_gpu_crosses_to_the_referee_as_json() -> None:
    effort = measuring.Effort()
    job = judge.job(ENTRY, seed(CUDA, "relu"), effort, Limits(), fresh=False, target=CUDA)
    assert Job.model_validate_json(job.model_dump_json()) == job
