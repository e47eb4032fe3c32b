"""A recorded run, run again from its journal: no provider, no sandbox, the same decisions or the first that is other.

A replay is a resume in which the journal knows the answers. Model calls are answered by the recording, and a candidate
that is the recorded one is given the recorded verdict; everything between them is decided anew. It works in a folder
and on a knowledge base of its own and leaves no trace in the run's.

Not covered: the judge itself, an inspector's opinion with it, and the prompts of calls that got no answer.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self

from agents.portfolio import FACT as CHOSEN
from agents.portfolio import GONE
from evolve import policy
from evolve.briefing import ADVICE, FOUNDED
from evolve.budget import LOST, Budget, Ceilings, MeteredModel
from evolve.cassette import Cassette, text_difference
from evolve.config import KB_CHANGE, base_folder, open_design
from evolve.domain import Domain
from evolve.errors import BudgetExceededError, ModelError, ReplayError, SandboxError, UsageError
from evolve.journal import Journal, Planned
from evolve.parts import Parts, Step
from evolve.plugins import load_domains, select
from evolve.provider import Price
from evolve.roles import Roles
from evolve.run import COMPLETE, EXTENDED, JOURNAL, Run, Settings
from evolve.strategy import preset
from evolve.types import Attempt, Candidate, Completion, Cost, Evaluation, Execution, Job, Prompt, Recalled
from knowledge.past import Past, as_it_was
from knowledge.upkeep import Upkeep

GIVEN = {ADVICE: "advice", FOUNDED: "guide"}
"""What the beginnings of the journal's facts about an analyst's part in an attempt stand for."""
END = "the recording ends here"


class Difference(NamedTuple):
    attempt: str
    """Id; empty where it is about the whole run."""
    what: str
    """Such as `plan`, `recalled`, `model`, `prompt`, `candidate`, `learnt`, `winner`."""
    recorded: str
    replayed: str = ""
    """Empty where `recorded` says it all, as a diff does."""

    def __str__(self) -> str:
        where = f"attempt {self.attempt}" if self.attempt else "the run"
        told = f"recorded {self.recorded}, replayed {self.replayed}" if self.replayed else self.recorded
        return f"{where}: {self.what}:{'' if told.startswith(chr(10)) else ' '}{told}"


class Replayed(NamedTuple):
    attempts: int
    """Whose every decision was compared."""
    calls: int
    """Of a model, whose prompts were compared and that were answered by the recording."""
    difference: Difference | None
    """The first; None where all was the same."""
    doubts: Sequence[str] = ()
    """Why there may be one, in sentences."""

    def as_json(self) -> dict[str, Any]:
        """The contract of `evolve run --replay RUN --json`."""
        return {
            "same": self.difference is None,
            "attempts": self.attempts,
            "calls": self.calls,
            "difference": self.difference._asdict() if self.difference else None,
            "doubts": list(self.doubts),
        }


def replay(run: Run) -> Replayed:
    """Run it again, as far as it was recorded.

    Raises UsageError for a run that cannot be replayed; what breaks here and now passes through.
    """
    recorded = Journal.open(run.folder / JOURNAL)
    try:
        _must_be_replayable(run.settings, recorded)
        with tempfile.TemporaryDirectory(prefix="evolve-replay-") as place:
            return _replayed(run.settings, recorded, Path(place))
    finally:
        recorded.close()


def _must_be_replayable(settings: Settings, recorded: Journal) -> None:
    if settings.meta_every:
        raise UsageError(
            f"run {settings.run} looked for better memory architectures (--meta-every), and what that search found "
            "is not recorded; a run without it can be replayed"
        )
    if recorded.facts(EXTENDED):
        raise UsageError(
            f"run {settings.run} was given more while it was going on (evolve resume with another ceiling): part of it "
            "was decided under other ceilings than the rest; a run that was never given more can be replayed"
        )
    if not recorded.fact(KB_CHANGE):
        raise UsageError(
            f"run {settings.run} does not say where its knowledge base stood when it began: an earlier version "
            "recorded it; a run of this version can be replayed"
        )


def _replayed(settings: Settings, recorded: Journal, place: Path) -> Replayed:
    past = _past(settings, recorded, place / "kb")
    run = Run.create(place, settings)
    with _opened(run, recorded) as book, Remembering.open(place / "kb", open_design=open_design) as memory:
        memory.book = book
        cassette = Cassette.of_run(recorded)
        ended = _worked(run, _parts(settings, book, memory, cassette))
        found = book.first_difference(ended, settings.tasks)
        doubts = (*past.doubts, *_other_version(settings)) if found else ()
        return Replayed(book.compared, len(cassette.answered), found, doubts)


def _past(settings: Settings, recorded: Journal, into: Path) -> Past:
    """The knowledge base as it was when the run began; an empty one for a run that used none."""
    if not preset(settings.preset).memory:
        return Past("", ())
    past = as_it_was(
        base_folder(settings.kb), into, int(recorded.fact(KB_CHANGE)), settings.run, open_design=open_design
    )
    if past.asks_a_provider:
        raise UsageError(
            f"the knowledge base of run {settings.run} is searched by {past.embedding}, which asks a provider, and a "
            "replay asks nobody"
        )
    return past


@contextmanager
def _opened(run: Run, recorded: Journal) -> "Iterator[Retold]":
    book = Retold.open(run.folder / JOURNAL, create=True)
    try:
        book.recorded = recorded
        yield book
    finally:
        book.close()


def _parts(settings: Settings, book: "Retold", memory: "Remembering", cassette: Cassette) -> Parts:
    """Those of `evolve.config.assemble`, but for what would ask or run something."""
    domains = load_domains(settings.domains, settings.options)
    tasks = select(domains, settings.tasks, None)
    return Recorded(settings, domains, book, cassette).parts(tasks, NoSandbox(), memory)


def _worked(run: Run, parts: Parts) -> str:
    """Why it ended early, empty where it did not."""
    try:
        return run.execute(parts)
    except (BudgetExceededError, ModelError, ReplayError) as error:
        return str(error)


def _nothing_is_judged(step: Step) -> None:
    """A verdict that was not recorded is where the recording ends."""
    if step.phase in {"judge", "confirm"}:
        raise BudgetExceededError(END)


def _other_version(settings: Settings) -> Iterator[str]:
    here = version("evolve-foundry")
    if settings.version != here:
        yield f"version {settings.version} recorded it, and version {here} replays it"


class Retold(Journal):
    """The journal of a replay: holds what is decided now, and what was recorded where nothing is to be decided.

    Whatever is put down is compared first: ReplayError where it is other.
    """

    recorded: Journal

    def __init__(self, *opened: Any) -> None:
        super().__init__(*opened)
        self._differences: list[Difference] = []
        self._lost_in: float | None = None
        """The first round in which a model failed for good."""

    def differ(self, attempt: str, what: str, recorded: str, replayed: str = "") -> NoReturn:
        found = Difference(attempt, what, recorded, replayed)
        self._differences.append(found)
        raise ReplayError(str(found))

    # --- what is decided

    def plan(self, run: str, number: int, wanted: list[tuple[str, str, str | None]]) -> list[Planned]:
        there = self.recorded.in_round(number)
        for old, new in zip(there, wanted, strict=False):
            if (old.task, old.stage, old.parent) != new:
                self.differ(old.id, "plan", _told((old.task, old.stage, old.parent)), _told(new))
        if len(there) != len(wanted):
            self.differ("", f"plan of round {number}", f"{len(there)} attempts", f"{len(wanted)} attempts")
        return super().plan(run, number, wanted)

    def record_draft(
        self, attempt: str, candidate: Candidate, cost: Cost, *, verdict: Evaluation | None = None
    ) -> None:
        """The recorded candidate is given the recorded verdict."""
        self._compare_model(attempt)
        old = self.recorded.draft(attempt)
        if old is not None:
            self._compare(attempt, old, candidate)
        super().record_draft(attempt, candidate, cost, verdict=verdict)
        judged = self.recorded.judgement(attempt)
        if judged and verdict and judged.verdict != verdict:
            self.differ(attempt, "verdict", judged.verdict.feedback, verdict.feedback)
        if judged:
            super().record_evaluation(attempt, judged.verdict, seconds=judged.seconds, repeat_of=judged.repeat_of)

    def _compare(self, attempt: str, old: Candidate, new: Candidate) -> None:
        self.compare_recalled(attempt, new.recalled)
        for field in ("parent", "stage", "technique"):
            if getattr(old, field) != getattr(new, field):
                self.differ(attempt, field, _told(getattr(old, field)), _told(getattr(new, field)))
        for name in [*old.files, *new.files]:
            if old.files.get(name) != new.files.get(name):
                shown = text_difference(old.files.get(name, ""), new.files.get(name, ""))
                self.differ(attempt, f"candidate, {name}", f"\n{shown}")

    def compare_recalled(self, attempt: str, recalled: Sequence[str]) -> None:
        old = self.recorded.draft(attempt)
        if old is not None and old.recalled != tuple(recalled):
            self.differ(attempt, "recalled", _told(old.recalled), _told(recalled))

    def record_learned(self, attempt: str, *, gain: float | None, reward: float, improved: bool) -> None:
        old = self.recorded.learnt(attempt)
        if old is not None and (old.gain, old.reward, old.improved) != (gain, reward, improved):
            was = f"gain {old.gain}, reward {old.reward}, improved {old.improved}"
            self.differ(attempt, "learnt", was, f"gain {gain}, reward {reward}, improved {improved}")
        super().record_learned(attempt, gain=gain, reward=reward, improved=improved)

    def _compare_model(self, attempt: str) -> None:
        """The last choice: where a model was gone, there had been another before it."""
        old, new = self.recorded.fact(f"{CHOSEN}{attempt}"), self.fact(f"{CHOSEN}{attempt}")
        if old and new and old != new:
            self.differ(attempt, "model", old, new)

    def record_fact(self, key: str, value: str) -> None:
        for beginning, what in GIVEN.items():
            if key.startswith(beginning) and (old := self.recorded.fact(key)) not in {"", value}:
                self.differ(key.removeprefix(beginning), what, old, value)
        super().record_fact(key, value)

    # --- what is as it was

    def unlearned(self) -> list[Planned]:
        """In the order in which the run learnt from them: after a failure that was not the order of their positions."""
        return sorted(super().unlearned(), key=lambda plan: (self._order(plan.id), plan.position))

    def _order(self, attempt: str) -> float:
        learnt = self.recorded.learnt(attempt)
        return learnt.order if learnt else float("inf")

    def fact(self, key: str, default: str = "") -> str:
        """When a model that was gone was noticed to be is a matter of chance: from then on choices are as recorded."""
        if key.startswith(CHOSEN) and self._after_a_loss(key.removeprefix(CHOSEN)):
            return self.recorded.fact(key, default)
        return super().fact(key, default)

    def _after_a_loss(self, attempt: str) -> bool:
        if self._lost_in is None:
            noticed = self.recorded.facts(GONE).values()
            self._lost_in = min((self.recorded.planned(each).round for each in noticed), default=float("inf"))
        return self.recorded.planned(attempt).round >= self._lost_in

    def confirmation(self, attempt: str) -> Evaluation | None:
        return self.recorded.confirmation(attempt)

    def goes_on(self) -> bool:
        """Whether there is another round on record."""
        return self.rounds() < self.recorded.rounds()

    def ends_before(self, key: str) -> bool:
        """Whether the recording ends before a call of this key was answered."""
        plan = self.recorded.planned(_attempt_of(key))
        last = plan.round == self.recorded.rounds() and self.recorded.fact("status") != COMPLETE
        return last or self.recorded.draft(plan.id) is None

    def take_over_lost(self, key: str) -> None:
        """What replies that broke off had cost."""
        attempt = _attempt_of(key)
        for prompt, completion in self.recorded.calls(attempt):
            if prompt.key.startswith(f"{key}{LOST}"):
                self.record_call(prompt, completion)

    # --- what came of it

    @property
    def compared(self) -> int:
        """Attempts that were written again."""
        return sum(self.draft(plan.id) is not None for plan in self.all_planned() if self._was_drafted(plan))

    def _was_drafted(self, plan: Planned) -> bool:
        return self.recorded.draft(plan.id) is not None

    def first_difference(self, ended: str, tasks: Sequence[str]) -> Difference | None:
        """Once the replay is over, which ended in these words: that of the earliest attempt."""
        if self._differences:
            return min(self._differences, key=lambda found: self._position(found.attempt))
        return self._missing(ended) or next(filter(None, map(self._other_best, tasks)), None)

    def _position(self, attempt: str) -> float:
        return self.recorded.planned(attempt).position if attempt else float("inf")

    def _missing(self, ended: str) -> Difference | None:
        there = {plan.id for plan in self.all_planned() if self.draft(plan.id) is not None}
        for plan in self.recorded.all_planned():
            if self._was_drafted(plan) and plan.id not in there:
                return Difference(plan.id, "candidate", "one", f"none ({ended or 'the run ended before'})")
        return None

    def _other_best(self, task: str) -> Difference | None:
        """In a run that came to its end."""
        if self.recorded.fact("status") != COMPLETE:
            return None
        for what, old, new in (
            ("best before the last measurement", self.recorded.best(task), self.best(task)),
            ("winner", self.recorded.winner(task)[0], self.winner(task)[0]),
        ):
            if _named(old) != _named(new):
                return Difference("", f"{what} of {task}", _named(old), _named(new))
        old_finalists, new_finalists = (book.ranked(task, policy.FINALISTS) for book in (self.recorded, self))
        if old_finalists != new_finalists:
            return Difference("", f"finalists of {task}", _told(old_finalists), _told(new_finalists))
        return None


def _attempt_of(key: str) -> str:
    return key.rsplit("/", 2)[0]


def _told(value: object) -> str:
    if isinstance(value, str):
        return value or "none"
    if isinstance(value, Sequence):
        return ", ".join(_told(each) for each in value) or "nothing"
    return "none" if value is None else str(value)


def _named(attempt: Attempt | None) -> str:
    return attempt.id if attempt else "none"


class Recorded(Roles):
    """Roles whose models are the recording."""

    def __init__(self, settings: Settings, domains: Mapping[str, Domain], book: Retold, cassette: Cassette) -> None:
        self._book = book
        self._cassette = cassette
        super().__init__(settings, domains, book, AsRecorded(book), _nothing_is_judged)

    def _model(self, name: str) -> MeteredModel:
        return MeteredModel(Answers(name, self._cassette, self._book), self._book, self._budget)


class Answers:
    """One model of the recorded run."""

    def __init__(self, name: str, cassette: Cassette, book: Retold) -> None:
        self._name = name
        self._cassette = cassette
        self._book = book

    @property
    def name(self) -> str:
        return self._name

    def complete(self, prompt: Prompt) -> Completion:
        self._book.take_over_lost(prompt.key)
        if not self._cassette.knows(prompt.key) and self._book.ends_before(prompt.key):
            raise BudgetExceededError(END)
        try:
            return self._cassette.complete(prompt)
        except ReplayError as error:
            self._book.differ(_attempt_of(prompt.key), "prompt", str(error))


class AsRecorded(Budget):
    """No ceiling and no clock: the run ends where the recording does."""

    def __init__(self, book: Retold) -> None:
        super().__init__(Ceilings(attempts=1), book)
        self._book = book

    def exhausted(self) -> str:
        return "" if self._book.goes_on() else END

    @contextmanager
    def reserve(self, prompt: Prompt, price: Price | None = None) -> Iterator[None]:
        del prompt, price
        yield


class Remembering(Upkeep):
    """A knowledge base that recalls what it did, or says what is other."""

    book: Retold

    def recall(self, *, attempt: str, **asked: Any) -> list[Recalled]:
        found = super().recall(attempt=attempt, **asked)
        self.book.compare_recalled(attempt, [item.experience.id for item in found])
        return found


class NoSandbox:
    """Nothing runs in a replay."""

    name = "none"

    def run(self, job: Job) -> Execution:
        raise SandboxError(f"a replay runs nothing, and was asked to run {job.program or ' '.join(job.argv)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass
