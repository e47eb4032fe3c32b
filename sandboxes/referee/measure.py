"""Judges one kernel: builds it, checks it on every case, times it against the baseline."""

import time
from typing import Any

from . import cases, machine, targets
from .job import Job
from .timing import Duel
from .verdict import BrokenTaskError, RejectedError
from .workload import Workload


def run(job: Job) -> dict[str, Any]:
    """The reply; `broken_task` alone when the task's own code or baseline fails."""
    cores = len(machine.cores())
    threads = min(int(job.request.get("threads", 0)) or cores, cores)
    reply: dict[str, Any] = {
        "compiler": machine.compiler(),
        "cpu": machine.cpu(),
        "threads": threads,
        "failure": None,
        "cases_passed": 0,
        "build_seconds": 0.0,
        "timing": None,
        "vectorisation": "",
        "peak_memory_mb": 0.0,
    }
    try:
        _judge(job, reply)
    except RejectedError as error:
        reply["failure"] = error.failure
    except BrokenTaskError as error:
        return {"broken_task": str(error)}
    return reply


def _judge(job: Job, reply: dict[str, Any]) -> None:
    """Fill in the reply as far as the candidate gets."""
    request = job.request
    workload = Workload(job.trusted, request["dims"])
    target = targets.of(job)
    started = time.monotonic()
    candidate = target.candidate(job, remarks=bool(request.get("report")))
    reply["build_seconds"] = time.monotonic() - started
    reply["vectorisation"] = candidate.remarks
    cases.check(job, workload, candidate, reply)
    if request.get("timed") is None:
        return
    baseline = target.baseline(job)
    job.turn()
    duel = Duel(job, workload, (baseline, candidate), reply["threads"])
    try:
        reply["timing"] = duel.run()
    finally:
        duel.close()
        reply["peak_memory_mb"] = max(reply["peak_memory_mb"], duel.peak_memory_mb)
