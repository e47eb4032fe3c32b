def attempt(count, seed):
    points = [(0.1 + 0.2 * (at % 5), 0.1 + 0.2 * (at // 5)) for at in range(25)] + [(0.2, 0.2)]
    radii = [0.1] * 25 + [0.1 * (2**0.5 - 1) * (1 - 1e-9)]
    return points, radii, sum(radii)
