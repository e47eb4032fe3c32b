"""Judges one kernel: builds it, checks it on every case, times it against the baseline."""

import statistics
import time
from typing import Any

from . import cases, gpu, library, machine, targets
from .job import Job
from .timing import Duel
from .verdict import BrokenTaskError, RejectedError, UnequippedError
from .workload import Workload


def run(job: Job) -> dict[str, Any]:
    """The reply; `broken_task` alone when the task's own code or baseline fails, `unequipped` alone when the sandbox
    lacks what the target needs.
    """
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
        "not_run": "",
        "not_timed": "",
        "device": {},
        "peak_memory_mb": 0.0,
    }
    try:
        _judge(job, reply)
    except RejectedError as error:
        reply["failure"] = error.failure
    except UnequippedError as error:
        return {"unequipped": str(error)}
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
    reply.update(vectorisation=candidate.remarks, not_run=candidate.not_run, not_timed=candidate.not_timed)
    if candidate.not_run:
        return
    cases.check(job, workload, candidate, reply)
    if candidate.library:
        library.inspect(candidate.library)
    if request.get("timed") is None or candidate.not_timed:
        return
    baseline = target.baseline(job)
    job.turn()
    duel = Duel(job, workload, (baseline, candidate), reply["threads"])
    before = gpu.clocks() if candidate.device else {}
    try:
        reply["timing"] = duel.run()
    finally:
        reply["peak_memory_mb"] = max(reply["peak_memory_mb"], duel.peak_memory_mb)
    if candidate.device:
        busy = statistics.median(duel.device_ns or [0.0])
        reply["device"] = {**candidate.device, **gpu.steadiness(before, gpu.clocks()), "busy_ns": busy}
        if request.get("report"):
            reply["counters"] = gpu.counters(job, candidate, duel.sizes, workload.arguments(request["timed"]["dims"]))
