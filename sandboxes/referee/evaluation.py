"""Runs an evaluator's stages in order and reports what each found: metrics, and artifacts as text.

The same for an evaluator that is kept apart from its program (evaluate.py forks it) and for one that trusts it, whose
process this file's `main` is.
"""

import importlib.util
import json
import math
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from . import frames, openevolve
from .line import ProgramError

EVALUATOR = "evaluator.py"
SCORE = "combined_score"
CHANNEL = 3
MOST_TEXT = 20_000
"""Characters of one artifact."""
MOST_NAMES = 200
"""Metrics, and artifacts, of one stage."""
LONGEST_NAME = 200

Tell = Callable[[Mapping[str, Any]], None]


class FailedError(Exception):
    """`kind`: whose fault it was. `raised`: the evaluator's or, once it has seen the program, the program's."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def conduct(stages: Sequence[Mapping[str, Any]], program: str, seed: int, tell: Tell) -> None:
    """The evaluator lies in the working folder. Tells `{"stage": …}` for each that ran, then `{"failure": …}`."""
    failure = None
    try:
        _seed(seed, program)
        evaluator = _loaded(program)
        for stage in stages:
            found = _judged(evaluator, stage["function"], program)
            tell({"stage": found})
            if "at_least" in stage and not _passes(found["metrics"], stage):
                break
    except FailedError as failed:
        failure = {"kind": failed.kind, "message": str(failed)}
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    tell({"failure": failure})


def _seed(seed: int, program: str) -> None:
    random.seed(seed)
    if "numpy" not in sys.modules and not any(_mentions_numpy(path) for path in (EVALUATOR, program)):
        return
    import numpy as np

    np.random.seed(seed % 2**32)  # noqa: NPY002 - what an evaluator uses if it does not say otherwise


def _mentions_numpy(path: str) -> bool:
    try:
        return b"numpy" in Path(path).read_bytes()
    except OSError:
        return False


def _loaded(program: str) -> ModuleType:
    path = Path(EVALUATOR).resolve()
    sys.path.insert(0, str(path.parent))
    sys.argv = [str(path), program]
    spec = importlib.util.spec_from_file_location("evaluator", path)
    if spec is None or spec.loader is None or not path.exists():
        raise FailedError("evaluator", f"there is no {EVALUATOR}")
    module = sys.modules["evaluator"] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        failed = _failure(error, f"{EVALUATOR} does not load", program)
        failed.kind = "evaluator" if failed.kind == "raised" else failed.kind
        raise failed from error
    return module


def _judged(evaluator: ModuleType, name: str, program: str) -> dict[str, Any]:
    function = getattr(evaluator, name, None)
    if not callable(function):
        offered = [
            one for one, value in vars(evaluator).items() if isinstance(value, FunctionType) and not one.startswith("_")
        ]
        raise FailedError("evaluator", f"{EVALUATOR} has no function `{name}`; it has {', '.join(offered) or 'none'}")
    started = time.monotonic()
    try:
        result = function(program)
        metrics, artifacts = sorted_out(result)
    except BaseException as error:
        raise _failure(error, f"`{name}` raised", program) from error
    if not metrics:
        kind = type(result).__name__
        raise FailedError("raised", f"`{name}` returned no metrics: a {kind} instead of names with numbers")
    return {"function": name, "metrics": metrics, "artifacts": artifacts, "seconds": time.monotonic() - started}


def sorted_out(result: object) -> tuple[dict[str, float | str], dict[str, str]]:
    """Metrics and artifacts of whatever an evaluator may return."""
    metrics, artifacts = getattr(result, "metrics", result), getattr(result, "artifacts", None)
    if isinstance(metrics, Mapping) and isinstance(metrics.get("metrics"), Mapping):
        metrics, artifacts = metrics["metrics"], metrics.get("artifacts")
    if not isinstance(metrics, Mapping):
        return {}, {}
    found: dict[str, float | str] = {}
    shown: dict[str, object] = dict(artifacts) if isinstance(artifacts, Mapping) else {}
    for name, value in metrics.items():
        if name == "artifacts" and isinstance(value, Mapping):
            shown = {**value, **shown}
        elif (plain := _plain(value)) is not None:
            found[readable(str(name))[:LONGEST_NAME]] = plain
        else:
            shown[str(name)] = value
    texts = {readable(str(name))[:LONGEST_NAME]: _text(value) for name, value in list(shown.items())[:MOST_NAMES]}
    return dict(list(found.items())[:MOST_NAMES]), texts


def _plain(value: Any) -> float | str | None:
    """A finite number, or text; what is no number is said in words. None for anything else."""
    if hasattr(type(value), "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, str):
        return readable(value[:MOST_TEXT])
    if isinstance(value, bool | int | float):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            return str(number)
        return int(value) if isinstance(value, int) and abs(value) < 2**53 else number
    return None


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value[: 4 * MOST_TEXT].decode(errors="replace")[:MOST_TEXT]
    if isinstance(value, str):
        return readable(value[:MOST_TEXT])
    try:
        return json.dumps(value, default=str)[:MOST_TEXT]
    except (TypeError, ValueError, RecursionError):
        return readable(str(value)[:MOST_TEXT])


def readable(text: str) -> str:
    """Half a surrogate pair, which no file and no database takes, becomes a question mark."""
    return text.encode(errors="replace").decode()


def _passes(metrics: Mapping[str, float | str], stage: Mapping[str, Any]) -> bool:
    """By the stage's metric; where none is named, by the score, else by the mean of the numbers."""
    name = stage.get("metric") or SCORE
    numbers = [value for value in metrics.values() if not isinstance(value, str)]
    value = metrics.get(name)
    if value is None and not stage.get("metric") and numbers:
        value = sum(numbers) / len(numbers)
    return isinstance(value, int | float) and value >= stage["at_least"]


def _failure(error: BaseException, what: str, program: str) -> FailedError:
    """Whose fault it was: what the program raised says so (proxy.py), or comes from its file."""
    steps = traceback.extract_tb(error.__traceback__)
    words = traceback.format_exception_only(error)[-1 - len(getattr(error, "__notes__", ()))].strip()
    chain = [error, error.__cause__, error.__context__]
    blame = next((one.blame for one in chain if getattr(one, "blame", None)), None)  # type: ignore[union-attr]
    inside = any(frame.filename == program for frame in steps)
    if blame or inside or (isinstance(error, SyntaxError) and error.filename == program):
        kind = str(blame or ("memory" if isinstance(error, MemoryError) else "program"))
        if isinstance(error, ProgramError):
            return FailedError(kind, str(error))
        notes = "\n".join(getattr(error, "__notes__", ()))
        return FailedError(kind, f"the program failed: {words}\n{notes}".strip())
    if isinstance(error, ModuleNotFoundError) and error.name:
        return FailedError("evaluator", f"{what}: it needs the module `{error.name}`, which the sandbox lacks")
    own = [frame for frame in steps if frame.filename.startswith(str(Path.cwd()))]
    place = f" (line {own[-1].lineno} of {Path(own[-1].filename).name}: {own[-1].line})" if own else ""
    return FailedError("raised", f"{what}: {words}{place}")


def main() -> None:
    """An evaluator that trusts its program: both here, and what is said on the channel can be forged by either."""
    given = json.loads(sys.argv[1])
    os.closerange(CHANNEL + 1, 1024)
    openevolve.offer()
    channel = frames.Channel(CHANNEL, CHANNEL)
    conduct(given["stages"], given["program"], given["seed"], channel.send)
    os._exit(0)
