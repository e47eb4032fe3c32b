# attack: S3 rewrites the functions that its own process answers with
# refused: correct/mismatch, authentic/forged_answer, correct/timeout
# seconds: 0.5
import os
import struct
import time

real = os.read


def read(descriptor, size):
    data = real(descriptor, size)
    if descriptor == 5 and data[:4] == b"\x02\0\0\0":
        os.write(6, struct.pack("=6i", 0, 0, 0, 0, 0, 0))
    return data


os.read = read


def kernel(a, b, out, n):
    time.sleep(0.005)
    out[...] = a + b
