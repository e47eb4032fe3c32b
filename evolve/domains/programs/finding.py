"""Finds task folders: one, or a folder of them, each under a name of its own."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import shorten

from evolve.domains.programs.folder import EVALUATOR, INITIAL, Posed, hidden, read
from evolve.errors import UsageError

LONGEST_REASON = 800
DEEPEST = 4
"""Folders in folders that are looked into."""


def found(root: Path) -> tuple[list[Posed], dict[str, str]]:
    """The tasks in a folder, or that it is, and by name why others are left out. Raises UsageError for none at all."""
    if not root.is_dir():
        raise UsageError(f"there is no folder {root}; --path takes a task in OpenEvolve's format, or a folder of them")
    posed: list[Posed] = []
    refused: dict[str, UsageError] = {}
    folders = list(_folders(root))
    for folder, name in zip(folders, _names(folders), strict=True):
        try:
            posed.append(read(folder, name))
        except UsageError as error:
            refused[name] = error
    if not folders:
        raise UsageError(
            f"{root} holds no task in OpenEvolve's format: a folder with {EVALUATOR} and {INITIAL} (docs/programs.md)"
        )
    if not posed:
        reasons = "; ".join(dict.fromkeys(map(str, refused.values())))
        raise UsageError(shorten(reasons, LONGEST_REASON, placeholder=" …"))
    return posed, {name: str(error).replace(f"{root}/", "") for name, error in refused.items()}


def holds_tasks(root: Path) -> bool:
    return next(_folders(root), None) is not None if root.is_dir() else False


def _folders(root: Path, depth: int = DEEPEST) -> Iterator[Path]:
    """Those with an evaluator or an initial program, nested ones too; a task holds no other task."""
    if (root / EVALUATOR).is_file() or any(root.glob("initial_program.*")):
        yield root
        return
    try:
        inside = sorted(root.iterdir()) if depth else []
        folders = [path for path in inside if path.is_dir() and not path.is_symlink() and not hidden(path.name)]
    except PermissionError:
        return
    for folder in folders:
        yield from _folders(folder, depth - 1)


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path, with those before it where it is a number or not the only one."""
    parts = [folder.resolve().parts for folder in folders]
    length = [2 if part[-1].isdigit() else 1 for part in parts]

    def name(at: int) -> str:
        return "_".join(parts[at][-length[at] :])

    while True:
        names = [name(at) for at in range(len(parts))]
        twice = [at for at, one in enumerate(names) if names.count(one) > 1 and length[at] < len(parts[at]) - 1]
        if not twice:
            return [re.sub(r"[^\w.-]+", "_", one) for one in names]
        for at in twice:
            length[at] += 1
