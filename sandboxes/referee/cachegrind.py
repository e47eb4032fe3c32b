"""What cachegrind's output says of the functions and lines of a few source files."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

PROBE_WORK = 2e6
"""The work of a first run, in the units of the request."""
START_SECONDS = 0.6
"""What valgrind takes for nothing."""
MOST_LINES = 8
WORTH_NAMING = 0.05
"""Share of all instructions from which a function elsewhere is named."""
LOADING = re.compile(r"main$|\(below main\)|_?_?dl_|do_lookup_x|check_match|\?\?\?|0x")
"""What starts a program, and what has no name."""
D1, L2 = (188, 189, 190), (191, 192, 193)
"""Numbers of glibc's sysconf for size, ways and line; it knows them where /sys is hidden."""
USUAL = ((32768, 8, 64), (1048576, 16, 64))


class Cache(NamedTuple):
    size: int
    ways: int
    line: int

    def __str__(self) -> str:
        return ",".join(map(str, self))


class Levels(NamedTuple):
    """The two levels that are simulated: what one core has for itself. A shared third is no one's to count on."""

    d1: Cache
    l2: Cache


def levels() -> Levels:
    return Levels(*(rounded(*_asked(names, usual)) for names, usual in zip((D1, L2), USUAL, strict=True)))


def _asked(names: tuple[int, ...], usual: tuple[int, int, int]) -> tuple[int, int, int]:
    try:
        size, ways, line = (os.sysconf(name) for name in names)
    except (OSError, ValueError):
        return usual
    return (size, ways, line) if min(size, ways, line) > 0 else usual


def rounded(size: int, ways: int, line: int) -> Cache:
    """With a power of two of sets, as valgrind wants it; never larger."""
    sets = max(1, size // (ways * line))
    return Cache((1 << (sets.bit_length() - 1)) * ways * line, ways, line)


class Counts(NamedTuple):
    instructions: int = 0
    accesses: int = 0
    d1_misses: int = 0
    l2_misses: int = 0

    def plus(self, other: "Counts") -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class _Record(NamedTuple):
    file: str
    function: str
    line: int
    counts: Counts


def summarise(text: str, sources: frozenset[str]) -> dict[str, Any]:
    """Totals, functions and the lines with most misses of `sources` (file names), and who else took instructions."""
    records = list(_records(text))
    own = {record.function for record in records if record.file in sources}
    functions: defaultdict[str, Counts] = defaultdict(Counts)
    lines: defaultdict[tuple[str, int], Counts] = defaultdict(Counts)
    elsewhere: Counter[str] = Counter()
    for record in records:
        if record.function in own:
            functions[record.function] = functions[record.function].plus(record.counts)
        elif not LOADING.match(record.function):
            elsewhere[record.function] += record.counts.instructions
        if record.file in sources:
            lines[record.function, record.line] = lines[record.function, record.line].plus(record.counts)
    total = Counts()
    for counts in functions.values():
        total = total.plus(counts)
    everything = total.instructions + sum(elsewhere.values())
    return {
        **total._asdict(),
        "functions": [{"name": name, **counts._asdict()} for name, counts in _hottest(functions)],
        "lines": [{"function": name, "line": line, **counts._asdict()} for (name, line), counts in _hottest(lines)],
        "elsewhere": {name: n for name, n in elsewhere.most_common(5) if n >= WORTH_NAMING * everything},
    }


def _hottest(found: Any) -> list[tuple[Any, Counts]]:
    """The most missed first, then those with most instructions."""
    ranked = sorted(found.items(), key=lambda item: (-item[1].d1_misses, -item[1].instructions))
    busiest = sorted(found.items(), key=lambda item: -item[1].instructions)
    return list(dict(ranked[: MOST_LINES // 2] + busiest[: MOST_LINES // 2]).items())


def _records(text: str) -> Iterator[_Record]:
    """Lines that are not as expected are passed over: the file was written where a candidate may write."""
    file, function, events = "", "", list[str]()
    for row in text.splitlines():
        if row.startswith("events:"):
            events = row.split()[1:]
        elif row.startswith("fl="):
            file = Path(row[3:]).name
        elif row.startswith("fn="):
            function = row[3:][:100]
        elif row[:1].isdigit():
            numbers = row.split()
            if len(numbers) == len(events) + 1 and all(map(str.isdigit, numbers)):
                counted = dict(zip(events, map(int, numbers[1:]), strict=True))
                yield _Record(file, function, int(numbers[0]), _counts(counted))


def _counts(counted: dict[str, int]) -> Counts:
    def total(*names: str) -> int:
        return sum(counted.get(name, 0) for name in names)

    return Counts(total("Ir"), total("Dr", "Dw"), total("D1mr", "D1mw"), total("DLmr", "DLmw"))
