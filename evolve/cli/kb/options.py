"""What the commands on a knowledge base have in common: which base, which of its experiences, how old."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.errors import UsageError

if TYPE_CHECKING:
    from knowledge.library import Filters
    from knowledge.upkeep import Upkeep

KINDS = ("trace", "failure", "insight", "guide", "lore")
SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
LONGEST = 100 * 365 * 86400.0
"""Seconds."""
_AGE = re.compile(r"(\d+(?:\.\d+)?)([mhdw])")

Base = Annotated[
    str,
    typer.Option(
        "--kb", metavar="FOLDER|URL", help="Folder of the knowledge base; http://HOST:PORT: its index on that server."
    ),
]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, kept in the history.")]
Rows = Annotated[int, typer.Option("-n", min=1, metavar="ROWS", help="How many are shown.")]
Task = Annotated[str, typer.Option(help="Only what was learnt on this task.")]
Domain = Annotated[str, typer.Option(help="Only from this domain, such as kernels.")]
Stage = Annotated[str, typer.Option(help="Only from first versions (draft) or improvements (refine).")]
Kind = Annotated[str, typer.Option(help=f"Only this kind: {', '.join(KINDS)}.")]
State = Annotated[str, typer.Option(help="Only where this held the code back, such as not_vectorized.")]
Status = Annotated[str, typer.Option(help="active, superseded, expired, quarantined or forgotten.")]
Older = Annotated[str, typer.Option(metavar="AGE", help="Only learnt longer ago than 30m, 12h, 7d or 2w.")]
Newer = Annotated[str, typer.Option(metavar="AGE", help="Only learnt since then.")]


def opened(kb: str, *, new: bool = False) -> "Upkeep":
    """A context manager. Raises UsageError where a folder that was named holds no base, unless it may be `new`."""
    from evolve.config import SERVERS, open_kb
    from knowledge.library import BANK

    folder = Path(kb)
    if kb and not new and not kb.startswith(SERVERS) and not folder.is_file() and not (folder / BANK).exists():
        raise UsageError(f"there is no knowledge base in {kb}; `evolve run --kb {kb}` begins one there")
    return open_kb(kb)


def named(memory: "Upkeep", ids: Iterable[str]) -> list[str]:
    """Whole ids of experiences, each once."""
    return list(dict.fromkeys(memory.named(name) for name in ids))


def seconds(age: str) -> float | None:
    """None for an empty one."""
    if not age:
        return None
    found = _AGE.fullmatch(age.strip())
    if found is None:
        raise UsageError(f"an age is a number with m, h, d or w, such as 30m, 12h, 7d or 2w, not {age!r}")
    if (seconds := float(found[1]) * SECONDS[found[2]]) > LONGEST:
        raise UsageError(f"{age} is too long an age; give less than a hundred years")
    return seconds


def filters(
    memory: "Upkeep",
    *,
    task: str,
    domain: str,
    stage: str,
    kind: str,
    state: str,
    status: str,
    older: str,
    newer: str,
) -> "Filters":
    """`task` may go without its domain where that is clear."""
    from knowledge.bank import KEPT
    from knowledge.library import Filters

    if kind and kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r}; there are: {', '.join(KINDS)}")
    if status not in KEPT:
        raise UsageError(f"unknown status {status!r}; there are: {', '.join(KEPT)}")
    if task and "/" not in task:
        fitting = [name for name in memory.stats().tasks if name.endswith(f"/{task}")]
        task = fitting[0] if len(fitting) == 1 else task
    return Filters(task, domain, stage, kind, state, status, seconds(older), seconds(newer))
