"""Correctness: the candidate on every case, in one process, until one fails."""

from collections.abc import Mapping, Sequence
from typing import Any

from .job import Job
from .runner import Program, Runner, Setup
from .stage import Stage, footprint
from .workload import Workload

SEED = 1
"""Distinguishes the data of this phase from that of the timed one."""


def check(job: Job, workload: Workload, program: Program, reply: dict[str, Any]) -> None:
    """Report in `reply` how far it gets. Raises RejectedError at the first case that fails."""
    cases: Sequence[Mapping[str, Any]] = job.request["cases"]
    if not cases:
        return
    secret = int(job.request["secret"])
    instances = [
        workload.draw([secret, SEED, number], case["distribution"], case["dims"]) for number, case in enumerate(cases)
    ]
    stage = Stage(workload)
    shared = max(footprint(instance, workload) for instance in instances)
    setup = Setup(reply["threads"], stage.inputs, shared)
    runner = Runner(job, program, setup, uid=job.candidate)
    try:
        for case, instance in zip(cases, instances, strict=True):
            stage.arrange(instance, case["dims"], [runner])
            stage.load(instance)
            runner.call(f"computing {instance.label}")
            stage.verify(runner, instance)
            reply["cases_passed"] += 1
    finally:
        runner.close()
        reply["peak_memory_mb"] = runner.peak_memory_mb
