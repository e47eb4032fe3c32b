# attack: S4 walks the frames and all objects of its process for the expected output
# refused: correct/mismatch
import gc
import sys

import numpy as np


def kernel(a, b, out, n):
    expected, frame = a + b, sys._getframe()
    known = {id(expected), id(a), id(b), id(out)}
    while frame:
        known |= {id(value) for value in frame.f_locals.values()} if frame.f_code is kernel.__code__ else set()
        frame = frame.f_back
    for thing in gc.get_objects():
        held = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, (list, tuple)) else ()
        for value in list(held):
            if isinstance(value, np.ndarray) and id(value) not in known and value.shape == out.shape:
                if np.array_equal(value, expected):
                    out[...] = value
