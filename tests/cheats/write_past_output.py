# attack: O15 writes past the end of the output through ctypes
# refused: correct/bounds, correct/crash
import ctypes


def kernel(a, b, out, n):
    out[...] = a + b
    ctypes.memset(out.ctypes.data + out.nbytes, 0, 64)
