"""The facts of a run as one page of HTML that needs nothing else, and that nothing a candidate wrote can speak in.

Everything is escaped by the template engine; pictures hold no text that others wrote; the page's own policy lets
only its own style and script work (by their hashes), and nothing be loaded.
"""

import base64
import hashlib
import math
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from evolve.cli.output import DASH, interval, number, score_of, spent
from evolve.report import charts
from evolve.report.code import highlighted
from evolve.report.facts import Entry, Facts, TaskFacts
from evolve.report.lineage import Lineage, changes, lineage, shown
from evolve.report.recall import Use, Worth
from evolve.report.repeat import command
from evolve.roles import OFFLINE

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

LONGEST_FEEDBACK = 3000
"""Characters of what was said of one attempt."""
LONGEST_FILE = 60_000
"""Characters of a file of the best."""
MOST_STEPS = 4
"""Techniques of a recipe that the table of tasks shows."""
HELPED, HURT = 18, 12
"""Items of the knowledge base that are listed, from either end."""


LARGEST_GAIN = 20.0
"""A logarithm, as gains are; what is beyond is no measurement."""
DOUBLED = math.log(2)
"""From here on a gain is told as a factor."""
SECONDS_UP_TO = 120
MINUTES_UP_TO = 120


class Picture(NamedTuple):
    svg: "Markup"
    told: str
    """The same in words."""


class File(NamedTuple):
    name: str
    code: "Markup"
    note: str


class Section(NamedTuple):
    """One task as the page shows it."""

    place: int
    facts: TaskFacts
    lineage: Lineage
    chart: Picture | None
    files: tuple[File, ...]


def rendered(facts: Facts) -> str:
    environment = _environment()
    style, script = (_text(name) for name in ("style.css", "page.js"))
    attempts = shown(facts.tasks)
    page = environment.get_template("page.html.j2").render(
        facts=facts,
        summary=facts.summary,
        sections=[_section(place, task, attempts) for place, task in enumerate(facts.tasks)],
        changes=changes(facts.tasks, attempts),
        shown=attempts,
        left_out=sum(len(task.entries) for task in facts.tasks) - len(attempts),
        overview=_overview(facts),
        recalled=_told(facts.recalled),
        helped=HELPED,
        is_offline=facts.settings.model == OFFLINE,
        command=command(facts.settings),
        style=style,
        script=script,
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
    )
    return str(page)


def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": number, "interval": interval, "score": score_of, "spent": spent, "gain": _gain, "cut": _cut,
        "duration": _duration, "hue": charts.hue, "minus": _difference, "steps": _steps,
    }  # fmt: skip
    environment.globals |= {"geomean": _geomean, "baseline": _baseline, "worth": _worth, "DASH": DASH}
    return environment


def _text(name: str) -> str:
    return (files("evolve.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _section(place: int, task: TaskFacts, attempts: frozenset[int]) -> Section:
    drawn = task._replace(entries=tuple(entry for entry in task.entries if entry.number in attempts))
    best = task.summary.best
    written = best.candidate.files if best else {}
    return Section(
        place=place,
        facts=task,
        lineage=lineage(task, attempts),
        chart=_picture(charts.attempts(drawn), _course(task)),
        files=tuple(
            File(name, highlighted(name, text[:LONGEST_FILE]), "" if len(text) <= LONGEST_FILE else "cut here")
            for name, text in written.items()
        ),
    )


def _overview(facts: Facts) -> dict[str, Picture | None]:
    """Each twice, for wide and for narrow screens: the page shows the one that fits."""
    told = "; ".join(f"{task.name} {score_of(task.summary.verdict)}" for task in facts.tasks)
    many = len(facts.tasks) > 1
    pictures = {
        "courses": (charts.courses, f"The best so far of each task over the attempts on it. At the end: {told}."),
        "rooflines": (
            charts.rooflines,
            "Share of the machine's roofline: of the baseline in grey, of the best in green.",
        ),
    }
    return {
        f"{name}_{size}": _picture(drawing(facts.tasks, width=width), words) if many or name == "rooflines" else None
        for name, (drawing, words) in pictures.items()
        for size, width in (("wide", charts.WIDE), ("narrow", charts.NARROW - 30))
    }


def _picture(spec: charts.Spec | None, told: str) -> Picture | None:
    from markupsafe import Markup

    if spec is None:
        return None
    return Picture(Markup(charts.draw(spec)), told)  # noqa: S704 - drawn by us, of numbers and ids of tasks


def _course(task: TaskFacts) -> str:
    """In a sentence or two, for whoever does not see the picture."""
    judged, feasible = len(task.entries), sum(entry.verdict.feasible for entry in task.entries)
    begun = f"{judged} attempts, {feasible} of them feasible"
    if task.summary.first_feasible is None or task.winner is None:
        return f"{begun}."
    return (
        f"{begun}, the first at attempt {task.summary.first_feasible} on the task; "
        f"the best is attempt {task.winner} with {score_of(task.summary.verdict)}."
    )


def _geomean(tasks: tuple[TaskFacts, ...]) -> float | None:
    """Of the scores of what was solved, where there are several and they can have one."""
    scores = [task.summary.score for task in tasks if task.summary.score is not None]
    if len(scores) == 1 or not scores or min(scores) <= 0:
        return None
    return math.exp(math.fsum(map(math.log, scores)) / len(scores))


def _gain(entry: Entry) -> str:
    """Over what it was made from."""
    gain = entry.attempt.gain
    if gain is None or not math.isfinite(gain):
        return ""
    if "baseline_ms" not in entry.verdict.metrics or gain > LARGEST_GAIN:
        return f"{gain:+.2g}"
    return f"{math.expm1(gain):+.0%}" if abs(gain) < DOUBLED else f"×{number(math.exp(gain))}"


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= LONGEST_FEEDBACK else f"{text[:LONGEST_FEEDBACK]} …"


def _duration(seconds: float) -> str:
    if seconds < SECONDS_UP_TO:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < MINUTES_UP_TO else f"{minutes // 60} h {minutes % 60} min"


def _baseline(task: TaskFacts) -> str:
    """Milliseconds of the seed and of the best, where it was timed."""
    metrics = task.summary.verdict.metrics if task.summary.verdict else {}
    if "baseline_ms" not in metrics:
        return DASH
    return f"{number(metrics['baseline_ms'])} → {number(metrics.get('best_ms'))} ms"


def _steps(recipe: Sequence[str]) -> str:
    """The first and the last of many."""
    if len(recipe) > MOST_STEPS:
        recipe = (recipe[0], f"{len(recipe) - 3} more", *recipe[-2:])
    return " → ".join(recipe)


def _told(recalled: tuple[Use, ...]) -> tuple[Use, ...]:
    """Those after which it went best, and worst."""
    return recalled if len(recalled) <= HELPED + HURT else (*recalled[:HELPED], *recalled[-HURT:])


def _difference(use: Use) -> str:
    return DASH if use.beyond is None else f"{use.beyond:+.2f}"


def _worth(facts: Facts, use: Use) -> Worth | None:
    item = facts.base.items.get(use.item)
    return item.worth.get(use.stage) if item else None
