"""The GPU of this machine: what it is, how it runs, and the programs that know."""

import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from . import command, spawn, tools
from .job import Job
from .runner import Program

CUDA = Path("/usr/local/cuda")
TOOLKIT = ("bin/nvcc", "include/cuda_runtime_api.h")
NO_GPU = "no GPU here"
NO_NVCC = "nvcc is not to be found: install the CUDA toolkit, or set CUDA_HOME"
BUILD_SECONDS = 120
ASK_SECONDS = 20
COUNT_SECONDS = 60.0
SLOWED_DOWN = 0x08 | 0x20 | 0x40 | 0x80
"""Of nvidia-smi's reasons for low clocks: slowdown by hardware, heat (software and hardware) and power brake."""
CLOCKS = ("clocks.sm", "clocks.max.sm", "temperature.gpu", "clocks_event_reasons.active")
COUNTERS = {
    "dram__throughput.avg.pct_of_peak_sustained_elapsed": "memory_share",
    "sm__throughput.avg.pct_of_peak_sustained_elapsed": "compute_share",
    "sm__warps_active.avg.pct_of_peak_sustained_active": "occupancy",
    "smsp__sass_average_data_bytes_per_sector_mem_global_op_ld.pct": "load_efficiency",
    "gpu__time_duration.sum": "nanoseconds",
}
"""What ncu is asked for: shares in percent."""


def seen() -> bool:
    """Whether the driver shows a device: on Linux itself, or on Windows below it."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


def home() -> Path | None:
    """Of the CUDA toolkit."""
    named = os.environ.get("CUDA_HOME")
    found = shutil.which("nvcc")
    places = [Path(named)] if named else []
    places += [Path(found).resolve().parents[1]] if found else []
    return next((place for place in (*places, CUDA) if all((place / part).is_file() for part in TOOLKIT)), None)


def nvcc(toolkit: Path) -> list[str]:
    """The compiler, with the runtime library that candidate and runner share."""
    libraries = next((toolkit / name for name in ("lib64", "lib") if (toolkit / name).is_dir()), toolkit)
    return [str(toolkit / "bin" / "nvcc"), "-cudart", "shared", "-Xlinker", f"-rpath,{libraries}"]


def runner(toolkit: Path, folder: Path) -> Path:
    """device.c and fingerprint.cu, for every generation of devices. Raises OSError when they do not build."""
    kept = folder / "device"
    if kept.exists():
        return kept
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        built = Path(scratch) / "device"
        sources = [str(tools.HERE / name) for name in ("device.c", "fingerprint.cu")]
        argv = [*nvcc(toolkit), "-O2", "-arch=all-major", "-o", str(built), *sources, "-ldl"]
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": scratch}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=BUILD_SECONDS)
        if done.returncode:
            raise OSError(f"device.c does not build: {(done.stderr or done.stdout)[:500]}")
        built.chmod(0o755)
        shutil.move(built, kept)
    return kept


@cache
def facts(program: Path) -> Mapping[str, Any]:
    """Of the first device, by the runner's own words; nothing when there is none."""
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        done = subprocess.run([program, "facts"], capture_output=True, text=True, check=True, timeout=ASK_SECONDS)
        return peaks(json.loads(done.stdout))
    return {}


def peaks(device: Mapping[str, Any]) -> dict[str, Any]:
    """With what it can do at most, by its data sheet: single-precision Gflop/s outside of tensor cores, and GB/s."""
    major = int(device["capability"]) // 10
    lanes = 64 if int(device["capability"]) in {70, 72, 75, 80} or major < 6 else 128  # noqa: PLR2004
    return {
        **device,
        "gflops": 2e-6 * lanes * device["processors"] * device["clock_khz"],
        "gbs": 2e-6 * device["memory_khz"] * device["bus_bits"] / 8,
    }


def clocks() -> dict[str, float]:
    """Megahertz, degrees and whether it is slowed down; nothing when nvidia-smi does not say."""
    argv = ["nvidia-smi", "-i", "0", f"--query-gpu={','.join(CLOCKS)}", "--format=csv,noheader,nounits"]
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=ASK_SECONDS)
        return understood(done.stdout)
    return {}


def understood(line: str) -> dict[str, float]:
    """Raises ValueError for what is no answer of nvidia-smi."""
    now, most, degrees, reasons = (word.strip() for word in line.split(","))
    throttled = float(bool(int(reasons, 16) & SLOWED_DOWN))
    return {"mhz": float(now), "most_mhz": float(most), "degrees": float(degrees), "throttled": throttled}


def steadiness(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """How the device ran from the one reading to the other: for the reply."""
    readings = {f"{name}_{when}": reading[name] for when, reading in (("before", before), ("after", after))
                for name in ("mhz", "degrees") if name in reading}  # fmt: skip
    return {**readings, "throttled": max(before.get("throttled", 0.0), after.get("throttled", 0.0))}


def counters(job: Job, program: Program, sizes: Sequence[int], dims: Sequence[int]) -> dict[str, Any]:
    """What ncu counts in one call after another that warms up; why it does not, where it does not."""
    ncu = shutil.which("ncu") or shutil.which("ncu", path=f"{home() or CUDA}/bin")
    if not ncu or not program.alone:
        return {}
    lists = [",".join(map(str, numbers)) for numbers in (sizes, dims)]
    argv = [ncu, "--csv", "--metrics", ",".join(COUNTERS), *program.alone, "2", *lists]
    box = job.box("counters")
    environment = {"PATH": command.PATH, "HOME": str(box), "TMPDIR": str(box)}
    confinement = spawn.Confinement(box, job.candidate, environment, program.room, job.limits.processes)
    outcome = command.execute(argv, confinement, seconds=COUNT_SECONDS)
    return counted(outcome.stdout) or {"unavailable": (outcome.stderr or outcome.stdout).strip()[-300:]}


def counted(text: str) -> dict[str, float]:
    """Of the kernel that took longest, from what `ncu --csv` prints; nothing when it counted nothing."""
    kernels: dict[str, dict[str, float]] = {}
    table = "\n".join(line for line in text.splitlines() if line.startswith('"'))
    for row in csv.DictReader(io.StringIO(table)):
        name = COUNTERS.get(row.get("Metric Name") or "")
        with contextlib.suppress(ValueError):
            if name:
                value = float((row.get("Metric Value") or "").replace(",", ""))
                scale = {"us": 1e3, "usecond": 1e3, "ms": 1e6, "msecond": 1e6}.get(row.get("Metric Unit") or "", 1.0)
                kernels.setdefault(str(row.get("ID")), {})[name] = value * scale
    return max(kernels.values(), key=lambda kernel: kernel.get("nanoseconds", 0.0), default={})
