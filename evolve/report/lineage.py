"""What became of what: the way from the seed to the best, what else was tried from each step, and every change."""

import difflib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from evolve.report.facts import Entry, TaskFacts

CONTEXT = 3
LONGEST_DIFF = 400
"""Lines of one change that are shown."""
LONGEST_LINE = 400
LONGEST_FILE = 2000
"""Lines of a file from which on two versions are not compared: that would take too long."""
DIFFS = 2_000_000
"""Characters of all changes of a run together."""
SHOWN = 2000
"""Attempts of a run that are shown one by one."""


class Block(NamedTuple):
    """Lines of one kind that follow one another."""

    kind: str
    """`add`, `del`, `hunk`, `file` or `same`."""
    text: str


class Change(NamedTuple):
    blocks: tuple[Block, ...]
    note: str
    """What is left out and why; empty where nothing is."""


class Step(NamedTuple):
    """One attempt of a chain, each made from the one before it."""

    entry: Entry
    aside: tuple[tuple["Step", ...], ...]
    """The other chains that begin at this attempt."""

    @property
    def others(self) -> tuple[Entry, ...]:
        return tuple(entry for chain in self.aside for entry in flat(chain))


class Lineage(NamedTuple):
    """Of one task. An attempt without a parent was made from the seed."""

    way: tuple[Step, ...]
    """From the seed to the winner; empty where there is none."""
    aside: tuple[tuple[Step, ...], ...]
    """The other chains that begin at the seed."""

    @property
    def others(self) -> tuple[Entry, ...]:
        return tuple(entry for chain in self.aside for entry in flat(chain))


def flat(chain: Sequence[Step]) -> Iterator[Entry]:
    for step in chain:
        yield step.entry
        yield from step.others


def lineage(task: TaskFacts, shown: frozenset[int]) -> Lineage:
    """Of the attempts that are shown; one whose parent is not stands at the seed."""
    entries = {entry.number: entry for entry in task.entries if entry.number in shown}
    children: dict[int | None, list[int]] = defaultdict(list)
    for number, entry in entries.items():
        children[entry.parent if entry.parent in entries else None].append(number)
    size = dict.fromkeys(entries, 1)
    for number in sorted(entries, reverse=True):  # a child is planned after its parent
        parent = entries[number].parent
        if parent in entries and parent is not None:
            size[parent] += size[number]
    way = _way(task.winner, entries)

    def chain(numbers: Sequence[int]) -> tuple[Step, ...]:
        """Along `numbers`, and on from there with the largest part each time, so that little is nested."""
        path = list(numbers)
        while not way_ends(path) and (further := children[path[-1]]):
            path.append(max(further, key=lambda number: size[number]))
        following = [*path[1:], None]
        return tuple(Step(entries[number], aside(number, after)) for number, after in zip(path, following, strict=True))

    def way_ends(path: Sequence[int]) -> bool:
        return bool(way) and path[-1] == way[-1]

    def aside(parent: int | None, but: int | None) -> tuple[tuple[Step, ...], ...]:
        return tuple(chain([number]) for number in children[parent] if number != but)

    return Lineage(chain(way) if way else (), aside(None, way[0] if way else None))


def _way(winner: int | None, entries: Mapping[int, Entry]) -> list[int]:
    """Numbers from the seed's first child to the winner."""
    way: list[int] = []
    number = winner
    while number is not None and number in entries:
        way.append(number)
        number = entries[number].parent
    return way[::-1]


def shown(tasks: Sequence[TaskFacts]) -> frozenset[int]:
    """The attempts that are shown one by one: all but in the largest runs."""
    return frozenset([entry.number for _, entry in sorted(_ranked(tasks))][:SHOWN])


def _ranked(tasks: Sequence[TaskFacts]) -> Iterator[tuple[tuple[int, int], Entry]]:
    """First what leads to a winner, then what was the best for a while, what is feasible, and the rest."""
    for task in tasks:
        way = set(_way(task.winner, {entry.number: entry for entry in task.entries}))
        for entry in task.entries:
            ranks = (entry.number in way, entry.improved, entry.verdict.feasible, True)
            yield (ranks.index(True), entry.number), entry


def changes(tasks: Sequence[TaskFacts], numbers: frozenset[int]) -> dict[int, Change]:
    """Of each attempt against what it was made from; when there is no more room, those that matter least have none."""
    entries = {entry.number: entry for task in tasks for entry in task.entries}
    seeds = {task.name: dict(task.task.files) if task.task else {} for task in tasks}
    found: dict[int, Change] = {}
    room = DIFFS
    for _, entry in sorted(_ranked(tasks)):
        if entry.number not in numbers or entry.repeat_of is not None:
            continue
        if room <= 0:
            found[entry.number] = Change((), "left out to keep this page small")
            continue
        parent = entries.get(entry.parent) if entry.parent is not None else None
        before = parent.attempt.candidate.files if parent else seeds[entry.attempt.task]
        found[entry.number] = change(before, entry.attempt.candidate.files)
        room -= sum(len(block.text) for block in found[entry.number].blocks)
    return found


def change(before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    lines: list[Block] = []
    notes: list[str] = []
    names = sorted(before.keys() | after.keys())
    for name in names:
        old, new = before.get(name, "").splitlines(), after.get(name, "").splitlines()
        if old == new:
            continue
        if len(names) > 1:
            lines.append(Block("file", name if name in after else f"{name} is gone"))
        if max(len(old), len(new)) > LONGEST_FILE:
            notes.append(f"{name} is too long to be compared here ({len(new)} lines)")
            continue
        lines += _compared(old, new)
    if len(lines) > LONGEST_DIFF:
        notes.append(f"{len(lines) - LONGEST_DIFF} lines more are left out")
    if any(len(line.text) > LONGEST_LINE for line in lines[:LONGEST_DIFF]):
        notes.append(f"lines are cut after {LONGEST_LINE} characters")
    return Change(_blocks(lines[:LONGEST_DIFF]), "; ".join(notes) if lines or notes else "the same code")


def _blocks(lines: Sequence[Block]) -> tuple[Block, ...]:
    return tuple(
        Block(kind, "\n".join(line.text[:LONGEST_LINE] for line in group))
        for kind, group in groupby(lines, key=lambda line: line.kind)
    )


def _compared(old: Sequence[str], new: Sequence[str]) -> Iterator[Block]:
    kinds = {"+": "add", "-": "del", "@": "hunk", " ": "same"}
    for number, text in enumerate(difflib.unified_diff(old, new, n=CONTEXT, lineterm="")):
        if number > 1:  # the first two name the files
            yield Block(kinds[text[0]], text)
