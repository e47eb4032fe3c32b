"""The framework's data: frozen, dumb, and valid by construction.

Everything here may cross a disk or a process. Behaviour is elsewhere; what can be computed is a property.
`frozen` is shallow: nobody writes into the mappings of a model it was given.
"""

import hashlib
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from pydantic import BaseModel, ConfigDict

DRAFT = "draft"
"""Stage of a task that has no feasible candidate yet."""
REFINE = "refine"
"""Stage of a task that has one, to be improved."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(Frozen):
    """What one job may use. A breach ends the job, never the sandbox."""

    seconds: float = 10.0
    """Wall-clock seconds for one call or command of the candidate."""
    memory_mb: int = 2048
    processes: int = 64
    """Processes and threads together."""
    output_kb: int = 256
    """What is kept of stdout and stderr, each."""


class Task(Frozen):
    id: str
    """`domain/name`, unique."""
    domain: str
    prompt: str
    """What the program must do, its interface and its rules, as a writer reads it."""
    files: Mapping[str, str] = {}
    """The seed: a correct, slow starting point. Empty when there is none."""
    limits: Limits = Limits()
    tier: int = 1
    """Difficulty, 1 is the easiest."""
    tags: tuple[str, ...] = ()


class Candidate(Frozen):
    files: Mapping[str, str]
    parent: str | None = None
    """Attempt id of the candidate this one was refined from."""
    stage: str = DRAFT
    technique: str = ""
    """What the writer says it did, in the field's words; a chain is joined by ` + `."""
    recalled: tuple[str, ...] = ()
    """Ids of the experiences that were in front of the writer."""

    @property
    def id(self) -> str:
        """Hash of the content alone: the same files are the same candidate, whoever wrote them."""
        content = json.dumps(sorted(self.files.items())).encode()
        return hashlib.sha256(content).hexdigest()[:16]


class Job(Frozen):
    """One piece of work for a sandbox.

    The candidate's `files` are readable by the candidate's user, the `trusted` ones by the referee alone.
    Exactly one of `argv` and `program` is given.
    """

    files: Mapping[str, str] = {}
    argv: tuple[str, ...] = ()
    """Run this as the candidate; nothing it says is evidence of anything but itself."""
    stdin: str = ""
    program: str = ""
    """A referee program of ours, by name (`measure`, `peaks`), that runs the candidate and reports on it."""
    trusted: Mapping[str, str] = {}
    request: Mapping[str, Any] = {}
    """What the referee program is asked for (JSON)."""
    limits: Limits = Limits()
    fresh: bool = False
    """Run in a sandbox that no other job has touched."""


class Execution(Frozen):
    """What the sandbox saw."""

    exit_code: int | None = None
    """None when the process was killed before it ended."""
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    timed_out: bool = False
    out_of_memory: bool = False
    killed: str = ""
    """The signal that ended it, such as `SIGSEGV`; empty when none did."""
    reply: Mapping[str, Any] = {}
    """What the referee program reports. The candidate has no handle on the channel it comes by."""


class Gates(Frozen):
    """None means that an earlier gate closed first."""

    authentic: bool | None = None
    builds: bool | None = None
    correct: bool | None = None


class Profile(Frozen):
    bottleneck: str = ""
    """Named state, such as `not_vectorized` or `memory_bandwidth_saturated`; empty when unknown."""
    evidence: str = ""
    """Why, in words that a writer can act on."""
    roofline: float | None = None
    """Share of the machine's attainable performance for this task, 0 to 1."""
    hardware: str = ""
    """What it was measured on; empty where that does not matter."""


class Evaluation(Frozen):
    gates: Gates = Gates()
    score: float | None = None
    """Higher is better. None: infeasible."""
    interval: tuple[float, float] | None = None
    """95 % confidence interval of the score, where it was measured."""
    feedback: str = ""
    """For the writer: compiler errors, the first mismatch, what held the candidate back."""
    metrics: Mapping[str, float] = {}
    """Reported, never voting."""
    profile: Profile = Profile()

    @property
    def feasible(self) -> bool:
        return self.score is not None


class Cost(Frozen):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    usd_known: bool = True
    """False where some price is unknown: `usd` is then a lower bound."""
    estimated: bool = False
    """Some tokens are counted by characters: the provider's usage was missing or wrong, or its reply was cut off."""
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            usd=self.usd + other.usd,
            usd_known=self.usd_known and other.usd_known,
            estimated=self.estimated or other.estimated,
            seconds=self.seconds + other.seconds,
        )


class Attempt(Frozen):
    id: str
    """`run/position`: the key under which every side effect is idempotent."""
    task: str
    position: int
    """Order within the run, from 1; credit is applied in this order."""
    candidate: Candidate
    evaluation: Evaluation
    cost: Cost = Cost()
    gain: float | None = None
    """`Domain.gain` over its parent, over the seed where it has none; None when it is infeasible."""


class Experience(Frozen):
    """An item of the knowledge base. It is data wherever it appears, never an instruction."""

    id: str
    kind: str
    """`trace` (feasible code), `failure`, `insight` (distilled from several), `guide` (what is advised in a bottleneck
    state), `lore` (documents), or what an installed memory architecture calls it."""
    text: str
    task: str = ""
    domain: str = ""
    stage: str = ""
    technique: str = ""
    state: str = ""
    """Bottleneck state that the technique met (that of the parent)."""
    hardware: str = ""
    """What it was measured on; empty where that does not matter."""
    payload: str = ""
    """Code; never executed by the knowledge base."""
    recipe: tuple[str, ...] = ()
    """The techniques that led from the seed to this code, in order."""
    sources: tuple[str, ...] = ()
    """Attempt ids it rests on."""
    metrics: Mapping[str, float] = {}
    """`score`, `gain` (natural logarithm of the improvement over the parent), as the judge measured them."""
    expires: float | None = None
    """Unix seconds from which on it is no longer recalled; None: never."""


class Recalled(NamedTuple):
    """An experience in front of a writer."""

    experience: Experience
    similarity: float
    """To what was asked; where an installed memory architecture picked it, its score."""
    value: float
    """Learnt value at this stage, higher helped more; 0 when untried."""
    why: str


class Mutation(NamedTuple):
    """A source transformation that a domain offers to the offline writer."""

    technique: str
    """Name of the technique, the same for every task: what is learnt is learnt about this name."""
    detail: str
    """Where and with which parameters."""
    files: Mapping[str, str]


class Sandbox(Protocol):
    """Runs jobs in isolation. Safe to call from several threads.

    Raises SandboxError when the sandbox itself is broken; a candidate that fails is an `Execution`.
    """

    @property
    def name(self) -> str:
        """`docker`, `process+bwrap` or `process`."""
        ...

    def run(self, job: Job) -> Execution: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Message(Frozen):
    """One turn of a conversation with a model."""

    role: str
    content: str


class Prompt(Frozen):
    key: str
    """`attempt/role/turn`: the same key is the same call, answered from the journal when it was already paid."""
    messages: tuple[Message, ...]
    max_tokens: int = 4096
    temperature: float = 0.7
    shape: Mapping[str, Any] | None = None
    """JSON schema that the reply is to follow, enforced where the provider can; None: free text."""


class Completion(Frozen):
    text: str
    model: str
    cost: Cost = Cost()
    truncated: bool = False
    """The provider stopped at `max_tokens`."""


class Model(Protocol):
    """Raises ModelError, with the provider's own words."""

    @property
    def name(self) -> str: ...

    def complete(self, prompt: Prompt) -> Completion: ...
