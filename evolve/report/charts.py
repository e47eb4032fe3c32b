"""A run's charts: Vega-Lite specifications, which are plain data, and their drawing.

Vega-Lite itself draws them while the report is made, so that the page holds pictures (SVG) and needs neither a
megabyte of libraries nor leave to run their code. Colours are CSS variables of the page. What others wrote never goes
into a picture, but for the ids of tasks; an attempt is a number, by which the page finds what else is known of it.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from evolve.report.facts import Entry, TaskFacts

Spec = dict[str, Any]

WIDE, NARROW, HIGH = 930, 300, 180
WIDEST_LETTER = 7
"""Pixels: which font a browser takes is not known here."""
MOST_TICKS = 13
HALF = 0.5
"""Of an attempt: room beside the first and the last."""
EXTREME = 1e100
"""What is beyond is no measurement; it would leave no room for the others."""
HUES = 6
"""Colours of tasks; after as many the lines are dashed."""
DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2])
_LINE = {"type": "line", "interpolate": "step-after", "strokeWidth": 2}
_CONFIG = {
    "background": None,
    "font": "system-ui, sans-serif",
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--line)",
        "domainColor": "var(--line)", "tickColor": "var(--line)", "labelFontSize": 11, "titleFontSize": 11,
        "titleFontWeight": "normal", "gridOpacity": 0.7,
    },
    "axisY": {"minExtent": 44, "titlePadding": 8},
    "view": {"stroke": None},
    "legend": {"disable": True},
}  # fmt: skip


def courses(tasks: Sequence[TaskFacts], *, width: int) -> Spec | None:
    """The best so far of every task, over the attempts on it; None where no task has any."""
    timed = all(task.is_timed for task in tasks if task.entries)
    rows = [row | {"series": place} for place, task in enumerate(tasks) for row in _course(task, timed=timed)]
    if not rows:
        return None
    many = len(tasks)
    colour = {"field": "series", "type": "nominal", "sort": None, "legend": None}
    places = list(range(many))
    encoding = {
        "x": _turns(tasks),
        "y": _scores([row["score"] for row in rows], timed=timed),
        "color": colour | {"scale": {"domain": places, "range": [hue(place) for place in places]}},
        "strokeDash": colour | {"scale": {"domain": places, "range": [_dash(place) for place in places]}},
        "description": {"field": "task"},
    }
    curve: Spec = {"name": "curve", "mark": _LINE, "encoding": encoding}
    return _chart(rows, [curve], width, HIGH + 120)


def attempts(task: TaskFacts) -> Spec | None:
    """Every attempt on a task, and the best so far; None where there is none."""
    if not task.entries:
        return None
    timed = task.is_timed
    feasible = [_point(entry, timed=timed) for entry in task.entries if _drawn(entry, timed=timed)]
    failed = [{"turn": entry.turn, "told": _label(entry)} for entry in task.entries if entry.failure]
    scores = [value for point in feasible for value in (point["score"], point["low"], point["high"])]
    x = _turns([task])
    y = _scores(scores, timed=timed)
    told = {"description": {"field": "told"}}
    at = {"x": x, "y": y | {"field": "score"}}
    spans = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}
    best = [point for point in feasible if point["number"] == task.winner]
    layers: list[Spec] = [
        {"name": "interval", "mark": {"type": "rule", "stroke": "var(--muted)", "opacity": 0.45}, "encoding": spans},
        {
            "name": "curve", "data": {"values": _course(task, timed=timed)},
            "mark": _LINE | {"stroke": "var(--accent)"}, "encoding": at,
        },
        {
            "name": "point", "mark": {"type": "point", "filled": True, "size": 42, "fill": "var(--accent)",
            "stroke": "var(--paper)", "strokeWidth": 1, "opacity": 1}, "encoding": at | told,
        },
        {
            "name": "winner", "data": {"values": best},
            "mark": {"type": "point", "size": 150, "stroke": "var(--good)", "strokeWidth": 2, "opacity": 1},
            "encoding": at,
        },
        {
            "name": "failure", "data": {"values": failed},
            "mark": {"type": "point", "shape": "M-.7,-.7L.7,.7M-.7,.7L.7,-.7", "size": 160, "stroke": "var(--bad)",
            "strokeWidth": 1.6, "opacity": 1},
            "encoding": {"x": x, "y": {"value": HIGH - 10}} | told,
        },
    ]  # fmt: skip
    return _chart(feasible, layers if feasible else layers[-1:], NARROW + 60, HIGH)


def rooflines(tasks: Sequence[TaskFacts], *, width: int) -> Spec | None:
    """Share of what the machine could attain, of the baseline and of the best; None where it is not known of any task.

    The baseline's follows from the best's: it takes as many times longer as the best is faster.
    """
    rows: list[Spec] = []
    for task in tasks:
        verdict = task.summary.verdict
        if verdict is None or verdict.profile.roofline is None or not verdict.score:
            continue
        reached = verdict.profile.roofline
        seed = reached / verdict.score if "baseline_ms" in verdict.metrics else reached
        words = f"{task.name}: {seed:.1%} of the roofline before, {reached:.0%} now"
        rows.append({"task": task.name.partition("/")[2], "seed": seed, "best": reached, "told": words})
    if not rows:
        return None
    room = 20 + WIDEST_LETTER * max(len(row["task"]) for row in rows)
    axis = {"title": None, "grid": False, "ticks": False, "labelPadding": 10, "minExtent": room, "labelLimit": room}
    y: Spec = {"field": "task", "type": "nominal", "sort": None, "axis": axis}
    farthest = max([1.0, *(row["best"] for row in rows)])
    x: Spec = {
        "type": "quantitative", "scale": {"domain": [0, farthest]},
        "axis": {"format": "%", "title": "of the roofline", "tickCount": 5},
    }  # fmt: skip
    told: Spec = {"description": {"field": "told"}}
    dot: Spec = {"type": "point", "filled": True, "opacity": 1, "size": 70}
    layers: list[Spec] = [
        {
            "name": "way", "mark": {"type": "rule", "stroke": "var(--line)", "strokeWidth": 4},
            "encoding": {"y": y, "x": x | {"field": "seed"}, "x2": {"field": "best"}},
        },
        {
            "name": "seed", "mark": dot | {"fill": "var(--muted)"},
            "encoding": {"y": y, "x": x | {"field": "seed"}},
        },
        {
            "name": "best", "mark": dot | {"fill": "var(--good)"},
            "encoding": {"y": y, "x": x | {"field": "best"}} | told,
        },
    ]  # fmt: skip
    return _chart(rows, layers, width - room, 24 * len(rows))


def hue(place: int) -> str:
    return f"var(--hue-{place % HUES})"


def _dash(place: int) -> list[int]:
    return DASHES[place // HUES % len(DASHES)]


def _chart(rows: Sequence[Spec], layers: Sequence[Spec], width: int, height: int) -> Spec:
    return {
        "width": width, "height": height, "padding": 4, "data": {"values": list(rows)}, "layer": list(layers),
        "config": _CONFIG,
    }  # fmt: skip


def _turns(tasks: Sequence[TaskFacts]) -> Spec:
    last = max([1, *(task.planned for task in tasks)])
    ticks = list(range(1, last + 1, math.ceil(last / MOST_TICKS)))
    axis = {"title": "attempts on the task", "grid": False, "values": ticks, "format": "d"}
    scale = {"domain": [1 - HALF, last + HALF], "nice": False}
    return {"field": "turn", "type": "quantitative", "scale": scale, "axis": axis}


def _scores(scores: Sequence[float], *, timed: bool) -> Spec:
    """How many times faster on a logarithmic scale, any other score on a linear one."""
    if not timed:
        axis = {"title": "score", "tickCount": 5}
        return {"field": "score", "type": "quantitative", "scale": {"zero": False}, "axis": axis}
    low, high = min([*scores, 1.0]) / 1.06, max([*scores, 1.0]) * 1.06
    axis = {"title": "times as fast", "values": _ticks(low, high), "labelExpr": "datum.label + '×'"}
    scale = {"type": "log", "domain": [low, high], "nice": False}
    return {"field": "score", "type": "quantitative", "scale": scale, "axis": axis | {"format": "~g"}}


_STEPS: tuple[tuple[float, tuple[float, ...]], ...] = (
    (4, (1, 1.5, 2, 3, 4, 5, 6, 8)), (12, (1, 2, 5)), (1000, (1, 3)), (math.inf, (1,)),
)  # fmt: skip
"""Round numbers of each power of ten, for scales whose ends are less than so many times apart."""


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers between."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = next(steps for up_to, steps in _STEPS if high / low < up_to)
    every = [round(step * 10.0**power, 10) for power in range(first, last + 1) for step in steps]
    inside = [value for value in every if low <= value <= high]
    return inside if len(inside) > 1 else [round(low, 2), round(high, 2)]


def _course(task: TaskFacts, *, timed: bool) -> list[Spec]:
    """The best so far where it changes, and at the end."""
    rows: list[Spec] = [
        {"turn": entry.turn, "score": entry.verdict.score, "task": task.name}
        for entry in task.entries
        if entry.improved and _drawn(entry, timed=timed)
    ]
    if rows:
        rows.append(rows[-1] | {"turn": task.entries[-1].turn + HALF})
    return rows


def _drawn(entry: Entry, *, timed: bool) -> bool:
    score = entry.verdict.score
    return score is not None and abs(score) < EXTREME and (score > 1 / EXTREME or not timed)


def _point(entry: Entry, *, timed: bool) -> Spec:
    score = entry.verdict.score or 0.0
    low, high = entry.verdict.interval or (score, score)
    if timed and low <= 0:
        low = score
    low, high = max(low, -EXTREME), min(high, EXTREME)
    return {
        "turn": entry.turn, "number": entry.number, "score": score, "low": low, "high": high, "told": _label(entry),
    }  # fmt: skip


def _label(entry: Entry) -> str:
    return f"attempt {entry.number}"


def draw(spec: Spec) -> str:
    """SVG, to be put into a page as it is."""
    from vl_convert import vegalite_to_svg

    drawn: str = vegalite_to_svg(json.dumps(spec, allow_nan=False))
    return drawn
