"""What the referee program `evaluate` is asked, and what its reply says of a candidate."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from evolve.domains.programs.folder import EVALUATOR, SCORE, Posed
from evolve.errors import SandboxError
from evolve.types import Evaluation, Execution, Gates, Job, Limits

GRACE = 15.0
"""Seconds beside those of the evaluation, for the sandbox to begin and the referee to end it."""
LONGEST_ARTIFACT = 600
LONGEST_OUTPUT = 800
"""Characters of what a program or an evaluator printed."""
LONGEST_FEEDBACK = 6000
UNCLEAR = frozenset({"evaluator", "program"})
"""Failures of which the task may be at fault as well as the program: what happens with the seed tells."""
FAULTS = ("error", "exception", "traceback", "fail", "stderr")
"""Parts of the names of metrics and artifacts that tell of a mistake."""
VALIDITY = frozenset({"valid", "validity", "is_valid", "feasible"})


class _Reported(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Staged(_Reported):
    function: str
    metrics: Mapping[str, float | str] = {}
    artifacts: Mapping[str, str] = {}
    seconds: float = 0.0


class Failure(_Reported):
    kind: str
    message: str


class Reply(_Reported):
    stages: tuple[Staged, ...] = ()
    failure: Failure | None = None
    output: str = ""
    """Tail of what the evaluator printed."""
    program_output: str = ""
    peak_memory_mb: float = 0.0

    @property
    def metrics(self) -> dict[str, float | str]:
        """Of all stages; the later ones win."""
        return {name: value for stage in self.stages for name, value in stage.metrics.items()}

    @property
    def artifacts(self) -> dict[str, str]:
        return {name: text for stage in self.stages for name, text in stage.artifacts.items() if text.strip()}


class Fault(NamedTuple):
    """The evaluation did not come to its end; whether the program is at fault is not known."""

    message: str
    reply: Reply


def job(posed: Posed, source: str, limits: Limits, *, seed: int, fresh: bool) -> Job:
    stages = [
        {"function": stage.function}
        | ({"at_least": stage.at_least} if stage.at_least is not None else {})
        | ({"metric": stage.metric} if stage.metric else {})
        for stage in posed.stages
    ]
    return Job(
        program="evaluate",
        files={posed.program: source},
        trusted={**posed.trusted, EVALUATOR: posed.evaluator},
        request={
            "program": posed.program,
            "stages": stages,
            "trusting": bool(posed.trusting),
            "seed": seed,
            "seconds": limits.seconds,
        },
        limits=limits.model_copy(update={"seconds": limits.seconds + GRACE}),
        fresh=fresh,
    )


def falls_short(posed: Posed, execution: Execution) -> bool:
    """Whether a program without a mistake missed a threshold."""
    reply = _reply(execution)
    if reply is None or reply.failure or not _unfinished(posed, reply):
        return False
    return not _erred(reply, reply.metrics.get(posed.score))


def read(posed: Posed, execution: Execution) -> Evaluation | Fault:
    """Raises SandboxError when the referee did not report."""
    reply = _reply(execution)
    if reply is None:
        return _silent(execution)
    if reply.failure and reply.failure.kind == "embedded":
        return Fault(
            f"it runs the program's text in its own process ({reply.failure.message}); if it does so with the initial "
            f"program too, write trusting = true into the evolve.toml of programs/{posed.name} to let it",
            reply,
        )
    if reply.failure and reply.failure.kind in UNCLEAR:
        return Fault(reply.failure.message, reply)
    if reply.failure:
        return _failed(posed, reply, f"{_LEADS.get(reply.failure.kind, reply.failure.kind)}: {reply.failure.message}")
    return _judged(posed, reply)


def refused(posed: Posed, fault: Fault) -> Evaluation:
    """Of a program whose evaluation fails where that of the seed does not."""
    return _failed(posed, fault.reply, fault.message)


_LEADS = {
    "timeout": "it took too long",
    "died": "the program's process ended",
    "memory": "it used more memory than it may",
    "too_much": "it sent too much",
}


def _reply(execution: Execution) -> Reply | None:
    try:
        return Reply.model_validate(dict(execution.reply)) if execution.reply else None
    except ValidationError as error:
        raise SandboxError(f"the referee's reply is unusable: {error}") from error


def _silent(execution: Execution) -> Evaluation:
    if execution.timed_out or execution.out_of_memory:
        why = "it took too long" if execution.timed_out else "it used more memory than it may"
        return Evaluation(gates=Gates(authentic=True, builds=True, correct=False), feedback=why)
    raise SandboxError(f"the referee gave no reply: {execution.stderr[-500:] or execution.killed or 'no words either'}")


def _judged(posed: Posed, reply: Reply) -> Evaluation | Fault:
    score = reply.metrics.get(posed.score)
    problems = [problem for problem in (_unfinished(posed, reply), _erred(reply, score)) if problem]
    if problems:
        return _failed(posed, reply, "\n".join(problems))
    if score is None:
        return Fault(f"it gives no metric {posed.score}, but {', '.join(reply.metrics)}", reply)
    if not isinstance(score, float) or not math.isfinite(score):
        return _failed(posed, reply, f"{posed.score} is {score}")
    return Evaluation(
        gates=Gates(authentic=True, builds=True, correct=True),
        score=score,
        metrics=_numbers(posed, reply),
        feedback=_words(reply, f"{posed.score} {score:.6g}"),
    )


def _unfinished(posed: Posed, reply: Reply) -> str:
    """Which threshold was not reached; empty when every stage has run."""
    if not reply.stages or len(reply.stages) >= len(posed.stages):
        return ""
    last, wanted = reply.stages[-1], posed.stages[len(reply.stages) - 1]
    name = wanted.metric or SCORE
    numbers = [value for value in last.metrics.values() if isinstance(value, float)]
    value = last.metrics.get(name)
    if value is None and numbers and not wanted.metric:
        name, value = "the mean of its metrics", sum(numbers) / len(numbers)
    said = f"{value:.6g}" if isinstance(value, float) else value or "not given"
    return f"{last.function} was not passed: {name} is {said}, and {wanted.at_least:g} is needed to go on"


def _erred(reply: Reply, score: float | str | None) -> str:
    """The mistake that an evaluator tells of beside a score that is no success; empty where there is none."""
    if isinstance(score, float) and score > 0:
        return ""
    told = {**reply.artifacts, **{name: text for name, text in reply.metrics.items() if isinstance(text, str)}}
    found = [text.strip() for name, text in told.items() if "error" in name.lower() and text.strip()]
    found += [text.strip() for name, text in told.items() if _is_fault(name) and text.strip()]
    if found:
        return f"the evaluator says: {min(found[:2], key=len)[:LONGEST_ARTIFACT]}"
    bad = next((name for name in reply.metrics if name.lower() in VALIDITY and reply.metrics[name] == 0), "")
    return f"{bad} is 0" if bad else ""


def _is_fault(name: str) -> bool:
    return any(word in name.lower() for word in FAULTS)


def _failed(posed: Posed, reply: Reply, problem: str) -> Evaluation:
    gates = Gates(authentic=True, builds=True, correct=False)
    return Evaluation(gates=gates, feedback=_words(reply, problem), metrics=_numbers(posed, reply))


def _numbers(posed: Posed, reply: Reply) -> dict[str, float]:
    found = {name: value for name, value in reply.metrics.items() if isinstance(value, float) and math.isfinite(value)}
    found |= {"memory_mb": reply.peak_memory_mb} if reply.peak_memory_mb else {}
    return found | ({"trusting": 1.0} if posed.trusting else {})


def _words(reply: Reply, first: str) -> str:
    """Most useful first, each part and all together of bounded length."""
    parts = [first, *_parts(reply)]
    return "\n".join(parts)[:LONGEST_FEEDBACK]


def _parts(reply: Reply) -> Iterator[str]:
    shown = [
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value[:80]}"
        for name, value in reply.metrics.items()
    ]
    if shown:
        yield f"metrics: {', '.join(shown)}"
    artifacts = sorted(reply.artifacts.items(), key=lambda item: not _is_fault(item[0]))
    yield from (f"{name}: {_end(text, LONGEST_ARTIFACT)}" for name, text in artifacts)
    for whose, text in (("the program", reply.program_output), ("the evaluator", reply.output)):
        if text.strip():
            yield f"{whose} printed:\n{_end(text, LONGEST_OUTPUT)}"


def _end(text: str, most: int) -> str:
    """The end of a text: what failed stands there."""
    text = text.strip()
    return text if len(text) <= most else f"… {text[-most:]}"
