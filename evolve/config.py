"""The one place that constructs things: from what was asked for to the parts of a run."""

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from evolve.budget import Budget, Ceilings
from evolve.domain import Domain
from evolve.errors import UsageError, found_at_the_start
from evolve.home import home
from evolve.journal import Journal
from evolve.parts import Listener, Parts, Step
from evolve.plugins import Options, absolute, load_domains, load_plugins, select
from evolve.roles import OFFLINE, Roles, check_model, named_models, overrides
from evolve.run import COMPARED, JOURNAL, Run, Settings, new_name
from evolve.strategy import DEFAULT, Strategy
from evolve.strategy import preset as strategy
from evolve.types import Task
from knowledge.architecture import DesignError, MemoryArchitecture
from knowledge.charge import is_shipped
from knowledge.design import Design, built
from knowledge.embedding_models import MINILM, open_embedding
from knowledge.upkeep import Upkeep
from sandboxes import Isolation

KB_CHANGE = "kb_change"
"""What the journal notes: the last change of the knowledge base before the run taught it anything."""
REDESIGNS = 12
"""Children that a run breeds when it looks for a better memory architecture."""
REDESIGN_SECONDS = 300.0
"""After which a run tries no other."""
LAST = "last"
"""Names the newest run."""
SERVERS = ("http://", "https://")
"""How an address begins, where a folder could be given."""


def runs_folder() -> Path:
    return home() / "runs"


def default_kb() -> Path:
    return home() / "kb"


def find_run(name: str = LAST) -> Run:
    """By id, by a prefix of it that is unique, by folder, or the newest as `last`. Raises UsageError."""
    if Path(name).is_dir() and ("/" in name or name.startswith(".")):
        return Run.open(Path(name))
    within = runs_folder() / name.rpartition("-")[0].rpartition("-")[0] / name  # a run of a comparison
    if name.startswith(COMPARED) and within.is_dir():
        return Run.open(within)
    known = [run.settings.run for run in all_runs()]
    if not known:
        raise UsageError(f"no run yet in {runs_folder()}; start one with `evolve run`")
    matches = known[-1:] if name == LAST else [run for run in known if run.startswith(name)]
    if len(matches) == 1:
        return Run.open(runs_folder() / matches[0])
    if matches:
        raise UsageError(f"{name!r} fits several runs: {', '.join(matches[:8])}")
    raise UsageError(f"there is no run {name!r} in {runs_folder()}; there are: {', '.join(known[-8:])}")


def all_runs() -> list[Run]:
    """Oldest first; folders that are not runs of ours are passed over."""
    if not runs_folder().is_dir():
        return []
    found = []
    for folder in sorted(runs_folder().iterdir()):
        try:
            found.append(Run.open(folder))
        except UsageError:
            continue
    return found


def new_settings(
    *,
    tasks: list[str],
    tier: int | None,
    model: str,
    ceilings: Ceilings,
    parallel: int,
    sandbox: str,
    kb: str,
    embedding: str,
    seed: int | None,
    hold_out: bool,
    preset: str = DEFAULT,
    inspect: bool = False,
    prompts: str = "",
    keys: str = "",
    meta_every: int = 0,
    domains: list[str],
    options: Options | None = None,
) -> Settings:
    """Raises UsageError for anything that cannot work, before a folder is made."""
    model = ",".join(named_models(model))
    if impossible := _impossible(parallel, meta_every, strategy(preset), inspects_with=model if inspect else ""):
        raise UsageError(impossible)
    files = [absolute(path) for path in domains]
    plugins = load_plugins(files, options)
    known = {name: plugin.domain for name, plugin in plugins.items()}
    own = [name for name, plugin in plugins.items() if plugin.origin in files]
    chosen = tuple(select(known, tasks or own, tier))
    overrides(prompts, known)
    return Settings(
        run=new_name(),
        tasks=chosen,
        model=model,
        preset=preset,
        inspect=inspect,
        prompts=_absolute(prompts),
        keys=_absolute(keys),
        ceilings=ceilings.validated(),
        parallel=parallel,
        sandbox=sandbox,
        kb=kb if _is_server(kb) else str(Path(kb or default_kb()).resolve()),
        embedding=embedding,
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
        hold_out=chosen if hold_out else (),
        meta_every=meta_every,
        domains=tuple(files),
        options=options or {},
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        version=version("evolve-foundry"),
    )


def _impossible(parallel: int, meta_every: int, asked: Strategy, *, inspects_with: str) -> str:
    """Why a run cannot be made of this; empty where it can."""
    if parallel < 1:
        return f"--parallel is {parallel}; give at least 1"
    if meta_every < 0:
        return f"--meta-every is {meta_every}; give a number of attempts, or 0 for never"
    if not asked.memory and meta_every:
        return f"--meta-every works on the knowledge base, and --preset {asked.name} uses none; leave one out"
    if inspects_with == OFFLINE:
        return "--inspect asks a model, and the run has none; name one by --model"
    return ""


def _absolute(path: str) -> str:
    return str(Path(path).resolve()) if path else ""


@contextmanager
def assemble(
    settings: Settings, listen: Listener, run: Run | None = None, *, runs: Path | None = None
) -> Iterator[tuple[Run, Parts]]:
    """The parts of a run, open; a folder is made, or more given to `run`, only once all else has been found to work.

    `runs`: where that folder is made, the user's own without.
    Raises UsageError or InfrastructureError, each with one sentence.
    """
    with ExitStack() as stack:
        with found_at_the_start():
            domains, tasks = usable(settings, listen)
            sandbox = stack.enter_context(_sandbox_for(settings, domains, tasks))
            memory = stack.enter_context(open_kb(settings.kb, settings.embedding))
            if strategy(settings.preset).memory:
                memory.ready()
            run = run.extended(settings.ceilings) if run else Run.create(runs or runs_folder(), settings)
            stack.enter_context(run.locked())
            journal = Journal.open(run.folder / JOURNAL, create=not (run.folder / JOURNAL).exists())
            stack.callback(journal.close)
            journal.record_fact("sandbox", sandbox.name)
            if not journal.rounds():
                journal.record_fact(KB_CHANGE, str(memory.change))
            roles = Roles(settings, domains, journal, Budget(settings.ceilings, journal), listen)
        yield run, roles.parts(tasks, sandbox, memory, lambda: _redesigned(memory, settings.seed))


def usable(settings: Settings, listen: Listener) -> tuple[dict[str, Domain], dict[str, Task]]:
    """The domains, and the tasks to be worked on, once models and machine are known to suit them.

    Raises UsageError with what is missing. Asks no model, opens no sandbox.
    """
    domains = load_domains(settings.domains, settings.options)
    tasks = select(domains, settings.tasks, None)
    if warning := check_model(settings.model, settings.ceilings, settings.keys):
        listen(Step("wait", text=warning))
    if reason := next(filter(None, (domain.missing() for domain in _asked(domains, tasks))), ""):
        raise UsageError(reason)
    return domains, tasks


def rehearse(settings: Settings, listen: Listener) -> str:
    """Find what a run needs and write nothing: the name of the sandbox that it would work in.

    Raises UsageError as `assemble` would, but for what only a knowledge base that is opened can tell.
    """
    with found_at_the_start():
        for folder in (runs_folder(), base_folder(settings.kb)):
            _must_be_writable(folder)
        if settings.embedding != MINILM:  # which would be downloaded
            open_embedding(settings.embedding)
        domains, tasks = usable(settings, listen)
        with _sandbox_for(settings, domains, tasks) as sandbox:
            return sandbox.name


def _must_be_writable(folder: Path) -> None:
    """Also where it would have to be made first. Raises UsageError."""
    there = next(each for each in (folder, *folder.parents) if os.access(each, os.F_OK))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = "read-only" if there.is_dir() else "no folder"
        raise UsageError(f"{folder} cannot be written: {there} is {what}; name another (EVOLVE_HOME, --kb)")


def _asked(domains: Mapping[str, Domain], tasks: Mapping[str, Task]) -> list[Domain]:
    return [domains[name] for name in sorted({task.domain for task in tasks.values()})]


def _sandbox_for(settings: Settings, domains: Mapping[str, Domain], tasks: Mapping[str, Task]) -> Isolation:
    needs = frozenset[str]().union(*(domain.needs for domain in _asked(domains, tasks)))
    return open_sandbox(settings.sandbox, parallel=settings.parallel, needs=needs)


def _redesigned(memory: Upkeep, seed: int) -> str:
    from evolve.meta.live import evolve_base

    deadline = time.monotonic() + REDESIGN_SECONDS
    try:
        return evolve_base(memory, children=REDESIGNS, seed=seed, deadline=deadline).reason
    except UsageError as fault:  # what is in charge cannot work here, and no run ends by that
        return f"no better memory architecture was looked for: {fault}"


def open_sandbox(kind: str, *, parallel: int = 1, needs: frozenset[str] = frozenset()) -> Isolation:
    """A context manager. Raises UsageError where `kind` cannot work."""
    from sandboxes import open_sandbox as opened

    with found_at_the_start():
        return opened(kind, parallel=parallel, needs=needs)


def open_kb(where: str | Path | None, embedding: str = "") -> Upkeep:
    """The knowledge base in a folder, the user's own by default; a context manager.

    `where` may be the address of a chroma server: the user's own base, with its index held there.
    `embedding`: as in `open_embedding`, the base's own without. Raises UsageError where it cannot be opened.
    """
    server = str(where) if where and _is_server(str(where)) else ""
    folder = base_folder(where)
    with found_at_the_start():
        return Upkeep.open(folder, embedding=embedding, server=server, open_design=open_design)


def base_folder(where: str | Path | None) -> Path:
    """Where the knowledge base of that name lies; `where` as in `open_kb`."""
    return default_kb() if not where or _is_server(str(where)) else Path(where)


def open_design(design: Design) -> MemoryArchitecture:
    """A memory architecture ready to serve a base: what is shipped works here, anything else in a sandbox of its own.

    Raises DesignError where it is broken, UsageError where no sandbox works.
    """
    from evolve.domains.memory.lint import violations
    from evolve.domains.memory.remote import Remote

    if is_shipped(design):
        return built(design)
    if found := violations(design, ()):
        raise DesignError("import", found[0])
    with ExitStack() as stack:
        sandbox = stack.enter_context(open_sandbox("auto"))
        return Remote(design, sandbox, close=stack.pop_all().close)


def _is_server(where: str) -> bool:
    return where.startswith(SERVERS)
