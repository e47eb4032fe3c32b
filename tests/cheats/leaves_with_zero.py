# attack: S1 raises SystemExit(0)
# refused: authentic/ended_itself
import sys


def kernel(a, b, out, n):
    sys.exit(0)
