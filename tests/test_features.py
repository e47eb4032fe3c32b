import pytest

from evolve.domains.kernels import catalogue
from evolve.domains.kernels.features import features


@pytest.mark.parametrize(
    ("name", "accumulators"),
    [
        ("dot", {"acc"}),
        ("max", {"best"}),
        ("nbody", {"ax", "ay", "az"}),
        ("dot_int8", set()),
        ("matmul_int8", set()),
        ("sort_bytes", set()),
        ("bit_reversal", {"reversed"}),
    ],
)
def test_only_what_gcc_may_not_reorder_is_a_chain(name: str, accumulators: set[str]) -> None:
    loops = features(catalogue.entries()[name].seed).inner
    assert set().union(*(loop.accumulators for loop in loops)) == accumulators
