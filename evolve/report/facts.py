"""What a report tells of a run, read from its journal: plain data, nothing of how it looks."""

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from agents.portfolio import FACT as WROTE
from evolve.budget import LOST, UNANSWERED
from evolve.config import KB_CHANGE, base_folder
from evolve.errors import EvolveError
from evolve.journal import Journal, Judgement
from evolve.plugins import GROUP, all_tasks, load_domains
from evolve.report.recall import Base, Use, base_of, uses
from evolve.run import COMPLETE, Run, Settings
from evolve.strategy import PRESETS
from evolve.summary import Summary, TaskSummary, summarise
from evolve.types import Attempt, Cost, Evaluation, Gates, Task

FREQUENT = 8
"""Kinds of feedback that are told of."""


class Entry(NamedTuple):
    """One judged attempt."""

    attempt: Attempt
    turn: int
    """Among the attempts planned on its task, from 1."""
    parent: int | None
    """The number of the attempt that it was refined from; as `repeat_of` a position in the run."""
    repeat_of: int | None
    seconds: float
    """What judging took."""
    reward: float | None
    """None while the run has not learnt from it."""
    improved: bool
    model: str
    """That wrote it; empty where no model did."""

    @property
    def number(self) -> int:
        return self.attempt.position

    @property
    def verdict(self) -> Evaluation:
        return self.attempt.evaluation

    @property
    def failure(self) -> str:
        """What closed the way, in words; empty where it is feasible."""
        return "" if self.verdict.feasible else closed(self.verdict.gates)


class TaskFacts(NamedTuple):
    summary: TaskSummary
    task: Task | None
    """None where nobody knows any more what it was."""
    planned: int
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        return self.summary.task

    @property
    def winner(self) -> int | None:
        return self.summary.best.position if self.summary.best else None

    @property
    def is_timed(self) -> bool:
        """Whether its scores say how many times faster than a baseline."""
        return any("baseline_ms" in entry.verdict.metrics for entry in self.entries)


class Spent(NamedTuple):
    """On calls of one kind."""

    role: str
    stage: str
    model: str
    calls: int
    cost: Cost


class Earnings(NamedTuple):
    """What the attempts that a model wrote at a stage were worth, and what its calls cost."""

    model: str
    stage: str
    attempts: int
    feasible: int
    reward: float
    """The mean."""
    cost: Cost


class Closed(NamedTuple):
    gate: str
    """In words."""
    attempts: tuple[int, ...]


class Complaint(NamedTuple):
    """Feedback that several attempts had, numbers and names of things aside."""

    text: str
    """As the first of them had it."""
    attempts: tuple[int, ...]


class Facts(NamedTuple):
    settings: Settings
    status: str
    """`complete`, `failed`, `interrupted`, or `going on`."""
    summary: Summary
    hardware: tuple[str, ...]
    """What it was judged on."""
    kb: str
    kb_change: str
    """The last change of the knowledge base before the run; empty where nobody noted it."""
    tasks: tuple[TaskFacts, ...]
    base: Base
    recalled: tuple[Use, ...]
    spent: tuple[Spent, ...]
    earned: tuple[Earnings, ...]
    unanswered: int
    judging: float
    """Seconds, of all attempts together."""
    closed: tuple[Closed, ...]
    complaints: tuple[Complaint, ...]
    trusting: bool
    """Whether some verdict comes from where the candidate could have forged it."""
    unjudged: int
    """Attempts that were planned, or are under way."""


def gathered(run: Run, journal: Journal) -> Facts:
    """Raises UsageError for a journal that is damaged."""
    settings = run.settings
    with journal.as_of_now():
        summary = summarise(run, journal)
        plans = journal.all_planned()
        entries = _entries(journal)
        spent, earned = _spent(journal), _earned(journal, entries)
        unanswered = len(journal.facts(UNANSWERED))
        change = journal.fact(KB_CHANGE)
    everything = [entry for each in settings.tasks for entry in entries.get(each, ())]
    everything.sort(key=lambda entry: entry.number)
    folder = base_folder(settings.kb)
    remembers = settings.preset not in PRESETS or PRESETS[settings.preset].memory
    recalled = {item for entry in everything for item in entry.attempt.candidate.recalled}
    base = base_of(folder, settings.run, recalled) if remembers else Base(why_not="its strategy uses none")
    tasks = _tasks(settings, base.tasks)
    planned = Counter(plan.task for plan in plans)
    return Facts(
        settings=settings,
        status=_status(run, summary),
        summary=summary,
        hardware=tuple(sorted({entry.verdict.profile.hardware for entry in everything} - {""})),
        kb=str(folder) if remembers else "",
        kb_change=change,
        tasks=tuple(
            TaskFacts(each, tasks.get(each.task), planned[each.task], entries.get(each.task, ()))
            for each in summary.tasks
        ),
        base=base,
        recalled=uses(everything),
        spent=spent,
        earned=earned,
        unanswered=unanswered,
        judging=sum(entry.seconds for entry in everything),
        closed=_closed(everything),
        complaints=_complaints(everything),
        trusting=any(entry.verdict.metrics.get("trusting") for entry in everything),
        unjudged=len(plans) - len(everything),
    )


def closed(gates: Gates) -> str:
    """Which gate did, in words."""
    words = (
        (gates.authentic, "not allowed"),
        (gates.builds, "does not build"),
        (gates.correct, "wrong result"),
    )
    return next((word for gate, word in words if gate is False), "nothing to judge")


def _entries(journal: Journal) -> dict[str, tuple[Entry, ...]]:
    """By task, in the order in which they were planned."""
    found: dict[str, list[Entry]] = defaultdict(list)
    turns: Counter[str] = Counter()
    plans = journal.all_planned()
    numbers = {plan.id: plan.position for plan in plans}
    for plan in plans:
        turns[plan.task] += 1
        attempt, judgement = journal.attempt(plan.id), journal.judgement(plan.id)
        if attempt is None or judgement is None:
            continue
        learnt = journal.learnt(plan.id)
        found[plan.task].append(
            Entry(
                attempt=attempt,
                turn=turns[plan.task],
                parent=numbers.get(attempt.candidate.parent or ""),
                repeat_of=_repeated(judgement, numbers),
                seconds=judgement.seconds,
                reward=learnt.reward if learnt else None,
                improved=bool(learnt and learnt.improved),
                model=_wrote(journal, plan.id),
            )
        )
    return {task: tuple(entries) for task, entries in found.items()}


def _repeated(judgement: Judgement, numbers: Mapping[str, int]) -> int | None:
    return numbers.get(judgement.repeat_of) if judgement.repeat_of else None


def _wrote(journal: Journal, attempt: str) -> str:
    noted = journal.fact(f"{WROTE}{attempt}")
    if noted:
        return str(json.loads(noted).get("model", ""))
    return next((reply.model for prompt, reply in journal.calls(attempt) if role_of(prompt.key) == "coder"), "")


def role_of(key: str) -> str:
    """Who asked: a call's key is `attempt/role/turn`."""
    return key.rsplit("/", 2)[-2]


def _spent(journal: Journal) -> tuple[Spent, ...]:
    stages = {plan.id: plan.stage for plan in journal.all_planned()}
    calls = [
        ((role_of(prompt.key), stages.get(prompt.key.rsplit("/", 2)[0], ""), reply.model), prompt.key, reply.cost)
        for prompt, reply in journal.all_calls()
    ]
    calls.sort(key=lambda call: call[0])
    found = []
    for (role, stage, model), group in groupby(calls, key=lambda call: call[0]):
        costs = list(group)
        answered = sum(LOST not in key for _, key, _ in costs)
        found.append(Spent(role, stage, model, answered, _sum(cost for _, _, cost in costs)))
    return tuple(found)


def _earned(journal: Journal, entries: Mapping[str, Sequence[Entry]]) -> tuple[Earnings, ...]:
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for each in entries.values():
        for entry in each:
            if entry.model and entry.reward is not None:
                groups[entry.model, entry.attempt.candidate.stage].append(entry)
    return tuple(
        Earnings(
            model=model,
            stage=stage,
            attempts=len(group),
            feasible=sum(entry.verdict.feasible for entry in group),
            reward=sum(entry.reward or 0.0 for entry in group) / len(group),
            cost=_sum(
                reply.cost
                for entry in group
                for prompt, reply in journal.calls(entry.attempt.id)
                if role_of(prompt.key) == "coder" and reply.model == model
            ),
        )
        for (model, stage), group in sorted(groups.items())
    )


def _sum(costs: Iterable[Cost]) -> Cost:
    return sum(costs, Cost())


def _closed(entries: Sequence[Entry]) -> tuple[Closed, ...]:
    found: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        if entry.failure:
            found[entry.failure].append(entry.number)
    return tuple(Closed(gate, tuple(numbers)) for gate, numbers in sorted(found.items(), key=lambda at: -len(at[1])))


def _complaints(entries: Sequence[Entry]) -> tuple[Complaint, ...]:
    """The most frequent first; those of one attempt alone are told only where there is room."""
    texts: dict[str, str] = {}
    numbers: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        if entry.failure and (line := _told(entry.verdict.feedback)):
            kind = re.sub(r"‘[^’]*’|'[^']*'|[-+]?\d[\d.e+-]*", "…", line)
            texts.setdefault(kind, line)
            numbers[kind].append(entry.number)
    frequent = sorted(numbers, key=lambda kind: (-len(numbers[kind]), numbers[kind][0]))[:FREQUENT]
    return tuple(Complaint(texts[kind], tuple(numbers[kind])) for kind in frequent)


def _told(feedback: str) -> str:
    """The line that says most: a compiler's first error, else the first."""
    lines = [line.strip() for line in feedback.splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[0] if lines else "")[:300]


def _tasks(settings: Settings, known: Mapping[str, Task]) -> dict[str, Task]:
    """As they were when the knowledge base was told, else as the installed domains have them now.

    Code that `run.json` names is not loaded for that: a report can be made of a run that somebody else sent.
    """
    missing = [task for task in settings.tasks if task not in known]
    if entry_points(group=GROUP).names.isdisjoint(task.partition("/")[0] for task in missing):
        return dict(known)
    try:
        there = all_tasks(load_domains([], settings.options))
    except (EvolveError, OSError):
        return dict(known)
    return {task: there[task] for task in missing if task in there} | dict(known)


def _status(run: Run, summary: Summary) -> str:
    if summary.status != COMPLETE and _is_worked_on(run.folder / ".lock"):
        return "going on"
    return summary.status


def _is_worked_on(lock: Path) -> bool:
    """Whether the process that noted itself last is still there; asking for the lock could get in its way."""
    try:
        os.kill(int(lock.read_text()), 0)
    except PermissionError:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return True
