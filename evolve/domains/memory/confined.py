"""An exam taken in a sandbox: events and queries go in, operations and hits come out, and gold never leaves the host.

What comes out is believed as far as it can be applied to a bank of the host's own. Each conversation has a process of
its own, which hears a message only when it has answered the one before.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias

from evolve.domains.memory.exam import Exam, Reply, Sitting, Tick, steps
from evolve.types import Execution, Job, Limits, Sandbox
from knowledge import wire
from knowledge.architecture import JSON, DesignError, Event, Op, Query, Retrieval, Trigger
from knowledge.design import Design
from knowledge.replica import Replica
from knowledge.trial import checked

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

LIMITS = Limits(seconds=10, memory_mb=768, processes=1)
"""Of one process; `seconds` for one message."""
START, EACH = 10.0, 0.05
"""Seconds for a whole conversation: so many, and for each message so many more."""
LINE, WHOLE = 4 * 2**20, 16 * 2**20
"""Bytes of one answer, and of all answers of a conversation."""
CARRIED = ("architecture", "design", "embed", "frozen", "guest", "postings", "replica", "stems", "trial", "wire")
STEMMER = ("among", "basestemmer", "english_stemmer")
METHODS = frozenset({"import", "build", "encode", "store", "retrieve", "manage"})
SILENCES = {
    "timeout": "it did not answer in time",
    "died": "its process ended",
    "too_much": "it answered with more than is read",
    "unasked": "it said something without being asked",
}


Step: TypeAlias = Event | Tick | Trigger | Query


class Answer(NamedTuple):
    """Decoded, and not yet believed."""

    content: Mapping[str, Any]
    seconds: float

    @property
    def told(self) -> JSON:
        """What two runs must agree on: operations, or which records were found."""
        if "ops" in self.content:
            return list(self.content["ops"])
        return [[hit[0] for hit in self.content.get("hits", [])], self.content.get("text")]


def sit_confined(
    design: Design, exams: Sequence[Exam], sandbox: Sandbox, *, fresh: bool = False, limits: Limits = LIMITS
) -> list[Sitting]:
    """Raises DesignError for whatever the architecture did that none may do; SandboxError passes through.

    `fresh`: in sandboxes that no other job has touched.
    """
    return [sat(exam, conversed(design, list(steps(exam)), sandbox, fresh=fresh, limits=limits)) for exam in exams]


# ---- the conversation


def conversed(
    design: Design,
    course: Sequence[Step],
    sandbox: Sandbox,
    *,
    kept: Sequence[Answer] = (),
    worth: Mapping[str, JSON] | None = None,
    fresh: bool = False,
    limits: Limits = LIMITS,
) -> list[Answer]:
    """One answer for each step.

    `kept`: answers to the first of them from another conversation. The bank is brought to what they say without asking
    the architecture, as after a restart. `worth`: what records are worth, `of` each one at a `stage`.
    """
    try:
        design.source.encode()
    except UnicodeEncodeError as fault:
        raise DesignError("import", f"the module is no text: {fault}") from fault
    told = [_message(step) for step in course]
    for message, answer in zip(told, kept, strict=False):
        message["ops"] = answer.content["ops"]
    begin = {"begin": {"params": dict(design.params), "seed": 0, "worth": worth or {}}}
    request = {
        "module": "knowledge.guest",
        "messages": [begin, *told],
        "seconds": _allowed(told),
        "line_bytes": LINE,
        "whole_bytes": WHOLE,
    }
    job_files = {**carried(), "architecture.py": design.source}
    job = Job(program="converse", files=job_files, request=request, limits=limits, fresh=fresh)
    return _answers(course, sandbox.run(job))


def _allowed(steps: Sequence[object]) -> float:
    """Seconds for a conversation of so many steps."""
    return START + EACH * len(steps)


@cache
def carried() -> Mapping[str, str]:
    """The modules that an architecture works with, as files of a job."""
    ours, stemmer = files("knowledge"), files("snowballstemmer")
    return {
        "knowledge/__init__.py": "",
        "snowballstemmer/__init__.py": "",
        **{f"knowledge/{name}.py": _text(ours, name) for name in CARRIED},
        **{f"snowballstemmer/{name}.py": _text(stemmer, name) for name in STEMMER},
    }


def _text(folder: "Traversable", name: str) -> str:
    return folder.joinpath(f"{name}.py").read_text(encoding="utf-8")


def _message(step: Step) -> dict[str, Any]:
    match step:
        case Event():
            return {"event": wire.event_out(step)}
        case Tick(now, close):
            return {"tick": now, "close": close}
        case Trigger():
            return {"trigger": wire.trigger_out(step)}
        case Query():
            return {"query": wire.query_out(step)}


def _asked(step: Step) -> str:
    """Which program of the architecture a step calls."""
    match step:
        case Event():
            return "store"
        case Query():
            return "retrieve"
        case _:
            return "manage"


def _answers(course: Sequence[Step], execution: Execution) -> list[Answer]:
    reply = execution.reply
    if "replies" not in reply:  # it brought its sandbox down
        raise DesignError("build", execution.stderr or "its sandbox ended with it")
    methods = ["build", *map(_asked, course)]
    answers = [
        Answer(_decoded(line, method), seconds)
        for line, method, seconds in zip(reply["replies"], methods, reply["seconds"], strict=False)
    ]
    if len(answers) < len(methods):
        _silent(reply, methods[len(answers)], len(answers), len(course))
    return answers[1:]


def _decoded(line: str, method: str) -> Mapping[str, Any]:
    try:
        content = json.loads(line, parse_constant=_refused)
    except (ValueError, RecursionError) as fault:
        raise DesignError(method, f"the answer is no JSON: {str(fault)[:200]}") from fault
    if not isinstance(content, dict):
        raise DesignError(method, f"the answer is no object: {line[:80]}")
    if "error" in content:
        named = content.get("method")
        raise DesignError(named if named in METHODS else method, str(content["error"])[:1000])
    return content


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _silent(reply: Mapping[str, Any], method: str, number: int, steps: int) -> NoReturn:
    """How the conversation ended after `number` answers, the first of which is to what begins it."""
    where = f" (message {number} of {steps})" if number else ""
    how = f", {reply['end']}" if reply["failure"] == "died" else ""
    words = [line for line in str(reply["stderr"]).splitlines() if line.strip()]
    said = f": {' / '.join(words[-3:])[-400:]}" if words else ""
    raise DesignError(method, f"{SILENCES.get(reply['failure'], 'it did not answer')}{where}{how}{said}")


# ---- what comes of it


def sat(exam: Exam, answers: Sequence[Answer]) -> Sitting:
    """The answers to an exam's steps, applied to a bank of the host's own. Raises DesignError."""
    course = list(steps(exam))
    bank, replies = replayed(course, answers)
    write_seconds: list[float] = []
    for step, answer in zip(course, answers, strict=True):
        if isinstance(step, Event):
            write_seconds.append(answer.seconds)
        elif isinstance(step, Tick):
            write_seconds[-1] += answer.seconds
    return Sitting(bank, replies, tuple(write_seconds))


def replayed(course: Sequence[Step], answers: Sequence[Answer]) -> tuple[Replica, tuple[Reply, ...]]:
    """The bank that the operations make, and what was found in it on the way.

    To apply them may take no longer than the conversation did: whoever did apply them has needed as long.
    """
    bank, deadline = Replica(), time.thread_time() + _allowed(course)
    replies: list[Reply] = []
    for step, answer in zip(course, answers, strict=True):
        try:
            if isinstance(step, Query):
                replies.append(Reply(_found(answer, bank), answer.seconds))
            else:
                _apply(step, answer, bank, deadline)
        except DesignError:
            raise
        except Exception as fault:  # the boundary to whatever a process answered
            raise DesignError(_asked(step), f"{type(fault).__name__}: {fault}"[:500]) from fault
    return bank, tuple(replies)


def _apply(step: Event | Tick | Trigger, answer: Answer, bank: Replica, deadline: float) -> None:
    match step:
        case Event(time=now):
            bank.tell(step)
        case Tick(now=now):
            pass
        case Trigger(receipt=receipt):
            now = receipt.query.now if receipt else 0.0
    told = answer.content.get("ops")
    if not isinstance(told, list):
        raise DesignError(_asked(step), f"the answer has no list of operations: {told!r:.80}")
    bank.apply(_decoded_in_time(told, _asked(step), deadline), method=_asked(step), now=now)


def _decoded_in_time(told: Sequence[JSON], method: str, deadline: float) -> Iterator[Op]:
    for op in told:
        if time.thread_time() > deadline:
            raise DesignError(method, "its operations take too long to apply")
        yield wire.op_in(op)


def _found(answer: Answer, bank: Replica) -> Retrieval:
    retrieval = wire.retrieval_in(answer.content)
    (retrieval.text or "").encode()  # a lone surrogate raises ValueError
    return checked(retrieval, bank)
