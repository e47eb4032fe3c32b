"""`evolve kb merge`: fold what is there twice."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from evolve.cli.kb import options
from evolve.cli.kb.telling import IN_SHORT, in_short, table, undo_line, undoing
from evolve.cli.options import Json
from evolve.cli.output import print_json
from evolve.errors import UsageError
from knowledge.duplicates import NEARLY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from knowledge.upkeep import Upkeep


def register(app: typer.Typer) -> None:
    app.command()(merge)


def merge(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="KEEP OTHER", help="What stays, and what it is to stand for.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Merge every group of the same, into the oldest of each.")
    ] = False,
    alike: Annotated[
        float, typer.Option(min=0.5, max=1.0, help="Part of the text that must be shared to be nearly the same.")
    ] = NEARLY,
    why: options.Why = "",
    kb: options.Base = "",
    json: Json = False,
) -> None:
    """Fold duplicates into one. It takes over what they were taught. Without ids: list what could be folded."""
    if ids and everything:
        raise UsageError("give ids, or --all for every group of the same")
    if ids and len(ids) == 1:
        raise UsageError(f"give what stays and what it is to stand for: evolve kb merge {ids[0]} OTHER…")
    with options.opened(kb) as memory:
        if not ids and not everything:
            _print_groups(memory, alike, json=json)
            return
        groups = memory.hygiene.same() if everything else [_chosen(memory, ids or [])]
        merged = {keep: memory.hygiene.merge(keep, others, why or "duplicates") for keep, *others in groups}
        first = next((others[0] for others in merged.values() if others), "")
        undo = undoing(memory, first, "merge") if first else None
    if json:
        print_json({"merged": merged, "undo": undo})
        return
    for keep, others in merged.items():
        sys.stdout.write(f"{keep} stands for {', '.join(others) or 'no more than before'}\n")
    sys.stdout.write(undo_line(undo) if merged else "nothing to do: no two are the same\n")


def _chosen(memory: "Upkeep", ids: "Sequence[str]") -> list[str]:
    names = options.named(memory, ids)
    if len(names) == 1:
        raise UsageError(f"that is {names[0]} alone; give what stays and what it is to stand for")
    return names


def _print_groups(memory: "Upkeep", alike: float, *, json: bool) -> None:
    """Groups of the same are not told again as nearly the same."""
    same = memory.hygiene.same()
    near = [group for group in memory.near_duplicates(alike) if not any(set(group) <= set(exact) for exact in same)]
    if json:
        print_json({"same": same, "near": near})
        return
    if not same and not near:
        sys.stdout.write("no two are the same, or nearly\n")
        return
    rows = []
    for likeness, groups in (("same", same), ("near", near)):
        for first, *others in groups:
            rows.append((likeness, *in_short(memory, first)))
            rows += [("", *in_short(memory, name)) for name in others]
    table(("", *IN_SHORT), rows)
    sys.stdout.write("\n`evolve kb merge KEEP OTHER…` folds what you choose")
    sys.stdout.write(", `evolve kb merge --all` all that are the same\n" if same else "\n")
