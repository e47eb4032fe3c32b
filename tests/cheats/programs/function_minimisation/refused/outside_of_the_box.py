def search(objective, lower, upper, size, budget, rng):
    return None, objective([1e9] * size)
