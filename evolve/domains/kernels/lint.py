"""Is a task worth solving? Answers that cost nothing must not pass its own judge."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from evolve.domains.kernels.catalogue import Entry, Spec
from evolve.errors import PluginError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.number]

SEED = 20
"""Of the inputs: the same task is always judged alike."""


def lint(entry: Entry) -> None:
    """Raises PluginError, naming the task and the cheat, when a trivial answer passes on any distribution."""
    import numpy as np

    from evolve.domains.kernels.numerics import DISTRIBUTIONS

    rng = np.random.default_rng(SEED)
    for name, distribution in DISTRIBUTIONS.items():
        with np.errstate(all="ignore"):
            arrays, others = (
                entry.spec.inputs(lambda *shape, d=distribution: d(rng, shape), entry.spec.VISIBLE[0]) for _ in range(2)
            )
            problem = _problem(entry.spec, arrays, others)
        if problem:
            raise PluginError(f"kernels/{entry.name}: {problem} (on {name} inputs)")


def _problem(spec: Spec, arrays: "tuple[Array, ...]", others: "tuple[Array, ...]") -> str | None:
    """What is wrong with a task, on these inputs and what others leave behind."""
    import numpy as np

    from evolve.domains.kernels.numerics import mismatch
    from sandboxes.referee.workload import expected, output_dtype

    dims, dtype = spec.VISIBLE[0], output_dtype(spec)
    try:
        (truth, error), (stale, _) = (expected(spec, drawn, dims) for drawn in (arrays, others))
    except ValueError as fault:
        return str(fault)
    single = np.asarray(spec.reference(*arrays, **dims)).astype(dtype)
    beyond = mismatch(single, truth, error)
    if beyond:
        return f"single precision itself fails: {beyond}"
    passing = (
        cheat for cheat, out in _cheats(arrays, truth, stale) if mismatch(out.astype(dtype), truth, error) is None
    )
    return next((f"{cheat} passes for an answer" for cheat in passing), None)


def _cheats(arrays: "tuple[Array, ...]", truth: "Array", stale: "Array") -> "Iterator[tuple[str, Array]]":
    import numpy as np

    yield "an array of zeros", np.zeros_like(truth)
    yield "an output left over from other inputs", stale
    mean = truth.mean() if truth.size > 1 else arrays[0].mean(dtype=np.float64)
    yield "the mean everywhere", np.full(truth.shape, np.rint(mean) if truth.dtype.kind in "iu" else mean)
    for number, array in enumerate(arrays):
        if array.size == truth.size:
            yield f"input {number} unchanged", array.reshape(truth.shape)
