"""Finds texts that are nearly the same: runs of words that they share, as a part of all that either has (Jaccard)."""

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping

RUN = 4
"""Words in a run."""
NEARLY = 0.9
_TOKEN = re.compile(r"\w+|[^\w\s]")


def alike(texts: Mapping[str, str], threshold: float = NEARLY) -> list[list[str]]:
    """Groups of names whose texts share at least this part, directly or through others; in the order given.

    Two texts that do must share one of their rarest runs (prefix filtering: Chaudhuri, Ganti and Kaushik 2006), so
    that few pairs are ever compared.
    """
    runs = {name: found for name, text in texts.items() if (found := _runs(text))}
    known = Counter(run for found in runs.values() for run in found)
    seen: defaultdict[int, list[str]] = defaultdict(list)
    group = {name: name for name in runs}
    for name, found in runs.items():
        rarest = sorted(found, key=lambda run: (known[run], run))
        prefix = rarest[: len(found) - int(threshold * len(found)) + 1]
        for other in dict.fromkeys(other for run in prefix for other in seen[run]):
            if _share(found, runs[other]) >= threshold:
                group[_root(group, name)] = _root(group, other)
        for run in prefix:
            seen[run].append(name)
    members: defaultdict[str, list[str]] = defaultdict(list)
    for name in runs:
        members[_root(group, name)].append(name)
    return [names for names in members.values() if len(names) > 1]


def _runs(text: str) -> frozenset[int]:
    tokens = _TOKEN.findall(text)
    starts = range(max(1, len(tokens) - RUN + 1)) if tokens else ()
    return frozenset(zlib.crc32(" ".join(tokens[start : start + RUN]).encode()) for start in starts)


def _share(one: frozenset[int], other: frozenset[int]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def _root(group: dict[str, str], name: str) -> str:
    while group[name] != name:
        name = group[name]
    return name
