# attack: S7 starts another program
# refused: authentic/forbidden_call
import subprocess


def kernel(a, b, out, n):
    subprocess.run(["true"])
    out[...] = a + b
