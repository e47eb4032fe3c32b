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
MOST_CALLS = 16
"""Of one sample, each on data of its own."""
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
    calls: int
    """Of each sample."""


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
        self._setup = Setup(threads, self._stage.inputs, footprint(self._first, workload))
        self._plan: Plan | None = None
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
            with self._opponents(len(sessions)) as (baseline, candidate):
                sessions.append(self._session(baseline, candidate))
            if len(sessions) >= FEWEST_SESSIONS and time.monotonic() - started > self._timed["seconds"]:
                break
        calls = self._plan.calls if self._plan else 1
        return {"sessions": sessions, "calls": calls, "empty_ns": round(statistics.median(self._empty))}

    @contextlib.contextmanager
    def _opponents(self, number: int) -> Iterator[tuple[Runner, Runner]]:
        """Started in turns, too: whoever is first is given other memory, and again the same in the next session."""
        with contextlib.ExitStack() as stack:
            started: dict[bool, Runner] = {}
            for is_baseline in (True, False) if number % 2 else (False, True):
                uid = self._job.baseline if is_baseline else self._job.candidate
                with _baselines_fault(applies=is_baseline):
                    runner = Runner(self._job, self._programs[not is_baseline], self._setup, uid=uid)
                started[is_baseline] = stack.enter_context(contextlib.closing(runner))
            self._stage.arrange(self._first, self._timed["dims"], list(started.values()))
            yield started[True], started[False]
        self.peak_memory_mb = max(self.peak_memory_mb, started[False].peak_memory_mb)

    def _session(self, baseline: Runner, candidate: Runner) -> dict[str, list[float]]:
        """The first call is judged, but not counted: it pays for starting threads and touching memory."""
        trial = self._sample(baseline, candidate, 1)
        self._plan = plan = self._plan or self._planned(trial)
        pairs = [self._sample(baseline, candidate, plan.calls) for _ in range(plan.samples)]
        with _baselines_fault():
            empty = round(statistics.median(baseline.idle() for _ in range(5)))
        self._empty.append(empty)
        self.device_ns += candidate.device_ns[1:]
        return {
            "baseline_ns": [_per_call(pair.baseline, empty, plan.calls) for pair in pairs],
            "candidate_ns": [_per_call(pair.candidate, empty, plan.calls) for pair in pairs],
        }

    def _draw(self) -> Instance:
        self._drawn += 1
        distribution = str(self._rng.choice(self._workload.distributions))
        return self._workload.draw([self._secret, SEED, self._drawn], distribution, self._timed["dims"])

    def _sample(self, baseline: Runner, candidate: Runner, calls: int) -> Pair:
        """Several calls of each, one at a time: nobody sees data before the clock runs for it."""
        started = time.monotonic()
        spent = {baseline: 0, candidate: 0}
        for _ in range(calls):
            instance = self._draw()
            order = (candidate, baseline) if self._drawn % 2 else (baseline, candidate)
            for runner in order:
                with _baselines_fault(applies=runner is baseline):
                    spent[runner] += self._call(runner, instance)
            for runner in order:
                with _baselines_fault(applies=runner is baseline):
                    self._stage.verify(runner, instance)
        return Pair(spent[baseline], spent[candidate], time.monotonic() - started)

    def _call(self, runner: Runner, instance: Instance) -> int:
        """Inputs and canaries are written anew each time, so that whoever comes second finds no warmer caches."""
        self._stage.load(instance)
        runner.outputs.clear()
        gc.disable()
        try:
            return runner.call(f"computing {instance.label}")
        finally:
            gc.enable()

    def _planned(self, trial: Pair) -> Plan:
        """As many calls a sample as make it long enough, and as many samples a session as the time allows."""
        shortest = max(1, min(trial.baseline, trial.candidate)) / 1000
        calls = max(1, min(int(-(-float(self._timed["min_sample_us"]) // shortest)), MOST_CALLS))
        wanted, sessions = int(self._timed["samples"]), int(self._timed["sessions"])
        affordable = float(self._timed["seconds"]) / max(trial.seconds, 1e-6) / sessions - 1
        calls = max(1, min(calls, int(affordable / wanted)))
        return Plan(max(1, min(wanted, int(affordable / calls))), calls)


def _per_call(elapsed: int, empty: int, calls: int) -> float:
    """Nanoseconds; what is mostly handshake counts as a tenth of itself at least, never as nothing."""
    return max(elapsed / calls - empty, elapsed / calls / 10)


@contextlib.contextmanager
def _baselines_fault(*, applies: bool = True) -> Iterator[None]:
    try:
        yield
    except RejectedError as error:
        if not applies:
            raise
        raise BrokenTaskError(f"the baseline fails: {error}") from error
