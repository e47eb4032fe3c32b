"""The writer that asks a language model: drafts from the task, refines from what the judge measured.

Everything that was not written by us or the task's author (code, feedback, experiences, advice, lore) enters the user's
message as fenced data, code without its comments; never the system message. Each part is cut to a length, and where
together they are too long for a model with 16,000 tokens of context, the least needed are left out: see `_parts`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import NamedTuple

from agents.advice import Advice
from agents.reply import Kept, Reply, functions, parse
from agents.templates import OURS, Overrides, Templates, clipped, fenced, in_line
from agents.writer import Brief, Draft
from evolve.types import Attempt, Candidate, Cost, Message, Model, Prompt
from knowledge.comments import without_comments
from knowledge.lore import Passage
from knowledge.render import CHARACTERS_PER_TOKEN, as_data

TURNS = 2
"""The answer, and one repair of an unusable one."""
LONGEST_PROMPT = 24_000
"""Characters of the opening, at three to a token: an answer, and its repair, still fit into 16,000 tokens."""
LONGEST_TASK = 8_000
LONGEST_CODE = 12_000
"""Of all files together."""
LONGEST_FEEDBACK = 1_500
HEADING = 200
"""That introduce a part."""
LONGEST_EXPERIENCES = 4_800
LONGEST_LORE = 4_000
LONGEST_CHILDREN = 1_200
LONGEST_FAILED = 6_000
"""A failed program that is longer is not shown."""
MOST_IDEAS = 4
"""Of those to try and of those to stop trying, each."""
FRESH_SHARE = 0.5
"""Of the drafts after a failure, those that start from the seed and only hear of the failure."""
LONG_FILE = 120
"""Lines; from there on edits are asked for rather than the whole file."""
_FLAGS = re.compile(r"\s*//\s*flags:(?:[ \t]+-[\w=,.+-]+)+[ \t]*$", re.MULTILINE)


class Part(NamedTuple):
    """Something the prompt may go without."""

    name: str
    """By which the templates know it; absent, it is empty."""
    longest: int
    """Characters it may take."""
    cut: Callable[[int], object]
    """Gives so much of it as fits so many characters, whole items only; what is empty takes no room."""


class Coder:
    """Raises UsageError for a prompt template that cannot be read; what the model raises passes through."""

    def __init__(
        self, model: Model, *, prompts: Overrides = OURS, max_tokens: int = 4096, temperature: float = 0.4
    ) -> None:
        self._model = model
        self._templates = Templates(prompts, longest_task=LONGEST_TASK, longest_feedback=LONGEST_FEEDBACK)
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
        cost, technique, kept = Cost(), "", None
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
            reply = parse(completion.text, shown, required, truncated=completion.truncated, kept=kept)
            technique = reply.technique or technique
            problem = reply.problem or _repeats(reply, brief)
            if not problem:
                return Draft(files=reply.files, technique=technique, cost=cost)
            if not reply.problem:
                technique = ""  # of a program that is not wanted
            kept = reply.kept
            messages += self._repair(brief, completion.text, problem, kept)
        return Draft(files={}, technique=technique, cost=cost, problem=problem)

    def _opening(self, brief: Brief, shown: Mapping[str, str]) -> tuple[Message, ...]:
        """With every part that there is room for, the most needed first."""
        parts = list(_parts(brief))
        said = {part.name: part.cut(0) for part in parts}
        system = self._templates.render("system.j2", domain=brief.task.domain, task=brief.task)
        for part in parts:
            room = LONGEST_PROMPT - len(system) - len(self._asked(brief, shown, said)) - HEADING
            said[part.name] = part.cut(max(0, min(room, part.longest)))
        user = self._asked(brief, shown, said)
        return (Message(role="system", content=system), Message(role="user", content=user))

    def _asked(self, brief: Brief, shown: Mapping[str, str], said: Mapping[str, object]) -> str:
        return self._templates.render(
            "refine.j2" if brief.parent else "draft.j2",
            domain=brief.task.domain,
            task=brief.task,
            parent=brief.parent,
            files=shown,
            last=_news(brief),
            edits=_long(shown),
            longest_code=LONGEST_CODE // max(1, len(shown)),
            **said,
        )

    def _repair(self, brief: Brief, text: str, problem: str, kept: Kept | None) -> tuple[Message, ...]:
        shown = _shown(brief)
        said = Message(role="assistant", content=clipped(text, LONGEST_CODE) or "(nothing)")
        request = self._templates.render(
            "repair.j2",
            domain=brief.task.domain,
            task=brief.task,
            problem=problem,
            kept=kept,
            advice=brief.advice,
            files=shown,
            edits=kept is not None or _long(shown),
        )
        return (said, Message(role="user", content=request))


def _parts(brief: Brief) -> Iterator[Part]:
    """The most needed first: each leaves the others the room that it does not use."""
    failed = _to_mend(_news(brief), brief.rng)
    yield Part("advice", LONGEST_FEEDBACK, lambda room: _advice(brief.advice, room))
    yield Part("failed", LONGEST_FAILED, lambda room: failed if sum(map(len, failed.values())) <= room else {})
    yield Part("experiences", LONGEST_EXPERIENCES, lambda room: _experiences(brief, room))
    yield Part("lore", LONGEST_LORE, lambda room: _passages(brief.lore, room))
    yield Part("children", LONGEST_CHILDREN, lambda room: _tried(brief, room))


def _experiences(brief: Brief, room: int) -> str:
    """Without those of the parent and the failure, which are told anyway."""
    told = {attempt.id for attempt in (brief.parent, _news(brief)) if attempt}
    others = [
        item for item in brief.recalled if not (sources := item.experience.sources) or not told.issuperset(sources)
    ]
    return as_data(others, tokens=room // CHARACTERS_PER_TOKEN)


def _advice(advice: Advice, room: int) -> Advice:
    """Without what nobody would read: few ideas, each in a line. Of one that does not fit, the technique remains."""
    short = advice._replace(
        held_back=in_line(advice.held_back, 600),
        ideas=tuple(idea._replace(why=in_line(idea.why)) for idea in advice.ideas[:MOST_IDEAS]),
        stop=tuple(idea._replace(why=in_line(idea.why)) for idea in advice.stop[:MOST_IDEAS]),
    )
    said = [short.held_back, *(f"{idea.technique}{idea.why}" for idea in (*short.ideas, *short.stop))]
    return short if sum(map(len, said)) <= room else Advice(chosen=advice.chosen)


def _passages(lore: Sequence[Passage], room: int) -> list[str]:
    """In the order given, as many as there is room for."""
    texts = (f"{passage.title}\n{passage.text}" if passage.title else passage.text for passage in lore)
    return _fitting((fenced(text) for text in texts), room)


def _tried(brief: Brief, room: int) -> list[str]:
    """What became of the parent's other children, the newest first, but for the failure that is told anyway."""
    parent, told = brief.parent, _news(brief)
    others = [child for child in reversed(brief.children) if told is None or child.id != told.id]
    return _fitting((_outcome(child, parent) for child in others), room) if parent else []


def _outcome(child: Attempt, parent: Attempt) -> str:
    technique = in_line(child.candidate.technique, 120) or "unnamed"
    before, after = parent.evaluation.score, child.evaluation.score
    if after is None:
        said = child.evaluation.feedback.strip().partition("\n")[0]
        return f"{technique}: failed: {in_line(said)}"
    return f"{technique}: score {after:.3g}" + (f" after {before:.3g}" if before is not None else "")


def _fitting(texts: Iterator[str], room: int) -> list[str]:
    kept: list[str] = []
    for text in texts:
        room -= len(text) + 1
        if room < 0:
            break
        kept.append(text)
    return kept


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
