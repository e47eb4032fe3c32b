"""evolve: improves code by experiment and remembers what helped.

The only public import. Plugins need `Domain` and the types; everything else is reached from the command line.
"""

import importlib.util
from pathlib import Path

from evolve.domain import Domain
from evolve.errors import EvolveError, InfrastructureError, PluginError, SandboxError, UsageError
from evolve.types import (
    Attempt,
    Candidate,
    Evaluation,
    Execution,
    Experience,
    Gates,
    Job,
    Limits,
    Mutation,
    Profile,
    Sandbox,
    Task,
)

__all__ = [
    "Attempt",
    "Candidate",
    "Domain",
    "Evaluation",
    "EvolveError",
    "Execution",
    "Experience",
    "Gates",
    "InfrastructureError",
    "Job",
    "Limits",
    "Mutation",
    "PluginError",
    "Profile",
    "Sandbox",
    "SandboxError",
    "Task",
    "UsageError",
]


def _require_siblings() -> None:
    """`agents` is also the import name of another distribution (openai-agents), which would shadow ours."""
    root = Path(__file__).resolve().parent.parent
    for name in ("agents", "knowledge", "sandboxes"):
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or root not in origin.parents:
            message = (
                f"the package {name!r} of evolve-foundry is hidden by {origin or 'nothing at all'}; "
                "install evolve-foundry into an environment of its own (openai-agents also brings an `agents`)"
            )
            raise ImportError(message)


_require_siblings()
