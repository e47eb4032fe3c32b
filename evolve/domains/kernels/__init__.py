"""The domain `kernels`: C kernels on the CPU, judged against a naive seed of the same build."""

from evolve.domains.kernels.domain import Kernels

__all__ = ["Kernels"]
