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
FEWEST_SESSIONS = 3
"""However long they take."""


class Pair(NamedTuple):
    """One sample, in nanoseconds for all of its calls."""

    baseline: int
    candidate: int
    seconds: float
    """What the whole sample took, staging and judging included."""


class Plan(NamedTuple):
    samples: int
    """Of each session."""
    sets: int
    """Calls of each sample, each on data of its own."""


class Duel:
    """Several sessions, each with new processes: where a process and its memory happen to lie changes its speed for
    as long as it lives, and samples of one process cannot show by how much.
    """

    def __init__(self, job: Job, workload: Workload, programs: tuple[Program, Program], threads: int) -> None:
        self._job = job
        self._workload = workload
        self._programs = programs
        self._timed: Mapping[str, Any] = job.request["timed"]
        self._secret = int(job.request["secret"])
        self._rng = np.random.Generator(np.random.PCG64([self._secret, SEED]))
        self._drawn = 0
        self._stage = Stage(workload)
        self._first = self._draw()
        self._bytes = footprint(self._first, workload)
        shared = max(MOST_BYTES, self._bytes) + MOST_SETS * 2**21
        self._setup = Setup(threads, self._stage.inputs, shared)
        self._plan: Plan | None = None
        self._turn = 0
        self._empty: list[int] = []
        self.device_ns: list[float] = []
        """Of each call of the candidate, by the device's own clock where it has one."""
        self.peak_memory_mb = 0.0
        os.sched_setaffinity(0, cores_for(threads)[:1])

    @property
    def sizes(self) -> list[int]:
        """Bytes of each input and of the output."""
        return [*(array.nbytes for array in self._first.inputs), self._first.truth.size * self._workload.dtype.itemsize]

    def run(self) -> dict[str, Any]:
        """Paired times per call, session by session; the standstill of an empty call is taken off both sides."""
        started = time.monotonic()
        sessions: list[dict[str, list[float]]] = []
        while len(sessions) < self._timed["sessions"]:
            with self._opponents() as (baseline, candidate):
                sessions.append(self._session(baseline, candidate))
            if len(sessions) >= FEWEST_SESSIONS and time.monotonic() - started > self._timed["seconds"]:
                break
        calls = self._plan.sets if self._plan else 1
        return {"sessions": sessions, "calls": calls, "empty_ns": round(statistics.median(self._empty))}

    @contextlib.contextmanager
    def _opponents(self) -> Iterator[tuple[Runner, Runner]]:
        with _baselines_fault():
            baseline = Runner(self._job, self._programs[0], self._setup, uid=self._job.baseline)
        with contextlib.closing(baseline):
            candidate = Runner(self._job, self._programs[1], self._setup, uid=self._job.candidate)
            with contextlib.closing(candidate):
                yield baseline, candidate
            self.peak_memory_mb = max(self.peak_memory_mb, candidate.peak_memory_mb)

    def _session(self, baseline: Runner, candidate: Runner) -> dict[str, list[float]]:
        """The first call is judged, but not counted: it pays for starting threads and touching memory."""
        plan = self._plan or Plan(0, 1)
        self._stage.arrange(self._first, self._timed["dims"], plan.sets, [baseline, candidate])
        trial = self._sample(baseline, candidate, 1)
        if self._plan is None:
            self._plan = plan = self._planned(trial)
            self._stage.arrange(self._first, self._timed["dims"], plan.sets, [baseline, candidate])
        pairs = [self._sample(baseline, candidate, plan.sets) for _ in range(plan.samples)]
        with _baselines_fault():
            empty = round(statistics.median(baseline.call(0, "doing nothing") for _ in range(5)))
        self._empty.append(empty)
        self.device_ns += [ns / plan.sets for ns in candidate.device_ns[-len(pairs) :]]
        return {
            "baseline_ns": [_per_call(pair.baseline, empty, plan.sets) for pair in pairs],
            "candidate_ns": [_per_call(pair.candidate, empty, plan.sets) for pair in pairs],
        }

    def _draw(self) -> Instance:
        self._drawn += 1
        distribution = str(self._rng.choice(self._workload.distributions))
        return self._workload.draw([self._secret, SEED, self._drawn], distribution, self._timed["dims"])

    def _sample(self, baseline: Runner, candidate: Runner, sets: int) -> Pair:
        started = time.monotonic()
        self._turn += 1
        instances = [self._draw() for _ in range(sets)]
        doing = f"computing {instances[0].label}"
        gc.disable()
        if self._turn % 2:
            candidates = self._call(candidate, instances, doing)
        with _baselines_fault():
            baselines = self._call(baseline, instances, doing)
        if not self._turn % 2:
            candidates = self._call(candidate, instances, doing)
        gc.enable()
        with _baselines_fault():
            self._stage.verify(baseline, instances)
        self._stage.verify(candidate, instances)
        return Pair(baselines, candidates, time.monotonic() - started)

    def _call(self, runner: Runner, instances: list[Instance], doing: str) -> int:
        """Inputs and canaries are written anew each time, so that whoever comes second finds no warmer caches."""
        self._stage.load(instances)
        runner.outputs.clear()
        return runner.call(len(instances), doing)

    def _planned(self, trial: Pair) -> Plan:
        """As many calls a sample as make it long enough, and as many samples a session as the time allows."""
        shortest = max(1, min(trial.baseline, trial.candidate)) / 1000
        sets = int(-(-float(self._timed["min_sample_us"]) // shortest))
        sets = max(1, min(sets, MOST_SETS, MOST_BYTES // self._bytes))
        wanted, sessions = int(self._timed["samples"]), int(self._timed["sessions"])
        affordable = float(self._timed["seconds"]) / max(trial.seconds, 1e-6) / sessions - 1
        sets = max(1, min(sets, int(affordable / wanted)))
        return Plan(max(1, min(wanted, int(affordable / sets))), sets)


def _per_call(elapsed: int, empty: int, sets: int) -> float:
    """Nanoseconds; what is mostly handshake counts as a tenth of itself at least, never as nothing."""
    return max(elapsed - empty, elapsed / 10) / sets


@contextlib.contextmanager
def _baselines_fault() -> Iterator[None]:
    try:
        yield
    except RejectedError as error:
        raise BrokenTaskError(f"the baseline fails: {error}") from error
