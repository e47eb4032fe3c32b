"""The seam to a model that writes designs, and what it is told: how its parent failed questions, program by program."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, Protocol

from agents.architect import Architect as Writer
from agents.architect import Case, Redesign
from evolve.domains.memory.confined import sit_confined
from evolve.domains.memory.diagnosis import diagnose
from evolve.domains.memory.exam import Exam
from evolve.domains.memory.sitting import sit
from evolve.types import Sandbox
from knowledge.design import Design, built


class Request(NamedTuple):
    name: str
    """Of the child."""
    parent: Design
    trusted: bool
    """Whether the parent may work in this process."""
    exam: Exam
    """To learn from: of the part to reflect on."""
    figures: str
    """How the parent fared, in a line."""
    tried: Sequence[str] = ()
    """What was changed about it before, and what that brought."""


class Architect(Protocol):
    def propose(self, request: Request, rng: Random) -> Redesign:
        """Raises ModelError; a fatal one where no later call can succeed either."""
        ...


class Diagnosing:
    """An architect who is told what its parent got wrong."""

    def __init__(self, writer: Writer, sandbox: Sandbox) -> None:
        self._writer = writer
        self._sandbox = sandbox

    def propose(self, request: Request, rng: Random) -> Redesign:
        parent, exam = request.parent, request.exam
        sittings = [sit(built(parent), exam)] if request.trusted else sit_confined(parent, [exam], self._sandbox)
        found = diagnose([exam], sittings, rng)
        case = Case(parent, request.figures, found.worst, found.text, request.tried)
        return self._writer.redesign(request.name, case)
