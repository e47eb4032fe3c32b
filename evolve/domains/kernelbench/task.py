"""A problem as the referee works with it. Shipped to the referee as text, behind `PROBLEM`, the text of the problem.

The arrays of a problem are its parameters and floating-point buffers, one after the other in single precision, and
then the tensors that its `get_inputs` gives. Other inputs of it are constants.
"""

import random
import secrets
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]
PROBLEM: str
OUTPUT: str
"""Type of the output, such as `float32`."""
OUTPUT_DTYPE = np.dtype(OUTPUT)  # noqa: F821 - stands above, in the text that the referee gets
PERTURBED = 2.0**-23
"""Relative change of an input that no evaluation in single precision can be blamed for."""
SPREAD = 0.25
"""Of parameters that the problem starts all alike."""
FEW = 8
"""Inputs with so few different values are marks, such as a mask or a sign, and stay as they are."""
SAMPLE = 4096
"""Values looked at to see that."""


def module() -> ModuleType:
    made = ModuleType("problem")
    exec(compile(PROBLEM, "problem.py", "exec"), made.__dict__)  # noqa: F821, S102
    return made


_problem = module()
_models: dict[torch.dtype, torch.nn.Module] = {}


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - a problem may draw from it


def _state(model: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [(name, tensor) for name, tensor in model.state_dict().items() if tensor.is_floating_point()]


def inputs(draw: Callable[..., Array], dims: Any) -> tuple[Array, ...]:
    del dims
    number, seed = (int(part) for part in draw(2))
    _seed(seed)
    with torch.no_grad():
        model = _problem.Model(*_problem.get_init_inputs())
        parameters = [_varied(name, tensor).flatten() for name, tensor in _state(model)]
        given = [tensor for tensor in _problem.get_inputs() if isinstance(tensor, torch.Tensor)]
        drawn = [_redrawn(tensor, number) if tensor.is_floating_point() else tensor for tensor in given]
        flat = torch.cat([*parameters, torch.zeros(1)]).to(torch.float32)
    _seed(secrets.randbits(62))  # an answer that depends on chance is to be seen to do so
    return (flat.numpy(), *(tensor.contiguous().numpy() for tensor in drawn))


def _varied(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """What starts all alike, such as the scale of a normalisation, is varied, so that leaving it out is seen."""
    if not tensor.numel() or tensor.min() < tensor.max():
        return tensor
    factor = torch.exp(SPREAD * torch.randn_like(tensor))
    positive = name.endswith("running_var") or float(tensor.min()) > 0
    return tensor * factor if positive else tensor + SPREAD * torch.randn_like(tensor)


def _redrawn(tensor: torch.Tensor, number: int) -> torch.Tensor:
    """The same function of each value: what was equal stays equal, zeros among others stay zeros."""
    if not number or tensor.flatten()[:SAMPLE].unique().numel() <= FEW:
        return tensor
    low, high = tensor.min(), tensor.max()
    share = ((tensor - low) / (high - low)).clamp(2.0**-23, 1 - 2.0**-23)
    kind = number if number < len(QUANTILES) + 1 else 1 + random.randrange(len(QUANTILES))
    values = QUANTILES[kind - 1](share) * torch.exp2(2 * torch.rand(()) - 1)
    structural = (tensor == 0).sum() > FEW
    return torch.where(tensor == 0, tensor, values) if structural else values


def _signed(share: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sign and, uniform again, what is left of the share."""
    centred = 2 * share - 1
    return torch.sign(centred), centred.abs().clamp(2.0**-23, 1 - 2.0**-23)


def _laplace(share: torch.Tensor) -> torch.Tensor:
    sign, rest = _signed(share)
    return -sign * torch.log1p(-rest)


QUANTILES: Sequence[Callable[[torch.Tensor], torch.Tensor]] = (
    torch.special.ndtri,
    lambda share: 2 * share - 1,
    _laplace,
    lambda share: -torch.log1p(-share),
    lambda share: torch.exp(torch.special.ndtri(share)),
)
"""In the order of the distributions' names; `mixed` picks one anew for each input."""


def reference(*arrays: Array, **dims: int) -> Array:
    del dims
    double = arrays[0].dtype == np.float64
    kind = torch.float64 if double else torch.float32
    torch.set_default_dtype(kind)
    try:
        with torch.no_grad():
            return _answer(_loaded(arrays[0], kind), arrays[1:])
    finally:
        torch.set_default_dtype(torch.float32)


def error(*arrays: Array, **dims: int) -> Array:
    """Single precision's own error, and what the last bit of the inputs amounts to."""
    exact = [array.astype(np.float64) if array.dtype.kind == "f" else array for array in arrays]
    truth, single = reference(*exact, **dims), reference(*arrays, **dims)
    rng = np.random.default_rng(0)
    signs = (PERTURBED * (2 * rng.integers(0, 2, array.shape) - 1) for array in exact)
    near = [array * (1 + sign) if array.dtype.kind == "f" else array for array, sign in zip(exact, signs, strict=True)]
    return np.asarray(np.maximum(np.abs(single - truth), np.abs(reference(*near, **dims) - truth)))


def _loaded(flat: Array, kind: torch.dtype) -> torch.nn.Module:
    if kind not in _models:
        _models[kind] = _problem.Model(*_problem.get_init_inputs()).to(kind)
    values, start = torch.from_numpy(flat), 0
    for _, tensor in _state(_models[kind]):
        tensor.copy_(values[start : start + tensor.numel()].reshape(tensor.shape))
        start += tensor.numel()
    return _models[kind]


def _answer(model: torch.nn.Module, arrays: Sequence[Array]) -> Array:
    """A number is an array of one."""
    tensors = iter([torch.from_numpy(array.copy()) for array in arrays])
    given = [next(tensors) if isinstance(each, torch.Tensor) else each for each in _example()]
    answer = model(*given)
    if not isinstance(answer, torch.Tensor):
        raise TypeError(f"the answer is a {type(answer).__name__}, no tensor")
    return np.atleast_1d(answer.contiguous().numpy())


_kept: list[Any] = []


def _example() -> list[Any]:
    """What `get_inputs` gives, for the kind and the place of each input."""
    if not _kept:
        inputs = _problem.get_inputs()
        _kept.extend(torch.empty(0) if isinstance(each, torch.Tensor) else each for each in inputs)
    return _kept
