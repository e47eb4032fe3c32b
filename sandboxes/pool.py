"""A few warm referees that serve many jobs: queueing, deadlines, recycling. The same for every kind of sandbox."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from evolve.errors import SandboxError
from evolve.types import Execution, Job

from .locks import Turn

RECYCLE_AFTER = 200
"""Jobs; then a referee is replaced by a new one."""
MARGIN = 5.0
"""Seconds that a referee has, beyond a job's own allowance, to notice that the job is over."""
BUILD_SECONDS = 65.0
"""For building candidate, baseline and runner."""
KINDS = {"timeout": "timeout", "killed": "died"}
"""Reasons, as an evaluation's failures name them."""
EVALUATION_SECONDS = 15.0
"""For starting and ending what an evaluation runs in."""


class RefereeLostError(Exception):
    """The referee's process is gone or talks nonsense."""


class RefereeSlowError(Exception):
    """The referee did not answer in time."""


class Referee(Protocol):
    """One sandbox with a server inside."""

    def send(self, message: dict[str, Any]) -> None:
        """Raises RefereeLostError."""
        ...

    def receive(self, seconds: float) -> dict[str, Any]:
        """Raises RefereeLostError or RefereeSlowError."""
        ...

    def close(self) -> None:
        """End it with everything inside. Never raises for what is already gone."""
        ...


def allowance(job: Job) -> float:
    """Wall-clock seconds after which a job is over whatever happens, the waiting for its turn not counted."""
    if not job.program:
        return job.limits.seconds + 2.0
    if job.program == "converse":
        return BUILD_SECONDS + float(job.request["seconds"])
    if job.program == "evaluate":
        return EVALUATION_SECONDS + float(job.request["seconds"])
    timed = job.request.get("timed") or {}
    calls = len(job.request.get("cases", ())) + 3
    own = float(timed.get("seconds", 0)) + 12 * float(job.request.get("seconds", 0))
    return BUILD_SECONDS + calls * job.limits.seconds + 2 * own


class Pool:
    """At most `parallel` referees at a time; more callers wait. Safe to call from several threads."""

    def __init__(self, start: Callable[[], Referee], parallel: int) -> None:
        self._start = start
        self._places = threading.Semaphore(parallel)
        self._lock = threading.Lock()
        self._idle: list[tuple[Referee, int]] = []
        self._closed = False

    def run(self, job: Job) -> Execution:
        """Raises SandboxError when no referee can be had, or when the referee itself has a defect."""
        with self._places:
            try:
                return self._guarded(job, fresh=job.fresh)
            except RefereeLostError:
                pass
            try:  # one that starts well and is lost to the same job: then it is the job's doing
                return self._guarded(job, fresh=True)
            except RefereeLostError as error:
                return _blame(job, "killed", f"the program destroyed its own sandbox twice ({error})")

    def _guarded(self, job: Job, *, fresh: bool) -> Execution:
        try:
            with self._borrowed(fresh=fresh) as referee:
                return self._ask(referee, job)
        except RefereeSlowError:
            return _blame(job, "timeout", f"did not end within {allowance(job):.0f} s, everything included")

    def _ask(self, referee: Referee, job: Job) -> Execution:
        patience = allowance(job)
        with Turn() as turn:
            if job.program:
                turn.share()
            referee.send({**job.model_dump(exclude={"fresh"}), "allowance": patience})
            answer = referee.receive(patience + MARGIN)
            while "turn" in answer:
                turn.take()
                referee.send({})
                answer = referee.receive(patience + MARGIN)
        if "error" in answer:
            raise SandboxError(f"the referee failed: {answer['error']}")
        if "lost" in answer:
            raise RefereeLostError(answer["lost"])
        if "late" in answer:
            raise RefereeSlowError
        return Execution(**answer["execution"])

    @contextlib.contextmanager
    def _borrowed(self, *, fresh: bool) -> Iterator[Referee]:
        referee, served = self._take(fresh=fresh)
        try:
            yield referee
        except BaseException:
            referee.close()
            raise
        self._give_back(referee, served + 1, keep=not fresh)

    def _take(self, *, fresh: bool) -> tuple[Referee, int]:
        with self._lock:
            if self._closed:
                raise SandboxError("the sandbox is closed")
            if self._idle and not fresh:
                return self._idle.pop()
        return self._start(), 0

    def _give_back(self, referee: Referee, served: int, *, keep: bool) -> None:
        with self._lock:
            if keep and served < RECYCLE_AFTER and not self._closed:
                self._idle.append((referee, served))
                return
        referee.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for referee, _ in idle:
            referee.close()


def _blame(job: Job, reason: str, message: str) -> Execution:
    failure = {"gate": "correct", "reason": reason, "kind": KINDS[reason], "message": message}
    return Execution(
        timed_out=reason == "timeout",
        killed="SIGKILL",
        stderr=message,
        seconds=allowance(job),
        reply={"failure": failure, "cases_passed": 0, "timing": None, "stages": []} if job.program else {},
    )
