"""The target `cuda`: a file kernel.cu that exports `extern "C" void kernel(…)`, called with pointers to device memory.

It is built by nvcc as the candidate's user under limits, for this machine's device; without a device for a common one,
and then it is not run. The program that holds it is device.c. Its address space is not limited, because the driver
reserves far more than it uses, and neither is device memory.
"""

import hashlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from . import command, gpu, spawn
from .compiler import MOST_ERRORS, MOST_REMARKS, trim
from .job import Job
from .runner import Program
from .verdict import BrokenTaskError, RejectedError, UnequippedError

SECONDS = 90.0
"""For one compilation."""
MEMORY = 6 * 2**30
ALWAYS = ("-shared", "-Xcompiler", "-fPIC", "-Xptxas", "-v")
WITHOUT_DEVICE = "sm_80"
ROOM = 2**44
FILE_BYTES = 2**20


def candidate(job: Job, *, remarks: bool) -> Program:
    """Raises RejectedError (gate `builds`) with nvcc's words, UnequippedError without nvcc."""
    sources = sorted(name for name in job.files if name.endswith(".cu"))
    if not sources:
        raise RejectedError("builds", "no_source", "there is no .cu file among the candidate's files")
    toolkit = _toolkit()
    box = job.box("candidate")
    command.write_files(box, job.files)
    outcome = _compile(job, toolkit, box, job.candidate, sources)
    if outcome.timed_out:
        raise RejectedError("builds", "compile_timeout", f"the compiler took longer than {SECONDS:.0f} s")
    if outcome.end.exit_code != 0:
        words = errors(outcome.stdout + outcome.stderr) or f"the compiler ended by {outcome.end.signal}"
        raise RejectedError("builds", "compile_error", trim(words, MOST_ERRORS))
    return _held(job, toolkit, box / "library.so", resources(outcome.stdout + outcome.stderr) if remarks else "")


def baseline(job: Job) -> Program:
    """Built once for all jobs of this referee that ask for the same. Raises BrokenTaskError."""
    toolkit = _toolkit()
    source, flags = job.trusted["baseline.cu"], job.request["flags"]
    key = hashlib.sha256("\0".join([source, *flags]).encode()).hexdigest()[:24]
    kept = job.cache / f"{key}.cuda.so"
    if not kept.exists():
        box = job.box("baseline")
        command.write_files(box, {"baseline.cu": source})
        outcome = _compile(job, toolkit, box, job.baseline, ["baseline.cu"])
        if outcome.end.exit_code != 0:
            raise BrokenTaskError(f"the baseline does not build: {trim(outcome.stderr or outcome.stdout, 500)}")
        partial = kept.with_suffix(".part")
        shutil.copyfile(box / "library.so", partial)
        partial.chmod(0o755)
        partial.rename(kept)
    return _held(job, toolkit, kept)


def _toolkit() -> Path:
    toolkit = gpu.home()
    if toolkit is None:
        raise UnequippedError(gpu.NO_NVCC)
    return toolkit


def _compile(job: Job, toolkit: Path, box: Path, uid: int, sources: Sequence[str]) -> command.Outcome:
    environment = {"PATH": command.PATH, "HOME": str(box), "TMPDIR": str(box), "LANG": "C.UTF-8"}
    confinement = spawn.Confinement(box, uid, environment, MEMORY, job.limits.processes)
    capability = gpu.facts(_runner(toolkit, job)).get("capability") if gpu.seen() else None
    device = f"sm_{capability}" if capability else WITHOUT_DEVICE
    argv = [*gpu.nvcc(toolkit), *job.request["flags"], f"-arch={device}", *ALWAYS, "-o", "library.so", *sources]
    return command.execute(argv, confinement, seconds=SECONDS, output_bytes=16 * MOST_ERRORS)


def _runner(toolkit: Path, job: Job) -> Path:
    try:
        return gpu.runner(toolkit, job.cache)
    except OSError as error:
        raise UnequippedError(str(error)) from error


def _held(job: Job, toolkit: Path, library: Path, remarks: str = "") -> Program:
    runner = _runner(toolkit, job) if gpu.seen() else None
    device = gpu.facts(runner) if runner else {}
    if not device:
        return Program((), library.parent, remarks, not_run=f"compiled; not run: {gpu.NO_GPU}")
    argv = (str(runner), str(library), job.request["symbol"])
    return Program(argv, library.parent, remarks, room=ROOM, file_bytes=FILE_BYTES, device=device, alone=argv)


_REPORT = re.compile(r"^(ptxas info|nvlink info|\s+\d+ bytes stack frame)")
_ENTRY = re.compile(r"Compiling entry function '(?P<name>\w+)'")
_SPILLS = re.compile(r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads")
_USED = re.compile(r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)")
_SHARED = re.compile(r"(?P<bytes>\d+) bytes smem")
_MANGLED = re.compile(r"^_Z(?:\d*N)?(?P<length>\d+)(?P<rest>\w+)$")


def errors(words: str) -> str:
    """What nvcc said, without its report on resources."""
    return "\n".join(line for line in words.splitlines() if line.strip() and not _REPORT.match(line))


def resources(words: str) -> str:
    """One line a kernel: its registers, spills and shared memory."""
    lines, name, spilled = [], "", ""
    for line in words.splitlines():
        if entry := _ENTRY.search(line):
            name, spilled = _plain(entry["name"]), ""
        elif found := _SPILLS.search(line):
            bytes_spilled = int(found["stores"]) + int(found["loads"])
            spilled = f", {bytes_spilled} bytes spilled" if bytes_spilled else ""
        elif name and (used := _USED.search(line)):
            shared = _SHARED.search(used["rest"])
            memory = f", {shared['bytes']} bytes of shared memory" if shared else ""
            lines.append(f"{name}: {used['registers']} registers{memory}{spilled}")
            name = ""
    return trim("\n".join(lines), MOST_REMARKS)


def _plain(mangled: str) -> str:
    found = _MANGLED.match(mangled)
    return found["rest"][: int(found["length"])] if found else mangled
