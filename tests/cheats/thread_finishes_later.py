# attack: T1 a thread finishes after the function has returned
# refused: correct/mismatch
import threading
import time


def later(a, b, out):
    time.sleep(0.003)
    out[...] = a + b


def kernel(a, b, out, n):
    threading.Thread(target=later, args=(a, b, out), daemon=True).start()
