"""Is a task worth solving? Answers that cost nothing must not pass its own judge."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from evolve.domains.kernels.catalogue import Entry
from evolve.errors import PluginError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.floating]

SEED = 20
"""Of the inputs: the same task is always judged alike."""


def lint(entry: Entry) -> None:
    """Raises PluginError, naming the task and the cheat, when a trivial answer passes on any distribution."""
    import numpy as np

    from evolve.domains.kernels import numerics

    spec, dims = entry.spec, entry.spec.VISIBLE[0]
    rng = np.random.default_rng(SEED)
    for name, distribution in numerics.DISTRIBUTIONS.items():
        drawn = [spec.inputs(lambda *shape, d=distribution: d(rng, shape), dims) for _ in range(2)]
        (truth, single), (stale, _) = (_answers(entry, arrays) for arrays in drawn)
        problem = numerics.mismatch(single.astype(np.float32), truth, single)
        if problem:
            raise PluginError(f"kernels/{entry.name}: single precision itself fails on {name} inputs: {problem}")
        for cheat, output in _cheats(drawn[0], truth, stale):
            if numerics.mismatch(output.astype(np.float32), truth, single) is None:
                raise PluginError(f"kernels/{entry.name}: {cheat} passes for an answer on {name} inputs")


def _answers(entry: Entry, arrays: "tuple[Array, ...]") -> "tuple[NDArray[np.float64], Array]":
    import numpy as np

    dims = entry.spec.VISIBLE[0]
    truth = entry.spec.reference(*(array.astype(np.float64) for array in arrays), **dims)
    return np.asarray(truth, dtype=np.float64), entry.spec.reference(*arrays, **dims)


def _cheats(
    arrays: "tuple[Array, ...]", truth: "NDArray[np.float64]", stale: "NDArray[np.float64]"
) -> "Iterator[tuple[str, Array]]":
    import numpy as np

    yield "an array of zeros", np.zeros_like(truth)
    yield "an output left over from other inputs", stale
    mean = truth.mean() if truth.size > 1 else arrays[0].mean(dtype=np.float64)
    yield "the mean everywhere", np.full_like(truth, mean)
    for number, array in enumerate(arrays):
        if array.size == truth.size:
            yield f"input {number} unchanged", array.reshape(truth.shape)
