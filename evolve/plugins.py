"""Finds task domains: installed ones by entry point, others by `path/to/file.py:Class`."""

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from textwrap import shorten
from types import ModuleType
from typing import NamedTuple

from evolve.domain import Domain
from evolve.errors import EvolveError, NotFoundError, PluginError, UsageError
from evolve.types import Candidate, Evaluation, Sandbox, Task

GROUP = "evolve.domains"
IMPORTING = {"importlib", "importlib_metadata"}
"""Folders of those who import a plugin; the second comes with other packages, and takes the place of the first."""
MOST_SAID = 400
"""Characters of a plugin's own error."""


Options = Mapping[str, Mapping[str, str]]
"""What a domain's class is called with, by the domain's name."""


class Plugin(NamedTuple):
    origin: str
    """The distribution with its version, or the file."""
    domain: Domain
    """`Broken` where it does not load."""


class Broken(Domain):
    """Stands for an installed domain that does not load: it has no task, and says why."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason

    def tasks(self) -> Sequence[Task]:
        return ()

    def evaluate(self, task: Task, candidate: Candidate, sandbox: Sandbox, *, fresh: bool = False) -> Evaluation:
        del task, candidate, sandbox, fresh
        raise PluginError(self.missing())

    def missing(self) -> str:
        return f"the domain {self.name} does not load: {self.reason}"

    def refused(self) -> Mapping[str, str]:
        return {self.name: f"the domain does not load: {self.reason}"}


def load_domains(paths: Iterable[str] = (), options: Options | None = None) -> dict[str, Domain]:
    """Every domain by name, a `Broken` one in the place of an installed one that does not load.

    A file's domain comes in the place of an installed one of the same name.
    Raises UsageError for a file that does not load, and for options that a domain cannot work with.
    """
    return {name: plugin.domain for name, plugin in load_plugins(paths, options).items()}


def load_plugins(paths: Iterable[str] = (), options: Options | None = None) -> dict[str, Plugin]:
    """As `load_domains`, with where each comes from."""
    found = dict(_installed(options or {}))
    given: dict[str, str] = {}
    for path in dict.fromkeys(map(absolute, paths)):
        domain = load_file(path)
        if domain.name in given:
            raise UsageError(f"{given[domain.name]} and {path} are both called {domain.name!r}; give one of them")
        given[domain.name] = path
        found[domain.name] = Plugin(path, domain)
    if not found:
        raise PluginError("no task domain is installed: install evolve-foundry itself (`pip install -e .`)")
    return found


def absolute(path: str) -> str:
    """What `path/to/file.py:Class`, or a file without a class, is from everywhere."""
    file, name = _parts(path)
    return f"{file.resolve()}:{name}" if name else str(file.resolve())


def is_file(word: str) -> bool:
    """A domain that is named by its file, not by its name."""
    return word.endswith(".py") or ".py:" in word


def _parts(path: str) -> tuple[Path, str]:
    file, _, name = path.rpartition(":")
    return (Path(path), "") if path.endswith(".py") else (Path(file), name)


def _installed(options: Options) -> Iterator[tuple[str, Plugin]]:
    entries: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        entries.setdefault(entry.name, []).append(entry)
    for name, same in entries.items():
        told = options.get(name, {})
        origin = " and ".join(dict.fromkeys(map(_distribution, same)))
        if len({entry.value for entry in same}) > 1:
            yield name, Plugin(origin, Broken(name, f"{origin} both bring a domain of this name; uninstall one"))
            continue
        try:
            yield name, Plugin(origin, _made(same[0].load, told, name))
        except (Exception, SystemExit) as error:  # the boundary to a plugin
            if told and isinstance(error, UsageError):
                raise
            yield name, Plugin(origin, Broken(name, in_one_line(error)))


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def load_file(path: str) -> Domain:
    """The domain in `path/to/file.py:Class`; the class may be left out where there is only one.

    Raises UsageError where it does not load.
    """
    file, name = _parts(absolute(path))
    if not file.is_file():
        raise UsageError(f"{path!r} is no domain; give `path/to/file.py:Class` with a file that exists")
    try:
        return _made(partial(_class_in, file, name), {})
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # the boundary to a plugin
        raise UsageError(f"the domain {path} does not load: {in_one_line(error)}") from error


def _made(load: Callable[[], object], told: Mapping[str, str], entry: str = "") -> Domain:
    """Its tasks are read, so that what is wrong with them shows here. Raises whatever the plugin does.

    What it prints meanwhile goes to the errors: the output is the command's, and may be JSON.
    """
    with redirect_stdout(sys.stderr):
        return _checked(load(), told, entry)


def _checked(kind: object, told: Mapping[str, str], entry: str) -> Domain:
    if not (isinstance(kind, type) and issubclass(kind, Domain)):
        raise PluginError(f"{kind!r} is no class that inherits evolve.Domain")
    domain = kind(**told)
    name = getattr(domain, "name", "")
    if not name or (entry and name != entry):
        called = f"is called {entry!r} by its entry point" if entry else "has no name"
        raise PluginError(f"{kind.__name__} {called}; its class must say so too: `name = {entry or 'mine'!r}`")
    for task in domain.tasks():
        if task.domain != name:
            raise PluginError(f"the task {task.id} is of the domain {task.domain!r}, and this one is {name!r}")
    return domain


def _class_in(file: Path, name: str) -> type[Domain]:
    module = _imported(file)
    own = [
        each.__name__
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, Domain) and each.__module__ == module.__name__
    ]
    there = f"it has {', '.join(own)}" if own else "it has none"
    if not name and len(own) != 1:
        raise UsageError(f"give the class of the domain, {file}:Class; {there}")
    found = getattr(module, name or own[0], None)
    if not (inspect.isclass(found) and issubclass(found, Domain)):
        raise UsageError(f"{file} has no Domain called {name!r}; {there}")
    return found


def _imported(file: Path) -> ModuleType:
    """A module of a package as part of that package, any other by itself; what lies beside it can be imported."""
    root = file.parent
    while (root / "__init__.py").is_file():
        root = root.parent
    if str(root) not in sys.path:
        sys.path.append(str(root))  # at the end: nothing that lies there may hide what is installed
    if root == file.parent:
        return _alone(file)
    name = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    module = importlib.import_module(name)
    if not module.__file__ or Path(module.__file__).resolve() != file:
        raise ImportError(f"Python takes {name} from {module.__file__}; uninstall that one, or name its file")
    return module


def _alone(file: Path) -> ModuleType:
    name = f"evolve_domain_{file.stem}_{sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def in_one_line(error: BaseException) -> str:
    """What a plugin raised, with the place in it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _foreign(frame.filename)]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    said = str(error) if isinstance(error, EvolveError) else f"{type(error).__name__}: {error}"
    return shorten(said, MOST_SAID, placeholder=" …") + where


def _foreign(file: str) -> bool:
    return file != __file__ and not file.startswith("<frozen") and IMPORTING.isdisjoint(Path(file).parts)


def all_tasks(domains: Mapping[str, Domain]) -> dict[str, Task]:
    """Every task of every domain by id, in the domains' order."""
    return {task.id: task for domain in domains.values() for task in domain.tasks()}


def select(domains: Mapping[str, Domain], names: Sequence[str], tier: int | None) -> dict[str, Task]:
    """The tasks asked for: by id, by name without the domain, by domain, or all; then those of the tier.

    Raises NotFoundError with the nearest names, UsageError when the domain does not load or nothing is left.
    """
    tasks = all_tasks(domains)
    chosen: dict[str, Task] = {}
    for name in names or tasks:
        matches = [task for task in tasks.values() if name in (task.id, task.id.partition("/")[2], task.domain)]
        if not matches:
            raise _unknown(domains, sorted(tasks), name)
        chosen |= {task.id: task for task in matches}
    if tier is not None:
        chosen = {name: task for name, task in chosen.items() if task.tier == tier}
        if not chosen:
            tiers = sorted({task.tier for task in tasks.values()})
            raise UsageError(f"no task asked for is of tier {tier}; the tiers are {', '.join(map(str, tiers))}")
    return chosen


def _unknown(domains: Mapping[str, Domain], tasks: list[str], name: str) -> UsageError:
    """It may be one of a domain that does not load."""
    broken = {each: domain for each, domain in domains.items() if isinstance(domain, Broken)}
    if asked := broken.get(name.partition("/")[0]):
        return UsageError(asked.missing())
    unknown = NotFoundError.among("task", name, tasks)
    if not broken:
        return unknown
    return NotFoundError(f"{unknown}; these domains do not load: {', '.join(broken)} (`evolve domains list` says why)")
