"""`evolve kb forget`, `restore`: let experiences no longer be found, and let them be found again."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from evolve.cli.kb import options
from evolve.cli.kb.telling import IN_SHORT, in_short, many, moment, table, undo_line, undoing
from evolve.cli.options import Json
from evolve.cli.output import print_json
from evolve.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from knowledge.upkeep import Upkeep

SHOWN = 40


def register(app: typer.Typer) -> None:
    app.command()(forget)
    app.command()(restore)


class Way(NamedTuple):
    """How experiences are let go."""

    why: str
    expires: float | None
    """Unix seconds; None: at once."""
    erase: bool

    @property
    def told(self) -> str:
        if self.erase:
            return "erased for good"
        return "forgotten" if self.expires is None else f"forgotten from {moment(self.expires)} on"

    def take(self, memory: "Upkeep", names: "Sequence[str]") -> tuple[list[str], int | None]:
        """(those that were let go, the point that undoes it where that can be)."""
        hygiene = memory.hygiene
        if self.erase:
            return hygiene.erase(names, self.why), None
        if self.expires is not None:
            done, what = hygiene.expire(names, self.expires, self.why), "expire"
        else:
            done, what = hygiene.forget(names, self.why), "forget"
        return done, undoing(memory, done[0], what) if done else None


def forget(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Experiences, or beginnings of ids.")] = None,
    attempt: Annotated[
        str, typer.Option(metavar="RUN/NUMBER", help="All that rests on this attempt, with the credit it gave.")
    ] = "",
    after: Annotated[str, typer.Option("--in", metavar="AGE", help="Not now but in 30m, 12h, 7d or 2w.")] = "",
    erase: Annotated[
        bool, typer.Option("--erase", help="Remove texts and code for good, also from the history; needs --yes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, filters and --erase only show what.")] = False,
    why: options.Why = "",
    task: options.Task = "",
    domain: options.Domain = "",
    stage: options.Stage = "",
    kind: options.Kind = "",
    state: options.State = "",
    status: options.Status = "active",
    older: options.Older = "",
    newer: options.Newer = "",
    kb: options.Base = "",
    json: Json = False,
) -> None:
    """Let experiences no longer be found. By id, by filters, or all that rests on an attempt."""
    filtered = any((task, domain, stage, kind, state, older, newer, status != "active"))
    if (bool(ids), bool(attempt), filtered).count(True) != 1:
        raise UsageError("say in one way what to forget: ids, --attempt RUN/NUMBER, or filters such as --older 30d")
    if (erase and after) or (attempt and (erase or after)):
        raise UsageError("--in, --erase and --attempt go without each other")
    seconds = options.seconds(after)
    way = Way(why, None if seconds is None else time.time() + seconds, erase)
    with options.opened(kb) as memory:
        if attempt:
            _revoke(memory, attempt, why, json=json)
            return
        if ids:
            names = options.named(memory, ids)
        else:
            where = options.filters(
                memory, task=task, domain=domain, stage=stage, kind=kind, state=state, status=status, older=older,
                newer=newer,
            )  # fmt: skip
            names = memory.matching(where)
        if names and not yes and (filtered or erase):
            _print_plan(memory, names, way, json=json)
        else:
            _let_go(memory, names, way, json=json)


def _print_plan(memory: "Upkeep", names: "Sequence[str]", way: Way, *, json: bool) -> None:
    if json:
        print_json({"done": False, "records": list(names), "undo": None})
        return
    table(IN_SHORT, [in_short(memory, name) for name in names[:SHOWN]])
    more = f"\n… and {len(names) - SHOWN} more\n" if len(names) > SHOWN else "\n"
    sys.stdout.write(f"{more}{many(len(names), 'experience')} would be {way.told}; --yes does it\n")


def _let_go(memory: "Upkeep", names: "Sequence[str]", way: Way, *, json: bool) -> None:
    done, undo = way.take(memory, names)
    if json:
        print_json({"done": True, "records": done, "undo": undo})
    elif done:
        sys.stdout.write(f"{many(len(done), 'experience')} {way.told}\n{undo_line(undo)}")
    else:
        sys.stdout.write(f"nothing to do: {'all of it was forgotten before' if names else 'nothing fits'}\n")


def _revoke(memory: "Upkeep", attempt: str, why: str, *, json: bool) -> None:
    revoked = memory.revoke(attempt, why)
    undo = undoing(memory, revoked.records[0], "quarantine") if revoked.records else None
    if json:
        print_json({"done": True, **revoked._asdict(), "undo": undo})
        return
    more = len(revoked.attempts) - 1
    also = f" and {many(more, 'attempt')} refined from it" if more else ""
    sys.stdout.write(
        f"{attempt}{also}: "
        f"{many(len(revoked.records), 'experience')} in quarantine, credit of {many(revoked.credits, 'attempt')} "
        "taken back\n"
    )
    if revoked.records:
        sys.stdout.write("\n")
        table(IN_SHORT, [in_short(memory, name) for name in revoked.records])
        sys.stdout.write(f"\n`evolve kb diff {undo}` shows what followed, `evolve kb rollback {undo}` undoes it all\n")


def restore(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="Experiences that are hidden, or beginnings of ids.")],
    why: options.Why = "",
    kb: options.Base = "",
    json: Json = False,
) -> None:
    """Let hidden experiences be found again. Forgotten, expired, merged, or in quarantine."""
    with options.opened(kb) as memory:
        restored = memory.restore(options.named(memory, ids), why)
        rows = [in_short(memory, name) for name in restored]
    if json:
        print_json({"restored": restored})
    elif rows:
        table(IN_SHORT, rows)
        sys.stdout.write("found again\n")
    else:
        sys.stdout.write("nothing to do: all of it is found already\n")
