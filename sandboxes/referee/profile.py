"""Explains one C kernel: its instructions, its simulated caches, its use of the machine. Nothing here votes.

Compilers, disassemblers and valgrind read what a candidate made, so they run as the candidate, under its limits, and
what they print is believed only as far as an explanation goes. Not covered: under valgrind a kernel runs without the
filter for system calls that the judge's own runner sets.
"""

import dataclasses
import json
import math
import os
import shutil
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import assembly, cachegrind, command, compiler, machine, spawn, tools
from .job import Job
from .runner import cores_for
from .verdict import BrokenTaskError, RejectedError
from .workload import Workload

SEED = 4
"""Distinguishes the data of a profile from that of the judgement."""
MAX_ARGUMENTS = 16
SPARE_MEMORY = 2**30
"""Bytes of address space for valgrind itself, beside what the kernel may use."""
LONGEST = 60.0
"""Seconds for any one tool."""
MOST_TEXT = 8 * 2**20
"""Bytes that are read of what a tool prints."""
REPEAT_MS = 100
COUNTING_MS = 300
PORTABLE = "-march=x86-64-v3"
"""What valgrind can run: AVX2, no AVX-512."""
SAID = ("calls", "wall_ms", "least_ms", "cpu_ms", "page_faults", "switches")
"""What profile_driver.c prints."""
COUNTERS = ("instructions", "cycles", "branches", "branch-misses", "cache-references", "cache-misses")


class UnavailableError(Exception):
    """Why a part could not be had, in one sentence."""


class Size(NamedTuple):
    dims: Mapping[str, int]
    work: float
    """In units of its own: how sizes compare."""


class Subject(NamedTuple):
    """The kernel under examination."""

    job: Job
    workload: Workload
    library: Path
    threads: int

    @property
    def request(self) -> Mapping[str, Any]:
        return self.job.request


def run(job: Job) -> dict[str, Any]:
    """The parts asked for (PARTS): each with its `seconds` and, where it could not be had, the `problem`."""
    cores = len(machine.cores())
    threads = min(int(job.request.get("threads", 0)) or cores, cores)
    started = time.monotonic()
    try:
        workload = Workload(job.trusted, job.request["dims"])
        library, remarks = build(job, "native", job.request["flags"])
    except UnavailableError as error:
        return {"problem": str(error), "seconds": time.monotonic() - started}
    except BrokenTaskError as error:
        return {"broken_task": str(error)}
    seconds = time.monotonic() - started
    job.turn()
    subject = Subject(job, workload, library, threads)
    parts = {name: _part(PARTS[name], subject) for name in job.request["parts"]}
    return {"remarks": remarks, "seconds": seconds, "threads": threads, "parts": parts}


def _part(work: Callable[[Subject], dict[str, Any]], subject: Subject) -> dict[str, Any]:
    started = time.monotonic()
    try:
        found = work(subject)
    except (UnavailableError, BrokenTaskError) as error:
        found = {"problem": str(error)}
    return {**found, "seconds": time.monotonic() - started}


def build(job: Job, name: str, flags: Sequence[str]) -> tuple[Path, str]:
    """The candidate's library with line numbers, and the compiler's vectorisation report."""
    folder = job.folder / name
    folder.mkdir(mode=0o711)
    own = dataclasses.replace(job, folder=folder, request={**job.request, "flags": [*flags, "-g"]})
    try:
        built = compiler.candidate(own, remarks=True)
    except RejectedError as error:
        raise UnavailableError(f"it does not build with {' '.join(flags)}: {first_error(str(error))}") from error
    return folder / "candidate" / "library.so", built.remarks


def first_error(words: str) -> str:
    return next((line for line in words.splitlines() if "error:" in line), words.partition("\n")[0])[:300]


def program(name: str, path: str) -> str:
    """Where a tool is. Raises UnavailableError with what to install."""
    found = shutil.which(name, path=path)
    if not found:
        package = {"objdump": "binutils", "perf": "linux-perf"}.get(name, name)
        raise UnavailableError(f"{name} is not installed in the sandbox (Debian package {package})")
    return found


def execute(subject: Subject, argv: Sequence[str], *, threads: int = 1, **confined: Any) -> command.Outcome:
    """Run a tool as the candidate. Raises UnavailableError when it cannot be started or takes too long."""
    job, folder = subject.job, subject.library.parent
    places = ",".join(f"{{{core}}}" for core in cores_for(threads))
    openmp = {"OMP_NUM_THREADS": str(threads), "OMP_PLACES": places, "OMP_PROC_BIND": "true", "OMP_STACKSIZE": "16M"}
    environment = {"PATH": job.path, "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C", **openmp}
    memory = job.limits.memory_mb * 2**20 + SPARE_MEMORY
    cores = frozenset(cores_for(threads))
    confinement = spawn.Confinement(
        folder, job.candidate, environment, memory, job.limits.processes + threads, cores=cores, **confined
    )
    try:
        outcome = command.execute(argv, confinement, seconds=LONGEST, output_bytes=MOST_TEXT)
    except OSError as error:
        raise UnavailableError(f"{Path(argv[0]).name} cannot be started: {error.strerror}") from error
    if outcome.timed_out:
        raise UnavailableError(f"{Path(argv[0]).name} took longer than {LONGEST:.0f} s")
    return outcome


def driver(subject: Subject, dims: Mapping[str, int], milliseconds: int) -> list[str]:
    """The command line that calls the kernel, on inputs of its own drawn for these sizes."""
    instance = subject.workload.draw([int(subject.request["secret"]), SEED], "normal", dims)
    sizes = [array.nbytes for array in instance.inputs]
    sizes.append(instance.truth.size * subject.workload.dtype.itemsize)
    arguments = subject.workload.arguments(dims)
    header = np.zeros(2 + 2 * MAX_ARGUMENTS, dtype=np.int64)
    header[0], header[1] = len(instance.inputs), len(arguments)
    header[2 : 2 + len(sizes)] = sizes
    header[2 + MAX_ARGUMENTS : 2 + MAX_ARGUMENTS + len(arguments)] = arguments
    path = subject.job.folder / "inputs.bin"
    with path.open("wb") as file:
        for array in (header, *instance.inputs):
            file.write(array.tobytes())
    path.chmod(0o644)
    caller = tools.tool("profile_driver", subject.job.cache)
    return [str(caller), str(subject.library), subject.request["symbol"], str(path), str(milliseconds)]


# ---- the parts


def mix(subject: Subject) -> dict[str, Any]:
    """What the compiler made of it: the instructions of each innermost loop, and the functions that are called."""
    objdump = program("objdump", subject.job.path)
    argv = [objdump, "-dl", "--no-show-raw-insn", "-j", ".text", str(subject.library)]
    outcome = execute(subject, argv)
    if outcome.end.exit_code != 0:
        raise UnavailableError(f"objdump failed: {_last_words(outcome)}")
    return assembly.summarise(outcome.stdout, frozenset(subject.job.files))


def usage(subject: Subject) -> dict[str, Any]:
    """Wall and CPU time a call, faults and switches of all calls; and the least time with one thread."""
    argv = driver(subject, subject.request["timed"]["dims"], REPEAT_MS)
    found = _called(subject, argv, subject.threads)
    alone = _called(subject, argv, 1)["least_ms"] if subject.threads > 1 else found["least_ms"]
    return {**found, "alone_ms": alone}


def _called(subject: Subject, argv: Sequence[str], threads: int) -> dict[str, float]:
    outcome = execute(subject, argv, threads=threads)
    try:
        said = json.loads(outcome.stdout.strip().splitlines()[-1])
        found = {name: float(said[name]) for name in SAID}
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise UnavailableError(f"the kernel did not run to its end: {_last_words(outcome)}") from error
    if not all(map(math.isfinite, found.values())):
        raise UnavailableError("the kernel's process reported numbers that are none")
    return found


def simulated(subject: Subject) -> dict[str, Any]:
    """Cachegrind at the largest size that the time allows, found from a first run at a small one."""
    valgrind = program("valgrind", subject.job.path)
    flags = [PORTABLE if flag == "-march=native" else flag for flag in subject.request["flags"]]
    library, _ = build(subject.job, "portable", flags)
    subject = subject._replace(library=library)
    budget = float(subject.request["seconds"])
    sizes = [Size(dict(size["dims"]), float(size["work"])) for size in subject.request["sizes"]]
    probe = min(sizes, key=lambda size: abs(math.log(max(size.work, 1) / cachegrind.PROBE_WORK)))
    found, seconds = _simulate(subject, valgrind, probe)
    affordable = probe.work * budget / max(seconds - cachegrind.START_SECONDS, 0.05)
    chosen = next((size for size in sizes if size.work <= affordable), probe)
    if chosen.work > probe.work:
        try:
            found, seconds = _simulate(subject, valgrind, chosen)
        except UnavailableError:
            chosen = probe
    return {**found, "dims": dict(chosen.dims if chosen.work > probe.work else probe.dims)}


def _simulate(subject: Subject, valgrind: str, size: Size) -> tuple[dict[str, Any], float]:
    written = subject.library.with_name("cachegrind.out")
    written.unlink(missing_ok=True)
    written.touch(mode=0o666)  # made by valgrind, it would be the candidate's alone to read
    written.chmod(0o666)
    levels = cachegrind.levels()
    options = [f"--D1={levels.d1}", f"--LL={levels.l2}", f"--cachegrind-out-file={written}"]
    argv = [valgrind, "--tool=cachegrind", "--vgdb=no", "--cache-sim=yes", *options]
    outcome = execute(subject, [*argv, *driver(subject, size.dims, 0), "plain"])
    if outcome.end.exit_code != 0:
        raise UnavailableError(f"valgrind could not run it: {_why(outcome)}")
    found = cachegrind.summarise(_text(written), frozenset(subject.job.files))
    return {**found, "d1_kib": levels.d1.size >> 10, "l2_kib": levels.l2.size >> 10}, outcome.seconds


def _why(outcome: command.Outcome) -> str:
    if "Unrecognised instruction" in outcome.stderr or outcome.end.signal == "SIGILL":
        return "it has an instruction that valgrind does not know (AVX-512, most likely)"
    return _last_words(outcome)


def _text(path: Path) -> str:
    """What a tool wrote in the candidate's folder, where the candidate may have put something else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise UnavailableError(f"valgrind wrote no result: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnavailableError("valgrind's result is no file")
        return file.read(MOST_TEXT).decode(errors="replace")


def counted(subject: Subject) -> dict[str, Any]:
    """Hardware counters over many calls, all threads together."""
    perf = program("perf", subject.job.path)
    trial = execute(subject, [perf, "stat", "-x,", "-e", "instructions", "true"], counters=True)
    if trial.end.exit_code != 0 or not counters(trial.stderr):
        raise UnavailableError(f"perf gives no hardware counters here: {_refusal(trial.stderr)}")
    argv = [perf, "stat", "-x,", "-e", ",".join(COUNTERS)]
    calling = driver(subject, subject.request["timed"]["dims"], COUNTING_MS)
    outcome = execute(subject, [*argv, *calling], threads=subject.threads, counters=True)
    found = counters(outcome.stderr)
    if not found:
        raise UnavailableError(f"perf counted nothing: {_last_words(outcome)}")
    return {"counters": found}


def counters(text: str) -> dict[str, float]:
    """By name, from what `perf stat -x,` prints; those that the machine lacks are left out."""
    rows = (line.split(",") for line in text.splitlines())
    return {row[2].partition(":")[0]: float(row[0]) for row in rows if len(row) > 3 and row[0].isdigit()}  # noqa: PLR2004


def _refusal(text: str) -> str:
    if "not supported" in text:
        return "the machine has none, as most virtual ones"
    return next((line.strip() for line in text.splitlines() if line.strip()), "it says nothing")[:200]


def _last_words(outcome: command.Outcome) -> str:
    lines = [line for line in outcome.stderr.splitlines() if line.strip()]
    return outcome.end.signal or (lines[-1].strip()[:200] if lines else f"exit code {outcome.end.exit_code}")


PARTS: Mapping[str, Callable[[Subject], dict[str, Any]]] = {
    "mix": mix,
    "usage": usage,
    "perf": counted,
    "cachegrind": simulated,
}
"""From what costs least to what costs most."""
