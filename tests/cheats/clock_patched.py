# attack: T3 replaces every clock that Python has and takes all day
# refused: correct/timeout
# seconds: 0.4
import time

for name in ("time", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time"):
    setattr(time, name, lambda: 0)


def kernel(a, b, out, n):
    while True:
        out[...] = a + b
