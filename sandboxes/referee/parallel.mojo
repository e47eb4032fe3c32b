"""Threads for kernels, by the name that they have in Modular's MAX: `from max.algorithm import parallelize`."""

from std.ffi import external_call


def parallelize[F: def(Int) -> None](func: F, num_work_items: Int):
    """Calls func(0) … func(num_work_items - 1), some of them at the same time; returns when all are done."""

    def call(work: Pointer[F, ImmUntrackedOrigin], item: Int) abi("C") {}:
        work[](item)

    external_call["evolve_parallel", NoneType](call, Pointer(to=func), num_work_items)


def sync_parallelize[F: def(Int) -> None](func: F, num_work_items: Int):
    """As parallelize."""
    parallelize(func, num_work_items)
