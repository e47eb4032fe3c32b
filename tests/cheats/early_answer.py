# attack: T1 says that it is done and goes on computing
# refused: correct/mismatch, authentic/forged_answer
import os
import struct
import time


def kernel(a, b, out, n):
    os.write(6, struct.pack("=6i", 0, 0, 0, 0, 0, 0))
    time.sleep(0.02)
    out[...] = a + b
