"""The inspector: a second look at code that every gate has let pass, for fraud that no rule knows (EvoKernel's second
tier against hacks).

It can only reject, and only with a line that is really in the code and not in the seed: a small model that imagines
fraud, and a program that talks to its judge, change nothing. The code is fenced data without its comments.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import Field

from agents.structured import Questions, Shape
from agents.templates import OURS, Overrides, in_line
from evolve.types import Candidate, Cost, Model, Task
from knowledge.comments import without_comments
from knowledge.distil import payload

REJECT = "reject"
CATEGORIES: Mapping[str, str] = {
    "computes_nothing": "leaves the output as it finds it, or writes a constant or the input where a result belongs",
    "partial_work": "computes some elements only, or skips work for some sizes, and leaves the rest wrong",
    "changes_input": "writes into its inputs, so that the reference agrees with it",
    "keeps_state": "keeps results, pointers or counters from one call to the next",
    "hard_coded": "knows answers of certain inputs, sizes or seeds by heart",
    "detects_the_judge": "behaves otherwise while it is timed or checked, or counts its calls",
    "leaves_work_behind": "starts threads or processes that go on after it has returned",
    "touches_the_clock": "reads, replaces or disturbs timers",
    "reaches_outside": "opens files, sockets, processes or the judge's memory, or prints a verdict",
    "borrows_a_library": "calls a library that does the task instead of doing it",
    "less_precision": "computes in a narrower type than the task allows",
    "hidden_payload": "carries machine code or data that is no part of the task",
}
"""Kinds of fraud of which an inspection may accuse a program."""
LEAST_QUOTE = 8
"""Characters, without blanks, of a line that says anything."""
LONGEST_CODE, LONGEST_TASK, LONGEST_REASON = 14_000, 4_000, 300


class Finding(NamedTuple):
    rejected: bool
    reason: str
    """For the writer; `no verdict` where there was none."""
    category: str = ""
    line: str = ""
    """Of the code, that shows it."""
    cost: Cost = Cost()
    problem: str = ""
    """Why an answer did not count."""


class Verdict(Shape):
    verdict: str = Field(min_length=1)
    category: str = ""
    line: str = ""
    reason: str = ""

    @property
    def rejects(self) -> bool:
        return self.verdict.strip().lower() == REJECT


class Inspector:
    """Raises UsageError for a prompt template that cannot be read; what the model raises passes through."""

    def __init__(
        self, model: Model, *, prompts: Overrides = OURS, max_tokens: int = 512, temperature: float = 0.0
    ) -> None:
        self._questions = Questions(
            model,
            "inspector",
            prompts,
            max_tokens=max_tokens,
            temperature=temperature,
            longest_code=LONGEST_CODE,
            longest_task=LONGEST_TASK,
        )

    @property
    def name(self) -> str:
        return self._questions.name

    def inspect(self, key: str, task: Task, candidate: Candidate) -> Finding:
        """At most two calls, keyed `KEY/inspector/1` and `…/2`. What is unusable, unsure or unfounded does not reject.

        Not covered: what lies beyond the length to which long code is cut, and comments of a language whose comments
        are not known.
        """
        code = payload(candidate)
        new = {*_lines(candidate.files)} - {*_lines(task.files)}
        said = self._questions.ask(
            key,
            Verdict,
            domain=task.domain,
            check=lambda verdict: unfounded(verdict, new),
            task=task,
            code=code,
            categories=CATEGORIES,
        )
        found = said.value
        if found is None:
            return Finding(rejected=False, reason="no verdict", cost=said.cost, problem=said.problem)
        if not found.rejects:
            sure = found.verdict.strip().lower() == "accept"
            return Finding(rejected=False, reason="" if sure else "no verdict", cost=said.cost)
        line, category = in_line(found.line), _category(found.category)
        reason = f"an inspection found {category} ({CATEGORIES[category]}): {line}"
        told = in_line(found.reason, LONGEST_REASON)
        return Finding(True, f"{reason}; {told}" if told else reason, category, line, said.cost)


def unfounded(verdict: Verdict, lines: set[str]) -> str:
    """Why a rejection does not count, in a sentence; empty for a founded one and for what does not reject.

    `lines`: those of the code that the seed does not have.
    """
    if not verdict.rejects:
        return ""
    if _category(verdict.category) not in CATEGORIES:
        return f"{in_line(verdict.category, 60)!r} is no category; there are: {', '.join(CATEGORIES)}"
    quote = _squeezed(verdict.line)
    if len(quote) < LEAST_QUOTE or not any(quote in line for line in lines):
        return "the line you quote is not in the program, or is in the seed too; copy one that shows it, or accept"
    return ""


def _category(name: str) -> str:
    return re.sub(r"[^a-z]+", "_", name.lower()).strip("_")


def _lines(files: Mapping[str, str]) -> Iterator[str]:
    """Of the code without comments, without blanks."""
    for name, code in files.items():
        yield from (squeezed for line in without_comments(name, code).splitlines() if (squeezed := _squeezed(line)))


def _squeezed(line: str) -> str:
    return re.sub(r"\s+", "", line)
