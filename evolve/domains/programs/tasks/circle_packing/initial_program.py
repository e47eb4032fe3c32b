"""Circles in the unit square: points that push one another away, and the largest circles around them."""

# EVOLVE-BLOCK-START
from math import hypot
from random import Random

STEPS = 20
"""Times that every point is pushed."""
PUSH = 0.002
REACH = 1.0
"""Power of the distance by which a push grows weaker."""
FADE = 0.98
"""Of the pushes, from one step to the next."""
BORDER = 0.05
"""How near a point may come to an edge."""


def spread(count: int, rng: Random) -> list[tuple[float, float]]:
    points = [(rng.uniform(BORDER, 1 - BORDER), rng.uniform(BORDER, 1 - BORDER)) for _ in range(count)]
    push = PUSH
    for _ in range(STEPS):
        for at, (x, y) in enumerate(points):
            dx, dy = 0.0, 0.0
            for other, (u, v) in enumerate(points):
                if other != at:
                    distance = hypot(x - u, y - v) + 0.001
                    force = push / distance ** (1 + REACH)
                    dx += force * (x - u)
                    dy += force * (y - v)
            points[at] = (min(max(x + dx, BORDER), 1 - BORDER), min(max(y + dy, BORDER), 1 - BORDER))
        push *= FADE
    return points


def widest(points: list[tuple[float, float]]) -> list[float]:
    """Half of the way to the nearest neighbour, or all of it to the edge; then what room is left."""
    radii = []
    for at, (x, y) in enumerate(points):
        room = [hypot(x - u, y - v) / 2 for other, (u, v) in enumerate(points) if other != at]
        radii.append(min([x, y, 1 - x, 1 - y, *room]))
    for at, (x, y) in enumerate(points):
        room = [hypot(x - u, y - v) - radii[other] for other, (u, v) in enumerate(points) if other != at]
        radii[at] = min([x, y, 1 - x, 1 - y, *room])
    return radii


def attempt(count: int, seed: int) -> tuple[list[tuple[float, float]], list[float], float]:
    points = spread(count, Random(seed))
    radii = widest(points)
    return points, radii, sum(radii)


# EVOLVE-BLOCK-END


def pack(count: int) -> list[tuple[float, float, float]]:
    """(x, y, radius) of each circle; a margin keeps rounding from making circles overlap."""
    points, radii, _ = attempt(count, 1)
    return [(x, y, radius * (1 - 1e-12)) for (x, y), radius in zip(points, radii, strict=True)]
