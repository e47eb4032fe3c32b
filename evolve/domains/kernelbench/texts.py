"""The texts that the referee runs for a problem."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@cache
def _shipped(name: str) -> str:
    return (HERE / name).read_text()


def trusted(problem: str, output: str, distributions: Sequence[str] = ()) -> dict[str, str]:
    """`task.py` and `numerics.py` for the text of a problem; `distributions`: these alone, all when empty."""
    from evolve.domains.kernels.catalogue import numerics

    task = f"PROBLEM = {problem!r}\nOUTPUT = {output!r}\n{_shipped('task.py')}"
    chosen = f"DISTRIBUTIONS = {{name: DISTRIBUTIONS[name] for name in {list(distributions)!r}}}\n"
    drawn = _shipped("distributions.py") + (chosen if distributions else "")
    return {"task.py": task, "numerics.py": f"{numerics()}\n{drawn}"}
