"""How holder.py calls a candidate that is a torch module: parameters set from outside, the answer copied out."""

import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

NAME = "ModelNew"
Place = tuple[int, tuple[int, ...]]
"""Where the values of a parameter begin, and its shape."""


class Models:
    """The file defines `ModelNew`, whose parameters and buffers are named and shaped as the problem's `Model` has them.

    The first array holds their values, one after the other: parameters are views of it, buffers are copied.
    """

    def prepare(self, given: Mapping[str, Any]) -> None:
        import torch

        tempfile.tempdir = str(Path(given["file"]).parent)  # parts of torch ask for one; none can be written to
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        self._torch = torch
        self._problem = ModuleType("problem")
        text = Path(given["problem"]).read_text()
        exec(compile(text, "problem.py", "exec"), self._problem.__dict__)  # noqa: S102
        model = self._problem.Model(*self._problem.get_init_inputs())
        self._places = _places(self._state(model))
        inputs = self._problem.get_inputs()
        self._example = [torch.empty(0) if isinstance(each, torch.Tensor) else each for each in inputs]

    def load(self, module: ModuleType) -> Any:
        made = getattr(module, NAME, None)
        if not isinstance(made, type):
            raise LookupError(f"there is no class named {NAME}")  # noqa: TRY004
        self._model = made(*self._problem.get_init_inputs())
        difference = _difference(self._places, _places(self._state(self._model)))
        if difference:
            raise LookupError(f"{NAME} must have the parameters and buffers of Model: {difference}")
        return self._call

    def _state(self, model: Any) -> list[tuple[str, Any]]:
        """Floating-point parameters and buffers, in order."""
        return [
            (name, tensor) for name, tensor in model.state_dict(keep_vars=True).items() if tensor.is_floating_point()
        ]

    def _call(self, flat: Any, *arrays: Any) -> None:
        torch, out = self._torch, arrays[-1]
        with torch.no_grad():
            self._set(torch.from_numpy(flat))
            tensors = iter([torch.from_numpy(array) for array in arrays[:-1]])
            given = [next(tensors) if isinstance(each, torch.Tensor) else each for each in self._example]
            answer = self._model(*given)
            target = torch.from_numpy(out)
            if not isinstance(answer, torch.Tensor):
                raise TypeError(f"forward returned a {type(answer).__name__}, no tensor")
            if (tuple(answer.shape) or (1,)) != tuple(target.shape) or answer.dtype != target.dtype:
                message = f"{answer.dtype} of shape {tuple(answer.shape)}, not {target.dtype} of {tuple(target.shape)}"
                raise ValueError(f"forward returned {message}")
            target.copy_(answer)

    def _set(self, values: Any) -> None:
        for name, tensor in self._state(self._model):
            start, shape = self._places[name]
            value = values[start : start + tensor.numel()].view(shape)
            if isinstance(tensor, self._torch.nn.Parameter):
                tensor.data = value
            else:
                tensor.copy_(value)


def _places(state: Sequence[tuple[str, Any]]) -> dict[str, Place]:
    places, start = {}, 0
    for name, tensor in state:
        places[name] = (start, tuple(tensor.shape))
        start += tensor.numel()
    return places


def _difference(expected: Mapping[str, Place], own: Mapping[str, Place]) -> str:
    wanted, found = ({f"{name} {list(shape)}" for name, (_, shape) in side.items()} for side in (expected, own))
    missing, extra = sorted(wanted - found), sorted(found - wanted)
    return "; ".join([*(f"{one} is missing" for one in missing), *(f"{one} is none of them" for one in extra)][:4])
