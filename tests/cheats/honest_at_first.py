# attack: O10 counts its calls
# refused: correct/mismatch
calls = 0


def kernel(a, b, out, n):
    global calls
    calls += 1
    if calls < 2 or n < 2000:
        out[...] = a + b
