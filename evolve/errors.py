"""Every exception of the framework, one for each boundary that can break.

    EvolveError
    ├── UsageError            what was asked for cannot be done here (exit code 2)
    │   └── NotFoundError     a task, run, domain or experience that is not there; says what is
    ├── BudgetExceededError   a hard ceiling was reached before a call (ends the run, exit code 0 or 1)
    ├── ReplayError           a replay came to something else than what was recorded (exit code 1)
    └── InfrastructureError   something outside the candidate broke (exit code 3)
        ├── SandboxError      the sandbox could not do its work, whatever the candidate was
        ├── ModelError        the model's provider refused, failed or could not be reached
        ├── StorageError      the journal or the knowledge base could not be read or written
        └── PluginError       a domain or writer raised where its contract forbids it

A candidate that fails is no exception: it is an `Evaluation` without a score. Infrastructure that is not there when
a run starts (no compiler, no space, nobody at the model's address) is a `UsageError`: see `found_at_the_start`.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class EvolveError(Exception):
    """The root. `exit_code` is what the command line ends with."""

    exit_code = 3


class UsageError(EvolveError):
    exit_code = 2


class NotFoundError(UsageError):
    @classmethod
    def among(cls, what: str, name: str, known: list[str]) -> "NotFoundError":
        """One sentence that names what would have worked, the nearest names first."""
        import difflib

        near = difflib.get_close_matches(name, known, n=5, cutoff=0.4)
        shown = near or sorted(known)[:12]
        listing = ", ".join(shown) if shown else "none yet"
        lead = "did you mean" if near else "there are"
        return cls(f"unknown {what} {name!r}; {lead}: {listing}")


class BudgetExceededError(EvolveError):
    exit_code = 1


class ReplayError(EvolveError):
    exit_code = 1


class InfrastructureError(EvolveError):
    exit_code = 3


class SandboxError(InfrastructureError):
    pass


class ModelError(InfrastructureError):
    """`fatal` is False for what a later attempt may survive (overload, a hanging reply)."""

    def __init__(self, message: str, *, fatal: bool = True) -> None:
        super().__init__(message)
        self.fatal = fatal


class StorageError(InfrastructureError):
    pass


class PluginError(InfrastructureError):
    pass


@contextmanager
def found_at_the_start() -> Iterator[None]:
    """What is broken before anything has been judged is a matter of set-up: UsageError, exit code 2."""
    try:
        yield
    except (SandboxError, ModelError, StorageError) as error:
        raise UsageError(str(error)) from error
