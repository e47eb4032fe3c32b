"""What a profile measured of one kernel, as the referee reports it. It explains and never votes."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class Reported(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Part(Reported):
    seconds: float = 0.0
    """What it cost to find out."""
    problem: str = ""
    """Why there is nothing, in a sentence; empty when there is."""


class Counts(Reported):
    instructions: int = 0
    accesses: int = 0
    """Loads and stores, of any width."""
    d1_misses: int = 0
    l2_misses: int = 0

    @property
    def rate(self) -> float:
        """Share of accesses that miss the first cache. Wide vectors miss more often and no worse."""
        return self.d1_misses / max(1, self.accesses)


class FunctionCounts(Counts):
    name: str


class LineCounts(Counts):
    function: str
    line: int


class Caches(Part, Counts):
    """One call of an AVX2 build on one simulated core."""

    functions: tuple[FunctionCounts, ...] = ()
    lines: tuple[LineCounts, ...] = ()
    elsewhere: Mapping[str, int] = {}
    """Instructions in functions that are not the candidate's, such as those of the C library."""
    d1_kib: int = 0
    l2_kib: int = 0
    dims: Mapping[str, int] = {}

    @property
    def missed(self) -> LineCounts | None:
        """The line with most misses."""
        return max(self.lines, key=lambda line: line.d1_misses, default=None)


class Loop(Reported):
    """Instructions by class, in one innermost loop of the native build."""

    function: str = ""
    line: int = 0
    instructions: int = 0
    zmm: int = 0
    ymm: int = 0
    xmm: int = 0
    """Packed; single numbers are `scalar`."""
    scalar: int = 0
    fma: int = 0
    divisions: int = 0
    """And square roots."""
    gathers: int = 0
    branches: int = 0
    """Conditional ones, the loop's own included."""
    stack: int = 0
    """Vector registers moved to or from the stack."""
    calls: Mapping[str, int] = {}

    @property
    def packed(self) -> int:
        return self.zmm + self.ymm + self.xmm


class Mix(Part):
    loops: tuple[Loop, ...] = ()
    whole: Loop = Loop()
    calls: Mapping[str, int] = {}
    """Call sites by function, anywhere in the candidate."""


class Usage(Part):
    """The timed size on the machine, called again and again on the same data."""

    calls: float = 0
    wall_ms: float = 0.0
    """A call, with all threads, on average."""
    least_ms: float = 0.0
    """The fastest call: what another program disturbs counts least there."""
    cpu_ms: float = 0.0
    """A call, threads added up; those that wait in a loop count."""
    page_faults: float = 0
    """In all calls."""
    switches: float = 0
    alone_ms: float = 0.0
    """The fastest call with one thread."""


class Counters(Part):
    counters: Mapping[str, float] = {}


class Parts(Reported):
    """None was not asked for."""

    mix: Mix | None = None
    usage: Usage | None = None
    perf: Counters | None = None
    cachegrind: Caches | None = None

    def had(self) -> "Parts":
        """Only those that could be had."""
        given = {name: part for name, part in self if part is not None and not part.problem}
        return Parts(**given)


class Report(Reported):
    problem: str = ""
    """Why there is no profile at all."""
    seconds: float = 0.0
    """For building it."""
    remarks: str = ""
    """gcc's vectorisation report."""
    threads: int = 1
    parts: Parts = Parts()
