"""Contract tests for plugins: inherit the class, name what it is to test, run pytest.

class TestMine(DomainContract):
    domain = Mine()

class TestMyMemory(ArchitectureContract):
    design = Design("mine", Path("mine.py").read_text())

class TestMyRole(RoleContract):
    role, reply = "mine", '{"verdict": "fine"}'
    def ask(self, model, key, data): ...
"""

from evolve.testing.architectures import ArchitectureContract, fingerprint, main
from evolve.testing.domains import DomainContract, Example, Finding, clauses_of, examples
from evolve.testing.happenings import happenings, questions
from evolve.testing.reaching import reaches
from evolve.testing.roles import HOSTILE, ORDER, RoleContract, Told, unfenced
from sandboxes import open_sandbox

__all__ = [
    "HOSTILE",
    "ORDER",
    "ArchitectureContract",
    "DomainContract",
    "Example",
    "Finding",
    "RoleContract",
    "Told",
    "clauses_of",
    "examples",
    "fingerprint",
    "happenings",
    "main",
    "open_sandbox",
    "questions",
    "reaches",
    "unfenced",
]
