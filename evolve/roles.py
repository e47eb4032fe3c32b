"""Who works on a run: the writer and the models beside it, each within the budget and on record."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from agents.writer import Writer
from evolve.budget import Budget, Ceilings, Ledger, MeteredModel, check_ceilings
from evolve.domain import Domain
from evolve.errors import UsageError
from evolve.journal import Journal
from evolve.keys import default_keys, load_keys
from evolve.parts import Listener, Parts, Step
from evolve.run import Settings
from evolve.strategy import preset
from evolve.types import Sandbox, Task
from knowledge.memory import Memory

if TYPE_CHECKING:
    from agents.analyst import Analyst
    from agents.curator import Curator
    from agents.inspector import Inspector
    from agents.portfolio import FirstLeft
    from agents.templates import Overrides
    from knowledge.lore import Lore

OFFLINE = "offline"
"""The model name of the search that needs no model."""


def named_models(names: str) -> list[str]:
    """The models of a comma-separated list. Raises UsageError for an empty one, and for `offline` among others."""
    found = [name.strip() for name in names.split(",") if name.strip()]
    if not found:
        raise UsageError("--model is empty; name a model as PROVIDER/NAME, or use offline")
    if OFFLINE in found and len(found) > 1:
        raise UsageError(f"--model {names}: offline works alone; compare it with models by `evolve compare`")
    return list(dict.fromkeys(found))


def check_model(names: str, ceilings: Ceilings | None = None, keys: str = "") -> str:
    """Raises UsageError for models that cannot work here, or under these ceilings, without calling them.

    `keys`: a file with keys, the user's own without. Returns what is to be said about that; empty where nothing is.
    """
    asked = named_models(names)
    if asked == [OFFLINE]:
        return ""
    from agents.model import LiteLLM

    file = Path(keys) if keys else default_keys()
    warning = load_keys(file) if file else ""
    models = [LiteLLM(name) for name in asked]
    for model in models:
        model.check()
    if ceilings is not None:
        check_ceilings(ceilings, models)
    return warning


def metered(name: str, journal: Ledger, budget: Budget, tell: Callable[[str], None]) -> MeteredModel:
    """A model within a budget and on record; `tell` hears of every wait."""
    from agents.model import LiteLLM

    model = LiteLLM(
        name,
        seconds_left=budget.seconds_left,
        short_of=budget.short_of,
        on_wait=lambda seconds, why: tell(f"waiting {seconds:.0f} s for the provider: {why}"),
    )
    return MeteredModel(model, journal, budget)


def overrides(folder: str, domains: Mapping[str, Domain]) -> "Overrides":
    """The user's prompts in this folder, if it is named, and the domains'. Raises UsageError for a bad folder."""
    from agents.templates import Overrides, check

    found = Overrides(Path(folder) if folder else None, {name: d.prompts for name, d in domains.items() if d.prompts})
    check(found)
    return found


class Roles:
    """The writer asks every model of the run, the other roles the first that works; with `offline` there are none.

    Raises UsageError for a folder of prompts that cannot be used.
    """

    def __init__(
        self, settings: Settings, domains: Mapping[str, Domain], journal: Journal, budget: Budget, listen: Listener
    ) -> None:
        self._budget = budget
        self._settings = settings
        self._domains = domains
        self._journal = journal
        self._listen = listen
        names = named_models(settings.model)
        self._models = [] if names == [OFFLINE] else [self._model(name) for name in names]
        self._prompts = overrides(settings.prompts, domains)
        self.lore = cache(self._lore)

    def parts(
        self, tasks: Mapping[str, Task], sandbox: Sandbox, memory: Memory, redesign: Callable[[], str] = str
    ) -> Parts:
        """All that a run is made of, with these to work on and in."""
        settings = self._settings
        return Parts(
            run=settings.run,
            seed=settings.seed,
            parallel=settings.parallel,
            per_task=settings.ceilings.attempts,
            tasks=tasks,
            domains=self._domains,
            writer=self.writer(),
            sandbox=sandbox,
            memory=memory,
            journal=self._journal,
            budget=self._budget,
            hold_out=frozenset(settings.hold_out),
            strategy=preset(settings.preset),
            analyst=self.analyst(),
            inspector=self.inspector(),
            curator=self.curator(),
            lore=self.lore,
            redesign=redesign,
            redesign_every=settings.meta_every,
            listen=self._listen,
        )

    def writer(self) -> Writer:
        if not self._models:
            from agents.offline import OfflineWriter

            return OfflineWriter(lambda task, files, rng: self._domains[task.domain].mutations(task, files, rng))
        from agents.coder import Coder
        from agents.portfolio import Portfolio

        coders = [Coder(model, prompts=self._prompts) for model in self._models]
        return coders[0] if len(coders) == 1 else Portfolio(coders, self._journal, self._tell)

    def analyst(self) -> "Analyst | None":
        if not self._models or not preset(self._settings.preset).advises:
            return None
        from agents.analyst import Analyst

        return Analyst(self._first(), prompts=self._prompts)

    def inspector(self) -> "Inspector | None":
        if not self._models or not self._settings.inspect:
            return None
        from agents.inspector import Inspector

        return Inspector(self._first(), prompts=self._prompts)

    def curator(self) -> "Curator | None":
        if not self._models or not preset(self._settings.preset).curates:
            return None
        from agents.curator import Curator

        return Curator(self._first(), prompts=self._prompts)

    def _first(self) -> "FirstLeft":
        from agents.portfolio import FirstLeft

        return FirstLeft(self._models)

    def _lore(self, domain: str) -> "Lore | None":
        documents = self._domains[domain].lore() if self._models else ()
        if not documents:
            return None
        from knowledge.embed import HashEmbedding
        from knowledge.lore import Lore

        return Lore(documents, HashEmbedding())

    def _model(self, name: str) -> MeteredModel:
        return metered(name, self._journal, self._budget, self._tell)

    def _tell(self, words: str) -> None:
        self._listen(Step("wait", text=words))
