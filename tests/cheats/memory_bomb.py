# attack: S7 allocates until nothing is left
# refused: correct/memory, correct/crash
# seconds: 10
kept = []


def kernel(a, b, out, n):
    while True:
        kept.append(bytearray(2**26))
