"""The sum of the radii of circles in the unit square, counted only if they are where they must be: exactly."""

import importlib.util
import math
from fractions import Fraction
from types import ModuleType

COUNT = 26
BEST_KNOWN = 2.635
PARTS = 3


def evaluate(program_path: str) -> dict[str, float | str]:
    try:
        circles = read(load(program_path).pack(COUNT))
        check(circles)
    except Exception as error:  # noqa: BLE001 - whatever the program does
        return {"combined_score": 0.0, "error": f"{type(error).__name__}: {error}"}
    total = float(sum(Fraction(radius) for _, _, radius in circles))
    smallest = min(radius for _, _, radius in circles)
    return {"combined_score": total / BEST_KNOWN, "sum_of_radii": total, "smallest_radius": smallest}


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("program", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


def read(said: object) -> list[tuple[float, float, float]]:
    """Numbers of our own: what is checked is what is counted."""
    rows = [[float(value) for value in circle] for circle in said]  # type: ignore[attr-defined]
    if len(rows) != COUNT or any(len(row) != PARTS for row in rows):
        raise ValueError(f"pack must give {COUNT} circles of (x, y, radius), and gave {len(rows)}")
    return [(x, y, radius) for x, y, radius in rows]


def check(circles: list[tuple[float, float, float]]) -> None:
    """In fractions, so that there is no tolerance to use up."""
    for at, circle in enumerate(circles):
        if not all(math.isfinite(value) for value in circle) or circle[2] <= 0:
            raise ValueError(f"circle {at} is no circle: {circle}")
        x, y, radius = map(Fraction, circle)
        if min(x, y) < radius or max(x, y) > 1 - radius:
            raise ValueError(f"circle {at} is not inside of the square: {circle}")
        for other in range(at):
            u, v, wide = map(Fraction, circles[other])
            if (x - u) ** 2 + (y - v) ** 2 < (radius + wide) ** 2:
                lack = circle[2] + circles[other][2] - math.hypot(float(x - u), float(y - v))
                raise ValueError(f"circles {other} and {at} overlap by {lack:.3g}")
