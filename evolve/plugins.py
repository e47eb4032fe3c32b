"""Finds task domains: installed ones by entry point, others by `path/to/file.py:Class`."""

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

from evolve.domain import Domain
from evolve.errors import NotFoundError, PluginError, UsageError
from evolve.types import Task

GROUP = "evolve.domains"


Options = Mapping[str, Mapping[str, str]]
"""What a domain's class is called with, by the domain's name."""


def load_domains(paths: Iterable[str] = (), options: Options | None = None) -> dict[str, Domain]:
    """Every domain by name. Raises PluginError naming the one that does not load."""
    domains: dict[str, Domain] = {}
    for entry in entry_points(group=GROUP):
        domains[entry.name] = _made(entry.value, entry.load, (options or {}).get(entry.name, {}))
    for path in paths:
        domain = _made(path, partial(_from_file, path))
        domains[domain.name] = domain
    if not domains:
        raise PluginError("no task domain is installed: install evolve-foundry itself (`pip install -e .`)")
    return domains


def _made(where: str, load: Callable[[], type[Domain]], options: Mapping[str, str] | None = None) -> Domain:
    try:
        return load()(**options or {})
    except UsageError:
        raise
    except Exception as error:  # the boundary to a plugin
        raise PluginError(f"the domain {where} does not load: {type(error).__name__}: {error}") from error


def _from_file(path: str) -> type[Domain]:
    file, _, name = path.rpartition(":")
    if not file or not Path(file).is_file():
        raise UsageError(f"{path!r} is no domain; give `path/to/file.py:Class` with a file that exists")
    spec = importlib.util.spec_from_file_location(f"evolve_domain_{Path(file).stem}", file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, Domain)):
        raise UsageError(f"{file} has no Domain called {name!r}")
    return found


def all_tasks(domains: dict[str, Domain]) -> dict[str, Task]:
    """Every task of every domain by id, in the domains' order."""
    return {task.id: task for domain in domains.values() for task in domain.tasks()}


def select(tasks: dict[str, Task], names: Sequence[str], tier: int | None) -> dict[str, Task]:
    """The tasks asked for: by id, by name without the domain, by domain, or all; then those of the tier.

    Raises NotFoundError with the nearest names, UsageError when nothing is left.
    """
    chosen: dict[str, Task] = {}
    for name in names or tasks:
        matches = [task for task in tasks.values() if name in (task.id, task.id.partition("/")[2], task.domain)]
        if not matches:
            raise NotFoundError.among("task", name, sorted(tasks))
        chosen |= {task.id: task for task in matches}
    if tier is not None:
        chosen = {name: task for name, task in chosen.items() if task.tier == tier}
        if not chosen:
            tiers = sorted({task.tier for task in tasks.values()})
            raise UsageError(f"no task asked for is of tier {tier}; the tiers are {', '.join(map(str, tiers))}")
    return chosen
