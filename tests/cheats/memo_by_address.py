# attack: O9 remembers answers by the addresses of the inputs
# refused: correct/mismatch
memo = {}


def kernel(a, b, out, n):
    key = (a.ctypes.data, n)
    if key not in memo:
        memo[key] = a + b
    out[...] = memo[key]
