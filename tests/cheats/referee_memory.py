# attack: S4 reads the referee's memory, environment and descriptors
# refused: correct/mismatch
import os


def kernel(a, b, out, n):
    for name in ("mem", "environ", "maps", "fd/0"):
        try:
            with open(f"/proc/{os.getppid()}/{name}", "rb") as file:
                if name != "mem":
                    file.read(1)
        except OSError:
            continue
        out[...] = a + b
