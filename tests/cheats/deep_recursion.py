# attack: S7 overflows the interpreter's stack
# refused: correct/crash, correct/exception, correct/memory
# seconds: 10
import gc

gc.disable()


def kernel(a, b, out, n):
    nest = ()
    for _ in range(4 * 10**6):
        nest = (nest,)
    hash(nest)
    out[...] = a + b
