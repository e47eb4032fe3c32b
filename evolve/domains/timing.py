"""What paired samples of baseline and candidate say: a ratio, its interval, and whether to believe them."""

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

WIDEST = 1.3
"""Upper over lower bound beyond which a measurement is repeated, and inconclusive if that does not help."""
FEWEST_SESSIONS = 3
STUDENT = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""97.5 % quantile of Student's t for 1, 2, … degrees of freedom; 2 is close enough beyond."""


class Session(NamedTuple):
    """Samples of one pair of processes, in nanoseconds per call; the first of each side were timed together."""

    baseline_ns: tuple[float, ...]
    candidate_ns: tuple[float, ...]


class Speedup(NamedTuple):
    """Times in nanoseconds per call; the ratio is baseline over candidate, higher is better."""

    ratio: float
    interval: tuple[float, float]
    """95 % confidence."""
    baseline_ns: float
    candidate_ns: float
    variation: float
    """Between sessions: standard deviation of the logarithm of the ratio."""
    samples: int

    @property
    def noisy(self) -> bool:
        lower, upper = self.interval
        return upper > WIDEST * lower


def speedup(sessions: Sequence[Session]) -> Speedup:
    """Each session has one vote, the mean over its pairs of log(baseline / candidate): Student's interval over votes.

    Samples of one session share its processes, so their scatter understates the error; sessions are independent.
    Raises ValueError for samples that are missing, unpaired, zero, negative or not finite, and for too few sessions.
    """
    if len(sessions) < FEWEST_SESSIONS:
        raise ValueError(f"{len(sessions)} sessions of samples, at least {FEWEST_SESSIONS} are needed")
    votes = [_vote(session) for session in sessions]
    mean = math.fsum(votes) / len(votes)
    spread = math.sqrt(math.fsum((vote - mean) ** 2 for vote in votes) / (len(votes) - 1))
    freedom = len(votes) - 1
    reach = (STUDENT[freedom - 1] if freedom <= len(STUDENT) else 2.0) * spread / math.sqrt(len(votes))
    return Speedup(
        ratio=math.exp(mean),
        interval=(math.exp(mean - reach), math.exp(mean + reach)),
        baseline_ns=_median(session.baseline_ns for session in sessions),
        candidate_ns=_median(session.candidate_ns for session in sessions),
        variation=spread,
        samples=sum(len(session.baseline_ns) for session in sessions),
    )


def _vote(session: Session) -> float:
    base, cand = session
    if not base or len(base) != len(cand):
        raise ValueError(f"{len(base)} baseline and {len(cand)} candidate samples are not pairs")
    if not all(math.isfinite(sample) and sample > 0 for sample in chain(base, cand)):
        raise ValueError("a sample is zero, negative or not finite")
    return math.fsum(math.log(one / other) for one, other in zip(base, cand, strict=True)) / len(base)


def _median(samples: Iterable[Sequence[float]]) -> float:
    return statistics.median(chain.from_iterable(samples))
