"""The machine's roofline: arithmetic peak and bandwidth by working set, measured with code of ours."""

import hashlib
import json
from typing import Any

from . import command, machine, spawn, tools
from .job import Job


def run(job: Job) -> dict[str, Any]:
    """GF/s of fp32 multiply-adds and GB/s of a triad (read 2, write 1); `_1t` is one thread. Higher is better."""
    program = tools.tool("peaks", job.cache)
    cores = len(machine.cores())
    threads = min(int(job.request.get("threads", 0)) or cores, cores)
    seconds = float(job.request.get("seconds", 1.0))
    environment = {"PATH": command.PATH, "LANG": "C", "OMP_NUM_THREADS": str(threads)}
    confinement = spawn.Confinement(
        job.folder, job.candidate, environment, job.limits.memory_mb * 2**20, job.limits.processes
    )
    job.turn()
    outcome = command.execute([str(program), str(seconds)], confinement, seconds=10 * seconds + 10)
    if outcome.end.exit_code != 0:
        raise OSError(f"the peaks program failed: {outcome.stderr.strip() or outcome.end.signal}")
    identity = f"{machine.cpu()} {cores} {machine.compiler()}"
    fingerprint = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return {**json.loads(outcome.stdout), "cpu": machine.cpu(), "fingerprint": fingerprint}
