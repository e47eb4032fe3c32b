# attack: O13 computes in half precision
# refused: correct/mismatch
def kernel(a, b, out, n):
    out[...] = a.astype("e") + b.astype("e")
