# attack: O1 returns the answer instead of writing it
# refused: correct/mismatch
def kernel(a, b, out, n):
    return a + b
