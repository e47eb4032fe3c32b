# Two negative radii make room for wide ones.
def attempt(count, seed):
    return [(0.5, 0.5)] * count, [0.5] + [-0.5] * (count - 1), 0.5
