"""Which problems can be judged, at which sizes: one JSON line of findings for each line of work on stdin.

A program of its own, because it runs the problems' code: `python -m evolve.domains.kernelbench.screen`.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from evolve.domains.kernelbench import problems, texts
from evolve.domains.kernelbench.findings import Finding

MOST_BYTES = 8 * 2**20
"""Of parameters, inputs and output together, once they are shrunk."""
MOST_FLOPS = 5 * 10**8
MOST_STUBBORN = 32 * 2**20
"""Of the same where no size can be made smaller."""
LARGEST = 128 * 2**20
"""Of the same where nothing is shrunk."""
SEED = 8
SUPPORTED = ("float32", "int64", "int32")


class Footprint(NamedTuple):
    bytes: int
    flops: int
    output: str


class UnfitError(Exception):
    """Why a problem cannot be judged."""


def main() -> None:
    for line in sys.stdin:
        work = json.loads(line)
        try:
            found = screened(work["text"], shrink=work["shrink"])
        except UnfitError as error:
            found = Finding(refused=str(error))
        except Exception as error:  # noqa: BLE001 - the boundary to the problem's code
            found = Finding(refused=f"it does not run: {type(error).__name__}: {str(error)[:300]}")
        sys.stdout.write(found.model_dump_json() + "\n")
        sys.stdout.flush()


def screened(text: str, *, shrink: bool) -> Finding:
    """Raises UnfitError with a reason."""
    smaller = _shrunk(text) if shrink else {}
    text = problems.resized(text, smaller)
    size = _footprint(text)
    most = MOST_STUBBORN if shrink else LARGEST
    if size.bytes > most:
        raise UnfitError(f"its arrays take {size.bytes >> 20} MiB, at most {most >> 20} can be judged")
    if size.output not in SUPPORTED:
        raise UnfitError(f"its output is of type {size.output}; {', '.join(SUPPORTED)} can be judged")
    usable = _usable(text, size.output)
    return Finding(smaller=smaller, output=size.output, distributions=usable)


# ---- sizes, found without computing anything


def _run(text: str) -> ModuleType:
    module = ModuleType("problem")
    exec(compile(text, "problem.py", "exec"), module.__dict__)  # noqa: S102
    return module


def _footprint(text: str) -> Footprint:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    module = _run(text)
    with torch.device("meta"), torch.no_grad():
        model = module.Model(*module.get_init_inputs())
        given = module.get_inputs()
        with FlopCounterMode(display=False) as counter:
            output = model(*given)
    if not isinstance(output, torch.Tensor):
        raise UnfitError(f"its model answers with a {type(output).__name__}, no tensor")
    tensors = [*model.state_dict().values(), *(one for one in given if isinstance(one, torch.Tensor)), output]
    for one in tensors:
        if one.is_floating_point() and one.dtype != torch.float32:
            raise UnfitError(f"it works in {one.dtype}; single precision can be judged")
    total = sum(one.numel() * one.element_size() for one in tensors)
    return Footprint(total, counter.get_total_flops(), str(output.dtype).removeprefix("torch."))


def _shrunk(text: str) -> dict[str, int]:
    """The largest size is halved until everything is small enough; one that the model insists on stays."""
    sizes, fixed = problems.sizes(text), set[str]()
    smaller: dict[str, int] = {}
    while (now := _footprint(problems.resized(text, smaller))).bytes > MOST_BYTES or now.flops > MOST_FLOPS:
        left = {name: value for name, value in sizes.items() if name not in fixed and value > problems.SMALLEST}
        if not left:
            return smaller
        name = max(left, key=lambda name: left[name])
        trial = {**smaller, name: sizes[name] // 2}
        if _runs(problems.resized(text, trial), now):
            smaller, sizes[name] = trial, trial[name]
        else:
            fixed.add(name)
    return smaller


def _runs(text: str, before: Footprint) -> bool:
    """Whether it runs at these sizes, and saves anything."""
    try:
        after = _footprint(text)
    except Exception:  # noqa: BLE001 - the boundary to the problem's code
        return False
    return after.bytes < before.bytes or after.flops < before.flops


# ---- what would pass


def _usable(text: str, output: str) -> tuple[str, ...]:
    """The distributions on which the problem has a finite answer. Raises UnfitError when a cheap answer passes all."""
    from evolve.domains.kernelbench.distributions import NAMES
    from sandboxes.referee.verdict import BrokenTaskError
    from sandboxes.referee.workload import Workload

    passing: list[set[str]] = []
    usable = []
    first, again = (Workload(texts.trusted(text, output), []) for _ in range(2))
    for name in NAMES:
        try:
            drawn = first.draw([SEED, 0], name, {})
            _same(drawn, again.draw([SEED, 0], name, {}))
            cheats = set(_cheats(first, drawn, first.draw([SEED, 1], name, {})))
        except (BrokenTaskError, UnfitError) as error:
            if name == "own":
                raise UnfitError(str(error)) from error
            continue
        usable.append(name)
        passing.append(cheats)
    if len(usable) < len(NAMES) and "mixed" in usable:
        usable.remove("mixed")  # it may pick any of the others
    always = set.intersection(*passing)
    if always:
        raise UnfitError(f"{' and '.join(sorted(always))} would pass for an answer")
    return tuple(usable)


def _same(drawn: Any, other: Any) -> None:
    import numpy as np

    if drawn.truth.dtype.kind == "f" and not np.isfinite(drawn.truth).all():
        raise UnfitError("its answer is not finite on its own inputs")
    if not np.allclose(drawn.truth, other.truth, rtol=1e-9, atol=1e-12):
        raise UnfitError("its answer depends on chance, not on its inputs and parameters alone")


def _cheats(workload: Any, drawn: Any, stale: Any) -> Iterator[str]:
    """Those that pass on these inputs."""
    import numpy as np

    for name, output in _answers(drawn, stale).items():
        with np.errstate(all="ignore"):
            answer = output.astype(workload.dtype)
        if answer.shape == drawn.truth.shape and workload.mismatch(answer, drawn) is None:
            yield name


def _answers(drawn: Any, stale: Any) -> Mapping[str, Any]:
    import numpy as np

    truth, inputs = drawn.truth, drawn.inputs[1:]
    mean = truth.mean() if truth.size > 1 else inputs[0].mean(dtype=np.float64)
    whole = np.rint(mean) if truth.dtype.kind in "iu" else mean
    same = {
        f"input {at} unchanged": one.reshape(truth.shape) for at, one in enumerate(inputs) if one.size == truth.size
    }
    constant = {"zeros": np.zeros_like(truth), "the mean": np.full(truth.shape, whole)}
    return {**constant, "the answer to other inputs": stale.truth, **same}


if __name__ == "__main__":
    main()
