def attempt(count, seed):
    return [(0.5, 0.5)] * count, [float("inf")] * count, float("inf")
