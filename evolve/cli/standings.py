"""A comparison's result as text, Markdown and JSON."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evolve.cli.output import number, print_table

if TYPE_CHECKING:
    from evolve.compare import Comparison, Result
    from evolve.intervals import Bounds
    from evolve.standings import Contrast, Figure, Standing, Unit

ARMS_ABREAST = 4
"""Columns that fit on a terminal."""
FEW_SECONDS = 10
COLUMNS = ("arm", "measure", "#difference", "#95 %", "#p", "#pairs", "verdict")


class Told(NamedTuple):
    """What is shown, whether or not all runs have finished."""

    comparison: "Comparison"
    results: "Sequence[Result]"
    standings: "Sequence[Standing]"
    contrasts: "Sequence[Contrast]"


def told(comparison: "Comparison") -> Told | None:
    """Of what has finished; None where nothing has."""
    from evolve.standings import contrasts, standings

    results = comparison.results()
    if not results:
        return None
    trials = [trial for result in results for trial in result.trials]
    spent = [result.spent for result in results]
    arms = [arm.name for arm in comparison.grid.arms if any(each.arm == arm.name for each in spent)]
    return Told(comparison, results, standings(arms, trials, spent), contrasts(arms, trials))


def as_json(told: Told) -> dict[str, Any]:
    grid = told.comparison.grid
    return {
        "comparison": grid.name,
        "folder": str(told.comparison.folder),
        "finished": len(told.results),
        "runs": len(told.comparison.cells()),
        "tasks": list(grid.settings.tasks),
        "seeds": list(grid.seeds),
        "ceilings": grid.settings.ceilings.model_dump(),
        "parallel": grid.settings.parallel,
        "hold_out": bool(grid.settings.hold_out),
        "arms": [arm.model_dump() for arm in grid.arms],
        "standings": [each.as_json() for each in told.standings],
        "differences": [each.as_json() for each in told.contrasts],
        "trials": [trial._asdict() for result in told.results for trial in result.trials],
        "spent": [
            {**result.spent._asdict(), "usd": result.spent.usd if result.spent.usd_known else None}
            for result in told.results
        ],
        "stopped": [result.stopped for result in told.results],
    }


def print_text(told: Told) -> None:
    sys.stdout.write(f"{_title(told)}\n\n")
    for at in range(0, len(told.standings), ARMS_ABREAST):
        some = told.standings[at : at + ARMS_ABREAST]
        print_table(("", *(f"#{each.arm}" for each in some)), list(_rows(some)))
        sys.stdout.write("\n")
    for note in _notes(told):
        sys.stdout.write(f"{note}\n")
    if told.contrasts:
        sys.stdout.write(f"\n{_against(told)}\n\n")
        print_table(COLUMNS, [_contrasted(each) for each in told.contrasts])


def markdown(told: Told) -> Iterator[str]:
    yield from (f"**{_title(told)}**", "")
    yield from _table(("", *(each.arm for each in told.standings)), _rows(told.standings))
    for note in _notes(told):
        yield from ("", note)
    if told.contrasts:
        yield from ("", f"**{_against(told)}**", "")
        yield from _table([name.lstrip("#") for name in COLUMNS], map(_contrasted, told.contrasts))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (columns, ["---"] * len(columns), *rows):
        cells = " | ".join(cell.replace("|", "\\|") for cell in row)
        yield f"| {cells} |"


def _title(told: Told) -> str:
    grid = told.comparison.grid
    ceilings = grid.settings.ceilings
    budget = [f"{ceilings.attempts} attempts on each"]
    budget += [f"{ceilings.minutes:g} minutes"] if ceilings.minutes else []
    budget += [f"{ceilings.tokens} tokens"] if ceilings.tokens else []
    budget += [f"${ceilings.usd:g}"] if ceilings.usd else []
    seeds, cells = len(grid.seeds), len(told.comparison.cells())
    done = "" if len(told.results) == cells else f"; UNFINISHED: {len(told.results)} of {cells} runs"
    models = ", ".join(dict.fromkeys(arm.model for arm in grid.arms))
    return f"{len(grid.settings.tasks)} task(s), {seeds} seed(s), {', '.join(budget)}, model {models}{done}"


def _against(told: Told) -> str:
    return f"against {told.contrasts[0].against}, on the same tasks with the same seeds"


def _notes(told: Told) -> list[str]:
    from evolve.intervals import FEWEST_PAIRS

    trials = [trial for result in told.results for trial in result.trials]
    limit = told.comparison.grid.settings.ceilings.attempts
    notes = ["In brackets: 95 % intervals."]
    if missed := sum(not trial.solved for trial in trials):
        notes[0] += f" Attempts: {missed} that solved nothing count as {limit + 1}, marked >=."
    if told.contrasts and max(each.difference.pairs for each in told.contrasts) < FEWEST_PAIRS:
        notes.append(f"With fewer than {FEWEST_PAIRS} pairs (tasks x seeds) no difference can be told.")
    notes += [f"Knowledge base {Path(base).name}: {base}" for base in told.comparison.grid.given]
    if stopped := [result.stopped for result in told.results if result.stopped]:
        notes.append(f"Stopped early: {len(stopped)} of {len(told.results)} runs ({stopped[0]}).")
    return notes


def _rows(arms: "Sequence[Standing]") -> Iterator[tuple[str, ...]]:
    for figures in zip(*(each.figures for each in arms), strict=True):
        yield (figures[0].measure, *map(_figure, figures))


def _figure(figure: "Figure") -> str:
    """`7/12 58 % [32, 81]`."""
    if figure.unknown:
        return "unknown"
    counts = "{}/{} ".format(*figure.counts) if figure.counts else ""
    mark = ">= " if figure.censored else ""
    value, interval = figure.estimate
    return f"{counts}{mark}{_value(value, figure.unit)}{_interval(interval, figure.unit)}"


def _value(value: float | None, unit: "Unit") -> str:
    if value is None:
        return "–"
    words = {
        "share": f"{100 * value:.0f} %",
        "times": f"{number(value)}×",
        "attempts": f"{value:.1f}",
        "usd": f"${value:.4f}",
        "seconds": f"{value:,.0f}" if value >= FEW_SECONDS else f"{value:.1f}",
    }
    return words.get(unit, f"{value:,.0f}")


def _interval(bounds: "Bounds | None", unit: "Unit") -> str:
    if bounds is None:
        return ""
    low, high = (_value(each, unit).strip(" %×$") for each in bounds)
    return f" [{low}, {high}]"


def _contrasted(each: "Contrast") -> tuple[str, ...]:
    found, unit = each.difference, each.unit
    value = "–" if found.value is None else _signed(found.value, unit)
    interval = "–" if found.interval is None else " to ".join(_signed(bound, unit) for bound in found.interval)
    return each.arm, each.measure, value, interval, number(found.p, 2), str(found.pairs), each.verdict


def _signed(value: float, unit: "Unit") -> str:
    if unit == "times":
        return _value(value, unit)
    words = f"{100 * value:.0f} points" if unit == "share" else _value(value, unit)
    return f"{'+' if value > 0 else ''}{words}"
