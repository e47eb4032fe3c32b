"""`evolve meta --live`: the knowledge base looks for a better memory architecture in its own history."""

import secrets
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from evolve.cli.kb.options import opened
from evolve.cli.kb.telling import in_line
from evolve.cli.output import print_json
from evolve.cli.running import SOLVED, UNSOLVED

if TYPE_CHECKING:
    from evolve.meta.live import Decision

CHILDREN = 24


def live(
    tell: Callable[[str], None],
    *,
    kb: str,
    children: int | None,
    minutes: float | None,
    seed: int | None,
    json: bool,
) -> int:
    """The exit code: 0 where a better architecture was put in charge, 1 where none was."""
    from evolve.meta.live import evolve_base

    drawn = secrets.randbelow(1_000_000) if seed is None else seed
    deadline = time.monotonic() + minutes * 60 if minutes else None
    with opened(kb) as memory:
        decision = evolve_base(
            memory,
            children=children or CHILDREN,
            deadline=deadline,
            seed=drawn,
            listen=lambda line: tell(in_line(line)),
        )
    if json:
        print_json({"seed": drawn, **decision.model_dump()})
    else:
        _print(decision)
    return SOLVED if decision.installed else UNSOLVED


def _print(decision: "Decision") -> None:
    sys.stdout.write(f"{'installed' if decision.installed else 'refused'}: {in_line(decision.reason)}\n")
    if decision.installed:
        sys.stdout.write(f"`evolve kb architecture rollback` puts {decision.incumbent} back\n")
