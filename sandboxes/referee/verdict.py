"""How a judgement ends early: the candidate's fault, or the task's."""


class RejectedError(Exception):
    """The candidate failed at a gate."""

    def __init__(self, gate: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.gate = gate
        """`authentic`, `builds` or `correct`."""
        self.reason = reason
        """A word for statistics, such as `crash` or `mismatch`."""

    @property
    def failure(self) -> dict[str, str]:
        return {"gate": self.gate, "reason": self.reason, "message": str(self)}


class UnequippedError(Exception):
    """The sandbox lacks what the target needs: nobody's fault, and no verdict."""


class BrokenTaskError(Exception):
    """The task's own baseline, reference or inputs do not work; no candidate can be judged on it."""
