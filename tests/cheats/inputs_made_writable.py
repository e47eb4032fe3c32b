# attack: O4 makes the inputs writable, whatever numpy says
# refused: correct/inputs_modified, correct/crash, correct/exception
import ctypes


def kernel(a, b, out, n):
    ctypes.memset(b.ctypes.data, 0, b.nbytes)
    out[...] = a
