"""The duel: baseline and candidate on the same fresh secret inputs, in turns, every output checked.

No call is recognisably a warm-up or a check: each one that is timed is judged, on a distribution drawn at random.
"""

import contextlib
import gc
import os
import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .job import Job
from .runner import Program, Runner, Setup, cores_for
from .stage import Stage, footprint
from .verdict import BrokenTaskError, RejectedError
from .workload import Instance, Workload

SEED = 2
MOST_SETS = 16
"""Calls of one sample, each on data of its own."""
MOST_BYTES = 256 * 2**20
"""Of inputs and outputs of one sample."""
FEWEST_SAMPLES = 3
ENOUGH_SAMPLES = 7
"""Fewer calls a sample rather than fewer samples than this."""


class Pair(NamedTuple):
    """One sample, in nanoseconds for all of its calls."""

    baseline: int
    candidate: int
    seconds: float
    """What the whole sample took, staging and judging included."""


class Plan(NamedTuple):
    samples: int
    sets: int


class Duel:
    def __init__(self, job: Job, workload: Workload, programs: tuple[Program, Program], threads: int) -> None:
        self._workload = workload
        self._timed: Mapping[str, Any] = job.request["timed"]
        self._secret = int(job.request["secret"])
        self._rng = np.random.Generator(np.random.PCG64([self._secret, SEED]))
        self._drawn = 0
        self._stage = Stage(workload)
        self._first = self._draw()
        self._bytes = footprint(self._first, workload)
        shared = max(MOST_BYTES, self._bytes) + MOST_SETS * 2**21
        setup = Setup(threads, self._stage.inputs, shared)
        with _baselines_fault():
            self._baseline = Runner(job, programs[0], setup, uid=job.baseline)
        try:
            self._candidate = Runner(job, programs[1], setup, uid=job.candidate)
        except RejectedError:
            self._baseline.close()
            raise
        os.sched_setaffinity(0, cores_for(threads)[:1])

    @property
    def peak_memory_mb(self) -> float:
        return self._candidate.peak_memory_mb

    def close(self) -> None:
        self._baseline.close()
        self._candidate.close()

    def run(self) -> dict[str, Any]:
        """Paired times per call; the standstill of an empty call of the baseline is taken off both."""
        started = time.monotonic()
        self._arrange(1)
        plan = self._plan(self._sample(0, 1))
        self._arrange(plan.sets)
        pairs: list[Pair] = []
        while len(pairs) < plan.samples:
            pairs.append(self._sample(len(pairs), plan.sets))
            if len(pairs) >= FEWEST_SAMPLES and time.monotonic() - started > self._timed["seconds"]:
                break
        with _baselines_fault():
            empty = round(statistics.median(self._baseline.call(0, "doing nothing") for _ in range(9)))
        return {
            "baseline_ns": [_per_call(pair.baseline, empty, plan.sets) for pair in pairs],
            "candidate_ns": [_per_call(pair.candidate, empty, plan.sets) for pair in pairs],
            "calls": plan.sets,
            "empty_ns": empty,
        }

    def _draw(self) -> Instance:
        self._drawn += 1
        distribution = str(self._rng.choice(self._workload.distributions))
        return self._workload.draw([self._secret, SEED, self._drawn], distribution, self._timed["dims"])

    def _arrange(self, sets: int) -> None:
        self._stage.arrange(self._first, self._timed["dims"], sets, [self._baseline, self._candidate])

    def _sample(self, number: int, sets: int) -> Pair:
        started = time.monotonic()
        instances = [self._draw() for _ in range(sets)]
        doing = f"computing {instances[0].label}"
        gc.disable()
        if number % 2:
            candidate = self._call(self._candidate, instances, doing)
        with _baselines_fault():
            baseline = self._call(self._baseline, instances, doing)
        if not number % 2:
            candidate = self._call(self._candidate, instances, doing)
        gc.enable()
        with _baselines_fault():
            self._stage.verify(self._baseline, instances)
        self._stage.verify(self._candidate, instances)
        return Pair(baseline, candidate, time.monotonic() - started)

    def _call(self, runner: Runner, instances: list[Instance], doing: str) -> int:
        """Inputs and canaries are written anew each time, so that whoever comes second finds no warmer caches."""
        self._stage.load(instances)
        runner.outputs.clear()
        return runner.call(len(instances), doing)

    def _plan(self, trial: Pair) -> Plan:
        """As many calls a sample as make it long enough, and as many samples as the time allows."""
        shortest = max(1, min(trial.baseline, trial.candidate)) / 1000
        sets = int(-(-float(self._timed["min_sample_us"]) // shortest))
        sets = max(1, min(sets, MOST_SETS, MOST_BYTES // self._bytes))
        samples = int(self._timed["samples"])
        samples += samples % 2  # as many with the one side first as with the other
        affordable = float(self._timed["seconds"]) / max(trial.seconds, 1e-6)
        sets = max(1, min(sets, int(affordable / min(ENOUGH_SAMPLES, samples))))
        return Plan(max(min(FEWEST_SAMPLES, samples), min(samples, int(affordable / sets))), sets)


def _per_call(elapsed: int, empty: int, sets: int) -> float:
    """Nanoseconds; what is mostly handshake counts as a tenth of itself at least, never as nothing."""
    return max(elapsed - empty, elapsed / 10) / sets


@contextlib.contextmanager
def _baselines_fault() -> Iterator[None]:
    try:
        yield
    except RejectedError as error:
        raise BrokenTaskError(f"the baseline fails: {error}") from error
