def search(objective, lower, upper, size, budget, rng):
    best, best_value, left = None, float("inf"), budget
    while left > 0:
        here = [rng.uniform(lower, upper) for _ in range(size)]
        value, step, idle = objective(here), 2.0, 0
        left -= 1
        while left > 0 and step > 1e-4:
            trial = [min(max(x + step * rng.gauss(0.0, 1.0), lower), upper) for x in here]
            found = objective(trial)
            left -= 1
            if found < value:
                here, value, step = trial, found, step * 1.5
            else:
                step *= 0.9
        if value < best_value:
            best, best_value = here, value
    return best, best_value
