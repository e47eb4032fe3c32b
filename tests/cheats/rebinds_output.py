# attack: O5 makes the output an alias of a new array
# refused: correct/mismatch, correct/exception
def kernel(a, b, out, n):
    try:
        out.data = (a + b).data
    except (AttributeError, TypeError, ValueError):
        out = a + b
