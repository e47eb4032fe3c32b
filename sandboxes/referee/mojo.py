"""The target `mojo`: a file kernel.mojo that exports `kernel` with the arguments of the C declaration.

Mojo compiles it to an object as the candidate's user under limits; gcc links that with mojo_runtime.c, which stands in
for Mojo's own runtime: the library then needs nothing that a C kernel would not need, and runner.c holds it as one.
`from max.algorithm import parallelize` finds parallel.mojo, whose threads are OpenMP's.
"""

import hashlib
import importlib.util
import os
import re
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from . import assembly, command, spawn, tools
from .compiler import MOST_ERRORS, MOST_REMARKS, trim
from .job import Job
from .python import open_to_all
from .runner import Program
from .verdict import BrokenTaskError, RejectedError, UnequippedError

SOURCE = "kernel.mojo"
VARIABLE = "EVOLVE_MOJO"
"""Names the folder of a Mojo installation that this Python cannot import."""
NO_MOJO = f"Mojo is not installed: pip install 'evolve-foundry[mojo]' (270 MB), or set {VARIABLE} to its folder"
NEEDED = ("bin/mojo", "lib/mojo/std.mojoc")
SECONDS = 30.0
"""For one compilation."""
MEMORY = 6 * 2**30
"""Bytes of address space, of which the compiler takes more than two for its heap alone."""
MODULES = "modules"
LINES = "--debug-level=line-tables"
LINK = ("-shared", "-fPIC", "-nostartfiles", "-fopenmp", "-Wl,-z,defs", "-Wl,-z,noexecstack")
LISTING = 4 * 2**20
"""Characters of a disassembly."""
CLASSES = ("zmm", "ymm", "xmm", "scalar", "fma", "divisions", "gathers", "branches", "stack")


@cache
def home() -> Path | None:
    """Of the Mojo installation: the folder `modular` of its wheels."""
    found = importlib.util.find_spec("modular")
    named = os.environ.get(VARIABLE)
    places = [Path(named)] if named else []
    places += map(Path, found.submodule_search_locations or ()) if found else ()
    return next((place for place in places if all((place / part).is_file() for part in NEEDED)), None)


def candidate(job: Job, *, remarks: bool) -> Program:
    """Raises RejectedError (gate `builds`) with the compiler's words, UnequippedError without Mojo."""
    if SOURCE not in job.files:
        raise RejectedError("builds", "no_source", f"there is no {SOURCE} among the candidate's files")
    box = job.box("candidate")
    outcome = _compile(job, box, job.candidate, SOURCE, job.files[SOURCE])
    if outcome.timed_out:
        raise RejectedError("builds", "compile_timeout", f"the compiler took longer than {SECONDS:.0f} s")
    if outcome.end.exit_code != 0:
        words = errors(outcome.stderr, box) or f"the compiler ended by {outcome.end.signal or 'itself'}"
        raise RejectedError("builds", "compile_error", trim(words, MOST_ERRORS))
    outcome = _link(job, box, job.candidate)
    if outcome.end.exit_code != 0:
        raise RejectedError("builds", "link_error", trim(missing_symbols(outcome.stderr), MOST_ERRORS))
    said = _loops(job, box) if remarks else ""
    library = job.folder / "candidate.so"
    _keep(box / "library.so", library)
    return _held(job, library, said)


def baseline(job: Job) -> Program:
    """Built once for all jobs of this referee that ask for the same. Raises BrokenTaskError."""
    source, flags = job.trusted["baseline.mojo"], job.request["flags"]
    key = hashlib.sha256("\0".join([source, *flags]).encode()).hexdigest()[:24]
    kept = job.cache / f"{key}.mojo.so"
    if not kept.exists():
        box = job.box("baseline")
        outcome = _compile(job, box, job.baseline, "baseline.mojo", source)
        if outcome.end.exit_code == 0:
            outcome = _link(job, box, job.baseline)
        if outcome.end.exit_code != 0:
            raise BrokenTaskError(f"the baseline does not build: {trim(errors(outcome.stderr, box), 500)}")
        _keep(box / "library.so", kept)
    return _held(job, kept)


def _compile(job: Job, box: Path, uid: int, name: str, source: str) -> command.Outcome:
    installed = home()
    if installed is None:
        raise UnequippedError(NO_MOJO)
    if uid and not open_to_all(installed / NEEDED[0]):
        raise UnequippedError(f"candidates may not enter {installed}; install Mojo where everyone can read it")
    modules = {"max/__init__.mojo": "", "max/algorithm.mojo": Path(__file__).with_name("parallel.mojo").read_text()}
    command.write_files(box, {name: source, **{f"{MODULES}/{path}": text for path, text in modules.items()}})
    places = {
        "MODULAR_MAX_PACKAGE_ROOT": str(installed),
        "MODULAR_MOJO_MAX_PACKAGE_ROOT": str(installed),
        "MODULAR_MOJO_MAX_DRIVER_PATH": str(installed / "bin" / "mojo"),
        "MODULAR_MOJO_MAX_IMPORT_PATH": str(installed / "lib" / "mojo"),
    }
    quiet = {"MODULAR_CRASH_REPORTING_ENABLED": "false", "MODULAR_TELEMETRY_ENABLED": "false"}
    own = ["--emit", "object", "--disable-warnings", LINES, "-I", MODULES]
    argv = [str(installed / "bin" / "mojo"), "build", *job.request["flags"], *own, "-o", "kernel.o", name]
    return _execute(job, box, uid, argv, {**places, **quiet})


def _link(job: Job, box: Path, uid: int) -> command.Outcome:
    runtime = tools.tool("mojo_runtime", job.cache)
    return _execute(job, box, uid, ["gcc", *LINK, "-o", "library.so", "kernel.o", str(runtime), "-lm"], {})


def _execute(job: Job, box: Path, uid: int, argv: Sequence[str], given: dict[str, str]) -> command.Outcome:
    """Mojo waits for ever where it cannot write to its HOME."""
    environment = {"PATH": command.PATH, "HOME": str(box), "TMPDIR": str(box), "LANG": "C.UTF-8", **given}
    confinement = spawn.Confinement(box, uid, environment, MEMORY, job.limits.processes)
    return command.execute(argv, confinement, seconds=SECONDS, output_bytes=16 * MOST_ERRORS)


def _keep(built: Path, kept: Path) -> None:
    """Copy to where the referee alone writes, at once or not at all."""
    partial = kept.with_suffix(".part")
    shutil.copyfile(built, partial)
    partial.chmod(0o755)
    partial.rename(kept)


def _held(job: Job, library: Path, remarks: str = "") -> Program:
    runner = tools.tool("runner", job.cache)
    return Program((str(runner), str(library), job.request["symbol"]), library.parent, remarks, library=library)


# ---- words

_PLACE = re.compile(r"^(?P<file>\S+\.mojo):(?P<line>\d+):(?P<column>\d+): (?P<kind>error|note|warning): (?P<words>.*)$")
_NOISE = re.compile(r"^(Failed to initialize Crashpad|.*: error: failed to (parse|run)|Included from|Imported from)")


def errors(words: str, box: Path) -> str:
    """What Mojo said, by the names that the writer knows."""
    kept = [line for line in words.replace(f"{box}/", "").splitlines() if line.strip() and not _NOISE.match(line)]
    return "\n".join(kept)


def missing_symbols(words: str) -> str:
    """What the linker did not find: parts of Mojo's runtime that kernels go without."""
    names = dict.fromkeys(re.findall(r"undefined reference to `([^']+)'", words))
    if names:
        return f"needs {', '.join(names)} of Mojo's runtime, which kernels go without (no printing, no files, no tasks)"
    return words.strip()


def _loops(job: Job, box: Path) -> str:
    """What the compiler made of the innermost loops; nothing where objdump is not to be had."""
    argv = ["objdump", "-dl", "--no-show-raw-insn", "-j", ".text", "library.so"]
    environment = {"PATH": job.path, "HOME": str(box), "LANG": "C"}
    confinement = spawn.Confinement(box, job.candidate, environment, MEMORY, job.limits.processes)
    try:
        outcome = command.execute(argv, confinement, seconds=SECONDS, output_bytes=LISTING)
    except OSError:
        return ""
    found = assembly.summarise(outcome.stdout, frozenset({SOURCE}))
    lines = [_loop(loop) for loop in found["loops"] if loop["line"]]
    return trim("\n".join(lines), MOST_REMARKS)


def _loop(loop: dict[str, object]) -> str:
    counts = [f"{name} {loop[name]}" for name in CLASSES if loop[name]]
    calls = loop["calls"]
    called = [f"calls {name}" for name in calls] if isinstance(calls, dict) else []
    return f"{SOURCE}:{loop['line']}: {loop['instructions']} instructions a step: {', '.join(counts + called)}"
