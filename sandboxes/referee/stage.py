"""Where instances are laid out for runners and their outputs judged."""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from .arena import CANARY, PAGE, Arena, room
from .runner import Runner
from .verdict import RejectedError
from .workload import Instance, Workload


def footprint(instance: Instance, workload: Workload) -> int:
    """Bytes of shared memory."""
    inputs = sum(room(array.nbytes) for array in instance.inputs)
    return inputs + room(instance.truth.size * workload.dtype.itemsize) + PAGE


class Stage:
    """The inputs that several runners read, and the judge of what each of them writes."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self.inputs = Arena("inputs", inputs=True)

    def arrange(self, like: Instance, dims: Mapping[str, int], runners: Sequence[Runner]) -> None:
        """Make room for instances of the shapes of `like`."""
        sizes = [array.nbytes for array in like.inputs]
        self.inputs.arrange(sizes)
        output = like.truth.size * self._workload.dtype.itemsize
        description = self._described(like)
        for runner in runners:
            runner.arrange(sizes, output, self._workload.arguments(dims), description)

    def _described(self, like: Instance) -> bytes:
        """Type and shape of each input and of the output."""
        arrays = [
            *((array.dtype.str, array.shape) for array in like.inputs),
            (self._workload.dtype.str, like.truth.shape),
        ]
        return json.dumps(arrays).encode()

    def load(self, instance: Instance) -> None:
        for number, array in enumerate(instance.inputs):
            self.inputs.view(number, array.dtype, array.shape)[...] = array

    def verify(self, runner: Runner, instance: Instance) -> None:
        """Judge the output of a runner that stands still. Raises RejectedError."""
        side = runner.outputs.trespass(0)
        if side:
            message = f"wrote out of bounds, just {side} the output, for {instance.label}"
            raise RejectedError("correct", "bounds", message)
        output = runner.outputs.view(0, self._workload.dtype, instance.truth.shape)
        problem = self._workload.mismatch(output, instance)
        if problem:
            untouched = _untouched(runner.outputs, output.size)
            raise RejectedError("correct", "mismatch", f"for {instance.label}: {problem}{untouched}")


def _untouched(outputs: Arena, elements: int) -> str:
    raw = outputs.bytes(0).reshape(elements, -1)
    count = int(np.count_nonzero((raw == CANARY).all(axis=1)))
    return f"; {count} of {elements} elements were never written" if count else ""
