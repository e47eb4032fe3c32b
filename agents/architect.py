"""Designs memory architectures with a language model: MemEvolve's Design step (section 4) after a diagnosis.

The model sees the protocol, its parent's module, what went wrong where, and what earlier changes of the same parent
brought; it answers with one module. Questions and records in the diagnosis are fenced data.
"""

from collections.abc import Sequence
from typing import NamedTuple

from agents.reply import Reply, parse
from agents.templates import OURS, Overrides, Templates, clipped, in_line
from evolve.types import Cost, Message, Model, Prompt
from knowledge.design import Design
from knowledge.protocol import imports, protocol

DOMAIN = "memory"
FILE = "architecture.py"
REQUIRED = frozenset({"build"})
TURNS = 2
"""The answer, and one repair of an unusable one."""
LONGEST_MODULE = 16_000
LONGEST_DIAGNOSIS = 5_000
LONGEST_REPLY = 3_000
"""Characters of an unusable reply that are shown to its author again."""
MOST_TRIED = 10
MOST_LINES = 400


class Case(NamedTuple):
    """What a redesign starts from."""

    parent: Design
    figures: str
    """How the parent fared, in a line."""
    module: str
    """Of `encode`, `store`, `retrieve`, `manage` the one at fault most often."""
    diagnosis: str
    tried: Sequence[str] = ()
    """What was changed about this parent before, and what it brought."""


class Redesign(NamedTuple):
    design: Design | None
    change: str
    """What was done, in the model's words."""
    cost: Cost = Cost()
    problem: str = ""
    """Why there is no design."""


class Architect:
    """Raises UsageError for a prompt template that cannot be read; what the model raises passes through."""

    def __init__(
        self, model: Model, *, prompts: Overrides = OURS, max_tokens: int = 6144, temperature: float = 0.7
    ) -> None:
        self._model = model
        self._templates = Templates(prompts, longest_module=LONGEST_MODULE, longest_diagnosis=LONGEST_DIAGNOSIS)
        self._max_tokens = max_tokens
        self._temperature = temperature

    @property
    def name(self) -> str:
        return self._model.name

    def redesign(self, key: str, case: Case) -> Redesign:
        """At most two calls, keyed `KEY/architect/1` and `…/2`; the second only to repair an unusable reply."""
        messages = self._opening(case)
        shown = {FILE: case.parent.source}
        cost, kept = Cost(), None
        for turn in range(1, TURNS + 1):
            prompt = Prompt(
                key=f"{key}/architect/{turn}",
                messages=messages,
                max_tokens=self._max_tokens,
                temperature=self._temperature,
            )
            completion = self._model.complete(prompt)
            cost += completion.cost
            reply = parse(completion.text, shown, REQUIRED, truncated=completion.truncated, kept=kept)
            problem, kept = reply.problem or _unusable(reply, case.parent), reply.kept
            if not problem:
                return Redesign(Design(key, reply.files[FILE]), reply.technique, cost)
            said = Message(role="assistant", content=clipped(completion.text, LONGEST_REPLY) or "(nothing)")
            request = self._templates.render("architect_repair.j2", domain=DOMAIN, problem=in_line(problem))
            messages += (said, Message(role="user", content=request))
        return Redesign(None, reply.technique, cost, problem)

    def _opening(self, case: Case) -> tuple[Message, ...]:
        system = self._templates.render("architect_system.j2", domain=DOMAIN)
        user = self._templates.render(
            "architect.j2",
            domain=DOMAIN,
            case=case,
            params=", ".join(f"{in_line(name, 60)}={value:.3g}" for name, value in case.parent.params.items()),
            tried="\n".join(in_line(line) for line in case.tried[-MOST_TRIED:]),
            protocol=protocol(),
            imports=imports(),
            most_lines=MOST_LINES,
        )
        return (Message(role="system", content=system), Message(role="user", content=user))


def _unusable(reply: Reply, parent: Design) -> str:
    source = reply.files[FILE]
    if source.split() == parent.source.split():
        return "this is the module that you were given; change how it works"
    try:
        compile(source, FILE, "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        return f"the module does not parse: {fault}"
    return ""
