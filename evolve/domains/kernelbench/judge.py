"""What the referee is asked about a model, and what its reply means."""

import re
from typing import NamedTuple

from evolve.domains.measuring import Effort, Measured, Reply, failed, gain, measured, metrics, reply_of, request
from evolve.errors import PluginError, SandboxError
from evolve.types import Evaluation, Execution, Gates, Job, Limits

SOURCE = "model.py"
SHORTEST_US = 2000
"""Shorter calls are made several times a sample."""
NO_TORCH = (
    "the sandbox {name} has no torch: use --sandbox process, or name an image that has gcc, numpy and torch in "
    "EVOLVE_SANDBOX_BASE"
)
LACKING = re.compile(r"module 'torch[\w.]*' has no attribute '\w+'")
"""What a problem raises that asks for a newer torch than the sandbox has."""
OLD_TORCH = "not judged: the torch of the sandbox {name} is too old for the problem ({what}); use --sandbox process"


class Posed(NamedTuple):
    """A problem as it is judged."""

    id: str
    text: str
    """At the sizes that it is judged at."""
    seed: str
    trusted: dict[str, str]
    distributions: tuple[str, ...]


def job(posed: Posed, source: str, effort: Effort, limits: Limits, *, fresh: bool, checked: bool = True) -> Job:
    """`checked`: also on each distribution in turn, before the timing, which picks them at random."""
    cases = [{"dims": {}, "distribution": name} for name in posed.distributions] if checked else []
    asked = request("torch", "ModelNew", cases, {"dims": {}, "min_sample_us": SHORTEST_US}, effort)
    asked |= {"dims": [], "flags": [], "report": False}
    trusted = {**posed.trusted, "baseline.py": posed.seed, "problem.py": posed.text}
    return Job(program="measure", files={SOURCE: source}, trusted=trusted, request=asked, limits=limits, fresh=fresh)


def read(posed: Posed, execution: Execution, sandbox: str) -> Evaluation | Measured:
    """The evaluation of a model that failed, else what was measured.

    A problem that needs a newer torch has no score. Raises PluginError when the problem itself is broken, SandboxError
    when the referee cannot judge models.
    """
    if execution.reply.get("unequipped"):
        raise SandboxError(NO_TORCH.format(name=sandbox))
    reply = reply_of(execution)
    if isinstance(reply, Evaluation):
        return reply
    if reply.broken_task:
        return _broken(posed, reply, sandbox)
    return failed(reply, reply.failure) if reply.failure else measured(reply)


def _broken(posed: Posed, reply: Reply, sandbox: str) -> Evaluation:
    if "No module named 'torch'" in reply.broken_task:
        raise SandboxError(NO_TORCH.format(name=sandbox))
    if lacking := LACKING.search(reply.broken_task):
        return Evaluation(gates=Gates(), feedback=OLD_TORCH.format(name=sandbox, what=lacking.group()))
    raise PluginError(f"{posed.id} cannot be judged: {reply.broken_task}")


def accepted(result: Measured) -> Evaluation:
    found = result.speedup
    return Evaluation(
        gates=Gates(authentic=True, builds=True, correct=True),
        score=found.ratio,
        interval=found.interval,
        feedback=f"{gain(found, 'Model in eager torch')}; {found.candidate_ns * 1e-6:.3g} ms",
        metrics=metrics(result),
    )
