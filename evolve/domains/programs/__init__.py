"""Tasks in OpenEvolve's format: an initial program, and an evaluator that scores what becomes of it."""

from evolve.domains.programs.domain import Programs

__all__ = ["Programs"]
