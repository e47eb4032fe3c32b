"""numpy's or torch's own process: evaluates a task's reference (or `torch_peer`) on demand and times it.

Descriptors: 3 the inputs (read-only), 5 commands in, 6 answers out. Only code of ours and of the task runs here.
"""

import importlib
import mmap
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from . import frames

INPUTS, COMMANDS, ANSWERS = 3, 5, 6

Evaluation = Callable[..., Any]


def main() -> None:
    channel = frames.Channel(COMMANDS, ANSWERS)
    memory = mmap.mmap(INPUTS, 0, prot=mmap.PROT_READ)
    request = channel.receive()
    if request is None:
        return
    try:
        version, evaluate = PREPARE[request["kind"]](_task(request))
        channel.send({"version": version})
        while (request := channel.receive()) is not None:
            arrays = [_array(memory, *place) for place in request["arrays"]]
            channel.send({"ns": evaluate(arrays, request["dims"])})
    except Exception as error:  # noqa: BLE001 - the process boundary
        channel.send({"problem": _words(error)})


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, LookupError | ImportError) else f"{type(error).__name__}: {error}"


def _task(request: Mapping[str, str]) -> ModuleType:
    for name in ("numerics", "task"):
        module = sys.modules[name] = ModuleType(name)
        exec(compile(request[name], f"{name}.py", "exec"), module.__dict__)  # noqa: S102
    return sys.modules["task"]


def _array(memory: mmap.mmap, at: int, dtype: str, shape: Sequence[int]) -> Any:
    """A copy, so that it lies in memory as a caller's own array would."""
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(memory, np.dtype(dtype), count, at).reshape(shape).copy()


def _numpy(task: ModuleType) -> tuple[str, Evaluation]:
    def evaluate(arrays: Sequence[Any], dims: Mapping[str, int]) -> int:
        with np.errstate(all="ignore"):
            started = time.perf_counter_ns()
            task.reference(*arrays, **dims)
            return time.perf_counter_ns() - started

    return f"numpy {np.__version__}", evaluate


def _torch(task: ModuleType) -> tuple[str, Evaluation]:
    """Raises LookupError or ImportError with a sentence when there is nothing to time."""
    peer = getattr(task, "torch_peer", None)
    if peer is None:
        raise LookupError("the task says nothing of torch")
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError as error:
        raise ImportError("torch is not installed in the sandbox") from error

    def evaluate(arrays: Sequence[Any], dims: Mapping[str, int]) -> int:
        tensors = [torch.from_numpy(array) for array in arrays]
        with torch.inference_mode():
            started = time.perf_counter_ns()
            peer(torch, *tensors, **dims)
            return time.perf_counter_ns() - started

    return f"torch {torch.__version__}", evaluate


PREPARE: Mapping[str, Callable[[ModuleType], tuple[str, Evaluation]]] = {"numpy": _numpy, "torch": _torch}
