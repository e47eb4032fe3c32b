"""Turns C into libraries as the candidate's user, under limits."""

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import command, spawn, tools
from .job import Job
from .runner import Program
from .verdict import BrokenTaskError, RejectedError

SECONDS = 30.0
"""For one compilation."""
MEMORY = 2 * 2**30
ALWAYS = ("-shared", "-fPIC", "-nostartfiles", "-fdiagnostics-color=never", "-fmax-errors=6")
MOST_ERRORS = 3000
MOST_REMARKS = 2500
REMARKS = "vectorisation.txt"


def _compile(job: Job, box: Path, uid: int, flags: Sequence[str], sources: Sequence[str]) -> command.Outcome:
    environment = {"PATH": command.PATH, "HOME": str(box), "TMPDIR": str(box), "LANG": "C.UTF-8"}
    confinement = spawn.Confinement(box, uid, environment, MEMORY, job.limits.processes)
    argv = ["gcc", *flags, *ALWAYS, "-o", "library.so", *sources, "-lm"]
    return command.execute(argv, confinement, seconds=SECONDS, output_bytes=8 * MOST_ERRORS)


def _sources(files: Mapping[str, str]) -> list[str]:
    return sorted(name for name in files if name.endswith(".c"))


def candidate(job: Job, *, remarks: bool) -> Program:
    """Raises RejectedError (gate `builds`) with the compiler's words."""
    sources = _sources(job.files)
    if not sources:
        raise RejectedError("builds", "no_source", "there is no .c file among the candidate's files")
    box = job.box("candidate")
    command.write_files(box, job.files)
    extra = (f"-fopt-info-vec-all={REMARKS}",) if remarks else ()
    outcome = _compile(job, box, job.candidate, (*job.request["flags"], *extra), sources)
    if outcome.timed_out:
        raise RejectedError("builds", "compile_timeout", f"the compiler took longer than {SECONDS:.0f} s")
    if outcome.end.exit_code != 0:
        words = outcome.stderr.strip() or f"the compiler ended by {outcome.end.signal}"
        raise RejectedError("builds", "compile_error", trim(words, MOST_ERRORS))
    written = box / REMARKS
    text = written.read_text(errors="replace") if remarks and written.is_file() else ""
    library = job.folder / "candidate.so"
    _keep(box / "library.so", library)
    return _held(job, library, summarise(text))


def baseline(job: Job) -> Program:
    """Built once for all jobs of this referee that ask for the same. Raises BrokenTaskError."""
    source, flags = job.trusted["baseline.c"], job.request["flags"]
    key = hashlib.sha256("\0".join([source, *flags]).encode()).hexdigest()[:24]
    kept = job.cache / f"{key}.so"
    if not kept.exists():
        box = job.box("baseline")
        command.write_files(box, {"baseline.c": source})
        outcome = _compile(job, box, job.baseline, flags, ["baseline.c"])
        if outcome.end.exit_code != 0:
            raise BrokenTaskError(f"the baseline does not build: {trim(outcome.stderr, 500)}")
        _keep(box / "library.so", kept)
    return _held(job, kept)


def _held(job: Job, library: Path, remarks: str = "") -> Program:
    runner = tools.tool("runner", job.cache)
    return Program((str(runner), str(library), job.request["symbol"]), library.parent, remarks, library=library)


def _keep(built: Path, kept: Path) -> None:
    """Copy to where the referee alone writes, at once or not at all."""
    partial = kept.with_suffix(".part")
    shutil.copyfile(built, partial)
    partial.chmod(0o755)
    partial.rename(kept)


def trim(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most].rpartition(chr(10))[0] or text[:most]}\n… (trimmed)"


_REMARK = re.compile(r"^(?P<where>[^:]+:\d+):\d+: (?P<kind>optimized|missed): +(?P<what>.*)$")


def summarise(remarks: str) -> str:
    """What a writer can act on: vectorised loops, and why the others are not; each line of source once a reason."""
    lines: dict[str, None] = {}
    for line in remarks.splitlines():
        found = _REMARK.match(line)
        if not found:
            continue
        what = found["what"]
        useful = found["kind"] == "optimized" or what.startswith(("couldn't vectorize loop", "not vectorized:"))
        if useful and "Loop costings" not in what:
            lines[f"{found['where']}: {what}"] = None
    return trim("\n".join(lines), MOST_REMARKS)
