# attack: O6 leaves a lazy subclass that would add when somebody looks
# refused: correct/mismatch, correct/exception
import numpy as np


class Lazy(np.ndarray):
    def __array__(self, *_args, **_named):
        return self.first + self.second


def kernel(a, b, out, n):
    lazy = out.view(Lazy)
    lazy.first, lazy.second = a, b
    kernel.kept = lazy
