"""What a watcher sees while a run works: a live table on a terminal, plain lines elsewhere. Always on stderr."""

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from evolve.cli.board import Board, Row
from evolve.cli.output import plain, score_of
from evolve.parts import Parts, Step

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

MINUTE = 60.0
TELLING = 3
"""Attempts after which it is said how long the others will take."""


class Progress:
    """A listener for a run: give `listen` to the run, then `watch` its parts. Safe from several threads.

    `quiet`: nothing but warnings from before the work begins. `console`: the terminal, stderr without.
    """

    def __init__(self, *, quiet: bool = False, console: "Console | None" = None) -> None:
        self._quiet = quiet
        self._console = console
        self._parts: Parts | None = None
        self._rows: dict[str, Row] = {}
        self._live: Live | None = None
        self._lock = threading.Lock()
        self._note = ""
        self._began = (0, 0.0)
        """Attempts and seconds that were behind when the watch began."""

    def watch(self, parts: Parts) -> None:
        self._parts = parts
        self._rows = {task: self._row(task) for task in parts.tasks}
        self._began = (self._attempts, parts.budget.seconds)

    def listen(self, step: Step) -> None:
        with self._lock:
            if self._quiet and self._parts is not None:
                return
            self._notice(step)
            if step.plan is None or self._parts is None or step.phase == "wait":
                return
            task = step.plan.task
            if step.phase == "learn":
                self._rows[task] = self._row(task)
                self._line(self._told(step))
            else:
                self._rows[task] = self._rows[task]._replace(phase=f"{step.phase} #{step.plan.position}")
                if step.phase == "confirm":
                    self._line(f"{task}: re-measuring attempt {step.plan.position} in a fresh sandbox")

    def _notice(self, step: Step) -> None:
        """A wait is told once, and stands until something was answered."""
        if step.phase == "wait":
            if step.text != self._note:
                self._line(step.text)
            self._note = step.text
        elif step.phase in {"judge", "learn"}:
            self._note = ""
        elif step.phase == "reflect":
            self._line(step.text)

    def _row(self, task: str) -> Row:
        if self._parts is None:
            return Row()
        journal = self._parts.journal
        standing, best = journal.standing(task), journal.best(task)
        return Row("refine" if best else "draft", standing.judged, best.evaluation if best else None)

    def _told(self, step: Step) -> str:
        """One attempt in one line."""
        if self._parts is None or step.plan is None:
            return ""
        attempt = self._parts.journal.attempt(step.plan.id)
        if attempt is None:
            return ""
        verdict = attempt.evaluation
        outcome = score_of(verdict) if verdict.feasible else verdict.feedback.strip().partition("\n")[0][:90]
        mark = "  <- best" if step.text else ""
        return (
            f"[{attempt.position}/{self._total}] {step.plan.task} {step.plan.stage}: "
            f"{attempt.candidate.technique or 'no technique named'}: {outcome}{mark}"
        )

    @property
    def _attempts(self) -> int:
        return sum(row.attempts for row in self._rows.values())

    @property
    def _total(self) -> int:
        return self._parts.per_task * len(self._parts.tasks) if self._parts else 0

    # --- showing

    def __enter__(self) -> Self:
        if not self._quiet and (self._console or sys.stderr.isatty()):
            from rich.console import Console
            from rich.live import Live

            console = self._console or Console(stderr=True)
            if console.is_interactive:  # a dumb terminal cannot go back to a line
                self._live = Live(
                    get_renderable=lambda: self.board(console), console=console, refresh_per_second=4, transient=True
                )
                self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.__exit__(kind, error, trace)
            self._live = None

    def _line(self, text: str) -> None:
        if self._live is None and text:
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {plain(text)}\n")
            sys.stderr.flush()

    def board(self, console: "Console") -> "RenderableType":
        """What there is to see now, on so large a terminal; one line is left for the cursor."""
        per_task = self._parts.per_task if self._parts else 0
        return Board(self._rows, per_task, self._totals(), self._note).drawn(console.width, console.height - 1)

    def _totals(self) -> list[str]:
        if self._parts is None:
            return []
        budget = self._parts.budget
        spent, left = budget.spent, budget.seconds_left()
        solved = sum(row.best is not None for row in self._rows.values())
        totals = [
            f"attempt {self._attempts} of {self._total}",
            f"{solved} of {len(self._rows)} solved",
            f"{budget.seconds:.0f} s" + ("" if left is None else f", {left:.0f} s left"),
        ]
        if tokens := spent.prompt_tokens + spent.completion_tokens:
            totals += [f"{tokens:,} tokens", f"${spent.usd:.4f}" if spent.usd_known else "price unknown"]
        return totals + self._outlook(budget.seconds, left)

    def _outlook(self, seconds: float, left: float | None) -> list[str]:
        """How long the other attempts will take, if they go on like those that were watched."""
        behind, before = self._began
        if (done := self._attempts - behind) < TELLING:
            return []
        more = (self._total - self._attempts) * (seconds - before) / done
        more = more if left is None else min(more, left)
        return [f"about {more / MINUTE:.0f} min more" if more >= MINUTE else "less than a minute more"]
