"""What a watcher sees while a run works: a live table on a terminal, plain lines elsewhere. Always on stderr."""

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from evolve.cli.output import number, score_of
from evolve.parts import Parts, Step
from evolve.types import Evaluation

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table


class Row(NamedTuple):
    stage: str = "draft"
    attempts: int = 0
    best: Evaluation | None = None
    phase: str = ""


class Progress:
    """A listener for a run: give `listen` to the run, then `watch` its parts. Safe from several threads."""

    def __init__(self) -> None:
        self._parts: Parts | None = None
        self._rows: dict[str, Row] = {}
        self._live: Live | None = None
        self._lock = threading.Lock()
        self._note = ""

    def watch(self, parts: Parts) -> None:
        self._parts = parts
        self._rows = {task: self._row(task, "") for task in parts.tasks}
        self._refresh()

    def listen(self, step: Step) -> None:
        with self._lock:
            self._note = step.text if step.phase == "wait" else ""
            if step.phase == "wait":
                self._line(step.text)
            if step.phase == "reflect" and step.text:
                self._line(step.text)
            if step.plan is None or self._parts is None:
                return
            task = step.plan.task
            if step.phase == "learn":
                self._rows[task] = self._row(task, "")
                self._line(self._told(step))
            else:
                self._rows[task] = self._rows[task]._replace(phase=f"{step.phase} #{step.plan.position}")
                if step.phase == "confirm":
                    self._line(f"{task}: re-measuring the best in a fresh sandbox")
            self._refresh()

    def _row(self, task: str, phase: str) -> Row:
        if self._parts is None:
            return Row()
        journal = self._parts.journal
        standing, best = journal.standing(task), journal.best(task)
        return Row("refine" if best else "draft", standing.judged, best.evaluation if best else None, phase)

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
        total = self._parts.per_task * len(self._parts.tasks)
        return (
            f"[{attempt.position}/{total}] {step.plan.task} {step.plan.stage}: "
            f"{attempt.candidate.technique or 'no technique named'}: {outcome}{mark}"
        )

    # --- showing

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), refresh_per_second=4, transient=True)
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
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
            sys.stderr.flush()

    def _refresh(self) -> None:
        if self._live:
            self._live.update(self._table())

    def _table(self) -> "Table":
        from rich.table import Table

        table = Table(box=None, pad_edge=False, caption=self._caption(), caption_justify="left")
        for name in ("task", "stage", "best ms", "score", "attempts", "now"):
            table.add_column(name)
        per_task = self._parts.per_task if self._parts else 0
        for task, row in self._rows.items():
            best_ms = number(row.best.metrics.get("best_ms")) if row.best else "–"
            table.add_row(task, row.stage, best_ms, score_of(row.best), f"{row.attempts}/{per_task}", row.phase)
        return table

    def _caption(self) -> str:
        if self._parts is None:
            return ""
        budget = self._parts.budget
        spent, left = budget.spent, budget.seconds_left()
        tokens = spent.prompt_tokens + spent.completion_tokens
        parts = [f"{budget.seconds:.0f} s"]
        if left is not None:
            parts.append(f"{left:.0f} s left")
        if tokens:
            parts.append(f"{tokens} tokens")
            parts.append(f"${spent.usd:.4f}" if spent.usd_known else "price unknown")
        if self._note:
            parts.append(self._note)
        return " · ".join(parts)
