def search(objective, lower, upper, size, budget, rng):
    while True:
        pass
