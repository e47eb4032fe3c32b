"""What a shell offers after Tab. Nothing heavy is imported, and no error told: nobody would read it."""

import json
import time
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from evolve.home import home

FRESH = 24 * 3600.0
"""Seconds after which the list of tasks is made again."""
REMEMBERED = "tasks.json"


def tasks(incomplete: str) -> list[str]:
    """By id; by the name alone where no id begins like that."""
    known = _known_tasks()
    by_id = [*dict.fromkeys(task.partition("/")[0] for task in known), *known]
    names = [task.partition("/")[2] for task in known]
    return _fitting(by_id, incomplete) or _fitting(names, incomplete)


def runs(incomplete: str) -> list[str]:
    """Newest first, then `last`; names of folders, none is opened."""
    from evolve.config import LAST

    try:
        found = sorted((each.name for each in (home() / "runs").iterdir() if each.is_dir()), reverse=True)
    except OSError:
        return []
    return _fitting([*found, LAST], incomplete)


def presets(incomplete: str) -> list[str]:
    from evolve.strategy import PRESETS

    return _fitting(PRESETS, incomplete)


def sandboxes(incomplete: str) -> list[str]:
    from sandboxes import KINDS

    return _fitting(KINDS, incomplete)


def models(incomplete: str) -> list[str]:
    return _fitting(["offline"], incomplete)


def targets(incomplete: str) -> list[str]:
    return _fitting(["c", "cuda", "triton", "mojo"], incomplete)


def domains(incomplete: str) -> list[str]:
    return _fitting([name for name, _, _ in _installed()], incomplete)


def architectures(incomplete: str) -> list[str]:
    import knowledge

    files = (Path(knowledge.__file__).parent / "architectures").glob("*.py")
    return _fitting(sorted(file.stem for file in files if not file.stem.startswith("_")), incomplete)


def _fitting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _known_tasks() -> list[str]:
    """As they were when they were last listed here; listing them costs a second, which is too long for a Tab."""
    remembered, installed = home() / REMEMBERED, _installed()
    try:
        told = json.loads(remembered.read_text())
        if told["installed"] == installed and time.time() - remembered.stat().st_mtime < FRESH:
            return list(told["tasks"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = _listed()
    try:
        remembered.parent.mkdir(parents=True, exist_ok=True)
        remembered.write_text(json.dumps({"installed": installed, "tasks": found}))
    except OSError:
        pass
    return found


def _installed() -> list[list[str]]:
    """Name, class and version of every installed domain."""
    from evolve.plugins import GROUP

    found = entry_points(group=GROUP)
    return sorted([each.name, each.value, each.dist.version if each.dist else ""] for each in found)


def _listed() -> list[str]:
    from evolve.plugins import all_tasks, load_domains

    try:
        return list(all_tasks(load_domains()))
    except Exception:  # noqa: BLE001 - the boundary to plugins: one that is broken offers nothing
        return []
