"""The target `mojo`: what its candidates may contain, what is known of it, and moves for a search without a model."""

from pathlib import Path

from evolve.domains.kernels.mojo.rules import MODULES, violations

LORE = Path(__file__).with_name("lore.md")
GIVEN = ("-O3", "-D", "ASSERT=none")
"""Without run-time checks of indices: the guards around the arrays are what finds a wrong one."""

__all__ = ["GIVEN", "LORE", "MODULES", "violations"]
