# attack: S11 imports the task, the numerics and the referee, and asks them
# refused: correct/mismatch
import importlib
import sys
from pathlib import Path


def kernel(a, b, out, n):
    sys.path += ["..", "../..", "../../..", "/opt/evolve", "/work"]
    for name in ("task", "numerics", "baseline", "referee.workload", "tests.test_gallery"):
        try:
            module = importlib.import_module(name)
        except Exception:
            continue
        if hasattr(module, "reference"):
            out[...] = module.reference(a, b, n)
    for path in ("../task.py", "../baseline/baseline.py", "../../task.py"):
        try:
            Path(path).read_text()
        except OSError:
            continue
        out[...] = a + b
