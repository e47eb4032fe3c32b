"""The domain `memory`: programs that remember. A candidate is one module with a memory architecture."""

from evolve.domains.memory.domain import Memories

__all__ = ["Memories"]
