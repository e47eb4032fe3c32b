"""Problems in KernelBench's format, judged on this machine's CPU with torch."""

from evolve.domains.kernelbench.domain import KernelBench

__all__ = ["KernelBench"]
