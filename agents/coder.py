"""The writer that asks a language model: drafts from the task, refines from what the judge measured.

Everything that was not written by us or the task's author (code, feedback, experiences) enters the user's message as
fenced data, code without its comments; never the system message. Each part is cut to a length, so that a model with
16,000 tokens of context manages.
"""

import re
from collections.abc import Mapping
from random import Random

from agents.reply import Reply, functions, parse
from agents.templates import OURS, Overrides, Templates, clipped
from agents.writer import Brief, Draft
from evolve.types import Attempt, Candidate, Cost, Message, Model, Prompt
from knowledge.comments import without_comments
from knowledge.render import as_data

TURNS = 2
"""The answer, and one repair of an unusable one."""
LONGEST_CODE = 12_000
LONGEST_FEEDBACK = 1_500
EXPERIENCE_TOKENS = 1_200
FRESH_SHARE = 0.5
"""Of the drafts after a failure, those that start from the seed and only hear of the failure."""
LONG_FILE = 120
"""Lines; from there on edits are asked for rather than the whole file."""
_FLAGS = re.compile(r"\s*//\s*flags:(?:[ \t]+-[\w=,.+-]+)+[ \t]*$", re.MULTILINE)


class Coder:
    """Raises UsageError for a prompt template that cannot be read; what the model raises passes through."""

    def __init__(
        self, model: Model, *, prompts: Overrides = OURS, max_tokens: int = 4096, temperature: float = 0.4
    ) -> None:
        self._model = model
        self._templates = Templates(prompts, longest_feedback=LONGEST_FEEDBACK, longest_code=LONGEST_CODE)
        self._max_tokens = max_tokens
        self._temperature = temperature

    @property
    def name(self) -> str:
        return self._model.name

    def write(self, brief: Brief) -> Draft:
        """At most two calls, keyed `attempt/coder/1` and `…/2`; the second only to repair an unusable reply."""
        shown = _shown(brief)
        required = functions(brief.task.files)
        messages = self._opening(brief, shown)
        cost = Cost()
        for turn in range(1, TURNS + 1):
            completion = self._model.complete(
                Prompt(
                    key=f"{brief.attempt}/coder/{turn}",
                    messages=messages,
                    max_tokens=self._max_tokens,
                    temperature=self._temperature,
                )
            )
            cost += completion.cost
            reply = parse(completion.text, shown, required, truncated=completion.truncated)
            problem = reply.problem or _repeats(reply, brief)
            if not problem:
                return Draft(files=reply.files, technique=reply.technique, cost=cost)
            messages += self._repair(completion.text, problem, shown)
        return Draft(files={}, technique=reply.technique, cost=cost, problem=problem)

    def _opening(self, brief: Brief, shown: Mapping[str, str]) -> tuple[Message, ...]:
        last = _news(brief)
        user = self._templates.render(
            "refine.j2" if brief.parent else "draft.j2",
            task=brief.task,
            parent=brief.parent,
            files=shown,
            last=last,
            failed=_to_mend(last, brief.rng),
            experiences=as_data(brief.recalled, tokens=EXPERIENCE_TOKENS),
            edits=_long(shown),
        )
        return (Message(role="system", content=self._templates.render("system.j2")), Message(role="user", content=user))

    def _repair(self, text: str, problem: str, shown: Mapping[str, str]) -> tuple[Message, ...]:
        said = Message(role="assistant", content=clipped(text, LONGEST_CODE) or "(nothing)")
        request = self._templates.render("repair.j2", problem=problem, files=shown, edits=_long(shown))
        return (said, Message(role="user", content=request))


def _shown(brief: Brief) -> dict[str, str]:
    """The files to work on: the parent's, else the seed's."""
    if brief.parent is None:
        return dict(brief.task.files)
    return {name: _bare(name, code) for name, code in brief.parent.candidate.files.items()}


def _long(files: Mapping[str, str]) -> bool:
    return any(code.count("\n") > LONG_FILE for code in files.values())


def _news(brief: Brief) -> Attempt | None:
    """The newest attempt on the task, where it failed after the parent was judged."""
    last = brief.last
    if last is None or last.evaluation.feasible or not last.evaluation.feedback:
        return None
    return last if brief.parent is None or last.position > brief.parent.position else None


def _to_mend(last: Attempt | None, rng: Random) -> dict[str, str]:
    """The failed program, half of the time: a weak model that sees its mistake repeats it, a strong one mends it."""
    if last is None or rng.random() < FRESH_SHARE:
        return {}
    return {name: _bare(name, code) for name, code in last.candidate.files.items()}


def _repeats(reply: Reply, brief: Brief) -> str:
    if Candidate(files=reply.files).id in brief.tried:
        return "this very program was judged before; write a different one"
    return ""


def _bare(name: str, code: str) -> str:
    """Without comments, but for a first line of compiler flags, which a domain may read."""
    flags = _FLAGS.match(code)
    lines = [line.rstrip() for line in without_comments(name, code).splitlines()]
    return (f"{flags[0].strip()}\n" if flags else "") + "\n".join(lines).lstrip("\n") + "\n"
