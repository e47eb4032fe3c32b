# attack: S7 never returns
# refused: correct/timeout
# seconds: 0.4
def kernel(a, b, out, n):
    while True:
        pass
