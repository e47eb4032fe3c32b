# attack: S7 forks
# refused: authentic/forbidden_call
import os


def kernel(a, b, out, n):
    if os.fork():
        out[...] = a + b
