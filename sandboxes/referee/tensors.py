"""How holder.py calls a candidate on torch tensors: in Triton's interpreter, or on a GPU whose memory it owns.

On a GPU it serves the commands of device.c in the same way, fingerprints included.
"""

import importlib
import json
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from . import holder

LOAD, COLLECT = 3, 4
CANARY = 0xFF
PLACE, FIRST, SECOND = (factor - 2**64 for factor in (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xBF58476D1CE4E5B9))
LOW_32, LOW_35 = 2**32 - 1, 2**35 - 1

Tensor = Any


class Launches(holder.Functions):
    """A function that launches Triton kernels."""

    def prepare(self, given: Mapping[str, Any]) -> None:
        super().prepare(given)
        place = str(Path(given["file"]).parent)
        os.environ |= {"HOME": place, "TRITON_HOME": place, "TORCHINDUCTOR_CACHE_DIR": place}
        if given["device"]:
            os.environ["PATH"] = "/usr/local/cuda/bin:/usr/local/bin:/usr/bin:/bin"
        else:
            os.environ["TRITON_INTERPRET"] = "1"
        torch = importlib.import_module("torch")
        torch.set_num_threads(1)
        importlib.import_module("triton.language")
        if given["device"]:
            torch.zeros(1, device="cuda")

    def load(self, module: ModuleType) -> holder.Kernel:
        torch = importlib.import_module("torch")
        kernel = super().load(module)

        def call(*arguments: Any) -> None:
            """What is no array is a size, or on a device a tensor already."""
            kernel(*(torch.from_numpy(each) if isinstance(each, np.ndarray) else each for each in arguments))

        return call


def fingerprint(words: Tensor, first: int) -> Tensor:
    """That of fingerprint.cu, of a tensor of 32-bit words; its integers wrap around as those do."""
    torch = importlib.import_module("torch")
    places = torch.arange(first, first + words.numel(), dtype=torch.int64, device=words.device)
    x = (words.to(torch.int64) & LOW_32) + places * PLACE
    x = (x ^ ((x >> 32) & LOW_32)) * FIRST
    x = (x ^ ((x >> 29) & LOW_35)) * SECOND
    return (x ^ ((x >> 32) & LOW_32)).sum()


def _say(kind: int, text: str) -> None:
    words = text.encode(errors="replace")[: holder.MOST_TEXT]
    os.write(holder.ANSWERS, holder.ANSWER.pack(kind, 0, 0, 0, 0, len(words)) + words)


class Buffer(NamedTuple):
    """Laid out on the device as arena.py lays it out here, canaries around it included."""

    here: np.ndarray[Any, np.dtype[np.uint8]]
    there: Tensor
    array: Tensor
    """What the kernel is given of it."""


class Device:
    """Serves one candidate on the first GPU."""

    def __init__(self, kernel: holder.Kernel) -> None:
        self._torch = torch = importlib.import_module("torch")
        self._kernel = kernel
        self._buffers: list[Buffer] = []
        self._dims: Sequence[int] = ()
        size = os.lseek(holder.OUTPUTS, 0, os.SEEK_END)
        shared = mmap.mmap(holder.INPUTS, size, prot=mmap.PROT_READ), mmap.mmap(holder.OUTPUTS, size)
        self._inputs, self._outputs = (np.frombuffer(memory, dtype=np.uint8) for memory in shared)
        cache = int(torch.cuda.get_device_properties(0).L2_cache_size) or 64 << 20
        self._flushed = torch.empty(2 * cache, dtype=torch.uint8, device="cuda")

    def lay_out(self, sizes: Sequence[int], arrays: Sequence[tuple[str, Sequence[int]]]) -> None:
        self._buffers = []
        place = 0
        for number, (size, (dtype, shape)) in enumerate(zip(sizes, arrays, strict=True)):
            room = max(holder.PAGE, -(-size // holder.PAGE) * holder.PAGE)
            is_output = number == len(sizes) - 1
            here = self._outputs[:room] if is_output else self._inputs[place : place + room]
            place += room
            self._buffers.append(self._buffer(here, size, dtype, shape))

    def _buffer(self, here: Any, size: int, dtype: str, shape: Sequence[int]) -> Buffer:
        there = self._torch.empty(len(here), dtype=self._torch.uint8, device="cuda")
        start = len(here) - -(-size // holder.ALIGNMENT) * holder.ALIGNMENT
        kind = self._torch.from_numpy(np.empty(0, dtype=np.dtype(dtype))).dtype
        return Buffer(here, there, there[start : start + size].view(kind).view(*shape))

    def load(self) -> None:
        *inputs, output = self._buffers
        for buffer in inputs:
            buffer.there.copy_(self._torch.from_numpy(np.array(buffer.here)))
        output.there.fill_(CANARY)
        self._flushed.zero_()
        self._torch.cuda.synchronize()

    def call(self, times: int) -> str:
        before, after = (self._torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        if times:
            self._kernel(*(buffer.array for buffer in self._buffers), *self._dims)
            self._torch.cuda.synchronize()
        after.record()
        after.synchronize()
        return f"{before.elapsed_time(after) * 1e6:.0f} {self._print(self._buffers[-1:])}"

    def collect(self) -> str:
        *inputs, output = self._buffers
        output.here[:] = output.there.cpu().numpy()
        return self._print(inputs)

    def _print(self, buffers: Sequence[Buffer]) -> str:
        first, total = 0, self._torch.zeros((), dtype=self._torch.int64, device="cuda")
        for buffer in buffers:
            words = buffer.there.view(self._torch.int32)
            total += fingerprint(words, first)
            first += words.numel()
        return f"{int(total) % 2**64:016x}"

    def obey(self, kind: int, times: int, inputs: int, count: int, numbers: Sequence[int]) -> str:
        if kind == holder.LAYOUT:
            (length,) = holder.LENGTH.unpack(os.read(holder.COMMANDS, holder.LENGTH.size))
            arrays = json.loads(os.read(holder.COMMANDS, length))
            self._dims = numbers[16 : 16 + count]
            self.lay_out(numbers[: inputs + 1], arrays)
        elif kind == LOAD:
            self.load()
        elif kind == COLLECT:
            return self.collect()
        else:
            return self.call(times)
        return ""

    def serve(self, words: Callable[[BaseException], str]) -> None:
        """`words`: of what the candidate raised."""
        while len(packed := os.read(holder.COMMANDS, holder.COMMAND.size)) == holder.COMMAND.size:
            kind, times, inputs, count, *numbers = holder.COMMAND.unpack(packed)
            try:
                said = self.obey(kind, times, inputs, count, numbers)
            except Exception as error:  # noqa: BLE001 - the boundary to the candidate
                _say(holder.RAISED, words(error))
            else:
                _say(holder.DONE, said)
