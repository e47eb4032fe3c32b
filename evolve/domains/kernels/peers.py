"""A kernel beside its peers, measured in one session: the plain loops, numpy, torch."""

import secrets
from collections.abc import Mapping

from pydantic import ValidationError

from evolve.domains.kernels.bottleneck import Roofline
from evolve.domains.kernels.catalogue import SOURCE, Entry, numerics
from evolve.domains.kernels.machine import Peaks
from evolve.domains.kernels.measured import Reported
from evolve.domains.kernels.rules import declared_flags
from evolve.domains.kernels.vocabulary import GIVEN
from evolve.errors import PluginError, SandboxError
from evolve.profiler import Section
from evolve.types import Execution, Job, Limits

SAMPLES = 15
SECONDS = 6.0
NAMES: Mapping[str, str] = {
    "baseline": f"the plain loops, {' '.join(GIVEN)}",
    "candidate": "the candidate",
    "numpy": "numpy",
    "torch": "torch",
}


class Row(Reported):
    ns: float = 0.0
    """Median of the samples."""
    samples: int = 0
    version: str = ""
    problem: str = ""
    """Why there is no time."""


class Reply(Reported):
    rows: Mapping[str, Row]
    threads: int
    seconds: float


def job(entry: Entry, source: str, limits: Limits) -> Job:
    request = {
        "symbol": "kernel",
        "dims": list(entry.spec.DIMS),
        "flags": [*GIVEN, *declared_flags(source)],
        "plain_flags": list(GIVEN),
        "secret": secrets.randbits(62),
        "timed": {"dims": dict(entry.spec.TIMED), "samples": SAMPLES},
        "seconds": SECONDS,
        "threads": 0,
    }
    trusted = {"task.py": entry.module, "numerics.py": numerics(), "baseline.c": entry.seed}
    return Job(program="peers", files={SOURCE: source}, trusted=trusted, request=request, limits=limits)


def read(execution: Execution) -> Reply:
    """Raises PluginError when the task is broken, SandboxError when the referee did not report."""
    broken = execution.reply.get("broken_task")
    if broken:
        raise PluginError(f"it cannot be compared: {broken}")
    try:
        return Reply.model_validate(dict(execution.reply))
    except ValidationError as error:
        words = execution.stderr[-300:] or str(error)
        raise SandboxError(f"the referee's comparison is unusable: {words}") from error


def section(entry: Entry, reply: Reply, peaks: Peaks) -> Section:
    spec = entry.spec
    roofline = peaks.roofline(spec.flops(**spec.TIMED), spec.bytes_moved(**spec.TIMED))
    size = ", ".join(f"{name}={extent}" for name, extent in spec.TIMED.items())
    head = f"peers at {size}, {reply.threads} threads, medians in one session ({reply.seconds:.1f} s)"
    rows = [(name, reply.rows[name]) for name in NAMES if name in reply.rows]
    baseline = reply.rows.get("baseline", Row())
    lines = [_line(name, row, baseline, roofline) for name, row in rows]
    data = {name: _data(row, baseline, roofline) for name, row in rows}
    return Section("\n".join([head, *lines]), {"seconds": reply.seconds, "threads": reply.threads, "rows": data})


def _line(name: str, row: Row, baseline: Row, roofline: Roofline) -> str:
    if row.problem or not row.ns:
        return f"  {NAMES[name]:<44} not measured: {row.problem or 'no sample'}"
    ratio = f"{baseline.ns / row.ns:8.2f}×" if baseline.ns else f"{'–':>9}"
    share = min(1.0, roofline.best_ms * 1e6 / row.ns)
    return f"  {NAMES[name]:<44}{row.ns * 1e-6:10.4g} ms{ratio} {share:6.1%} of the roofline  {row.version}"


def _data(row: Row, baseline: Row, roofline: Roofline) -> dict[str, object]:
    if row.problem or not row.ns:
        return {"problem": row.problem or "no sample"}
    return {
        "ms": row.ns * 1e-6,
        "ratio": baseline.ns / row.ns if baseline.ns else None,
        "roofline": min(1.0, roofline.best_ms * 1e6 / row.ns),
        "samples": row.samples,
        "version": row.version,
    }
